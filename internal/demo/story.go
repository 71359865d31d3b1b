package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/entities"
)

const (
	crowd = 50                     // callers that come at the same time
	late  = 100 * time.Millisecond // after an expiry
	wrong = "nobody-has-this-one"  // password
)

// What the calls ask for.
var (
	oneDevice  = adapter.Input{PathVars: []any{"r1"}}
	openOrders = adapter.Input{Query: entities.Object{{Name: "state", Value: "open"}}}
	newTicket  = adapter.Input{Payload: map[string]any{"title": "no light on port 7"}}
)

// story is all that happens, in order.
func (s *stage) story() []chapter {
	return []chapter{s.sessionToken(), s.oauth(), s.basic(), s.cookieCSRF(), s.threePlaces()}
}

func (s *stage) sessionToken() chapter {
	get := calls(s.session.adapter, 1, "device", "get", oneDevice)
	return chapter{s.session.system, "a login brings a token for the header X-Auth-Token; it lives 3 s", []step{
		{"The first call logs in by itself.", get,
			"POST /login → 200 #1, GET /devices/r1 → 200 #1", count{logins: 1, calls: 1}},
		{"The second call has a token already.", get,
			"GET /devices/r1 → 200 #1", count{logins: 1, calls: 2}},
		{"3 s later the token has expired: a new one first.", s.after("the token to expire", sessionLife+late, get),
			"POST /login → 200 #2, GET /devices/r1 → 200 #2", count{logins: 2, calls: 3}},
		{"The system revokes the token: the caller sees only success.", s.revoked(get),
			"GET /devices/r1 → 401 #2, POST /login → 200 #3, GET /devices/r1 → 200 #3", count{logins: 3, calls: 4}},
		{"A wrong password, ten callers: one try, so nobody is locked out.", s.wrongPassword,
			"POST /login → 401", count{logins: 3, refused: 1, calls: 4}},
	}}
}

func (s *stage) oauth() chapter {
	return chapter{s.tokens.system, "OAuth 2.0: client_id and client_secret bring a Bearer token", []step{
		{"50 callers at once, and no token yet: one token request.", calls(s.tokens.adapter, crowd, "order", "list", openOrders),
			fmt.Sprintf("POST /oauth/token → 200 #1, %d × GET /v1/orders → 200 #1", crowd), count{logins: 1, calls: crowd}},
	}}
}

func (s *stage) basic() chapter {
	return chapter{s.plain.system, "user name and password with every call", []step{
		{"Nothing to ask for: the call carries them.", calls(s.plain.adapter, 1, "device", "get", oneDevice),
			"GET /api/devices/r1 → 200 #1", count{calls: 1}},
	}}
}

func (s *stage) cookieCSRF() chapter {
	return chapter{s.cookie.system, "a login brings a cookie and a CSRF token; a call needs both", []step{
		{"One login, two tokens, each in its own header.", calls(s.cookie.adapter, 1, "ticket", "create", newTicket),
			"POST /session → 200 #1+#2, POST /tickets → 201 #1+#2", count{logins: 1, calls: 1}},
		{"A redirect to another server is followed without them.", calls(s.cookie.adapter, 1, "report", "latest", adapter.Input{}),
			"GET /reports/latest → 302 #1+#2, other server: GET /latest.txt → 200 no credentials", count{logins: 1, calls: 2}},
	}}
}

// threePlaces is a configuration in the port dialect: no home, and no declared calls.
func (s *stage) threePlaces() chapter {
	search := func(ctx context.Context) (string, error) {
		res, err := s.places.adapter.Request(ctx, http.MethodPost, "/v1/search", http.Header{"Content-Type": {"application/json"}}, strings.NewReader(`{"name":"r1"}`))
		if err != nil {
			return "", err
		}
		return "", res.Body.Close()
	}
	return chapter{s.places.system, "one file in the port dialect: a call that brings a token, and where it goes", []step{
		{"The token goes into a header, the query and the body.", search,
			"POST /three-places/v1/auth/token → 200 #1, POST /three-places/v1/search → 200 #1", count{logins: 1, calls: 1}},
	}}
}

// calls returns an act: n callers at once, each making one declared call.
func calls(a *adapter.Adapter, n int, entity, action string, in adapter.Input) act {
	return func(ctx context.Context) (string, error) {
		call := func() error { _, err := a.Call(ctx, entity, action, in); return err }
		return "", cmp.Or(atOnce(n, call)...)
	}
}

// after returns an act that waits first.
func (s *stage) after(what string, d time.Duration, do act) act {
	return func(ctx context.Context) (string, error) {
		if err := s.page.wait(ctx, what, d, s.o.Wait); err != nil {
			return "", err
		}
		return do(ctx)
	}
}

// revoked returns an act before which the system forgets its sessions.
func (s *stage) revoked(do act) act {
	return func(ctx context.Context) (string, error) {
		s.session.sessions.revoke()
		return do(ctx)
	}
}

// wrongPassword opens the home with a password that the system does not know.
func (s *stage) wrongPassword(ctx context.Context) (string, error) {
	a, err := s.open(s.session.system, adapter.Assignment{Path: "authentication.password", Value: wrong})
	if err != nil {
		return "", err
	}
	get := func() error { _, err := a.Call(ctx, "device", "get", oneDevice); return err }
	first := get()
	for _, err := range append(atOnce(9, get), first) {
		var refusal *auth.TokenError
		switch {
		case err == nil:
			return "", errors.New("a wrong password logs in, want a refused login")
		case !errors.As(err, &refusal) || !refusal.Refused():
			return "", fmt.Errorf("want a refused login: %w", err)
		}
	}
	return "error: " + first.Error() + "\nhint: " + a.Failure(first).IAPError.Recommendation, nil
}

// atOnce runs f n times at the same time and returns every outcome.
func atOnce(n int, f func() error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f()
		})
	}
	close(start)
	wg.Wait()
	return errs
}
