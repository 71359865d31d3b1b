package auth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
)

// tripper is a function that is an http.RoundTripper.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func answer(status int) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}
}

// body tells whether it was closed.
type body struct {
	io.Reader
	closed atomic.Int32
}

func (b *body) Close() error { b.closed.Add(1); return nil }

func parse(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// placed is a token method over src at the places.
func placed(t testing.TB, src auth.TokenSource, fields ...auth.Field) *auth.Placed {
	t.Helper()
	if fields == nil {
		fields = []auth.Field{{Path: "header.headers.Authorization", Format: "Bearer {token}"}}
	}
	return &auth.Placed{Source: cached(src, auth.Env{}), Placement: compile(t, "", fields...)}
}

func transport(t testing.TB, base http.RoundTripper, a auth.Authenticator) *auth.Transport {
	t.Helper()
	return &auth.Transport{Base: base, Auth: a, Origin: auth.OriginOf(parse(t, "https://a.example")), Resubmits: 1}
}

// refusing answers 401 to the first n calls and keeps what it was sent.
type refusing struct {
	n    int
	mu   sync.Mutex
	sent []string
	body []string
}

func (r *refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, strings.TrimSpace(req.URL.RequestURI()+" "+req.Header.Get("Authorization")))
	if req.Body != nil {
		data, _ := io.ReadAll(req.Body)
		_ = req.Body.Close()
		r.body = append(r.body, string(data))
	}
	if len(r.sent) <= r.n {
		return answer(401), nil
	}
	return answer(200), nil
}

func TestRefusedRequestIsBuiltAnewFromItsUnauthenticatedForm(t *testing.T) {
	cases := []struct {
		name   string
		fields []auth.Field
		want   []string
		bodies []string
	}{
		{name: "header", fields: []auth.Field{{Path: "header.headers.Authorization", Format: "Bearer {token}"}}, want: []string{"/w?label=x Bearer T1", "/w?label=x Bearer T2"}},
		{name: "url", fields: []auth.Field{{Path: "url", Format: "key={token}"}}, want: []string{"/w?key=T1&label=x", "/w?key=T2&label=x"}},
		{name: "query", fields: []auth.Field{{Path: "query.key", Format: "{token}"}}, want: []string{"/w?label=x&key=T1", "/w?label=x&key=T2"}},
		{name: "urlpath", fields: []auth.Field{{Path: "urlpath", Format: "k-{token}"}}, want: []string{"/w/k-T1?label=x", "/w/k-T2?label=x"}},
		{name: "body", fields: []auth.Field{{Path: "body.k", Format: "{token}"}}, want: []string{"/w?label=x", "/w?label=x"}, bodies: []string{`{"a":1,"k":"T1"}`, `{"a":1,"k":"T2"}`}},
	}
	for _, c := range cases {
		for _, own := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s own=%t", c.name, own), func(t *testing.T) {
				wire := &refusing{n: 1}
				tr := transport(t, wire, placed(t, &source{life: time.Hour}, c.fields...))
				rt := http.RoundTripper(tr)
				if own {
					rt = tr.Own()
				}
				req := post(t, "application/json", `{"a":1}`)
				req.URL.RawQuery = "label=x"
				res, err := rt.RoundTrip(req)
				if err != nil || res.StatusCode != 200 || res.Request != req {
					t.Fatalf("got %v, %v, want 200 for the caller's request", res, err)
				}
				if !reflect.DeepEqual(wire.sent, c.want) {
					t.Errorf("got %q, want %q", wire.sent, c.want)
				}
				if c.bodies != nil && !reflect.DeepEqual(wire.body, c.bodies) {
					t.Errorf("got the bodies %q, want %q", wire.body, c.bodies)
				}
			})
		}
	}
}

func TestRefusedRequestIsSentAgainAsOftenAsAllowed(t *testing.T) {
	for resubmits, want := range []struct{ sent, tokens int }{{1, 1}, {2, 2}, {3, 3}} {
		wire, src := &refusing{n: 99}, &source{life: time.Hour}
		place := placed(t, src)
		place.Source = auth.Cached(auth.Credential{Key: "k", Source: src, Refusals: resubmits + 1}, auth.Env{Now: time.Now})
		tr := transport(t, wire, place)
		tr.Resubmits = resubmits
		res, err := tr.RoundTrip(get(t, "https://a.example/"))
		if err != nil || res.StatusCode != 401 || len(wire.sent) != want.sent || src.requests() != want.tokens {
			t.Errorf("Resubmits %d: %d requests and %d tokens, %v, want %d and %d", resubmits, len(wire.sent), src.requests(), err, want.sent, want.tokens)
		}
	}
}

