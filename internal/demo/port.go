package demo

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// portSecret is the password and client secret of everybody in examples/port.
const portSecret = "pretend-secret-5"

// What the systems of examples/port want at their logins.
var (
	portForm = url.Values{"grant_type": {"client_credentials"}, "client_id": {"order-report"}, "client_secret": {portSecret}}
	portUser = map[string]any{"username": "device-reader", "password": portSecret}
	portApp  = map[string]any{"clientId": "device-reader", "clientSecret": portSecret}
	portDeep = map[string]any{"credentials": portUser}
	portName = map[string]any{"user": "device-reader", "password": portSecret}
)

// portSystems answers for all of examples/port: each file has a system below a path of its own.
func portSystems(now func() time.Time) handler {
	all := routes{}
	for name, of := range map[string]func(*sessions) routes{
		"client-credentials": portClientCredentials, "query-key": portQueryKey, "jwt": portJWT,
		"nested": portNested, "three-places": portThreePlaces, "session": portSession,
	} {
		for what, answer := range of(&sessions{now: now, life: bearerLife}) {
			method, path, _ := strings.Cut(what, " ")
			all[method+" /"+name+path] = answer
		}
	}
	return all.answer
}

func portClientCredentials(live *sessions) routes {
	return routes{
		"POST /oauth/token": issues(live, form(portForm), func(token string) any {
			return map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(bearerLife.Seconds())}
		}),
		"GET /v1/devices": devices(func(r *http.Request) (string, bool) {
			return bearer(r), live.good(bearer(r), "")
		}),
	}
}

func portQueryKey(live *sessions) routes {
	return routes{
		"POST /api/auth/login": issues(live, object(portUser), func(token string) any {
			return map[string]any{"apiKey": token, "userId": "12345"}
		}),
		"GET /v1/devices": devices(func(r *http.Request) (string, bool) {
			key := r.URL.Query().Get("api_key")
			return key, live.good(key, "")
		}),
	}
}

func portJWT(live *sessions) routes {
	return routes{
		"POST /v1/auth/token": issues(live, object(portApp), func(token string) any {
			return map[string]any{"jwt": token, "version": "2.0", "expiresAt": "2024-12-31T23:59:59Z"}
		}),
		"GET /v1/devices": devices(func(r *http.Request) (string, bool) {
			return bearer(r), live.good(bearer(r), "") && r.Header.Get("X-API-Version") == "2.0"
		}),
	}
}

func portNested(live *sessions) routes {
	return routes{
		"POST /auth/login": func(r *http.Request) reply {
			if !object(portDeep)(r) {
				return refused
			}
			id := "sess_" + newToken()
			token := live.begin(id)
			return reply{status: http.StatusOK, login: true, shows: []string{token, id},
				body: map[string]any{"status": "success", "data": map[string]any{"token": token, "sessionId": id}}}
		},
		"GET /v1/devices": devices(func(r *http.Request) (string, bool) {
			return bearer(r), live.good(bearer(r), r.Header.Get("X-Session-ID"))
		}),
	}
}

func portThreePlaces(live *sessions) routes {
	return routes{
		"POST /v1/auth/token": issues(live, object(portApp), func(token string) any {
			return map[string]any{"access_token": token}
		}),
		"POST /v1/search": devices(func(r *http.Request) (string, bool) {
			var body struct {
				Token string `json:"auth_token"`
			}
			token, err := bearer(r), json.NewDecoder(r.Body).Decode(&body)
			return token, err == nil && live.good(token, "") && r.URL.Query().Get("token") == token && body.Token == token
		}),
	}
}

// portSession gives a ticket, and for the ticket a session, which is a cookie and a header.
func portSession(live *sessions) routes {
	tickets := &sessions{now: live.now, life: live.life}
	return routes{
		"POST /tickets": issues(tickets, object(portName), func(ticket string) any {
			return map[string]any{"ticket": ticket}
		}),
		"POST /sessions": func(r *http.Request) reply {
			ticket := r.PostFormValue("ticket")
			if !tickets.good(ticket, "") {
				return refused
			}
			csrf := newToken()
			id := live.begin(csrf + ticket)
			return reply{status: http.StatusOK, login: true, shows: []string{id, csrf}, body: map[string]any{"expires_in": int(bearerLife.Seconds())},
				header: map[string]string{"Set-Cookie": "SID=" + id + "; Path=/; HttpOnly", "X-CSRF-Token": csrf}}
		},
		"GET /v1/devices": devices(func(r *http.Request) (string, bool) {
			cookie, err := r.Cookie("SID")
			if err != nil {
				return "", false
			}
			return cookie.Value, live.good(cookie.Value, r.Header.Get("X-CSRF-Token")+r.Header.Get("X-Ticket"))
		}),
	}
}

// refused is the answer to a login that is not as it should be.
var refused = reply{status: http.StatusUnauthorized, body: refusal, login: true}

// issues is a login: who sends what is wanted gets an answer with a new token.
func issues(live *sessions, wanted func(*http.Request) bool, answer func(token string) any) handler {
	return func(r *http.Request) reply {
		if !wanted(r) {
			return refused
		}
		token := live.begin("")
		return reply{status: http.StatusOK, body: answer(token), login: true, shows: []string{token}}
	}
}

// devices is what the credential opens.
func devices(credential func(*http.Request) (shown string, good bool)) handler {
	return func(r *http.Request) reply {
		shown, good := credential(r)
		return guarded(good, reply{status: http.StatusOK, body: []any{device}, shows: []string{shown}})
	}
}

func bearer(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

func form(want url.Values) func(*http.Request) bool {
	return func(r *http.Request) bool { return sentForm(r, want) }
}

// object accepts exactly this JSON, called so.
func object(want map[string]any) func(*http.Request) bool {
	return func(r *http.Request) bool {
		kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		var got map[string]any
		err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&got)
		return kind == "application/json" && err == nil && reflect.DeepEqual(got, want)
	}
}
