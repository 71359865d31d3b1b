// Package gateway lets programs in any language call systems over plain HTTP: the credential is
// added on the way, and the caller never sees it.
//
//	request ─ identify ─▶ Caller ─┬ /proxy/{adapter}/{path…}   ReverseProxy ─ auth.Transport ─▶ system
//	                              ├ /v1/adapters/…             adapter.Call, Plan, Tokens
//	                              └ /openapi.json              made of the loaded homes
//	whatever goes wrong ─ faultOf ─▶ one catalogue ─▶ application/problem+json (RFC 9457)
//
// Which credential goes out, and to which host, is the project file's to say, never the caller's.
// A gateway is loaded again without a pause: what is under way ends on what it began with.
package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
)

// Config is what a gateway serves. It is not changed after New or Reload.
type Config struct {
	Adapters map[string]*adapter.Adapter
	Callers  *Callers // who may call; nil: everybody may call everything
	Limits   Limits
	// SetCookie names the adapters whose systems may set cookies through /proxy.
	SetCookie map[string]bool
	// Release gives back what was lent for it. It is called once, when nobody uses it any more; nil:
	// nothing was.
	Release func()
}

// Limits bound what one request may take. The zero value means the defaults.
type Limits struct {
	ReplayBytes int64         // of a request body, kept while it streams, to send it once more; 64 KiB
	CallBytes   int64         // of the body of a declared call, which is read whole; 8 MiB
	CallTime    time.Duration // of a declared call; 5 min
	// StreamIdle is how long a switched connection or a stream of events may be silent; 1 h, and
	// for ever below 0.
	StreamIdle time.Duration
}

// withDefaults fills in what is zero.
func (l Limits) withDefaults() Limits {
	if l.ReplayBytes == 0 {
		l.ReplayBytes = 64 << 10
	}
	if l.CallBytes == 0 {
		l.CallBytes = 8 << 20
	}
	if l.CallTime == 0 {
		l.CallTime = 5 * time.Minute
	}
	if l.StreamIdle == 0 {
		l.StreamIdle = time.Hour
	}
	return l
}

// Options are what the world lends to a gateway.
type Options struct {
	Load      func() (Config, error) // reads the configuration; it is called again by Reload
	Log       logrus.FieldLogger     // one line for each request, and what goes wrong; required
	AccessLog io.Writer              // takes the access log as JSON, a line in each Write, from many requests at once; nil: Log does
	Redact    *auth.Redactor         // knows the secrets of all adapters; nil: nothing is scrubbed
	Metrics   *Metrics               // nil: nobody counts
	Version   string                 // of the program, for /openapi.json
}

// Gateway is an http.Handler. It is safe for concurrent use.
type Gateway struct {
	options  Options
	now      func() time.Time
	current  atomic.Pointer[served]
	api      api          // routes of /v1
	tracer   trace.Tracer // nil: nothing is traced
	draining atomic.Bool
	plain    atomic.Bool // the access log goes to Log
	streams  streams
	loading  sync.Mutex
	closed   bool           // loading is held
	former   sync.WaitGroup // what was served before and is not closed yet; loading is held to add
}

// served is one loaded configuration, ready to serve. Requests hold it while they run.
type served struct {
	Config
	doors     map[string]*door
	health    health       // what the background checks found
	documents documents    // /openapi.json, as each caller sees it
	access    sync.RWMutex // read-locked by every request; locked when the configuration is let go
}

// New loads the configuration. Its error is that of Load.
func New(o Options) (*Gateway, error) {
	g := &Gateway{options: o, now: time.Now}
	o.Metrics.built(o.Version)
	return g, g.Reload()
}

// errClosed is what Reload returns after Close.
var errClosed = errors.New("the gateway is closed")

// Reload reads the configuration again and serves it from now on. After an error everything
// is as it was. Requests under way end on the configuration they began with.
func (g *Gateway) Reload() (err error) {
	g.loading.Lock()
	defer g.loading.Unlock()
	if g.closed {
		return errClosed
	}
	defer func() { g.options.Metrics.Reloaded(err) }()
	config, err := g.options.Load()
	if err != nil {
		return err
	}
	config.Limits = config.Limits.withDefaults()
	next := &served{Config: config, doors: map[string]*door{}}
	for name, a := range config.Adapters {
		if next.doors[name], err = g.newDoor(name, a, config.Limits); err != nil {
			return errors.Join(err, next.close(context.Background()))
		}
	}
	old := g.current.Load()
	if old != nil {
		config.Callers.Inherit(old.Callers)
	}
	g.current.Store(next)
	if old != nil {
		g.shutOut(next)
		g.former.Go(func() { // when its last request has ended
			if err := old.close(context.Background()); err != nil {
				g.options.Log.WithError(err).Warn("closing what was served before the reload")
			}
		})
	}
	return nil
}

// shutOut ends the streams of those who may not go on with them.
func (g *Gateway) shutOut(now *served) {
	if n := g.streams.stop(now.admits); n > 0 {
		g.options.Log.WithField("streams", n).Info("streams are cut off whose callers may not have them any more")
	}
}

// LogPlainly has the access log's lines go to Options.Log from now on although there is an
// Options.AccessLog, or no longer.
func (g *Gateway) LogPlainly(plain bool) { g.plain.Store(plain) }

// Close ends the gateway: it waits for requests and streams under way and for what their logins
// bring, or for ctx; streams that are left then are cut.
func (g *Gateway) Close(ctx context.Context) error {
	g.loading.Lock()
	defer g.loading.Unlock()
	g.closed = true
	var err error
	if s := g.current.Swap(nil); s != nil {
		err = s.close(ctx)
	}
	err = errors.Join(err, g.streams.wait(ctx))
	former := make(chan struct{})
	go func() { g.former.Wait(); close(former) }()
	select {
	case <-former:
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	return err
}

// close waits for the requests that hold s, closes its adapters, and gives back what they used.
func (s *served) close(ctx context.Context) error {
	idle := make(chan struct{})
	go func() {
		s.access.Lock() // never unlocked: nobody takes it any more
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	var errs []error
	for _, a := range s.Adapters {
		errs = append(errs, a.Close(ctx))
	}
	if s.Release != nil {
		s.Release()
	}
	return errors.Join(errs...)
}

// hold returns what is served now, held until release is called; nil: the gateway is closed.
func (g *Gateway) hold() *served {
	for {
		s := g.current.Load()
		if s == nil || s.access.TryRLock() {
			return s
		}
	}
}

// ServeHTTP answers one request of a caller.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := g.begin(w, r)
	defer x.end()
	s := g.hold()
	if s == nil {
		x.fail(faultClosing, "")
		return
	}
	x.served, x.holds = s, true
	defer x.letGo()
	x.serve(r)
}

// letGo is called when x needs nothing any more of what is closed with its configuration.
func (x *exchange) letGo() {
	if x.holds {
		x.holds = false
		x.access.RUnlock()
	}
}
