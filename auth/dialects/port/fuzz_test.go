package port_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/dialects/port"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// FuzzParse reads any document: no panic, every problem with a place, and a Spec without problems
// can be validated, opened and planned.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{` + request + `,"customAuthRequestTemplate":{"headers":{"A":"{{.t}}"},"queryParams":{"a":[1,null,"{{.b}}"]},"body":{"l":[{"x":"{{.t}}"}]}}}`,
		`{` + template + `,"customAuthRequest":[{"endpoint":"https://u:p@h/t?a=1","method":"GET","bodyForm":"a=b"},{"endpoint":"/x/{{.id}}","body":{"a":"{{$cookies.S}}"},"reauthenticateIntervalSeconds":"900","reauthenticateIntervalFrom":"expires_in","reauthenticateOn":[401]}]}`,
		`{` + template + `,"customAuthRequest":"{\"endpoint\":\"/t\"}"}`,
		`{"integration":{"config":{"baseUrl":"http://a","authType":"basic","username":"a"}}}`,
		`{"baseUrl":"https://a","authType":"api_key","apiKey":"k","apiKeyHeader":"X","verifySsl":"no","timeout":"1.5","maxConcurrentRequests":"0"}`,
		"authType: bearer_token\napiToken: x\nbaseUrl: https://a/b/\n",
	} {
		f.Add(seed)
	}
	keys, err := auth.NewKeyer(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		doc, err := settings.Parse([]byte(text))
		if err != nil {
			return
		}
		tree, at, _, ok := port.Dialect{}.Tree(doc.Root())
		if !ok {
			return
		}
		spec, err := port.Dialect{}.Parse(auth.Source{Raw: tree, At: at})
		if err != nil {
			var problems settings.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %T, want problems", err)
			}
			for _, p := range problems {
				if !strings.HasPrefix(p.Pointer, at+"/") || p.Reason == "" {
					t.Errorf("the problem %q has no place or no reason", p)
				}
			}
			return
		}
		if err := spec.Config.Validate(); err != nil {
			t.Errorf("Validate: got %v, want no error", err)
		}
		if _, err := spec.Config.Open(auth.Env{Keys: keys, Tokens: new(auth.Tokens), Now: time.Now}); err != nil {
			t.Errorf("Open: got %v, want no error", err)
		}
		for _, reveal := range []bool{false, true} {
			if _, err := spec.Config.Plan(t.Context(), reveal); err != nil {
				t.Errorf("Plan: got %v, want no error", err)
			}
		}
	})
}
