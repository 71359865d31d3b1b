package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sysAction = "entities/.system/action.json"

// strictLogin takes passwords of 15 characters or more only: [redacted] is shorter.
const strictLogin = `{"type": "object", "translate": true, "properties": {
	"username": {"type": "string", "external_name": "user"},
	"password": {"type": "string", "external_name": "pass", "minLength": 15}}}`

func device(schema string) map[string]string {
	return map[string]string{"entities/device/device.json": schema}
}

func instance(text string) map[string]string {
	return map[string]string{"service-instance.json": text}
}

var badFiles = []badInput{
	{name: "missing home", args: "call HOME/nowhere device getDevice"},
	{name: "home without entities", args: "call HOME/entities device getDevice"},
	{name: "home without any action.json", prep: func(t testing.TB, home string) {
		if err := os.RemoveAll(filepath.Join(home, "entities")); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(home, "entities/x/readme"), "empty")
	}},
	{name: "missing instance", files: instance("")},
	{name: "missing instance file", args: "--instance HOME/none.json"},
	{name: "instance is not JSON", files: instance("{\n  \"host\": \"x\"\n  \"port\": 1\n}")},
	{name: "instance is a list", files: instance("[1]")},
	{name: "instance of wrong types", files: instance("{\"host\": \"\",\n \"port\": \"x\", \"request\": {\"attempt_timeout\": 5},\n \"authentication\": {\"auth_method\": \"basic\"}}")},
	{name: "host is a URL", args: "--set host=http://x/y"},
	{name: "action file is not JSON", files: map[string]string{"entities/device/action.json": "{\"actions\": [\n  {\"name\": \"getDevice\",, }]}"}},
	{name: "action without method", files: map[string]string{"entities/device/action.json": `{"actions": [{"name": "getDevice", "protocol": "REST", "entitypath": "/x", "schema": "device.json"}]}`}},
	{name: "schema file is missing", files: device("")},
	{name: "schema file is not JSON", files: device("{\"type\": \"object\",\n\"properties\" {}}")},
	{name: "schema does not compile", files: device("{\"type\": \"object\",\n\"properties\": {\"a\": {\"type\": \"strin\"}}}")},
	{name: "schema refers to itself", files: device("{\"type\": \"object\", \"properties\": {\"a\": {\"$ref\": \"#/definitions/x\"}},\n\"definitions\": {\"x\": {\"$ref\": \"#/definitions/x\"}}}")},
	{name: "schema refers to what is not there", files: device("{\"type\": \"object\", \"properties\": {\"a\": {\"$ref\": \"#/definitions/gone\"}}}")},
	{name: "datatype that is not built", files: map[string]string{"entities/device/action.json": `{"actions": [{"name": "getDevice", "protocol": "REST", "method": "GET", "entitypath": "/x", "schema": "device.json", "responseDatatype": "XML2JSON"}]}`}},
	{name: "password file vanished", args: "--set authentication.password=${file:HOME/gone}"},
	{name: "variable not set", args: "--set authentication.password=${env:KEYHITCH_TEST_UNSET}"},
	{name: "unclosed block", args: "--set authentication.auth_field_format={b64}prefix-of-secret{password}"},
	{name: "unknown place", args: "--set authentication.auth_field=headers.X"},
	{name: "unknown auth_method", args: "--set authentication.auth_method=magic"},
	{name: "auth_method that is not built", args: "--set authentication.auth_method=jwt_token"},
	{name: "line break in a header of the instance", files: instance(`{"host": "127.0.0.1", "port": PORT, "authentication": {"auth_method": "no_authentication"}, "request": {"global_request": {"addlHeaders": {"X-A": "a\r\nX-B: b"}}}}`)},
	{name: "line break in a static token", files: instance(`{"host": "127.0.0.1", "port": PORT, "authentication": {"auth_method": "static_token", "token": "a\r\nX-B: b"}}`)},
	{name: "version that no longer has the action", args: "--set choosepath=v9", files: map[string]string{"entities/device/action.json": `{"actions": [
		{"name": "getDevice", "protocol": "REST", "method": "GET", "entitypath": {"v1": "/a"}, "startVersion": "v1", "endVersion": "v2", "schema": "device.json"}]}`}},
	{name: "credential for the body of a GET", args: "--set authentication.auth_field=body.token"},
	{name: "timeout of nothing", args: "--timeout 0s"},
	{name: "getToken is missing", files: map[string]string{sysAction: `{"actions": []}`}},
	{name: "getToken does not declare a token", files: map[string]string{"entities/.system/tokenResponse.json": `{"type": "object", "translate": true, "properties": {"sid": {"type": "string"}}}`}},
}

