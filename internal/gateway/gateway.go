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
}

// Limits bound what one request may take. The zero value means the defaults.
type Limits struct {
	ReplayBytes int64         // of a request body, kept while it streams, to send it once more; 64 KiB
	CallBytes   int64         // of the body of a declared call, which is read whole; 8 MiB
	CallTime    time.Duration // of a declared call; 5 min
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
	api      api // routes of /v1
	draining atomic.Bool
	loading  sync.Mutex
	closed   bool // loading is held
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
		go func() { // when its last request has ended
			if err := old.close(context.Background()); err != nil {
				g.options.Log.WithError(err).Warn("closing what was served before the reload")
			}
		}()
	}
	return nil
}

// Close ends the gateway: it waits for requests under way and for what their logins bring, or for ctx.
func (g *Gateway) Close(ctx context.Context) error {
	g.loading.Lock()
	defer g.loading.Unlock()
	g.closed = true
	if s := g.current.Swap(nil); s != nil {
		return s.close(ctx)
	}
	return nil
}

// close waits for the requests that hold s, and closes its adapters.
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
	defer s.access.RUnlock()
	x.served = s
	x.serve(r)
}
