package auth_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/auth"
)

// written applies what build collects to a request and returns it with its body.
func written(t *testing.T, req *http.Request, build func(*auth.InjectionBuilder)) (*http.Request, string) {
	t.Helper()
	var b auth.InjectionBuilder
	build(&b)
	in, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Apply(req); err != nil {
		t.Fatal(err)
	}
	if req.Body == nil {
		return req, ""
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	return req, string(body)
}

func request(t *testing.T, method, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, "https://a.example/w?a=1&n=old&n=older", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body == "" {
		req.Body, req.GetBody, req.ContentLength = nil, nil, 0
	}
	return req
}

func TestWeakHeaderYieldsToTheRequestsOwn(t *testing.T) {
	build := func(b *auth.InjectionBuilder) { b.WeakHeader("X-Api-Key", "ours") }
	if req, _ := written(t, request(t, "GET", ""), build); req.Header.Get("X-Api-Key") != "ours" {
		t.Errorf("got %q, want ours", req.Header.Get("X-Api-Key"))
	}
	own := request(t, "GET", "")
	own.Header.Set("x-api-key", "its own")
	if req, _ := written(t, own, build); req.Header.Get("X-Api-Key") != "its own" {
		t.Errorf("got %q, want the request's own", req.Header.Get("X-Api-Key"))
	}
}

func TestQueryValuesReplaceAllOfTheirName(t *testing.T) {
	req, _ := written(t, request(t, "GET", ""), func(b *auth.InjectionBuilder) {
		b.QueryValues("n", []string{"x y", "z&"})
		b.QueryValues("gone", nil)
	})
	if want := "a=1&n=x+y&n=z%26"; req.URL.RawQuery != want {
		t.Errorf("got %s, want %s", req.URL.RawQuery, want)
	}
}

func TestMembersAreMergedAtTheTopLevelOfAnyBody(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, tt := range []struct{ name, method, kind, body, want, wantKind string }{
		{"an object", "POST", "application/json", `{"a":{"x":1},"keep":[1, 2]}`, `{"keep":[1, 2],"a":{"y":90071992547409931},"t":"q\"1"}`, "application/json"},
		{"no body", "POST", "", "", `{"a":{"y":90071992547409931},"t":"q\"1"}`, "application/json"},
		{"a GET without one", "GET", "", "", `{"a":{"y":90071992547409931},"t":"q\"1"}`, "application/json"},
		{"a form", "PUT", form, "t=0&k=v", "k=v&a=%7B%22y%22%3A90071992547409931%7D&t=q%221", form},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := request(t, tt.method, tt.body)
			if tt.kind != "" {
				req.Header.Set("Content-Type", tt.kind)
			}
			req, body := written(t, req, func(b *auth.InjectionBuilder) {
				b.Member("a", []byte(`{"y":90071992547409931}`))
				b.Member("t", []byte(`"q\"1"`))
			})
			if body != tt.want || req.ContentLength != int64(len(body)) || req.Header.Get("Content-Type") != tt.wantKind {
				t.Errorf("got %s of %d bytes as %s, want %s as %s", body, req.ContentLength, req.Header.Get("Content-Type"), tt.want, tt.wantKind)
			}
		})
	}
}

func TestMembersGoIntoNoOtherBody(t *testing.T) {
	for _, tt := range []struct{ kind, body string }{{"application/json", "[1]"}, {"application/json", "null"}, {"text/plain", "hello"}, {"", "x"}} {
		var b auth.InjectionBuilder
		b.Member("a", []byte("1"))
		in, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		req := request(t, "POST", tt.body)
		if tt.kind != "" {
			req.Header.Set("Content-Type", tt.kind)
		}
		if err := in.Apply(req); !errors.As(err, new(*auth.PlacementError)) {
			t.Errorf("%s %s: got %v, want a PlacementError", tt.kind, tt.body, err)
		}
	}
}

func TestRefusedTokenAndFailedLoginAreBothTold(t *testing.T) {
	src := &source{life: -1, fail: func(n int) error {
		if n > 1 {
			return &auth.TokenError{Endpoint: "http://idp.test/token", Status: 503}
		}
		return nil
	}}
	p := &auth.Placed{Source: cached(src, auth.Env{}), Placement: compile(t, "", auth.Field{Path: "header.headers.X", Format: "{token}"})}
	_, err := transport(t, &refusing{n: 1}, p).RoundTrip(get(t, "https://a.example/w"))
	const want = "the system refused the credential (status 401), and there is no other: token endpoint http://idp.test/token: no token, an error of the server (status 503)"
	if err == nil || err.Error() != want || !errors.As(err, new(*auth.TokenError)) {
		t.Errorf("got %v, want %s", err, want)
	}
}
