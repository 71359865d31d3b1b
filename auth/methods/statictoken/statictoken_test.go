package statictoken_test

import (
	"net/http"
	"testing"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/auth/methods/statictoken"
)

func config(t testing.TB, token string, fields ...auth.Field) *statictoken.Config {
	t.Helper()
	fixed := map[string]auth.Secret{"token": auth.NewSecret(token), "username": auth.NewSecret("ann"), "password": {}}
	place, problems := auth.CompileFields(fields, fixed, "token", "username", "password")
	for _, p := range problems {
		if !p.Warning {
			t.Fatal(p)
		}
	}
	return &statictoken.Config{Token: fixed["token"], Place: place}
}

func TestConformance(t *testing.T) {
	placements := map[string]auth.Field{
		"header": {Path: "header.headers.X-Key", Format: "{token}"},
		"query":  {Path: "query.key", Format: "{token}"},
		"body":   {Path: "body.key", Format: "{token}"},
	}
	for name, field := range placements {
		t.Run(name, func(t *testing.T) {
			token := authtest.Marker()
			authtest.Run(t, authtest.Harness{
				New:     func() auth.Config { return config(t, token, field) },
				Empty:   new(statictoken.Config),
				Secrets: []string{token},
			})
		})
	}
}

// The static rows of the golden vectors.
func TestTokenStandsInTheHeaderAsItIs(t *testing.T) {
	cases := []struct{ name, token, format, want string }{
		{name: "alone", token: "k-81", format: "{token}", want: "k-81"},
		{name: "scheme", token: "SEK", format: "Token {token}", want: "Token SEK"},
		{name: "twice and unknown", token: "SEK", format: "{token}/{token}/{unknown}", want: "SEK/SEK/{unknown}"},
		{name: "dollars", token: "a$&b$$c$'d", format: "T {token}", want: "T a$&b$$c$'d"},
		{name: "a name as the value", token: "{username}", format: "T {token}", want: "T {username}"},
		{name: "second token is no name here", token: "SEK", format: "{tokenp2}", want: "{tokenp2}"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a, err := config(t, c.token, auth.Field{Path: "header.headers.X-Key", Format: c.format}).Open(auth.Env{})
			if err != nil {
				t.Fatal(err)
			}
			req, _ := http.NewRequest(http.MethodGet, "https://a.example/", nil)
			if _, err := a.Apply(req); err != nil {
				t.Fatal(err)
			}
			if got := req.Header.Get("X-Key"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestTokenIsTaughtToTheRedactor(t *testing.T) {
	token, redact := authtest.Marker(), new(auth.Redactor)
	if _, err := config(t, token, auth.Field{Path: "query.k", Format: "{token}"}).Open(auth.Env{Redact: redact}); err != nil {
		t.Fatal(err)
	}
	if got := redact.Scrub("k=" + token); got != "k=[redacted]" {
		t.Errorf("got %q, want k=[redacted]", got)
	}
}
