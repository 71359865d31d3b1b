package basic_test

import (
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/auth/methods/basic"
)

func config(t testing.TB, username, password string, fields ...auth.Field) *basic.Config {
	t.Helper()
	fixed := map[string]auth.Secret{"username": auth.NewSecret(username), "password": auth.NewSecret(password)}
	place, problems := auth.CompileFields(fields, fixed, "token", "username", "password")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return &basic.Config{Username: fixed["username"], Password: fixed["password"], Place: place}
}

func TestConformance(t *testing.T) {
	placements := map[string]auth.Field{
		"header": {Path: "header.headers.Authorization", Format: "Basic {b64}{username}:{password}{/b64}"},
		"auth":   {Path: "header.auth", Format: "{username}:{password}"},
		"query":  {Path: "query.pw", Format: "{password}"},
		"url":    {Path: "url", Format: "pw={password}"},
		"path":   {Path: "urlpath", Format: "pw-{password}"},
		"body":   {Path: "body.login.pw", Format: "{password}"},
		"cookie": {Path: "header.headers.Cookie", Format: "pw={password}"},
	}
	for name, field := range placements {
		t.Run(name, func(t *testing.T) {
			password := authtest.Marker()
			authtest.Run(t, authtest.Harness{
				New:     func() auth.Config { return config(t, "ann", password, field) },
				Empty:   new(basic.Config),
				Secrets: []string{password},
			})
		})
	}
}

func TestBasicHeaderIsThatOfRFC7617(t *testing.T) {
	c := config(t, "Aladdin", "open sesame", auth.Field{Path: "header.headers.Authorization", Format: "Basic {b64}{username}:{password}{/b64}"})
	a, err := c.Open(auth.Env{})
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequest(http.MethodGet, "https://a.example/", nil)
	if _, err := a.Apply(req); err != nil {
		t.Fatal(err)
	}
	if got, want := req.Header.Get("Authorization"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestValidateNamesEachMissingSetting(t *testing.T) {
	err := new(basic.Config).Validate()
	if got, want := err.Error(), "/username: is required\n/password: is required\n/auth_field: is required"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPasswordAndItsHeaderAreRedacted(t *testing.T) {
	password := authtest.Marker()
	redact := new(auth.Redactor)
	c := config(t, "ann", password, auth.Field{Path: "header.auth", Format: "{username}:{password}"})
	if _, err := c.Open(auth.Env{Redact: redact}); err != nil {
		t.Fatal(err)
	}
	text := password + " Basic " + base64.StdEncoding.EncodeToString([]byte("ann:"+password))
	if got, want := redact.Scrub(text), "[redacted] Basic [redacted]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPasswordWithLineBreakIsRefusedAtOpen(t *testing.T) {
	password := authtest.Marker() + "\r\nX-Evil: 1"
	c := config(t, "ann", password, auth.Field{Path: "header.headers.X-Pw", Format: "{password}"})
	_, err := c.Open(auth.Env{})
	if err == nil {
		t.Fatal("got no error, want one")
	}
	if want := "header X-Pw: the value holds a line break or another control character"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}
