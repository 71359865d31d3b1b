// Package authtest is the contract of an authentication method as a test suite, and an
// authorization server in this process for tests of everything that logs in.
//
//	Run(t, Harness)   what every method must keep; a bug found in one becomes a case for all
//	Server            token endpoint and resource server with a script; Wire calls it without sockets
//	FormRequest       the RFC 6749 token request as an auth.TokenRequest
package authtest

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/keyhitch/keyhitch/auth"
)

// Harness is what a method lends to the suite.
type Harness struct {
	// New returns a complete configuration, each time a new one.
	New func() auth.Config

	// Empty is the configuration without any setting; nil when nothing is required.
	Empty auth.Config

	// Secrets are all that New brings and that nobody may see; Markers, best of all.
	Secrets []string

	// Server answers the method's token requests; nil when it makes none.
	Server *Server
}

// Run checks every promise of auth.Config and auth.Authenticator.
func Run(t *testing.T, h Harness) {
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) { p.check(newFixture(t, h)) })
	}
}

var promises = []struct {
	name  string
	check func(*fixture)
}{
	{"ValidConfigIsValid", validConfigIsValid},
	{"EmptyConfigIsRefused", emptyConfigIsRefused},
	{"PreparingMakesNoCalls", preparingMakesNoCalls},
	{"ApplyAddsTheCredential", applyAddsTheCredential},
	{"ApplyIsSafeForConcurrentUse", applyIsSafeForConcurrentUse},
	{"ApplyWritesIntoNothingShared", applyWritesIntoNothingShared},
	{"ApplyTwiceGivesTheSameRequest", applyTwiceGivesTheSameRequest},
	{"CredentialsStayOnTheirOrigin", credentialsStayOnTheirOrigin},
	{"ErrorsAndLogsHoldNoSecret", errorsAndLogsHoldNoSecret},
	{"EndedContextIsNoPanic", endedContextIsNoPanic},
	{"PlanMasksSecrets", planMasksSecrets},
	{"RevealedPlanShowsSecrets", revealedPlanShowsSecrets},
}

// fixture is one promise's test with its own environment.
type fixture struct {
	*testing.T
	Harness
	calls *counter
	log   *logtest.Hook
	env   auth.Env
}

func newFixture(t *testing.T, h Harness) *fixture {
	keys, err := auth.NewKeyer(nil)
	if err != nil {
		t.Fatal(err)
	}
	logger, hook := logtest.NewNullLogger()
	logger.SetLevel(logrus.TraceLevel)
	f := &fixture{T: t, Harness: h, calls: &counter{}, log: hook}
	if h.Server != nil {
		f.calls.next = Wire{h.Server}
	}
	f.env = auth.Env{Client: &http.Client{Transport: f.calls}, Tokens: new(auth.Tokens), Keys: keys,
		Redact: new(auth.Redactor), Now: time.Now, Log: logger}
	return f
}

// open returns the method's authenticator.
func (f *fixture) open() auth.Authenticator {
	f.Helper()
	a, err := f.New().Open(f.env)
	if err != nil {
		f.Fatalf("Open: got %v, want no error", err)
	}
	return a
}

// request is one that any placement can write on.
func (f *fixture) request() *http.Request {
	f.Helper()
	req, err := http.NewRequestWithContext(f.Context(), http.MethodPost, "https://resource.example/v1/things?own=1",
		strings.NewReader(`{"own":{"n":12345678901234567890}}`))
	if err != nil {
		f.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Own", "kept")
	return req
}

// private is what Transport hands to Apply: the struct and the header map copied, no more.
func private(req *http.Request) *http.Request {
	out := *req
	out.Header = make(http.Header, len(req.Header))
	for name, values := range req.Header {
		out.Header[name] = values
	}
	if req.GetBody != nil {
		out.Body, _ = req.GetBody()
	}
	return &out
}

// hidden fails the test when text shows one of the secrets, in any form that a Redactor knows.
func (f *fixture) hidden(what, text string, more ...string) {
	f.Helper()
	for _, secret := range append(more, f.Secrets...) {
		var r auth.Redactor
		r.Learn(auth.NewSecret(secret))
		if r.Scrub(text) != text {
			f.Errorf("%s shows a secret: %s", what, r.Scrub(text))
		}
	}
}

// issued are the tokens that came so far; they are secrets too.
func (f *fixture) issued() []string {
	if f.Server == nil {
		return nil
	}
	return f.Server.Issued()
}

// counter counts what goes over the wire.
type counter struct {
	mu   sync.Mutex
	n    int
	next http.RoundTripper
}

func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
	if c.next == nil {
		return nil, errors.New("no such host")
	}
	return c.next.RoundTrip(req)
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func mustParse(raw string) *url.URL {
	u, err := url.Parse(raw)
	if err != nil {
		panic(err)
	}
	return u
}
