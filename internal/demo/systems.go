package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"
)

// How long the systems honour what they give out.
const (
	sessionLife = 3 * time.Second // as session-token's token_timeout says
	bearerLife  = time.Hour
	cookieLife  = 15 * time.Minute
)

// What the systems know of their callers; the service instances in examples/ say the same.
var (
	sessionLogin = map[string]string{"user": "inventory-reader", "pass": "pretend-password-1"}
	basicLogin   = "device-reader:pretend-password-2"
	tokenForm    = url.Values{"grant_type": {"client_credentials"}, "client_id": {"order-report"},
		"client_secret": {"pretend-secret-3"}, "scope": {"orders:read"}}
	cookieForm = url.Values{"login": {"ticket-writer"}, "password": {"pretend-password-4"}}
)

var (
	device  = map[string]any{"hostname": "r1", "oper_state": "up"}
	refusal = map[string]any{"error": "wrong user name or password"}
)

// routes are a system's handlers by method and path. Anything else is not found.
type routes map[string]handler

func (rs routes) answer(r *http.Request) reply {
	if h := rs[r.Method+" "+r.URL.Path]; h != nil {
		return h(r)
	}
	return reply{status: http.StatusNotFound, body: map[string]any{"error": "no such path"}}
}

// sessionToken gives a token for a JSON login and wants it in X-Auth-Token.
func sessionToken(live *sessions) handler {
	return routes{
		"POST /login": func(r *http.Request) reply {
			var got map[string]string
			if json.NewDecoder(r.Body).Decode(&got) != nil || !maps.Equal(got, sessionLogin) {
				return reply{status: http.StatusUnauthorized, body: refusal, login: true}
			}
			token := live.begin("")
			return reply{status: http.StatusOK, body: map[string]any{"sid": token}, login: true, shows: []string{token}}
		},
		"GET /devices/r1": func(r *http.Request) reply {
			token := r.Header.Get("X-Auth-Token")
			return guarded(live.good(token, ""), reply{status: http.StatusOK, body: device, shows: []string{token}})
		},
	}.answer
}

// clientCredentials is a token endpoint (RFC 6749, section 4.4) and what its tokens open.
func clientCredentials(live *sessions, slowly func(context.Context)) handler {
	return routes{
		"POST /oauth/token": func(r *http.Request) reply {
			slowly(r.Context())
			if !sentForm(r, tokenForm) {
				return reply{status: http.StatusUnauthorized, body: map[string]any{"error": "invalid_client"}, login: true}
			}
			token := live.begin("")
			return reply{status: http.StatusOK, login: true, shows: []string{token},
				body: map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(bearerLife.Seconds())}}
		},
		"GET /v1/orders": func(r *http.Request) reply {
			var token string
			_, _ = fmt.Sscanf(r.Header.Get("Authorization"), "Bearer %s", &token)
			good := live.good(token, "") && r.URL.RawQuery == "status=open"
			return guarded(good, reply{status: http.StatusOK, shows: []string{token},
				body: []any{map[string]any{"id": 41, "status": "open"}, map[string]any{"id": 42, "status": "open"}}})
		},
	}.answer
}

// basic wants user name and password with every call (RFC 7617).
func basic(r *http.Request) reply {
	return routes{"GET /api/devices/r1": func(r *http.Request) reply {
		user, password, _ := r.BasicAuth()
		return guarded(user+":"+password == basicLogin, reply{status: http.StatusOK, body: device, shows: []string{password}})
	}}.answer(r)
}

// cookieCSRF gives a cookie and a CSRF token, which only count together, and sends who asks for
// the report elsewhere.
func cookieCSRF(live *sessions, elsewhere *system) handler {
	pair := func(r *http.Request) (shows []string, good bool) {
		cookie, err := r.Cookie("SID")
		if err != nil {
			return nil, false
		}
		csrf := r.Header.Get("X-CSRF-Token")
		return []string{cookie.Value, csrf}, live.good(cookie.Value, csrf)
	}
	return routes{
		"POST /session": func(r *http.Request) reply {
			if !sentForm(r, cookieForm) {
				return reply{status: http.StatusUnauthorized, body: refusal, login: true}
			}
			csrf := newToken()
			id := live.begin(csrf)
			return reply{status: http.StatusOK, body: map[string]any{"csrf": csrf}, login: true, shows: []string{id, csrf},
				header: map[string]string{"Set-Cookie": "SID=" + id + "; Path=/; HttpOnly; SameSite=Strict"}}
		},
		"POST /tickets": func(r *http.Request) reply {
			shows, good := pair(r)
			return guarded(good, reply{status: http.StatusCreated, body: map[string]any{"id": 7}, shows: shows})
		},
		"GET /reports/latest": func(r *http.Request) reply {
			shows, good := pair(r)
			return guarded(good, reply{status: http.StatusFound, shows: shows,
				header: map[string]string{"Location": fmt.Sprintf("http://%s:%d/latest.txt", loopback, elsewhere.port)}})
		},
	}.answer
}

// expected headers hold no credential; whatever else reaches the other server would be one.
var expected = map[string]bool{"Accept": true, "Accept-Encoding": true, "Content-Type": true, "User-Agent": true}

// elsewhere is another server. Nothing that comes here may hold a credential.
func elsewhere(r *http.Request) reply {
	rep := reply{status: http.StatusOK, body: "all is well\n"}
	for name, values := range r.Header {
		if !expected[name] {
			rep.shows = append(rep.shows, values...)
		}
	}
	if r.URL.RawQuery != "" {
		rep.shows = append(rep.shows, r.URL.RawQuery)
	}
	return rep
}

// guarded is good's answer, or a refusal of the credentials that came.
func guarded(good bool, yes reply) reply {
	if good {
		return yes
	}
	return reply{status: http.StatusUnauthorized, body: map[string]any{"error": "who are you?"}, shows: yes.shows}
}

// sentForm reports whether the body is exactly this form.
func sentForm(r *http.Request, want url.Values) bool {
	return r.ParseForm() == nil && r.PostForm.Encode() == want.Encode()
}
