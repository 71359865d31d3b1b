package adapter_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/entities"
)

// The fixture of the golden vectors: host 127.0.0.1, base_path /api, version v2, user ann,
// password p:w; tokens T1, T2, …; every data call answers {"id":7,"label":"w"}.

const (
	tokenRequestSchema = `{"$id":"req","type":"object","translate":true,"properties":{
		"ph_request_type":{"type":"string","enum":["getToken"],"external_name":"ph_request_type"},
		"username":{"type":"string","external_name":"user"},
		"password":{"type":"string","external_name":"pass"}}}`
	tokenResponseSchema = `{"$id":"resp","type":"object","translate":true,"properties":{
		"token":{"type":"string","placement":"BODY","external_name":"access_token"},
		"tokenp2":{"type":"string","placement":"BODY","external_name":"second"},
		"expires":{"type":"string","placement":"BODY","external_name":"expires"}}}`
	widgetSchema = `{"$id":"widget","type":"object","translate":true,"dynamicfields":true,"properties":{
		"ph_request_type":{"type":"string","enum":["getWidget","createWidget","fixed","fixedOnly","keyed"],"external_name":"ph_request_type"},
		"widgetName":{"type":"string","external_name":"label"}}}`
	widgetActions = `{"actions":[
		{"name":"getWidget","protocol":"REST","method":"GET","entitypath":"{base_path}/{version}/widgets/{pathv1}?{query}","schema":"schema.json"},
		{"name":"createWidget","protocol":"REST","method":"POST","entitypath":"{base_path}/{version}/widgets?{query}","schema":"schema.json"},
		{"name":"fixed","protocol":"REST","method":"GET","entitypath":"/x?fixed=1&{query}","schema":"schema.json"},
		{"name":"fixedOnly","protocol":"REST","method":"GET","entitypath":"/x?fixed=1","schema":"schema.json"},
		{"name":"keyed","protocol":"REST","method":"GET","entitypath":"/x{query}","querykey":"?f=","schema":"schema.json"}]}`
)

// object is JSON under construction.
type object = map[string]any

// fixture is one pretend system and the home that describes it.
type fixture struct {
	getToken object            // members laid over the getToken action
	files    map[string]string // files of the home, laid over the usual ones
	auth     object            // the authentication object
	props    object            // properties laid over the usual ones

	mu     *sync.Mutex
	tokens int
	log    []string                                            // "token …" and "data …", as they arrived
	seen   []*http.Request                                     // the same, whole; bodies are in bodies
	bodies []string                                            //
	token  func(w http.ResponseWriter, r *http.Request, n int) // answers a token request
	data   func(w http.ResponseWriter, r *http.Request, n int) // answers a data request
	calls  int
	server *httptest.Server
}

// ServeHTTP is the pretend system.
func (f *fixture) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.seen = append(f.seen, r)
	f.bodies = append(f.bodies, string(body))
	isToken := strings.Contains(r.URL.Path, "/token")
	n := 0
	if isToken {
		f.tokens++
		n = f.tokens
		f.log = append(f.log, "token")
	} else {
		f.calls++
		n = f.calls
		f.log = append(f.log, "data "+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	}
	f.mu.Unlock()
	switch {
	case isToken && f.token != nil:
		f.token(w, r, n)
	case isToken:
		answerJSON(w, 200, object{"access_token": fmt.Sprintf("T%d", n), "second": fmt.Sprintf("S-T%d", n)})
	case f.data != nil:
		f.data(w, r, n)
	default:
		answerJSON(w, 200, object{"id": 7, "label": "w"})
	}
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (f *fixture) counts() (tokens, calls int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tokens, f.calls
}

// options starts the system and returns what opens its adapter.
func (f *fixture) options(t testing.TB) adapter.Options {
	t.Helper()
	f.mu = new(sync.Mutex)
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	u, _ := url.Parse(f.server.URL)
	getToken := object{"name": "getToken", "protocol": "REST", "method": "POST",
		"entitypath": "{base_path}/{version}/token", "requestSchema": "req.json", "responseSchema": "resp.json"}
	maps.Copy(getToken, f.getToken)
	home := fstest.MapFS{}
	files := map[string]string{
		"entities/.system/action.json": text(object{"actions": []any{getToken}}),
		"entities/.system/req.json":    tokenRequestSchema,
		"entities/.system/resp.json":   tokenResponseSchema,
		"entities/widget/action.json":  widgetActions,
		"entities/widget/schema.json":  widgetSchema,
	}
	maps.Copy(files, f.files)
	for name, data := range files {
		if data != "" {
			home[name] = &fstest.MapFile{Data: []byte(data)}
		}
	}
	auth := object{"auth_method": "request_token", "username": "ann", "password": "p:w", "token": "SEK", "token_timeout": 600000,
		"auth_field": "header.headers.Authorization", "auth_field_format": "Bearer {token}"}
	maps.Copy(auth, f.auth)
	props := object{"host": u.Hostname(), "port": json.Number(u.Port()), "protocol": "http", "base_path": "/api", "version": "v2", "authentication": auth}
	maps.Copy(props, f.props)
	return adapter.Options{Home: home, HomeName: "ad1", Instance: adapter.File{Name: "instance.json", Data: []byte(text(object{"id": "ad1", "properties": props}))}}
}

func (f *fixture) open(t testing.TB) *adapter.Adapter {
	t.Helper()
	return open(t, f.options(t))
}

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// callG and callP are the two calls of the golden vectors.
func callG(t testing.TB, a *adapter.Adapter) (*adapter.Response, error) {
	return a.Call(t.Context(), "widget", "getWidget", adapter.Input{PathVars: []any{"a b/c"},
		Query: entities.Object{{Name: "widgetName", Value: "x y&z"}, {Name: "k", Value: json.Number("2")}}})
}

func callP(t testing.TB, a *adapter.Adapter) (*adapter.Response, error) {
	return a.Call(t.Context(), "widget", "createWidget", adapter.Input{
		Payload: entities.Object{{Name: "widgetName", Value: "w1"}, {Name: "extra", Value: []any{json.Number("1"), json.Number("2")}}}})
}

// last returns the last request of a kind and its body.
func (f *fixture) last(t testing.TB, token bool) (*http.Request, string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.seen) - 1; i >= 0; i-- {
		if strings.Contains(f.seen[i].URL.Path, "/token") == token {
			return f.seen[i], f.bodies[i]
		}
	}
	t.Fatal("no such request arrived")
	return nil, ""
}
