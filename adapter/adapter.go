// Package adapter runs an adapter home: a definition (entities/<entity>/action.json) and a
// service instance become authenticated HTTP calls.
//
//	home, instance ── Load ──▶ Definition ── Open ──▶ Adapter
//	Input ── build ──▶ *http.Request ── auth.Transport ──▶ wire ──▶ *http.Response ── decode ──▶ Response
//
// build and decode are pure. A Definition is checked once, with every problem and its place;
// nothing reads a file after that. Three ways lead out: Call (a declared action), Request (any
// path of the system) and Client (an *http.Client for Go code that wants to stay as it is).
package adapter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/cache"
)

// Options say what to open and what the world lends. Home or Instance is needed.
type Options struct {
	Name     string       // how messages call the adapter; default: the instance's id, else HomeName
	Home     fs.FS        // the adapter home; nil: no declared actions but the default system entity
	HomeName string       // how messages call the home
	Instance File         // the service instance; empty: service-instance.json or sampleProperties.json of the home
	Set      []Assignment // properties overridden for this run
	Dialect  auth.Dialect // how the authentication object is spelt; required

	LookupEnv func(name string) (string, bool)  // for ${env:NAME}; nil: no variable is set
	ReadFile  func(path string) ([]byte, error) // for ${file:PATH}; nil: no file can be read

	Base *http.Transport // the wire; nil: auth.NewBase()
	// Wire is what sends over Base, or over a copy of it with the system's own settings; nil: that
	// itself. It gives back the same for the same Base, and its CloseIdleConnections closes those of Base too.
	Wire  func(base *http.Transport) http.RoundTripper
	Cache cache.Store // tokens; nil: the process remembers them itself
	// SharedCache opens what token_cache redis means; nil: there is none, and such an instance
	// does not load.
	SharedCache func() (SharedCache, error)
	Tokens      *auth.Tokens       // live tokens, shared with other adapters; nil: own
	Keys        *auth.Keyer        // names cache entries; nil: random, good within the process
	Redact      *auth.Redactor     // learns every secret in use; nil: own, for what servers repeat in errors
	Log         logrus.FieldLogger // nil: silent
	Observe     func(auth.Event)   // what happens, step by step; nil: nobody listens
	Measure     func(auth.Measure) // what the token engine does, for counters; nil: nobody counts
	Now         func() time.Time   // nil: time.Now
}

// SharedCache is a token cache that several processes use, and what names its entries alike in
// all of them.
type SharedCache struct {
	Store   cache.Store
	Keys    *auth.Keyer
	Process string // how this process is called in the others' explanations; may be empty
}

// File is one file's bytes and the name that messages give it.
type File struct {
	Name string
	Data []byte
	Made bool // it was made of something else: lines and columns would say nothing
}

// Assignment overrides one property: a.b.c and its value as text.
type Assignment struct{ Path, Value string }

// Adapter makes authenticated calls to one system. It is safe for concurrent use.
type Adapter struct {
	def      *Definition
	env      auth.Env
	main     *instance
	variants variants
	shared   io.Closer // the shared cache, if the adapter opened one
	lent     bool      // the wire is somebody else's
}

// Open loads a definition and opens it.
func Open(o Options) (*Adapter, error) {
	def, err := Load(o)
	if err != nil {
		return nil, err
	}
	return def.Open()
}

// Open makes the adapter. It makes no calls.
func (d *Definition) Open() (*Adapter, error) {
	o := d.options
	a := &Adapter{def: d, env: auth.Env{
		Cache: o.Cache, Tokens: o.Tokens, Keys: o.Keys, Redact: o.Redact,
		Now: o.Now, Log: o.Log, Observe: o.Observe, Measure: o.Measure,
	}}
	if a.env.Tokens == nil {
		a.env.Tokens = new(auth.Tokens)
	}
	if a.env.Keys == nil {
		keys, err := auth.NewKeyer(nil)
		if err != nil {
			return nil, err
		}
		a.env.Keys = keys
	}
	if a.env.Redact == nil {
		a.env.Redact = new(auth.Redactor) // a server may repeat in an error what it was sent
	}
	if a.env.Now == nil {
		a.env.Now = time.Now
	}
	if a.env.Log == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		a.env.Log = silent
	}
	if err := a.share(); err != nil {
		return nil, err
	}
	calls, err := a.connect(cmp.Or(o.Base, auth.NewBase()))
	if err != nil {
		return nil, err
	}
	main, err := d.instance(a.env, calls, d.main)
	if err != nil {
		return nil, err
	}
	a.main = main
	return a, nil
}

// connect makes what token requests and calls are sent over, and returns the latter.
func (a *Adapter) connect(base *http.Transport) (http.RoundTripper, error) {
	system := a.def.main.spec.System
	if system != nil {
		own, err := tuned(base, system)
		if err != nil {
			return nil, &ConfigError{Problems{{File: a.def.file, Pointer: a.def.at, Reason: err.Error()}}}
		}
		base = own
	}
	o := a.def.options
	a.lent = base == o.Base
	sends := wire{base}
	if o.Wire != nil {
		sends = wire{o.Wire(base)}
	}
	a.env.Client = &http.Client{Transport: sends}
	if system == nil || system.MaxConcurrent == 0 {
		return sends, nil
	}
	return limited{sends, make(chan struct{}, system.MaxConcurrent)}, nil
}

