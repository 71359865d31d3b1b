package adapter_test

import (
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/dialects/iap"
)

// with opens a configuration whose only variable is S, and returns what was learnt of it.
func with(t *testing.T, secret string, o adapter.Options) (*adapter.Adapter, *auth.Redactor) {
	t.Helper()
	o.LookupEnv = func(string) (string, bool) { return secret, true }
	o.Redact = new(auth.Redactor)
	a, err := adapter.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return a, o.Redact
}

// Whatever a place is called: what comes from the environment or a file is hidden by value.
func TestWhatAReferenceBringsIsHiddenEverywhere(t *testing.T) {
	const secret, ref = "corr3ct/horse", "${env:S}"
	for name, request := range map[string]object{
		"header":     {"headers": object{"X-Odd": ref}},
		"half":       {"headers": object{"X-Odd": "a " + ref + "!"}},
		"body":       {"body": object{"list": []any{object{"odd": ref}}}},
		"form":       {"bodyForm": "user=ann&odd=" + ref},
		"path":       {"endpoint": "/hook/" + ref + "/login"},
		"host":       {"endpoint": "http://a." + strings.Replace(ref, "S", "H", 1) + ".test/login"},
		"query":      {"queryParams": object{"odd": []any{ref}}},
		"own query":  {"endpoint": "/login?odd=" + ref},
		"JSON text":  {"bodyForm": `{"odd":"` + ref + `"}`},
		"form, odd=": {"bodyForm": ref + "=="},
	} {
		t.Run(name, func(t *testing.T) {
			if request["endpoint"] == nil {
				request["endpoint"] = "/login"
			}
			value := secret
			if name == "host" {
				value = "corr3ct-horse"
			}
			a, _ := with(t, value, portOptions("http://a.test", object{"customAuthRequest": request}))
			plan, err := a.PlanRequest(t.Context(), "GET", "/x", nil, nil, false)
			if err != nil {
				t.Fatal(err)
			}
			if shown := text(plan); strings.Contains(shown, "corr3ct") || !strings.Contains(shown, "[redacted]") {
				t.Errorf("the plan is %s, want the value hidden", shown)
			}
		})
	}
	a, _ := with(t, secret, portOptions("http://a.test", object{"customAuthRequestTemplate": object{
		"headers": object{"X-Odd": ref, "X-Token": "{{.t}}"}, "queryParams": object{"odd": ref}, "body": object{"odd": object{"er": ref}}}}))
	plan, err := a.PlanRequest(t.Context(), "POST", "/x", nil, strings.NewReader(""), false)
	if err != nil || strings.Contains(text(plan), "corr3ct") || strings.Count(text(plan[1]), "[redacted]") != 3 {
		t.Errorf("the plan is %s (%v), want the values hidden", text(plan), err)
	}
}

func TestReferencesInPublicPlacesStayReadable(t *testing.T) {
	for name, tt := range map[string]struct {
		over    object
		secret  string
		learned bool
	}{
		"base URL":       {object{"baseUrl": "http://${env:S}.test"}, "tenant", false},
		"cache":          {object{"tokenCache": "${env:S}"}, "local", false},
		"number":         {object{"timeout": "${env:S}"}, "12345", false},
		"number of body": {object{"customAuthRequest": object{"endpoint": "/t", "body": object{"n": "${env:S}"}}}, "12345", false},
		"boolean":        {object{"verifySsl": "${env:S}"}, "false", false},
		"an origin":      {object{"customAuthRequest": object{"endpoint": "${env:S}/t"}}, "https://as.test", false},
		"a user":         {object{"customAuthRequest": object{"endpoint": "/t", "body": object{"u": "${env:S}"}}}, "reports-user", true},
		"encoded":        {object{"customAuthRequest": object{"endpoint": "/t", "bodyForm": "a=${env:S}"}}, "a%2Fb%2Fc%2F", true},
		"a long number":  {object{"customAuthRequest": object{"endpoint": "/t", "body": object{"n": "${env:S}"}}}, "123456789012", true},
	} {
		_, learnt := with(t, tt.secret, portOptions("http://a.test", tt.over))
		if got := learnt.Scrub(tt.secret) != tt.secret; got != tt.learned {
			t.Errorf("%s: learned is %t, want %t", name, got, tt.learned)
		}
	}
	_, learnt := with(t, "a%2Fb%2Fc%2F", portOptions("http://a.test", object{"customAuthRequest": object{"endpoint": "/t", "bodyForm": "a=${env:S}"}}))
	if learnt.Scrub("a/b/c/") != "[redacted]" {
		t.Error("what was encoded for the form is not learned as it is meant")
	}
}

func TestReferencesOfAServiceInstanceAreHidden(t *testing.T) {
	file := adapter.File{Name: "i.json", Data: []byte(text(object{"host": "${env:S}", "protocol": "https", "authentication": object{"auth_method": "no_authentication"},
		"request": object{"global_request": object{"addlHeaders": object{"X-Odd": "${env:S}"}}}}))}
	_, learnt := with(t, "tenant.test", adapter.Options{Dialect: iap.Dialect{}, Instance: file})
	if got := learnt.Scrub("tenant.test"); got != "[redacted]" {
		t.Errorf("got %s: a header's reference is not learned", got)
	}
	file.Data = []byte(strings.Replace(string(file.Data), `"X-Odd":"${env:S}"`, `"X-Odd":"1"`, 1))
	if _, learnt = with(t, "tenant.test", adapter.Options{Dialect: iap.Dialect{}, Instance: file}); learnt.Scrub("tenant.test") != "tenant.test" {
		t.Error("the host is learned, which every message names")
	}
}
