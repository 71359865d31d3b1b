package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch"
	"github.com/keyhitch/keyhitch/adapter"
)

// marker is a secret that is easy to find again: 16 letters and digits between signs that every
// encoding changes.
type marker struct{ name, text, core string }

func newMarker(name string) marker {
	core := rand.Text()[:16]
	return marker{name, `a+/"` + core + `&%\<`, core}
}

// traces are texts that give the marker away, wherever in a text and however encoded: the core
// stays whole under URL and JSON escapes, and so does the middle of its base64.
func (m marker) traces() map[string]string {
	sum := sha256.Sum256([]byte(m.text))
	list := map[string]string{
		"as it is": m.core, "hex": hex.EncodeToString([]byte(m.core)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(m.core))),
		"SHA-256": hex.EncodeToString(sum[:]), "base64 SHA-256": base64.RawStdEncoding.EncodeToString(sum[:]),
	}
	for skip := range 3 {
		whole := (len(m.core) - skip) / 3 * 3
		list[fmt.Sprint("base64 ", skip)] = base64.StdEncoding.EncodeToString([]byte(m.core[skip : skip+whole]))
	}
	return list
}

// secretive is one sweep's secrets, and the system that gets them and answers with an echo.
type secretive struct {
	markers map[string]marker
	outcome string
	server  *httptest.Server
}

var secretNames = []string{"password", "client_secret", "token", "tokenp2", "refresh", "static", "proxy", "passphrase", "otp", "domain"}

func newSecretive(t *testing.T) *secretive {
	s := &secretive{markers: map[string]marker{}}
	for _, name := range secretNames {
		s.markers[name] = newMarker(name)
	}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	return s
}

// ServeHTTP answers as outcome says; echoes hold all that came in.
func (s *secretive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var text strings.Builder
	_ = r.Header.Write(&text)
	echo := r.RequestURI + " " + strings.ReplaceAll(text.String(), "\r\n", "; ") + string(body)
	where := "call "
	if strings.HasSuffix(r.URL.Path, "/login") {
		where = "login "
	}
	if how, ok := strings.CutPrefix(s.outcome, where); ok {
		misbehave(w, how, echo)
		return
	}
	if where == "login " {
		answer(w, 200, object{"sid": s.markers["token"].text, "csrf": s.markers["tokenp2"].text, "refresh": s.markers["refresh"].text})
		return
	}
	answer(w, 200, object{"id": 7})
}

var misdeeds = []string{"401", "500", "html", "json", "cut off", "status line", "header line", "redirect", "line break", "204"}

func misbehave(w http.ResponseWriter, how, echo string) {
	raw := func(text string) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}
	switch how {
	case "401", "500":
		answer(w, map[string]int{"401": 401, "500": 500}[how], object{"error": echo, "error_description": echo})
	case "html":
		says(200, "text/html; echo="+url.QueryEscape(echo), "<html>"+echo)(w, nil)
	case "json":
		answer(w, 200, object{"id": echo, "sid": object{"deep": echo}})
	case "cut off":
		raw("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\nX-Echo: " + echo + "\r\n\r\n" + echo)
	case "status line":
		raw("HTTP/1.1 " + echo + "\r\n\r\n")
	case "header line":
		raw("HTTP/1.1 200 OK\r\n" + echo + "\r\n\r\n")
	case "redirect":
		w.Header().Set("Location", "http://localhost:1/?echo="+url.QueryEscape(echo))
		w.WriteHeader(307)
	case "204": // net/http logs what follows the end of an answer
		raw("HTTP/1.1 204 No Content\r\n\r\n" + echo)
	case "line break":
		answer(w, 200, object{"sid": echo + "\r\nX: y"})
	}
}

