package promises

import (
	"context"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/keyhitch/keyhitch/auth/authtest"
)

// tripper is a function that is an http.RoundTripper.
type tripper func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f tripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// held keeps token requests back until the channel is closed, and lets everything else through.
func held(base http.RoundTripper, until <-chan struct{}) http.RoundTripper {
	return tripper(func(req *http.Request) (*http.Response, error) {
		if req.URL.Path == "/token" {
			select {
			case <-until:
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
		}
		return base.RoundTrip(req)
	})
}

// pause sleeps, but no longer than ctx lives.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// status answers with nothing but a status.
func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

// down is an endpoint that answers with an error of its own.
func down() authtest.Script { return authtest.Script{Answer: status(http.StatusServiceUnavailable)} }

// lives is an endpoint that issues tokens of this lifetime.
func lives(d time.Duration) authtest.Script { return authtest.Script{Lifetime: d} }

// quiet is the log of a server that complains as planned.
var quiet = log.New(io.Discard, "", 0)