var badCalls = []badInput{
	{name: "unknown entity", args: "call HOME devise getDevice"},
	{name: "unknown entity, none near", args: "call HOME zebra getDevice"},
	{name: "unknown action", args: "call HOME device getDevic"},
	{name: "unknown action, none near", args: "call HOME device zebra"},
	{name: "path variable missing", args: "call HOME device getDevice"},
	{name: "wrong type in the payload", args: `call HOME device createDevice -d {"number":"seven"}`},
	{name: "payload is not JSON", args: `call HOME device createDevice -d {"number":`},
	{name: "wrong type in the query", args: `call HOME device getDevices --query number=seven`},
	{name: "unknown datatype", args: `call HOME probe echo --input HOME/in.json`, files: map[string]string{"in.json": `{"datatype": {"response": "TOML"}, "uriPathVars": [1, 2]}`}},
	{name: "wrong filter", args: `call HOME device getDevices --input HOME/in.json`, files: map[string]string{"in.json": `{"filter": "[[["}`}},
	{name: "line break in a header", args: `call HOME device getDevices --input HOME/in.json`, files: map[string]string{"in.json": `{"addlHeaders": {"X-A": "a\r\nX-B: b"}}`}},
	{name: "header that is framing", args: `call HOME device getDevices --header Content-Length:5`},
	{name: "callProperties that may not change", args: `call HOME device getDevices --input HOME/in.json`, files: map[string]string{"in.json": `{"callProperties": {"authentication": {"auth_method": "static_token"}}}`}},
	{name: "callProperties of a wrong type", args: `call HOME device getDevices --input HOME/in.json`, files: map[string]string{"in.json": `{"callProperties": {"port": "x"}}`}},
	{name: "request object of a wrong type", args: `call HOME device getDevices --input HOME/in.json`, files: map[string]string{"in.json": `{"uriPathVars": 7}`}},
	{name: "request object is not JSON", args: `call HOME device getDevices --input HOME/in.json`, files: map[string]string{"in.json": `{"uriPathVars": [7}`}},
	{name: "unknown property in --set", args: "--set hots=x"},
	{name: "wrong type in --set", args: "--set request.attempt_timeout=long"},
	{name: "number out of range in --set", args: "--set request.attempt_timeout=5"},
}