// home writes a home and instance whose secrets are the markers.
func (s *secretive) home(t *testing.T, auth object) string {
	home := filepath.Join(t.TempDir(), "acme")
	u, _ := url.Parse(s.server.URL)
	if err := copyHome(home, u.Port()); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, "entities/.system/tokenRequest.json"), `{"type": "object", "translate": true, "dynamicfields": true, "properties": {}}`)
	write(t, filepath.Join(home, "entities/.system/tokenResponse.json"), `{"type": "object", "translate": true, "properties": {
		"token": {"type": "string", "placement": "BODY", "external_name": "sid"},
		"tokenp2": {"type": "string", "placement": "BODY", "external_name": "csrf"},
		"refreshToken": {"type": "string", "placement": "BODY", "external_name": "refresh"}}}`)
	block := object{"auth_method": "request_token", "username": "ann", "token_timeout": 600000,
		"password":      "{code}" + base64.StdEncoding.EncodeToString([]byte(s.markers["password"].text)),
		"client_secret": s.markers["client_secret"].text, "token": s.markers["static"].text}
	for name, value := range auth {
		block[name] = value
	}
	data, err := json.Marshal(object{"id": "acme", "properties": object{
		"host": u.Hostname(), "port": json.Number(u.Port()), "base_path": "/api", "authentication": block,
		"proxy": object{"enabled": false, "password": s.markers["proxy"].text}, "ssl": object{"passphrase": s.markers["passphrase"].text},
		"request": object{"number_redirects": 1, "return_request": true, "global_request": object{"authData": object{"otp": s.markers["otp"].text}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, "service-instance.json"), string(data))
	return home
}

// leaks names what of the markers is in text.
func (s *secretive) leaks(text string) []string {
	var found []string
	for _, m := range s.markers {
		for form, trace := range m.traces() {
			if strings.Contains(text, trace) {
				found = append(found, m.name+" "+form)
			}
		}
	}
	return found
}

var placements = map[string]object{
	"header": {"auth_field": "header.headers.X-Auth-Token"},
	"b64": {"auth_field": []any{"header.headers.Authorization", "header.headers.X-B"},
		"auth_field_format": []any{"Basic {b64}{username}:{password}{/b64}", "x{b64}{token}{tokenp2}{/b64}"}},
	"cookie and body": {"auth_field": []any{"header.headers.Cookie", "body.auth.key"}, "auth_field_format": []any{"SID={token}", "{tokenp2}"}},
	"query and path":  {"auth_field": []any{"query.key", "urlpath"}, "auth_field_format": []any{"{token}", "{tokenp2}"}},
	"per call":        {"auth_field": "header.headers.X-Auth-Token", "token_timeout": -1},
	"static":          {"auth_method": "static_token", "auth_field": []any{"header.headers.X-A", "query.key"}},
	"basic":           {"auth_method": "basic user_password", "auth_field": "header.auth", "auth_field_format": "{username}:{password}"},
	"unclosed":        {"auth_field": "header.headers.X-A", "auth_field_format": "{b64}{password}"},
}

// nested are placements whose echo is encoded twice: nobody can know a secret again in there.
var nested = map[string]bool{"cookie and body": true, "query and path": true, "static": true}

var outputForms = []string{"", "-v", "--explain", "--dry-run", "--dry-run --curl", "--dry-run -o table", "-o yaml", "-o table", "-o raw"}

// TestNothingPrintsASecret sweeps every command through every form of output, at the most talkative
// log level, with a system that answers well and one that repeats what it is sent.
func TestNothingPrintsASecret(t *testing.T) {
	t.Setenv("KEYHITCH_LOG_LEVEL", "trace")
	var plain lockedBuffer // what reaches the standard log package unseen, also after a run
	log.SetOutput(&plain)
	outcomes := []string{"fine"}
	for _, how := range misdeeds {
		outcomes = append(outcomes, "login "+how, "call "+how)
	}
	for name, auth := range placements {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSecretive(t)
			defer func() {
				if found := s.leaks(plain.String()); len(found) > 0 {
					t.Errorf("the standard log shows %v", found)
				}
			}()
			home := s.home(t, auth)
			for _, s.outcome = range outcomes {
				for i, form := range outputForms {
					if i > 1 && name != "header" && s.outcome != "fine" {
						continue // the forms differ in what they do with an outcome, not with a placement
					}
					for _, args := range s.commands(home) {
						s.sweep(t, name, append(args, strings.Fields(form)...))
					}
				}
			}
		})
	}
}

