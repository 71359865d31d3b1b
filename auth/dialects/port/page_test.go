package port_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// The examples of the published page: the configuration, the answer that the page expects, and what
// then goes out.
func TestExamplesOfThePage(t *testing.T) {
	cases := []struct{ name, config, answer, login, sent string }{
		{"OAuth2 client credentials",
			`"customAuthRequest":{"endpoint":"/oauth/token","method":"POST","headers":{"Content-Type":"application/x-www-form-urlencoded"},"bodyForm":"grant_type=client_credentials&client_id=id&client_secret=s","reauthenticateIntervalSeconds":3600},
			"customAuthRequestTemplate":{"headers":{"Authorization":"Bearer {{.access_token}}"}}`,
			`{"access_token":"eyJ","token_type":"Bearer","expires_in":3600}`,
			"POST https://api.yourcompany.com/oauth/token application/x-www-form-urlencoded grant_type=client_credentials&client_id=id&client_secret=s",
			`?a=1 [Bearer eyJ] [] [] {"own":1}`},
		{"API key in the query",
			`"customAuthRequest":{"endpoint":"/api/auth/login","method":"POST","headers":{"Content-Type":"application/json"},"body":{"username":"u","password":"p"}},
			"customAuthRequestTemplate":{"queryParams":{"api_key":"{{.apiKey}}"}}`,
			`{"apiKey":"abc123xyz789","userId":"12345"}`,
			`POST https://api.yourcompany.com/api/auth/login application/json {"password":"p","username":"u"}`,
			`?a=1&api_key=abc123xyz789 [] [] [] {"own":1}`},
		{"JWT with a version",
			`"customAuthRequest":{"endpoint":"/v1/auth/token","method":"POST","headers":{"Content-Type":"application/json"},"body":{"clientId":"c","clientSecret":"s"}},
			"customAuthRequestTemplate":{"headers":{"Authorization":"Bearer {{.jwt}}","X-API-Version":"{{.version}}"}}`,
			`{"jwt":"eyJ","version":"2.0","expiresAt":"2024-12-31T23:59:59Z"}`,
			`POST https://api.yourcompany.com/v1/auth/token application/json {"clientId":"c","clientSecret":"s"}`,
			`?a=1 [Bearer eyJ] [2.0] [] {"own":1}`},
		{"nested answer",
			`"customAuthRequest":{"endpoint":"/auth/login","method":"POST","body":{"credentials":{"username":"u","password":"p"}}},
			"customAuthRequestTemplate":{"headers":{"Authorization":"Bearer {{.data.token}}","X-Session-ID":"{{.data.sessionId}}"}}`,
			`{"status":"success","data":{"token":"eyJ","sessionId":"sess_abc123"}}`,
			`POST https://api.yourcompany.com/auth/login application/json {"credentials":{"password":"p","username":"u"}}`,
			`?a=1 [Bearer eyJ] [] [sess_abc123] {"own":1}`},
		{"three places at once",
			`"customAuthRequest":{"endpoint":"/v1/auth/token","method":"POST","body":{"clientId":"c","clientSecret":"s"}},
			"customAuthRequestTemplate":{"headers":{"Authorization":"Bearer {{.access_token}}"},"queryParams":{"token":"{{.access_token}}"},"body":{"auth_token":"{{.access_token}}"}}`,
			`{"access_token":"eyJ"}`,
			`POST https://api.yourcompany.com/v1/auth/token application/json {"clientId":"c","clientSecret":"s"}`,
			`?a=1&token=eyJ [Bearer eyJ] [] [] {"own":1,"auth_token":"eyJ"}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			spec, told := read(t, `{"baseUrl":"https://api.yourcompany.com","authType":"custom",`+c.config+`}`)
			if told != "" {
				t.Fatal(told)
			}
			login := ""
			a, err := spec.Config.Open(answering(t, func(req *http.Request) string {
				body, _ := io.ReadAll(req.Body)
				login = fmt.Sprintf("%s %s %s %s", req.Method, req.URL, strings.Join(req.Header["Content-Type"], "|"), body)
				return c.answer
			}))
			if err != nil {
				t.Fatal(err)
			}
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.yourcompany.com/x?a=1", strings.NewReader(`{"own":1}`))
			req.Header.Set("Content-Type", "application/json")
			if _, err := a.Apply(req); err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(req.Body)
			sent := fmt.Sprintf("?%s %s %s %s %s", req.URL.RawQuery, req.Header["Authorization"], req.Header["X-Api-Version"], req.Header["X-Session-Id"], body)
			if login != c.login || sent != c.sent {
				t.Errorf("got  %s\n     %s\nwant %s\n     %s", login, sent, c.login, c.sent)
			}
		})
	}
}

// answering is an environment whose authentication endpoint is answer.
func answering(t *testing.T, answer func(*http.Request) string) auth.Env {
	t.Helper()
	keys, err := auth.NewKeyer(nil)
	if err != nil {
		t.Fatal(err)
	}
	wire := tripper(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer(req)))}, nil
	})
	return auth.Env{Client: &http.Client{Transport: wire}, Tokens: new(auth.Tokens), Keys: keys, Now: time.Now}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
