package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch/internal/project"
)

const fixedAuth = `{"auth_method":"static_token","token":"` + apiToken + `","auth_field":"header.headers.X-Auth-Token","auth_field_format":"{token}"}`

// unreachable is a wire that fails to connect.
func unreachable(err error) *http.Transport {
	base := GuardedBase(nil, nil, 0)
	base.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, err }
	return base
}

// logged gives the gateway a log to read. It is called before any request.
func (f *faulty) logged() *bytes.Buffer {
	var out bytes.Buffer
	log := logrus.New()
	log.SetOutput(&lockedLog{w: &out})
	f.gateway.options.Log = log
	return &out
}

func TestProblemsTellNoAddressesButTheLogDoes(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 5), Port: 8443}, Err: syscall.ECONNREFUSED}
	unknown := &net.DNSError{Err: "no such host", Name: "within.example", Server: "10.0.0.2:53", IsNotFound: true}
	for name, tt := range map[string]struct {
		world      *faulty
		code, want string // of the log
	}{
		"system refuses":         {&faulty{auth: fixedAuth, base: unreachable(refused)}, "upstream-unreachable", "10.0.0.5:8443"},
		"system unknown":         {&faulty{auth: fixedAuth, base: unreachable(unknown)}, "upstream-unreachable", "within.example"},
		"system late":            {&faulty{auth: fixedAuth, base: unreachable(timeoutError{"10.0.0.5"})}, "upstream-timeout", "10.0.0.5"},
		"token endpoint refuses": {&faulty{base: unreachable(refused)}, "token-endpoint-unreachable", "10.0.0.5:8443"},
		"token endpoint unknown": {&faulty{base: unreachable(unknown)}, "token-endpoint-unreachable", "within.example"},
		"token endpoint broken":  {&faulty{login: status(500)}, "no-token", "/login"},
		"login refused":          {&faulty{login: status(401)}, "login-refused", "/login"},
	} {
		t.Run(name, func(t *testing.T) {
			f := tt.world.start(t)
			out := f.logged()
			for _, r := range []*http.Request{f.request(t, "", "", ""), f.request(t, "GET", "/proxy/acme/x", "")} {
				out.Reset()
				_, p := f.send(t, r)
				if p.Code != tt.code || p.Detail == "" {
					t.Errorf("got %+v, want %s with a detail", p, tt.code)
				}
				for _, address := range []string{"10.0.0", "127.0.0.1", "within.example", "/login", "dial", "tcp"} {
					if strings.Contains(p.Detail, address) {
						t.Errorf("the detail tells %q: %s", address, p.Detail)
					}
				}
				for _, want := range []string{tt.want, "level=warning", "request_id=" + p.RequestID, "adapter=acme", "fault=" + tt.code} {
					if !strings.Contains(out.String(), want) {
						t.Errorf("got the log %s, want it to tell %s", out, want)
					}
				}
			}
		})
	}
}

type timeoutError struct{ address string }

func (e timeoutError) Error() string { return "dial tcp " + e.address + ": i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

func TestWhatTheTokenEndpointAnswersIsToldWithoutWhereItIs(t *testing.T) {
	f := (&faulty{login: func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"no such client"}`)
	}}).start(t)
	_, p := f.send(t, f.request(t, "", "", ""))
	if !strings.Contains(p.Detail, "invalid_client") || !strings.Contains(p.Detail, "status 401") || strings.Contains(p.Detail, "127.0.0.1") {
		t.Errorf("got the detail %q, want the answer's code and status alone", p.Detail)
	}
}

func TestWhoLooksAfterTheCredentialHearsTheCause(t *testing.T) {
	for rule, want := range map[string]bool{"acme/*": true, "acme/.credential/*": true, "acme/GET /v1/*": false} {
		f := (&faulty{base: unreachable(&net.DNSError{Err: "no such host", Name: "within.example", IsNotFound: true}),
			caller: project.Caller{Allow: []string{rule}}}).start(t)
		if want {
			if _, p := f.send(t, f.request(t, "POST", credential+":refresh", "")); !strings.Contains(p.Detail, "within.example") {
				t.Errorf("%s: refresh got the detail %q, want the cause", rule, p.Detail)
			}
		} else {
			f.send(t, f.request(t, "GET", "/proxy/acme/v1/x", ""))
		}
		w := httptest.NewRecorder()
		f.gateway.ServeHTTP(w, f.request(t, "GET", "/v1/adapters/acme/health", ""))
		if !strings.Contains(w.Body.String(), `"code":"token-endpoint-unreachable"`) || strings.Contains(w.Body.String(), "within.example") != want {
			t.Errorf("%s: health is %s, want the cause in it: %t", rule, w.Body, want)
		}
	}
}

func TestOneCauseDoesNotFloodTheLog(t *testing.T) {
	noon := time.Now()
	f := (&faulty{login: status(401), now: func() time.Time { return noon }}).start(t)
	f.gateway.now = func() time.Time { return noon }
	out := f.logged()
	for range 3 * causesAtOnce {
		f.gateway.ServeHTTP(httptest.NewRecorder(), f.request(t, "GET", "/proxy/acme/x", ""))
	}
	if n := strings.Count(out.String(), "a request failed"); n != causesAtOnce {
		t.Errorf("got %d lines at once, want %d", n, causesAtOnce)
	}
}

// Were guesses scrubbed like secrets, what comes back would tell which one is right.
func TestAGuessedSecretComesBackLikeAnyOtherText(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	const wrong = "pretend-nothings-of-equal-length1" // as apiPassword
	for _, tt := range []struct{ method, path, body string }{
		{"POST", getDevice, `{"%s":1}`},
		{"POST", getDevice, `{"datatype":{"%s":1}}`},
		{"POST", getDevice, `{"uriPathVars":["7"],"callProperties":{"a":{"%s":{"host":"x"}}}}`},
		{"POST", getDevice, `{"uriPathVars":["7"],"payload":{"%s":{"file":"@/etc/passwd"}}}`},
		{"POST", getDevice, `{"uriPathVars":["7"],"addlHeaders":{"X %s":"1"}}`},
		{"POST", getDevice, `{"uriPathVars":["7"],"filter":"%s["}`},
		{"POST", "/v1/adapters/acme/actions/%s/get", `{}`},
		{"POST", "/v1/adapters/acme/actions/device/%s", `{}`},
		{"GET", "/v1/adapters/%s", ""},
		{"GET", "/proxy/%s/x", ""},
		{"%s", "/proxy/acme/x/../y", ""},
		{"GET", "/%s", ""},
	} {
		answers := map[string]string{}
		for _, guess := range []string{apiPassword, wrong} {
			fill := func(text string) string { return strings.ReplaceAll(text, "%s", guess) }
			r := httptest.NewRequest(fill(tt.method), fill(tt.path), strings.NewReader(fill(tt.body)))
			r.Header.Set("Authorization", "Bearer "+keyAll)
			r.Header.Set(requestID, guess)
			w := httptest.NewRecorder()
			f.Gateway.ServeHTTP(w, r)
			answers[guess] = strings.ReplaceAll(fmt.Sprint(w.Code, w.Header(), w.Body), guess, "GUESS")
		}
		if answers[apiPassword] != answers[wrong] {
			t.Errorf("%+v: a right guess is answered\n%s\nand a wrong one\n%s\nwant the same", tt, answers[apiPassword], answers[wrong])
		}
	}
}