func TestOnlyConfiguredStatusesAreRefusals(t *testing.T) {
	cases := []struct {
		refused []int
		status  int
		want    int
	}{
		{status: 401, want: 2}, {status: 403, want: 1}, {status: 407, want: 1},
		{refused: []int{403, 419}, status: 419, want: 2}, {refused: []int{403, 419}, status: 401, want: 1},
	}
	for _, c := range cases {
		n := 0
		tr := transport(t, tripper(func(*http.Request) (*http.Response, error) { n++; return answer(c.status), nil }), placed(t, &source{life: time.Hour}))
		tr.Refused = c.refused
		if _, err := tr.RoundTrip(get(t, "https://a.example/")); err != nil || n != c.want {
			t.Errorf("%v, status %d: %d requests, %v, want %d", c.refused, c.status, n, err, c.want)
		}
	}
}

func TestFixedCredentialIsNotResubmitted(t *testing.T) {
	wire := &refusing{n: 9}
	fixed, err := auth.NewFixed(compile(t, "SEK", auth.Field{Path: "header.headers.Authorization", Format: "{token}"}), auth.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if res, err := transport(t, wire, fixed).RoundTrip(get(t, "https://a.example/")); err != nil || res.StatusCode != 401 || len(wire.sent) != 1 {
		t.Errorf("%d requests, %v, want 1 and its 401", len(wire.sent), err)
	}
}

func TestPerCallTokenIsFetchedAgainForAResubmission(t *testing.T) {
	wire, src := &refusing{n: 1}, &source{life: time.Hour}
	tr := transport(t, wire, &auth.PerCall{Source: src, Placement: compile(t, "", auth.Field{Path: "header.headers.Authorization", Format: "{token}"})})
	if res, err := tr.RoundTrip(get(t, "https://a.example/")); err != nil || res.StatusCode != 200 || src.requests() != 2 {
		t.Errorf("%d token requests, %v, want 2", src.requests(), err)
	}
}

func TestBodyIsReplayedOnlyWhenItCanBe(t *testing.T) {
	broken := errors.New("gone")
	cases := []struct {
		name    string
		body    io.ReadCloser
		getBody func() (io.ReadCloser, error)
		want    []string // bodies sent
		status  int
	}{
		{name: "GetBody", body: io.NopCloser(strings.NewReader("abc")), getBody: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("abc")), nil }, want: []string{"abc", "abc"}, status: 200},
		{name: "no GetBody", body: io.NopCloser(strings.NewReader("abc")), want: []string{"abc"}, status: 401},
		{name: "GetBody fails", body: io.NopCloser(strings.NewReader("abc")), getBody: func() (io.ReadCloser, error) { return nil, broken }, want: []string{"abc"}, status: 401},
		{name: "no body", body: http.NoBody, want: []string{"", ""}, status: 200},
		{name: "nil body", status: 200},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			wire, src := &refusing{n: 1}, &source{life: time.Hour}
			tr := transport(t, wire, placed(t, src))
			req := get(t, "https://a.example/")
			req.Method, req.Body, req.GetBody = http.MethodPut, c.body, c.getBody
			res, err := tr.RoundTrip(req)
			if err != nil || res.StatusCode != c.status || !reflect.DeepEqual(wire.body, c.want) {
				t.Errorf("got %v, %v with the bodies %q, want %d with %q", res, err, wire.body, c.status, c.want)
			}
			if _, err := tr.RoundTrip(get(t, "https://a.example/")); err != nil || wire.sent[len(wire.sent)-1] != "/ Bearer T2" {
				t.Errorf("the next call: got %q, want the fresh token", wire.sent)
			}
		})
	}
}

