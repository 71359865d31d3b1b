package dialecttest

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// lives are what must happen to a token in time, whatever the dialect.
var lives = []struct {
	intent, name string
	check        func(*testing.T, auth.Dialect, []byte)
}{
	{"interval", "an hour's token is asked for again after an hour", hour},
	{"token-header", "a refused token is replaced within the call", refused},
}

func hour(t *testing.T, d auth.Dialect, raw []byte) {
	synctest.Test(t, func(t *testing.T) {
		_, a := open(t, d, raw, env(t, new(tokens)))
		for _, step := range []struct {
			later time.Duration
			want  string
		}{{0, "Bearer T1"}, {58 * time.Minute, "Bearer T1"}, {3 * time.Minute, "Bearer T2"}} {
			time.Sleep(step.later)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://system.test/", nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.Apply(req); err != nil {
				t.Fatal(err)
			}
			if got := req.Header.Get("Authorization"); got != step.want {
				t.Errorf("%s later: sent %q, want %q", step.later, got, step.want)
			}
		}
	})
}

func refused(t *testing.T, d auth.Dialect, raw []byte) {
	server := new(tokens)
	spec, a := open(t, d, raw, env(t, server))
	var sent []string
	wire := roundTrip(func(req *http.Request) *http.Response {
		sent = append(sent, req.Header.Get("Authorization"))
		res := &http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{}, Body: http.NoBody, Request: req}
		if sent[len(sent)-1] == "Bearer T2" {
			res.StatusCode, res.Body = http.StatusOK, io.NopCloser(strings.NewReader("{}"))
		}
		return res
	})
	client := &http.Client{Transport: &auth.Transport{Base: wire, Auth: a, Refused: spec.Refused, Resubmits: spec.Resubmits,
		Origin: auth.OriginOf(&url.URL{Scheme: "http", Host: "system.test"})}}
	res, err := client.Get("http://system.test/things")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if got := strings.Join(sent, ", "); res.StatusCode != http.StatusOK || got != "Bearer T1, Bearer T2" || server.n != 2 {
		t.Errorf("sent %s after %d token requests, status %d; want Bearer T1, Bearer T2 after 2, status 200", got, server.n, res.StatusCode)
	}
}

type roundTrip func(*http.Request) *http.Response

// RoundTrip answers.
func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req), nil }
