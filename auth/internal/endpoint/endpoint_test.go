package endpoint_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/auth/internal/endpoint"
)

// do sends a token request to a handler on a socket.
func do(t *testing.T, limit time.Duration, h http.HandlerFunc) (auth.Answer, error) {
	t.Helper()
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	req, err := http.NewRequest(http.MethodPost, web.URL+"/token?q=1", strings.NewReader("a=1"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", "own=1")
	return endpoint.Do(ctx, auth.Env{Client: web.Client(), Now: time.Now}, endpoint.Request{Request: req, Name: "the endpoint"})
}

func TestAnswerIsReadWholeWhateverItsStatus(t *testing.T) {
	for _, status := range []int{200, 302, 401, 500} {
		got, err := do(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
		})
		if err != nil || got.Status != status || len(got.Body) != 1<<20 || got.Cookie != "own=1" || got.At.IsZero() || got.Header.Get("Location") == "" {
			t.Errorf("status %d: got %d with %d bytes, %v", status, got.Status, len(got.Body), err)
		}
	}
}

func TestDrippingAnswerEndsInTime(t *testing.T) {
	_, err := do(t, 50*time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	})
	if want := "token endpoint the endpoint: the answer was cut off: no answer in time (status 200)"; !errors.Is(err, context.DeadlineExceeded) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestPackedAnswerIsMeasuredUnpacked(t *testing.T) {
	_, err := do(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.Copy(z, io.LimitReader(zeros{}, 64<<20))
		_ = z.Close()
	})
	if want := "token endpoint the endpoint: the answer is larger than 1 MiB (status 200)"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestNameShowsNeitherUserNorQueryNorSecret(t *testing.T) {
	u, err := url.Parse("https://ann:pw@as.example:8443/t%2Fx/" + url.PathEscape("[redacted]") + "?q=1#f")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := endpoint.Name(u), "https://as.example:8443/t%2Fx/[redacted]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRefusalKeepsTheServersWordsShortAndClean(t *testing.T) {
	secret := authtest.Marker()
	redact := new(auth.Redactor)
	redact.Learn(auth.NewSecret(secret))
	cases := []struct{ name, body, want string }{
		{name: "RFC 6749", body: `{"error":"invalid_grant","error_description":"expired"}`, want: ": invalid_grant: expired"},
		{name: "HTML", body: "<html>" + secret, want: ": login refused"},
		{name: "JSON of another kind", body: `{"error":{"code":7},"error_description":"no"}`, want: ": no: login refused"},
		{name: "echo", body: fmt.Sprintf(`{"error":%q,"error_description":%q}`, secret, "sent: "+secret), want: ": [redacted]: sent: [redacted]"},
		{name: "long", body: fmt.Sprintf(`{"error":%q}`, strings.Repeat("e", 100)), want: ": " + strings.Repeat("e", 60) + "…"},
		{name: "cut in a rune", body: fmt.Sprintf(`{"error":%q}`, "x"+strings.Repeat("é", 50)), want: ": x" + strings.Repeat("é", 29) + "…"},
		{name: "control and bidi characters", body: `{"error":"a\u0000\u001b\u202eb\nc"}`, want: ": a   b c"},
	}
	for _, c := range cases {
		err := endpoint.Refusal("there", auth.Answer{Status: 400, Body: []byte(c.body)}, redact)
		if want := "token endpoint there" + c.want + " (status 400)"; err.Error() != want {
			t.Errorf("%s: got  %s\nwant %s", c.name, err, want)
		}
	}
}
