// Package auth adds declared credentials to HTTP requests: it decides what they are, where
// they go, when they are renewed, and that they never leave their origin.
//
//	auth block ── Dialect.Parse ──▶ Spec{Method, Config} ── Config.Open(Env) ──▶ Authenticator
//	request ── Transport ── Apply (clone) ──▶ wire ──▶ answer
//	               └─ refused? Invalidate, Apply once more
//	TokenSource ── Cached (one flight per credential key ⇄ cache.Store) ── Placement.Render ──▶ Injection
//
// It knows nothing of adapters, entities or files. The seams are in this file; Transport,
// CachedSource, Format, Fields and Redactor are the parts that every method shares.
package auth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch/cache"
)

// Authenticator adds credentials to one request. It is safe for concurrent use.
//
// The request and its header map are a private copy. What else Apply changes (URL, Body) it
// replaces instead of writing into. Network calls end with req.Context().
type Authenticator interface {
	Apply(req *http.Request) (Stamp, error)
}

// Stamp names the generation of the credential that went out; 0 means one that cannot be renewed.
type Stamp uint64

// Invalidator is optional for an Authenticator: the credential with this stamp was refused.
// It reports whether another try can be made with another credential.
type Invalidator interface {
	Invalidate(ctx context.Context, refused Stamp) bool
}

// Config is a method's decoded settings; the struct is the plug-in.
type Config interface {
	Validate() error                 // every problem, joined; makes no calls
	Open(Env) (Authenticator, error) // makes no calls either
	// Plan says what would be sent, without sending. Secrets are masked unless reveal is set,
	// and a value that only an answer can bring is written {name}.
	Plan(ctx context.Context, reveal bool) (Plan, error)
}

// Plan is what a method would do for one call.
type Plan struct {
	Requests []*http.Request // token requests, in the order they would be sent
	Auth     Authenticator   // adds the masked or revealed credentials to the call
}

// Methods lists method names and their empty configurations.
type Methods map[string]func() Config

// Spec is the one internal model of authentication: every dialect ends here.
type Spec struct {
	Method    string
	Config    Config
	Refused   []int    // statuses that mean «credential refused»; empty: 401
	Resubmits int      // how often a call is sent again after a refusal
	Shared    bool     // tokens are to be kept where several processes see them
	Sensitive []string // more names whose values are not shown
	Notes     []Note   // odd, but no error; validate prints them
	System    *System  // nil: the dialect says nothing of the system itself
}

// System is where the system is and how it is reached, for a dialect whose configuration says
// that too.
type System struct {
	BaseURL       *url.URL      // no trailing slash; its path is kept
	Timeout       time.Duration // of one attempt of a call; 0: the default
	MaxConcurrent int           // calls at the same time; 0: no limit

	InsecureSkipVerify                 bool
	Certificate, PrivateKey, Authority Secret // PEM; absent: none
}

// Note is a remark on settings: the JSON Pointer (RFC 6901) of the place, and what is odd there.
type Note struct{ Pointer, Reason string }

// Source is what a dialect parses.
type Source struct {
	Raw   any    // the decoded block: maps, lists, strings, json.Number, bools
	At    string // JSON Pointer of the block in its file
	Owner string // the adapter's name
	// Declared makes the token request that the definition declares elsewhere (an action);
	// nil where there is none.
	Declared func(Login) (TokenRequest, error)
}

// Dialect is one spelling of authentication settings. It is pure: no files, environment or network.
type Dialect interface {
	Name() string
	Parse(Source) (Spec, error)
}

// SystemDialect is a Dialect whose configuration is a document of its own.
type SystemDialect interface {
	Dialect
	// Tree finds the configuration in a document, with the JSON texts inside its strings parsed,
	// and the JSON Pointer of its place. False: the document is in another dialect. Parse then
	// gets the tree with every ${env:…} and ${file:…} replaced.
	Tree(root any) (tree map[string]any, at string, problems []Note, ok bool)
}

// Login is what a declared token request is made from, in the words of the request_token method.
// Empty fields leave the declaration as it is.
type Login struct {
	Username, Password, ClientSecret       Secret
	ClientID, GrantType, Scope, Resource   string
	UserField, PasswordField, ResultField  string // other external names of username, password, token
	Path                                   string // replaces the declared path
	Protocol, Host                         string // where the token request goes instead
	Port                                   int
	RequestType, ResponseType, TokenSource string // other datatypes; HEADER or BODY for the token
	RawQuery                               *bool  // a token request in the query is not percent-encoded
	OmitCredentials                        bool   // authData replaces username and password
}

// TokenRequest is one way to ask for a token. It makes no calls.
type TokenRequest interface {
	New(ctx context.Context, reveal bool) (*http.Request, error) // complete; masked unless reveal
	Read(Answer) (Token, error)                                  // errors name what is missing, never a value
	Timeout() time.Duration                                      // for the whole exchange; more than 0
	Fingerprint() string                                         // what decides how an answer is read, for the cache key
}

// ErrNoSuccess is what Read returns for an answer whose status is no success.
var ErrNoSuccess = errors.New("the login was refused")

// Answer is what a token endpoint said, read whole.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Cookie string // the Cookie header that was sent
	At     time.Time
}

// TokenSource gives a token good to use now; sources wrap sources.
type TokenSource interface {
	Token(ctx context.Context) (Token, error)
}

// TokenSourceFunc is a function that is a TokenSource.
type TokenSourceFunc func(ctx context.Context) (Token, error)

// Token calls f.
func (f TokenSourceFunc) Token(ctx context.Context) (Token, error) { return f(ctx) }

// Token is all that one acquisition brought; it is what the shared cache stores.
type Token struct {
	Values     map[string]Secret // token, tokenp2, refreshToken, …
	Obtained   time.Time
	Expiry     time.Time // zero: unknown, good until refused; not after Obtained: good once
	Generation uint64
	by         string // the process that asked for it, where a shared cache tells
	fromCache  bool   // it was not asked for by this process
}

// Placement turns a token into what is written on requests, once per token.
type Placement interface {
	Render(Token) (Injection, error)
	Masked() Placement // the same places, with masks for the values it holds itself
}

// Event is one step of what happened, for --explain. It holds no secret.
type Event struct {
	Step   string        // such as "token request"
	Detail string        // what, in a few words
	Took   time.Duration // zero where it does not apply
}

// Env is what the world lends to a method; tests fill it by hand.
type Env struct {
	Client  *http.Client // for token endpoints; adds no credentials
	Cache   cache.Store  // nil: only what the process itself remembers
	Tokens  *Tokens      // the process's live tokens; nil: not shared between authenticators
	Keys    *Keyer       // names cache entries and fingerprints
	Redact  *Redactor    // learns every secret that is used; nil: nobody prints
	Now     func() time.Time
	Jitter  func() float64 // in [0, 1), spreads a fleet's renewals; nil: random
	Log     logrus.FieldLogger
	Observe func(Event)   // nil: nobody listens
	Measure func(Measure) // nil: nobody counts
	Process string        // how other processes that share the cache call this one; may be empty
}

// Observing reports an event to e's listener, if there is one.
func (e Env) Observing(step, detail string, took time.Duration) {
	if e.Observe != nil {
		e.Observe(Event{Step: step, Detail: detail, Took: took})
	}
}
