package authtest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// Marker returns a secret of 24 random characters, that can be searched for where no secret may be.
func Marker() string {
	b := make([]byte, 18)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// Wire is an http.RoundTripper that calls a handler without sockets, so that time in a synctest
// bubble passes while it works. Like a socket it ends with the request's context.
type Wire struct{ http.Handler }

// RoundTrip returns the handler's answer.
func (w Wire) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer func() { _ = in.Body.Close() }()
	in.RequestURI = req.URL.RequestURI()
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, in)
	if err := context.Cause(req.Context()); err != nil {
		return nil, err
	}
	res := rec.Result()
	res.Request = req
	return res, nil
}

// FormRequest is the token request of RFC 6749 as an auth.TokenRequest: a form to the token
// endpoint, whose answer is JSON.
type FormRequest struct {
	Endpoint string
	Header   map[string]auth.Secret
	Form     map[string]auth.Secret
	Wait     time.Duration // Timeout; 0: 30 s
}

// New returns the finished request.
func (f FormRequest) New(ctx context.Context, reveal bool) (*http.Request, error) {
	form := url.Values{}
	for name, value := range f.Form {
		form.Set(name, value.MaskedUnless(reveal).Reveal())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.Endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errors.New("the token endpoint is no URL")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, value := range f.Header {
		req.Header.Set(name, value.MaskedUnless(reveal).Reveal())
	}
	return req, nil
}

// Read takes access_token, second_token and expires_in out of the answer.
func (f FormRequest) Read(answer auth.Answer) (auth.Token, error) {
	if answer.Status < 200 || answer.Status > 299 {
		return auth.Token{}, auth.ErrNoSuccess
	}
	var body struct {
		Access  auth.Secret `json:"access_token"`
		Second  auth.Secret `json:"second_token"`
		Expires json.Number `json:"expires_in"`
	}
	if json.Unmarshal(answer.Body, &body) != nil {
		return auth.Token{}, errors.New("the answer is not JSON, as was declared")
	}
	token := auth.Token{Values: map[string]auth.Secret{"token": body.Access}}
	if !body.Second.IsZero() {
		token.Values["tokenp2"] = body.Second
	}
	token.Expiry, _ = auth.ParseExpiry(body.Expires.String(), answer.At)
	return token, nil
}

// Timeout returns Wait.
func (f FormRequest) Timeout() time.Duration {
	if f.Wait > 0 {
		return f.Wait
	}
	return 30 * time.Second
}

// Fingerprint names the way to read the answer.
func (f FormRequest) Fingerprint() string { return "authtest" }

// dump is a request as text, with its body put back.
func dump(req *http.Request) string {
	var b strings.Builder
	b.WriteString(req.Method + " " + req.URL.String() + "\n")
	for _, name := range slices.Sorted(maps.Keys(req.Header)) {
		b.WriteString(name + ": " + strings.Join(req.Header[name], ", ") + "\n")
	}
	if req.Body != nil {
		body, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(strings.NewReader(string(body)))
		b.WriteString("\n" + string(body))
	}
	return b.String()
}
