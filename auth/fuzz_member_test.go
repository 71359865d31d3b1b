package auth_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/auth"
)

// Spec port.md, section 7: a member is merged into any body without harm to what else is in it.
func FuzzMember(f *testing.F) {
	const JSON, form = "application/json", "application/x-www-form-urlencoded"
	for _, seed := range []struct{ kind, body, name, value string }{
		{JSON, `{"a": 1.0, "t": {"old":1}}`, "t", `"new"`}, {JSON, ` {"a":1,"a":2} `, "é\n", `{"b":[1,null]}`}, {JSON, "", "t", "1e400"},
		{JSON, `[1]`, "t", `"x"`}, {JSON, `{"a":"\ud800"}`, "a", `"\u0000"`}, {JSON, `{"a":1}{}`, "t", "true"}, {"", "", "t", `""`},
		{form, "a=1&t=old&t=older", "t", `"a&b=c"`}, {form, "&&=&%zz", "%", `{"a":1}`}, {form, "", "", "null"},
		{"application/problem+json; charset=utf-8", `{}`, "\xff", `"\xff"`}, {"text/plain", "hello", "t", "1"}, {JSON, `{"a":1}`, "t", `{`},
	} {
		f.Add(seed.kind, []byte(seed.body), seed.name, []byte(seed.value))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte, name string, value []byte) {
		var b auth.InjectionBuilder
		b.Member(name, value)
		in, err := b.Build()
		if err != nil {
			return // the value is no JSON
		}
		req, err := http.NewRequest(http.MethodPost, "https://sys.example/", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if kind != "" {
			req.Header["Content-Type"] = []string{kind}
		}
		if in.Apply(req) != nil {
			return // the body cannot take it
		}
		got, _ := io.ReadAll(req.Body)
		if req.ContentLength != int64(len(got)) {
			t.Errorf("Content-Length %d, want %d", req.ContentLength, len(got))
		}
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(kind)), form) {
			checkForm(t, string(body), string(got), name)
			return
		}
		checkObject(t, body, got, name, value)
	})
}

// checkObject holds that every other member stands there byte for byte, and the new one last.
func checkObject(t *testing.T, old, got []byte, name string, value []byte) {
	t.Helper()
	before, after := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if err := json.Unmarshal(got, &after); err != nil {
		t.Fatalf("%q is no JSON object: %v", got, err)
	}
	if !bytes.HasSuffix(got, append(bytes.TrimSpace(value), '}')) && !bytes.HasSuffix(got, append(bytes.Clone(value), '}')) {
		t.Errorf("%q does not end with the value %q", got, value)
	}
	if len(bytes.TrimSpace(old)) > 0 && json.Unmarshal(old, &before) != nil {
		t.Errorf("%q was no JSON object, and became %q", old, got)
	}
	for other, text := range before {
		if other != name && !bytes.Equal(after[other], text) && strings.ToValidUTF8(name, "\ufffd") != other {
			t.Errorf("member %q was %q, and is %q", other, text, after[other])
		}
	}
}

// checkForm holds that every other pair stands there as it was, in its order.
func checkForm(t *testing.T, old, got, name string) {
	t.Helper()
	kept := func(form string) (list []string) {
		for pair := range strings.SplitSeq(form, "&") {
			written, _, _ := strings.Cut(pair, "=")
			if plain, err := url.QueryUnescape(written); pair != "" && (err != nil || plain != name) {
				list = append(list, pair)
			}
		}
		return list
	}
	if before, after := strings.Join(kept(old), "&"), strings.Join(kept(got), "&"); before != after {
		t.Errorf("the other pairs were %q, and are %q", before, after)
	}
	found := 0
	for pair := range strings.SplitSeq(got, "&") {
		written, _, hasValue := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(written); err == nil && plain == name && hasValue {
			found++
		}
	}
	if found != 1 {
		t.Errorf("%q holds %q %d times, want once", got, name, found)
	}
}
