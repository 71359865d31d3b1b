package main

import "strings"

const (
	portCall     = `"customAuthRequest": {"endpoint": "/login", "body": {"user": "ann", "pass": "correct-horse-battery"}}`
	portTemplate = `"customAuthRequestTemplate": {"headers": {"X-Auth-Token": "{{.sid}}"}}`
)

// ported lays a configuration in the port dialect beside the home; what follows the base URL is given.
func ported(settings ...string) map[string]string {
	text := "{\"baseUrl\": \"http://127.0.0.1:PORT/api\",\n\"authType\": \"custom\",\n" + strings.Join(settings, ",\n") + "}"
	return map[string]string{"port.json": text}
}

const portGet = "request HOME/port.json GET /devices/7"

// badPorts are about files in the port dialect.
var badPorts = []badInput{
	{name: "port: not JSON", args: portGet, files: map[string]string{"port.json": "{\"authType\": \"custom\",\n \"baseUrl\" 1}"}},
	{name: "port: no base URL", args: portGet, files: map[string]string{"port.json": "{\"authType\": \"none\"}"}},
	{name: "port: unknown setting", args: portGet, files: ported(portCall, portTemplate, `"verifySSL": true`)},
	{name: "port: unknown field of the call", args: portGet, files: ported(`"customAuthRequest": {"endpont": "/login"}`, portTemplate)},
	{name: "port: no call and no template", args: portGet, files: ported(`"timeout": 5`)},
	{name: "port: call as broken text", args: portGet, files: ported(`"customAuthRequest": "{\"endpoint\": \"/login\", secret-of-ann"`, portTemplate)},
	{name: "port: body and form", args: portGet, files: ported(`"customAuthRequest": {"endpoint": "/login", "body": {"a": 1}, "bodyForm": "pass=secret-of-ann"}`, portTemplate)},
	{name: "port: expression without its dot", args: portGet, files: ported(portCall, `"customAuthRequestTemplate": {"headers": {"Authorization": "Bearer {{sid}}"}}`)},
	{name: "port: expression that is no jq", args: portGet, files: ported(portCall, `"customAuthRequestTemplate": {"body": {"list": [1, {"t": "{{.a b}}"}]}}`)},
	{name: "port: variable not set", args: portGet, files: ported(`"customAuthRequest": {"endpoint": "/login", "body": {"pass": "${env:KEYHITCH_TEST_UNSET}"}}`, portTemplate)},
	{name: "port: unknown authType", args: portGet + " --set authType=oauth2", files: ported(portCall, portTemplate)},
	{name: "port: redis without a URL", args: portGet + " --set tokenCache=redis", files: ported(portCall, portTemplate)},
	{name: "port: certificate that is none", args: portGet, files: ported(portCall, portTemplate, `"clientCertificate": "secret-of-ann", "clientPrivateKey": "secret-of-ann"`)},
	{name: "port: path with a host", args: "request HOME/port.json GET http://other.example/x", files: ported(portCall, portTemplate)},
	{name: "port: login refused", args: portGet, files: ported(strings.ReplaceAll(portCall, "correct", "wrong"), portTemplate)},
	{name: "port: login answers HTML", args: portGet, files: ported(portCall, portTemplate), system: at(login, says(200, "text/html", "<html>secret-of-ann</html>"))},
	{name: "port: login answers {}", args: portGet, files: ported(portCall, portTemplate), system: at(login, says(200, "application/json", "{}"))},
	{name: "port: login answers 302", args: portGet, files: ported(portCall, portTemplate), system: at(login, elsewhere(302))},
	{name: "port: login answers 500", args: portGet, files: ported(portCall, portTemplate), system: at(login, says(500, "text/plain", "trace of secret-of-ann"))},
	{name: "port: field missing in the answer", args: portGet, files: ported(portCall, portTemplate), system: at(login, says(200, "application/json", `{"token": "secret-of-ann"}`))},
	{name: "port: field is an object", args: portGet, files: ported(portCall, portTemplate), system: at(login, says(200, "application/json", `{"sid": {"a": "secret-of-ann"}}`))},
	{name: "port: line break in the token", args: portGet, files: ported(portCall, portTemplate), system: at(login, says(200, "application/json", `{"sid": "a\r\nX-B: secret-of-ann"}`))},
	{name: "port: body that takes no template", args: "request HOME/port.json POST /echo -d [1]", files: ported(portCall, `"customAuthRequestTemplate": {"body": {"t": "{{.sid}}"}}`)},
	{name: "port: login refuses connections", args: portGet, files: ported(strings.Replace(portCall, "/login", "http://127.0.0.1:1/login", 1), portTemplate)},
}
