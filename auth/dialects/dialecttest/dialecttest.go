// Package dialecttest is the conformance suite of dialects: the same intent, written in any
// dialect, gives the same request on the wire.
//
//	<dialect>/testdata/<intent>.json   the intent in the dialect's own words
//	testdata/<intent>.http             the one request that every dialect must make of it; where it
//	                                   has two, parted by ###, the first is the token request
//
// The token requests are answered with token T1 and second token S1, then T2 and S2, and so on.
// With interval.json (a token is good for an hour) and token-header.json, a token's life is tried.
//
// A dialect that cannot say an intent leaves its file out; NeedAll lists those it must have.
package dialecttest

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

//go:embed testdata/*.http
var wanted embed.FS

// Run runs the suite; files holds the dialect's <intent>.json, must the intents it can say.
func Run(t *testing.T, d auth.Dialect, files fs.FS, must ...string) {
	t.Helper()
	for _, intent := range intents(t) {
		raw, err := fs.ReadFile(files, intent+".json")
		if errors.Is(err, fs.ErrNotExist) && !contains(must, intent) {
			continue
		}
		t.Run(intent, func(t *testing.T) {
			if err != nil {
				t.Fatal(err)
			}
			want, err := wanted.ReadFile(path.Join("testdata", intent+".http"))
			if err != nil {
				t.Fatal(err)
			}
			login, got := sent(t, d, raw)
			if strings.Contains(string(want), "\n###\n") {
				got = normal(login) + "\n###\n" + got
			}
			if normal(got) != normal(string(want)) {
				t.Errorf("sent\n%s\nwant\n%s", got, want)
			}
		})
	}
	for _, l := range lives {
		if raw, err := fs.ReadFile(files, l.intent+".json"); err == nil {
			t.Run(l.name, func(t *testing.T) { l.check(t, d, raw) })
		}
	}
	t.Run("an unknown setting is named", func(t *testing.T) { unknownSetting(t, d) })
	t.Run("no secret in any error", func(t *testing.T) { secretErrors(t, d) })
}

func intents(t *testing.T) []string {
	t.Helper()
	files, err := fs.Glob(wanted, "testdata/*.http")
	if err != nil || len(files) == 0 {
		t.Fatal("the suite has no intents")
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(path.Base(f), ".http")
	}
	return files
}

// sent is the last token request, and the request that a standard call becomes under the intent.
func sent(t *testing.T, d auth.Dialect, raw []byte) (login, call string) {
	t.Helper()
	server := new(tokens)
	_, authenticator := open(t, d, raw, env(t, server))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://system.test/things?q=1", strings.NewReader(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if _, err := authenticator.Apply(req); err != nil {
		t.Fatal(err)
	}
	text, err := httputil.DumpRequest(req, true)
	if err != nil {
		t.Fatal(err)
	}
	return server.last, string(text)
}

func open(t *testing.T, d auth.Dialect, raw []byte, e auth.Env) (auth.Spec, auth.Authenticator) {
	t.Helper()
	spec, err := d.Parse(auth.Source{Raw: decode(t, raw), At: "/authentication", Owner: "test", Declared: declared})
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.Config.Validate(); err != nil {
		t.Fatal(err)
	}
	authenticator, err := spec.Config.Open(e)
	if err != nil {
		t.Fatal(err)
	}
	return spec, authenticator
}

func decode(t *testing.T, raw []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

// env is an environment whose token endpoint is server.
func env(t *testing.T, server *tokens) auth.Env {
	t.Helper()
	keys, err := auth.NewKeyer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return auth.Env{Now: time.Now, Keys: keys, Tokens: new(auth.Tokens), Client: &http.Client{Transport: server},
		Jitter: func() float64 { return 0 }}
}

// tokens is a token endpoint: it answers its nth request with token Tn and second token Sn.
type tokens struct {
	n    int
	last string // request, as text
}

// RoundTrip answers.
func (s *tokens) RoundTrip(req *http.Request) (*http.Response, error) {
	text, err := httputil.DumpRequest(req, true)
	s.n, s.last = s.n+1, string(text)
	body := fmt.Sprintf(`{"token":"T%d","second":"S%d"}`, s.n, s.n)
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, err
}

// declared is the token request of a definition: who logs in, and how the answer is read.
func declared(login auth.Login) (auth.TokenRequest, error) { return tokenRequest{login}, nil }

type tokenRequest struct{ login auth.Login }

// New sends the login as a form.
func (r tokenRequest) New(ctx context.Context, reveal bool) (*http.Request, error) {
	body := fmt.Sprintf("user=%s&pass=%s", r.login.Username.MaskedUnless(reveal).Reveal(), r.login.Password.MaskedUnless(reveal).Reveal())
	if r.login.GrantType != "" {
		body = fmt.Sprintf("grant_type=%s&client_id=%s&client_secret=%s", r.login.GrantType, r.login.ClientID,
			url.QueryEscape(r.login.ClientSecret.MaskedUnless(reveal).Reveal()))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://system.test/token", strings.NewReader(body))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, err
}

// Read reads both tokens.
func (r tokenRequest) Read(a auth.Answer) (auth.Token, error) {
	var body struct{ Token, Second string }
	if err := json.Unmarshal(a.Body, &body); err != nil {
		return auth.Token{}, err
	}
	return auth.Token{Values: map[string]auth.Secret{"token": auth.NewSecret(body.Token), "tokenp2": auth.NewSecret(body.Second)}}, nil
}

// Timeout is short: everything is in memory.
func (tokenRequest) Timeout() time.Duration { return time.Second }

// Fingerprint is constant.
func (tokenRequest) Fingerprint() string { return "dialecttest" }

// normal makes line ends alike, so that goldens can be edited by people.
func normal(text string) string { return strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")) }

func contains(list []string, s string) bool {
	for _, item := range list {
		if item == s {
			return true
		}
	}
	return false
}

// unknownSetting: a setting that nobody knows is told, as an error or a note, with its pointer.
func unknownSetting(t *testing.T, d auth.Dialect) {
	spec, err := d.Parse(auth.Source{Raw: map[string]any{"zzUnknown": "x"}, At: "/authentication", Declared: declared})
	told := err != nil && strings.Contains(err.Error(), "zzUnknown")
	for _, n := range spec.Notes {
		told = told || strings.Contains(n.Pointer, "zzUnknown")
	}
	if !told {
		t.Errorf("zzUnknown is neither an error (%v) nor a note (%v)", err, spec.Notes)
	}
}

// secretErrors: whatever is wrong, no error or note holds what was written.
func secretErrors(t *testing.T, d auth.Dialect) {
	const marker = "marker-9b1d77e0c4a85f32"
	for _, wrong := range []any{marker, []any{marker}, map[string]any{"x": marker}, map[string]any{"auth_method": marker},
		map[string]any{"username": []any{marker}, "password": map[string]any{"x": marker}, "token_timeout": marker, "auth_field": marker, "auth_field_format": "{b64}" + marker}} {
		spec, err := d.Parse(auth.Source{Raw: wrong, At: "/authentication", Declared: declared})
		if text := fmt.Sprint(err, spec.Notes); strings.Contains(text, marker) && !strings.Contains(text, `"`+marker+`" is no place`) {
			t.Errorf("%T: the error shows what was written: %s", wrong, text)
		}
	}
}