// A body that a credential was merged into has been read whole: it is sent again without GetBody.
func TestMergedStreamIsSentAgain(t *testing.T) {
	for kind, c := range map[string]struct{ body, first, second string }{
		"application/json":                  {`{"a":[1,"x"],"k":"old"}`, `{"a":[1,"x"],"k":"T1"}`, `{"a":[1,"x"],"k":"T2"}`},
		"application/x-www-form-urlencoded": {"a=1&k=old", "a=1&k=T1", "a=1&k=T2"},
	} {
		wire, src := &refusing{n: 1}, &source{life: time.Hour}
		tr := transport(t, wire, placed(t, src, auth.Field{Path: "body.k", Format: "{token}"}))
		b := &body{Reader: strings.NewReader(c.body)}
		req := post(t, kind, "")
		req.Body, req.GetBody, req.ContentLength = b, nil, -1
		res, err := tr.RoundTrip(req)
		if err != nil || res.StatusCode != 200 || !reflect.DeepEqual(wire.body, []string{c.first, c.second}) || b.closed.Load() == 0 {
			t.Errorf("%s: got %v, %v with the bodies %q, closed %d times", kind, res, err, wire.body, b.closed.Load())
		}
	}
}

// What is not merged into goes to the wire as it came, without a wrapper.
func TestStreamThatIsNotReadIsNotWrapped(t *testing.T) {
	var seen io.ReadCloser
	wire := tripper(func(req *http.Request) (*http.Response, error) { seen = req.Body; return answer(200), nil })
	req := post(t, "text/plain", "")
	b := &body{Reader: strings.NewReader("x")}
	req.Body, req.GetBody = b, nil
	if _, err := transport(t, wire, placed(t, &source{life: time.Hour}, auth.Field{Path: "query.k", Format: "{token}"})).RoundTrip(req); err != nil || seen != io.ReadCloser(b) {
		t.Errorf("got %T (%v), want the caller's body", seen, err)
	}
}

func TestBodyIsClosedOnEveryPath(t *testing.T) {
	failing := auth.TokenSourceFunc(func(context.Context) (auth.Token, error) { return auth.Token{}, &auth.TokenError{Status: 500} })
	takes := tripper(func(req *http.Request) (*http.Response, error) { _ = req.Body.Close(); return answer(200), nil })
	cases := []struct {
		name   string
		a      auth.Authenticator
		url    string
		method string
	}{
		{name: "sent", a: placed(t, &source{life: time.Hour}), url: "https://a.example/"},
		{name: "another origin", a: placed(t, &source{life: time.Hour}), url: "https://b.example/"},
		{name: "no token", a: placed(t, failing), url: "https://a.example/"},
		{name: "patched", a: placed(t, &source{life: time.Hour}, auth.Field{Path: "body.k", Format: "{token}"}), url: "https://a.example/"},
		{name: "not patched", a: placed(t, &source{life: time.Hour}, auth.Field{Path: "body.k", Format: "{token}"}), url: "https://a.example/", method: "GET"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req := post(t, "application/json", "{}")
			b := &body{Reader: strings.NewReader("{}")}
			req.URL, req.Body = parse(t, c.url), b
			if c.method != "" {
				req.Method = c.method
			}
			_, _ = transport(t, takes, c.a).RoundTrip(req)
			if b.closed.Load() == 0 {
				t.Error("the body was not closed")
			}
		})
	}
}

func TestReplayedBodyIsClosedWhenNoTokenComes(t *testing.T) {
	src := &source{life: time.Hour, fail: func(n int) error {
		if n > 1 {
			return &auth.TokenError{Status: 401}
		}
		return nil
	}}
	again := &body{Reader: strings.NewReader("x")}
	req := post(t, "text/plain", "x")
	req.GetBody = func() (io.ReadCloser, error) { return again, nil }
	var failed *auth.TokenError
	if _, err := transport(t, &refusing{n: 9}, placed(t, src)).RoundTrip(req); !errors.As(err, &failed) || again.closed.Load() != 1 {
		t.Errorf("got %v with the body closed %d times, want the token error and 1", err, again.closed.Load())
	}
}

