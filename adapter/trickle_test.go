package adapter_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/adapter"
)

// trickle answers with a body that never ends.
func trickle(status int, location string) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, r *http.Request, _ int) {
		if location != "" {
			w.Header().Set("Location", location)
		}
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(status)
		for {
			select {
			case <-r.Context().Done():
				return
			case <-time.After(time.Second):
				_, _ = w.Write([]byte("."))
				w.(http.Flusher).Flush()
			}
		}
	}
}

func TestTrickledRefusalsAndRedirectsEndToo(t *testing.T) {
	for name, f := range map[string]*fixture{
		"refusal":  {data: trickle(401, "")},
		"redirect": {data: trickle(302, "/elsewhere"), props: object{"request": object{"number_redirects": 2, "attempt_timeout": 2000}}},
		"error":    {data: trickle(500, ""), props: object{"request": object{"attempt_timeout": 2000}}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, f, func(t *testing.T, a *adapter.Adapter) {
				start := time.Now()
				_, err := callG(t, a)
				if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > 15*time.Second {
					t.Errorf("got %v after %s, want a passed deadline within 15s", err, took)
				}
			})
		})
	}
}