// commands are one call of each command that opens an adapter.
func (s *secretive) commands(home string) [][]string {
	data, _ := json.Marshal(object{"domain": s.markers["domain"].text})
	return [][]string{
		{"call", home, "device", "createDevice", "-d", `{"name":"r1"}`, "--auth-data", string(data)},
		{"request", home, "POST", "/api/x", "-d", "{}"},
		{"token", home, "refresh"}, {"token", home, "show"},
		{"check", home}, {"validate", home},
		{"call", home, "--batch", "-", "--parallel", "2"},
	}
}

func (s *secretive) sweep(t *testing.T, name string, args []string) {
	var out, errOut bytes.Buffer
	in := strings.NewReader(strings.Repeat(`{"entity":"device","action":"createDevice","request":{"payload":{"name":"r1"}}}`+"\n", 2))
	run(context.Background(), args, in, &out, &errOut)
	text := errOut.String()
	if !strings.HasPrefix(s.outcome, "call ") || args[0] != "request" && !nested[name] {
		text += out.String() // the system's own answer is the caller's
	}
	if found := s.leaks(text); len(found) > 0 {
		t.Errorf("%s, %s: %v shows %v in\n%s", name, s.outcome, args, found, text)
	}
}

// TestLibraryTellsNoSecret does the same with errors of the library and what it logs.
func TestLibraryTellsNoSecret(t *testing.T) {
	for name, auth := range placements {
		s := newSecretive(t)
		home := s.home(t, auth)
		var told bytes.Buffer
		log := logrus.New()
		log.SetLevel(logrus.TraceLevel)
		log.SetOutput(&told)
		for _, how := range append(misdeeds, "fine") {
			for _, s.outcome = range []string{"login " + how, "call " + how} {
				told.Reset()
				s.useLibrary(&told, home, adapter.Options{Log: log})
				if found := s.leaks(told.String()); len(found) > 0 {
					t.Errorf("%s, %s: the library shows %v in\n%s", name, s.outcome, found, told.String())
				}
			}
		}
	}
}

// useLibrary makes every kind of call and tells every error in every way.
func (s *secretive) useLibrary(told io.Writer, home string, o adapter.Options) {
	tell := func(err error) { _, _ = fmt.Fprintf(told, "%v %+v %#v\n", err, err, fmt.Sprint(err)) }
	a, err := keyhitch.Open(home, o)
	if err != nil {
		tell(err)
		return
	}
	ctx := context.Background()
	_, err = a.Call(ctx, "device", "createDevice", adapter.Input{Payload: object{"name": "r1"}, AuthData: object{"domain": s.markers["domain"].text}})
	tell(err)
	res, err := a.Request(ctx, http.MethodPost, "/api/x", nil, strings.NewReader("{}"))
	if err == nil {
		_ = res.Body.Close()
	}
	tell(err)
	res, err = a.Client().Get(s.server.URL + "/api/x")
	if err == nil {
		_ = res.Body.Close()
	}
	if s.outcome != "call redirect" { // net/http's own error quotes where the system redirects to
		tell(err)
	}
	tell(a.Check(ctx))
	_, info, err := a.RefreshToken(ctx)
	tell(err)
	_, _ = fmt.Fprintf(told, "%+v %+v %v\n", info, a.Tokens(ctx), a.Definition().Problems())
	plan, err := a.Plan(ctx, "device", "createDevice", adapter.Input{Payload: object{"name": "r1"}}, false)
	tell(err)
	_, _ = fmt.Fprintf(told, "%+v\n", plan)
}

// lockedBuffer is a buffer for whoever writes late.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestStandardLogIsScrubbed(t *testing.T) {
	p, home := pretending(t)
	var plain lockedBuffer
	log.SetOutput(&plain)
	p.instead("GET /api/x", func(w http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("X-Auth-Token")
		log.Printf("Unsolicited response received on idle HTTP channel starting with %q; bare %s", token, token)
		w.WriteHeader(204)
	})
	var out, errOut bytes.Buffer
	run(t.Context(), []string{"request", home, "GET", "/api/x", "-v"}, nil, &out, &errOut)
	if text := errOut.String(); !strings.Contains(text, "level=debug msg=\"Unsolicited response") || strings.Contains(text, "session-1") {
		t.Errorf("got %s, want the message at level debug, without the token", text)
	}
	log.Print("too late")
	if plain.String() != "" {
		t.Errorf("the standard log got %q past the redactor", plain.String())
	}
}