func TestRoundTripDoesNotChangeTheRequest(t *testing.T) {
	for _, path := range []string{"header.headers.X-Own", "header.headers.X-Key", "header.auth", "query.own", "url", "urlpath", "body.own"} {
		t.Run(path, func(t *testing.T) {
			req := post(t, "application/json", `{"own":1}`)
			req.URL.RawQuery = "own=1"
			req.Header.Set("X-Own", "kept")
			req.Header["Cookie"] = append(make([]string, 0, 8), "own=1") // room behind it
			shallow, header, u := *req, req.Header.Clone(), *req.URL
			res, err := transport(t, &refusing{n: 1}, placed(t, &source{life: time.Hour}, auth.Field{Path: path, Format: "{token}"})).RoundTrip(req)
			if err != nil || res.StatusCode != 200 {
				t.Fatalf("got %v, %v, want 200", res, err)
			}
			if !reflect.DeepEqual(req.Header, header) || *req.URL != u || req.URL != shallow.URL || req.Body != shallow.Body ||
				req.ContentLength != shallow.ContentLength || req.Method != shallow.Method || req.Host != shallow.Host {
				t.Errorf("the request became %+v, want %+v", req, shallow)
			}
			if res.Request != req {
				t.Error("the answer names another request, which may show credentials")
			}
		})
	}
}

func TestOwnRequestIsWrittenInPlaceForHeadersOnly(t *testing.T) {
	tr := transport(t, &refusing{}, placed(t, &source{life: time.Hour}))
	for i, want := range []string{"", "Bearer T1"} { // before the first token it is not known what will be written
		req := get(t, "https://a.example/")
		if _, err := tr.Own().RoundTrip(req); err != nil || req.Header.Get("Authorization") != want {
			t.Errorf("call %d: the caller's request has %q, want %q", i, req.Header.Get("Authorization"), want)
		}
	}
	if _, err := tr.Own().RoundTrip(&http.Request{Method: "GET", URL: parse(t, "https://a.example/")}); err != nil {
		t.Errorf("a request without a header map: got %v, want no error", err)
	}
}

func TestOtherOriginsGetNoCredentials(t *testing.T) {
	cases := []struct {
		url  string
		home bool
	}{
		{url: "https://a.example/x", home: true}, {url: "https://A.EXAMPLE/", home: true}, {url: "https://a.example:443/", home: true},
		{url: "https://a.example./", home: true}, {url: "HTTPS://a.example/", home: true},
		{url: "http://a.example/"}, {url: "http://a.example:443/"}, {url: "https://a.example:8443/"}, {url: "https://sub.a.example/"},
		{url: "https://example/"}, {url: "https://a.example.evil.example/"}, {url: "https://a.example@evil.example/"}, {url: "https://[::1]/"},
		{url: "ws://a.example/"}, {url: "/relative"}, {url: "//"},
	}
	for _, c := range cases {
		wire, src := &refusing{}, &source{life: time.Hour}
		req := get(t, "https://a.example/")
		req.URL = parse(t, c.url)
		_, err := transport(t, wire, placed(t, src)).RoundTrip(req)
		if got := strings.Contains(strings.Join(wire.sent, ""), "Bearer"); err != nil || got != c.home || (src.requests() > 0) != c.home {
			t.Errorf("%s: credentials sent %t, %d token requests, %v, want %t", c.url, got, src.requests(), err, c.home)
		}
	}
}

func TestOriginIsWrittenWithItsPort(t *testing.T) {
	for raw, want := range map[string]string{"https://A.example/x?y": "https://a.example:443", "http://127.0.0.1:80": "http://127.0.0.1:80", "http://[::1]/": "http://[::1]:80"} {
		if got := auth.OriginOf(parse(t, raw)).String(); got != want {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
	}
}

func TestManyCallersOfARevokedTokenMakeOneTokenRequest(t *testing.T) {
	server := new(authtest.Server)
	src := &source{}
	good := authtest.Wire{Handler: server}
	issue := auth.TokenSourceFunc(func(ctx context.Context) (auth.Token, error) {
		_, _ = src.Token(ctx)
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "https://a.example/token", nil)
		res, err := good.RoundTrip(req)
		if err != nil {
			return auth.Token{}, err
		}
		defer func() { _ = res.Body.Close() }()
		issued := server.Issued()
		return token(issued[len(issued)-1], time.Hour), nil
	})
	tr := transport(t, good, placed(t, issue))
	for _, want := range []int{1, 2, 3} {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				res, err := tr.RoundTrip(get(t, "https://a.example/"))
				if err != nil || res.StatusCode != 200 {
					t.Errorf("got %v, %v, want 200", res, err)
				}
			})
		}
		wg.Wait()
		if src.requests() != want {
			t.Errorf("%d token requests, want %d", src.requests(), want)
		}
		server.Revoke()
	}
}