// share takes the cache that the instance asks for.
func (a *Adapter) share() error {
	d := a.def
	if !d.main.spec.Shared {
		return nil
	}
	err := errors.New("redis needs a Redis, which this program was not given")
	if d.options.SharedCache != nil {
		var shared SharedCache
		if shared, err = d.options.SharedCache(); err == nil {
			a.env.Cache, a.env.Keys, a.env.Process = shared.Store, shared.Keys, shared.Process
			a.shared, _ = shared.Store.(io.Closer)
			return nil
		}
	}
	pointer := "/authentication/token_cache"
	if d.main.spec.System != nil {
		pointer = "/tokenCache"
	}
	return &ConfigError{Problems{{File: d.file, Pointer: d.at + pointer, Reason: err.Error()}}}
}

// Name is how messages call the adapter.
func (a *Adapter) Name() string { return a.def.name }

// Definition returns what the adapter was made from.
func (a *Adapter) Definition() *Definition { return a.def }

// Client returns an HTTP client that adds the credentials to requests for the system's origin,
// and nothing to others. It sets no deadline: the requests' contexts do.
func (a *Adapter) Client() *http.Client { return a.main.client() }

// Request makes an authenticated call to any path of the system. The caller closes the body.
func (a *Adapter) Request(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := a.newRequest(ctx, method, path, header, body)
	if err != nil {
		return nil, err
	}
	if err := a.main.sendable(); err != nil {
		return nil, err
	}
	res, err := a.main.client().Do(req)
	return res, bare(err)
}

// newRequest joins the path to the origin, or to the base URL where the dialect has one. A path
// cannot name another host.
func (a *Adapter) newRequest(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Request, error) {
	if strings.Contains(path, "://") && !strings.HasPrefix(path, "/") {
		return nil, &CallError{Reason: "the path must not hold a host; write only what follows it, such as /api/v1/devices"}
	}
	path, _, _ = strings.Cut(path, "#")
	path, query, _ := strings.Cut(path, "?")
	path = "/" + strings.TrimPrefix(path, "/")
	if a.main.spec.System != nil {
		if path = "/" + strings.TrimLeft(path, "/"); path == "/" {
			return nil, &CallError{Reason: "the path is empty; write what follows the base URL, such as /v1/devices"}
		}
		if a.main.prefix != "" && climbs(path) {
			return nil, &CallError{Reason: "the path must not hold .. as one of its parts: it is joined to the base URL's, and would leave that"}
		}
	}
	u, err := join(a.main.base, a.main.prefix+auth.EscapeIllegal(path, "/"), auth.EscapeIllegal(query, "/?"))
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, &CallError{Reason: fmt.Sprintf("%q is no HTTP method", method)}
	}
	for name, values := range header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	if host := header.Get("Host"); host != "" {
		return nil, &CallError{Reason: "the Host header follows from the instance's host and cannot be set"}
	}
	return req, nil
}

// Check authenticates once and evaluates everything that depends on the answer. Nothing else
// is sent.
func (a *Adapter) Check(ctx context.Context) error {
	if err := a.main.sendable(); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.main.base.String()+"/", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	_, err = a.main.auth.Apply(req)
	return err
}

// Tokens describes the tokens that are cached for this adapter, here or in the shared cache.
func (a *Adapter) Tokens(ctx context.Context) []auth.TokenInfo {
	list := a.env.Tokens.List()
	kept := list[:0]
	for _, info := range list {
		if info.Owner == a.def.name {
			kept = append(kept, info)
		}
	}
	if placed, ok := a.main.auth.(*auth.Placed); ok && len(kept) == 0 {
		if info, ok := placed.Source.Peek(ctx); ok {
			kept = append(kept, info)
		}
	}
	return kept
}

// ErrNoToken says that the adapter's method has no token to show, renew or drop.
var ErrNoToken = errors.New("this auth_method has no token that is kept")

// RefreshToken asks for a new token now, and returns it with its description.
func (a *Adapter) RefreshToken(ctx context.Context) (auth.Token, auth.TokenInfo, error) {
	placed, ok := a.main.auth.(*auth.Placed)
	if !ok {
		return auth.Token{}, auth.TokenInfo{}, ErrNoToken
	}
	if err := a.main.sendable(); err != nil {
		return auth.Token{}, auth.TokenInfo{}, err
	}
	return placed.Source.Refresh(ctx)
}

// DropToken forgets the token, here and in the shared cache.
func (a *Adapter) DropToken(ctx context.Context) error {
	placed, ok := a.main.auth.(*auth.Placed)
	if !ok {
		return ErrNoToken
	}
	return placed.Source.Drop(ctx)
}

// Close waits for token requests under way, so that what they bring is kept, or for ctx; then it
// closes the shared cache, and idle connections unless Options.Base lent them.
func (a *Adapter) Close(ctx context.Context) error {
	err := a.env.Tokens.Wait(ctx)
	if !a.lent {
		a.env.Client.CloseIdleConnections()
	}
	if a.shared != nil {
		err = errors.Join(err, a.shared.Close())
	}
	return err
}
