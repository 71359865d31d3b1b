package custom_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/methods/custom"
)

// FuzzTemplate checks a template text and, when it is good, evaluates it on an answer: no panic,
// no control character in a header, no braces left, and no answer's value in an error.
func FuzzTemplate(f *testing.F) {
	for _, seed := range [][2]string{
		{"Bearer {{.tok}}", `{"tok":"q1"}`}, {"{{.a}}:{{.b}}/{{.a}}", `{"a":"l","b":7}`}, {`{{.["access-token"]}}`, `{"access-token":true}`},
		{"{{{.tok}}}", `{"tok":"a\r\nb"}`}, {"{{tok}}", `{}`}, {"{{.tok", `[]`}, {"{{.tok|{a:.}|.a}}", `{"tok":1.5}`}, {`{{$headers["X-S"]}}{{$cookies.SID}}`, `{"a":1}`},
		{"{{..a // 'x'}}", `{"a":null}`}, {"{{.l[] | select(. > 1)}}", `{"l":[1,2,90071992547409931]}`}, {"{{.a|tojson|fromjson|.b}}", `{"a":{"b":"c"}}`},
		{"{{.a|@base64d|explode|implode}}", `{"a":"eA=="}`}, {"é{{$answers[0].a}}", `{"a":"{{.a}}"}`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, body string) {
		if len(text) > 200 || !harmless(text) {
			return // loops end by the time limit, a second later
		}
		template, faults := custom.NewTemplate(custom.Written{Headers: map[string]auth.Secret{"X-T": auth.NewSecret(text)}})
		if faults != nil {
			for _, fault := range faults {
				if fault.Place != "headers.X-T" || fault.Pointer != "/headers/X-T" || fault.Reason == "" || !utf8.ValidString(fault.Reason) && utf8.ValidString(text) {
					t.Errorf("got the fault %+v", fault)
				}
			}
			return
		}
		if _, err := template.Masked().Render(auth.Token{}); err != nil {
			t.Errorf("a plan of %q: got %v, want no error", text, err)
		}
		call, _ := parseCall(t, "https://sys.example", call{endpoint: "/t"}, false)
		a, err := (&custom.Config{Calls: []custom.Call{call}, Template: template}).Open(env(t, says(body)))
		if err != nil {
			t.Fatal(err)
		}
		req, err := apply(t.Context(), a, http.MethodGet, "", "")
		if err != nil {
			return
		}
		if !json.Valid([]byte(strings.TrimPrefix(body, "\ufeff"))) && !strings.HasPrefix(text, "{{$") {
			t.Errorf("an answer that is not JSON was taken for one")
		}
		if got := req.Header.Get("X-T"); strings.ContainsAny(got, "\r\n\x00") {
			t.Errorf("a control character is in %q", got)
		}
	})
}

// harmless leaves out what takes its second.
func harmless(text string) bool {
	for _, word := range []string{"range", "repeat", "recurse", "while", "until", "def", "limit", "reduce", "foreach", "combinations", "..", "*", "walk", "env", "in", "skip"} {
		if strings.Contains(text, word) {
			return false
		}
	}
	return true
}