func TestContextOfTheCallerEndsTheWaitForAToken(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	wire := &refusing{}
	_, err := transport(t, wire, placed(t, &source{takes: 50 * time.Millisecond})).RoundTrip(get(t, "https://a.example/").WithContext(ctx))
	if !errors.Is(err, context.DeadlineExceeded) || len(wire.sent) != 0 {
		t.Errorf("got %v after %d requests, want a deadline and none", err, len(wire.sent))
	}
}

func TestConnectionOfARefusalIsUsedAgain(t *testing.T) {
	var connections, calls atomic.Int32
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1)%2 == 1 {
			w.WriteHeader(401)
			_, _ = w.Write(bytes.Repeat([]byte("no "), 10_000))
		}
	}))
	web.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	web.Start()
	defer web.Close()
	base := auth.NewBase()
	defer base.CloseIdleConnections()
	tr := &auth.Transport{Base: base, Auth: placed(t, &source{life: time.Hour}), Origin: auth.OriginOf(parse(t, web.URL)), Resubmits: 1}
	for range 5 {
		res, err := (&http.Client{Transport: tr}).Get(web.URL)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("got %v, %v, want 200", res, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
	if calls.Load() != 10 || connections.Load() != 1 {
		t.Errorf("%d requests over %d connections, want 10 over 1", calls.Load(), connections.Load())
	}
}

func TestErrorsOfTheTransportShowNoCredential(t *testing.T) {
	secret := authtest.Marker()
	src := auth.TokenSourceFunc(func(context.Context) (auth.Token, error) { return token(secret, time.Hour), nil })
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = refused.Close()
	origin := "http://" + refused.Addr().String()
	var events []auth.Event
	for _, path := range []string{"url", "query.k", "urlpath", "header.headers.X", "body.k"} {
		tr := &auth.Transport{Base: auth.NewBase(), Auth: placed(t, src, auth.Field{Path: path, Format: "k={token}"}),
			Origin: auth.OriginOf(parse(t, origin)), Observe: func(e auth.Event) { events = append(events, e) }}
		_, err := (&http.Client{Transport: tr}).Post(origin+"/x?own=1", "application/json", strings.NewReader("{}"))
		var op *net.OpError
		if !errors.As(err, &op) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v, want a net.OpError without the token", path, err)
		}
	}
	if text := fmt.Sprintf("%+v", events); strings.Contains(text, secret) || len(events) != 5 {
		t.Errorf("got the events %s, want 5 without the token", text)
	}
}

func TestObserverHearsEveryStep(t *testing.T) {
	var steps []string
	env := auth.Env{Keys: keyer(t, "k"), Observe: func(e auth.Event) { steps = append(steps, e.Step+": "+e.Detail) }}
	p := &auth.Placed{Source: cached(&source{life: time.Hour}, env), Placement: compile(t, "", auth.Field{Path: "header.headers.X", Format: "{token}"})}
	tr := transport(t, &refusing{n: 1}, p)
	tr.Observe = env.Observe
	if _, err := tr.RoundTrip(get(t, "https://a.example/w?secret=1")); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.RoundTrip(get(t, "https://a.example/w?secret=1")); err != nil {
		t.Fatal(err)
	}
	first, second := env.Keys.Fingerprint(auth.NewSecret("T1")), env.Keys.Fingerprint(auth.NewSecret("T2"))
	want := []string{
		"token: new, fingerprint " + first + ", expires in 1h0m0s",
		"call: GET https://a.example:443/w: status 401",
		"refused: status 401; sending once more with a new token",
		"token: new, fingerprint " + second + ", expires in 1h0m0s",
		"call: GET https://a.example:443/w: status 200",
		"token: from memory, asked for 0s ago by this process, fingerprint " + second + ", expires in 1h0m0s",
		"call: GET https://a.example:443/w: status 200",
	}
	if !reflect.DeepEqual(steps, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(steps, "\n"), strings.Join(want, "\n"))
	}
}
