package bench

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// callerKey is what every load shows. Only ours looks at it; the others write over it.
const callerKey = "a-key-of-the-caller-who-measures"

// project writes a project file and its adapters, all of which lead to the system.
func (g *gateways) project(t testing.TB, dir, listen, admin string, adapters int) string {
	t.Helper()
	text := fmt.Sprintf(`gateway:
  listen: %s
  admin: %s
  callers: [{name: load, key_sha256: "%x", allow: ["system*/*"]}]
adapters:
`, listen, admin, sha256.Sum256([]byte(callerKey)))
	for i := range adapters {
		text += fmt.Sprintf("  system%d: {home: ./system%[1]d}\n", i)
		g.home(t, filepath.Join(dir, fmt.Sprintf("system%d", i)))
	}
	return put(t, filepath.Join(dir, "keyhitch.yaml"), text)
}

// instance is an adapter that logs in, keeps the token, and shows it.
const instance = `{"host": "HOST", "port": PORT, "authentication": {"auth_method": "request_token", "username": "ann", "password": "PASSWORD",
	"token_timeout": 3600000, "auth_field": "header.headers.Authorization", "auth_field_format": "Bearer {token}"}}`

// entity are the files of its login, and of an action.
var entity = map[string]string{
	".system/action.json": `{"actions": [{"name": "getToken", "protocol": "REST", "method": "POST", "entitypath": "/login",
		"requestSchema": "login.json", "responseSchema": "token.json"}]}`,
	".system/login.json": `{"type": "object", "properties": {"username": {"type": "string"}, "password": {"type": "string"}}}`,
	".system/token.json": `{"type": "object", "properties": {"token": {"type": "string", "placement": "BODY", "external_name": "sid"}}}`,
	"thing/action.json":  `{"actions": [{"name": "get", "protocol": "REST", "method": "GET", "entitypath": "/small", "schema": "thing.json"}]}`,
	"thing/thing.json":   `{"type": "object", "properties": {"number": {"type": "integer"}}}`,
}

func (g *gateways) home(t testing.TB, dir string) {
	t.Helper()
	to, err := url.Parse(g.system)
	must(t, err)
	fill := strings.NewReplacer("HOST", to.Hostname(), "PORT", to.Port(), "PASSWORD", systemPassword)
	put(t, filepath.Join(dir, "service-instance.json"), fill.Replace(instance))
	for name, text := range entity {
		put(t, filepath.Join(dir, "entities", filepath.FromSlash(name)), text)
	}
}

func put(t testing.TB, file, text string) string {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}