var badAnswers = []badInput{
	{name: "answer is not JSON", system: at("GET /api/devices/7", says(200, "text/html", "<html>secret page</html>"))},
	{name: "answer is empty", system: at("GET /api/devices/7", says(200, "application/json", ""))},
	{name: "answer of 10 MiB", system: at("GET /api/devices/7", says(200, "application/json", `"`+strings.Repeat("x", 10<<20)+`"`))},
	{name: "answer of a wrong type", system: at("GET /api/devices/7", says(200, "application/json", `{"id": "seven"}`))},
	{name: "answer cut off", system: at("GET /api/devices/7", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("{"))
	})},
	{name: "status 404", args: "call HOME probe status --path 404"},
	{name: "status 401 for ever", args: "call HOME probe status --path 401"},
	{name: "status 500", args: "call HOME probe status --path 500"},
	{name: "redirect that is not followed", system: at("GET /api/devices/7", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/api/devices/8", http.StatusFound) })},
	{name: "redirect to another host", args: "--set request.number_redirects=1", system: at("GET /api/devices/7", elsewhere(302))},
	{name: "redirect to another host with a body", args: `call HOME device createDevice -d {"name":"r1"} --set request.number_redirects=1`, system: at("POST /api/devices", elsewhere(307))},
	{name: "redirects in a circle", args: "--set request.number_redirects=3", system: at("GET /api/devices/7", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/api/devices/7", http.StatusFound) })},
}

// elsewhere redirects to the same system by another name: another origin.
func elsewhere(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://localhost"+r.Host[strings.LastIndex(r.Host, ":"):]+"/api/devices/8", status)
	}
}

var badLogins = []badInput{
	{name: "login refused", args: "--set authentication.password=not-this-one"},
	{name: "mask does not fit the token request schema", files: map[string]string{"entities/.system/tokenRequest.json": strictLogin}},
	{name: "password does not fit the token request schema", files: map[string]string{"entities/.system/tokenRequest.json": strictLogin}, args: "--set authentication.password=short"},
	{name: "login answers HTML", system: at(login, says(200, "text/html", "<html>please log in</html>"))},
	{name: "login answers nothing", system: at(login, says(200, "application/json", ""))},
	{name: "login without token", system: at(login, says(200, "application/json", `{"ok": true}`))},
	{name: "login with a null token", system: at(login, says(200, "application/json", `{"sid": null}`))},
	{name: "login with an object as token", system: at(login, says(200, "application/json", `{"sid": {"a": 1}}`))},
	{name: "login with a line break in the token", system: at(login, says(200, "application/json", `{"sid": "a\r\nX-B: b"}`))},
	{name: "login without second token", args: "--set authentication.auth_field_format={token}{tokenp2}", system: at(login, says(200, "application/json", `{"sid": "first-token"}`))},
	{name: "login answers 500", system: at(login, says(500, "text/plain", "stack trace with secrets"))},
	{name: "login answers 302", system: at(login, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) })},
	{name: "login of 2 MiB", system: at(login, says(200, "application/json", `"`+strings.Repeat("x", 2<<20)+`"`))},
	{name: "login too slow", args: "--set request.attempt_timeout=1000", system: at(login, slow)},
	{name: "login hangs up", system: at(login, hangUp)},
	{name: "login elsewhere refuses connections", args: "--set authentication.sso.port=1"},
}

var badNetworks = []badInput{
	{name: "unknown host", args: "--set host=nowhere.invalid --set authentication.auth_method=no_authentication"},
	{name: "connection refused", args: "--set port=1 --set authentication.auth_method=no_authentication"},
	{name: "TLS with a system that speaks none", args: "--set protocol=https --set authentication.auth_method=no_authentication"},
	{name: "system hangs up", args: "--set authentication.auth_method=no_authentication", system: at("GET /api/devices/7", hangUp)},
	{name: "attempt takes too long", args: "--set request.attempt_timeout=1000", system: at("GET /api/devices/7", slow)},
	{name: "run takes too long", args: "--timeout 200ms", system: at("GET /api/devices/7", slow)},
	{name: "system answers no HTTP", args: "--set authentication.auth_method=no_authentication", system: at("GET /api/devices/7", babble)},
	{name: "run takes too long at login", args: "--timeout 200ms --set request.attempt_timeout=1000", system: at(login, slow)},
}

var notBuilt = []badInput{
	{name: "token_cache redis", args: "--set authentication.token_cache=redis"},
	{name: "stub", args: "--set stub=true"},
	{name: "stub at request", args: "request HOME GET /x --set stub=true"},
	{name: "stub at check", args: "check HOME --set stub=true"},
	{name: "stub at token refresh", args: "token HOME refresh --set stub=true"},
	{name: "proxy", args: "--set proxy.enabled=true"},
	{name: "ssl", args: "--set ssl.enabled=true"},
	{name: "throttle", args: "--set throttle.throttle_enabled=true"},
}
