package promises

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/auth/methods/requesttoken"
	"github.com/keyhitch/keyhitch/cache"
)

// options say how a process differs from the usual one. Zero fields change nothing.
type options struct {
	Cache     cache.Store
	Keys      *auth.Keyer // processes that share a cache need the same
	Now       func() time.Time
	Jitter    func() float64 // nil: none, so that times are known
	Timeout   time.Duration  // lifetime of every token; 0: as the answer says
	Margin    *time.Duration
	Wait      time.Duration // of one token request; 0: 30 s
	Base      http.RoundTripper
	Log       logrus.FieldLogger
	Observe   func(auth.Event)
	Resubmits int // below 0: none; 0: one
}

func (o options) resubmits() int {
	if o.Resubmits == 0 {
		return 1
	}
	return max(0, o.Resubmits)
}

// process is one «process» of ours: everything it has in memory, and its way to the system.
type process struct {
	client *http.Client
	source *auth.CachedSource
	tokens *auth.Tokens
	secret string // the password it logs in with
	log    *lines // what it logs, unless options.Log takes that
	url    string
	base   http.RoundTripper
}

// process starts a process that calls the system. It ends with the test.
func (s *system) process(t testing.TB, o options) *process {
	t.Helper()
	p := &process{tokens: new(auth.Tokens), log: new(lines), secret: password, url: s.URL}
	p.base = s.way(t, o.Base)
	a, err := p.config(t, o).Open(p.env(t, o))
	if err != nil {
		t.Fatal(err)
	}
	p.source = a.(*auth.Placed).Source
	p.client = &http.Client{Transport: &auth.Transport{Base: p.base, Auth: a, Origin: originOf(t, s.URL),
		Resubmits: o.resubmits(), Observe: o.Observe}}
	t.Cleanup(func() { _ = p.tokens.Wait(context.Background()) }) // flights have deadlines of their own
	return p
}

// way is how the process reaches the system.
func (s *system) way(t testing.TB, base http.RoundTripper) http.RoundTripper {
	switch {
	case base != nil:
		return base
	case s.wire != nil:
		return s.wire
	}
	own := auth.NewBase()
	t.Cleanup(own.CloseIdleConnections)
	return own
}

func (p *process) config(t testing.TB, o options) *requesttoken.Config {
	t.Helper()
	place, problems := auth.CompileFields([]auth.Field{{Path: "header.headers.Authorization", Format: "Bearer {token}"}},
		nil, "token", "tokenp2")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	password := auth.NewSecret(p.secret)
	form := map[string]auth.Secret{"grant_type": auth.NewSecret("password"), "username": auth.NewSecret("ann"), "password": password}
	return &requesttoken.Config{User: auth.NewSecret("ann"), Secrets: []auth.Secret{password}, Place: place,
		Request: authtest.FormRequest{Endpoint: p.url + "/token", Form: form, Wait: o.Wait},
		Timeout: o.Timeout, Margin: o.Margin, Owner: "promises"}
}

// password is the same for all processes: those that share a cache would share no token without.
var password = authtest.Marker()

func (p *process) env(t testing.TB, o options) auth.Env {
	t.Helper()
	env := auth.Env{Client: &http.Client{Transport: p.base}, Cache: o.Cache, Tokens: p.tokens, Keys: o.Keys, Redact: new(auth.Redactor),
		Now: o.Now, Jitter: o.Jitter, Log: o.Log, Observe: o.Observe}
	if env.Keys == nil {
		env.Keys = newKeys(t)
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	if env.Jitter == nil {
		env.Jitter = func() float64 { return 0 }
	}
	if env.Log == nil {
		log := logrus.New()
		log.SetOutput(p.log)
		env.Log = log
	}
	return env
}

// newKeys returns names for cache entries; processes that share a cache share them too.
func newKeys(t testing.TB) *auth.Keyer {
	t.Helper()
	keys, err := auth.NewKeyer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func originOf(t testing.TB, text string) auth.Origin {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return auth.OriginOf(u)
}

// call makes one API call and reads its answer to the end.
func (p *process) call(ctx context.Context) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/things", nil)
	if err != nil {
		return 0, err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// want fails unless a call succeeds.
func (p *process) want(t testing.TB) {
	t.Helper()
	if status, err := p.call(t.Context()); err != nil || status != http.StatusOK {
		t.Errorf("a call: got status %d, %v, want 200", status, err)
	}
}

// lines is a log that many may write to.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write adds a line.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// String returns all of them.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// all runs n callers at once and returns when the last is back.
func all(n int, caller func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { caller(i) })
	}
	wg.Wait()
}
