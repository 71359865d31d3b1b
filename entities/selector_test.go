package entities_test

import (
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/entities"
)

func TestSelector(t *testing.T) {
	const data = `{"a":{"b":1},"list":[{"n":"x","v":1},{"n":"y","v":2},{"n":"y","v":3,"t":{"n":"y"}},{"n":7}],"groups":{"in":[{"c":"NZ","i":1}],"out":[[{"c":"NZ","i":2}],{"c":"AU"}]}}`
	for _, tt := range []struct{ selector, want string }{
		{"", data},
		{"a", `{"b":1}`},
		{"a.b", `1`},
		{"a.c", ``},
		{"a.b.c", ``},
		{"list[1].v", `2`},
		{"list[9]", ``},
		{"list.n", ``},
		{"list[n=y]", `{"n":"y","v":2}`},
		{"list[n=y].v", `2`},
		{"list[n=7]", `{"n":7}`},
		{"list[n=no]", ``},
		{"list[*n=y]", `[{"n":"y","v":2},{"n":"y","t":{"n":"y"},"v":3}]`},
		{"list[*n=y].v", `[2,3]`},
		{"list[*n=y][1].v", `3`},
		{"list[*n=y].t.n", `["y"]`},
		{"list[*n=no]", `[]`},
		{"groups[**][*c=NZ].i", `[1,2]`},
		{"groups[**][c=AU]", `{"c":"AU"}`},
		{"none[**]", ``},
	} {
		t.Run(tt.selector, func(t *testing.T) {
			s, err := entities.ParseSelector(tt.selector)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := s.Select(value(t, data))
			if tt.want == "" {
				if ok {
					t.Errorf("got %s, want nothing", text(t, got))
				}
				return
			}
			if !ok || text(t, got) != text(t, value(t, tt.want)) {
				t.Errorf("got %s, %t, want %s", text(t, got), ok, tt.want)
			}
		})
	}
}

func TestSelectorRefuses(t *testing.T) {
	for _, in := range []string{".", "a.", ".a", "a..b", "a[", "a[x", "a[]", "a[-1]", "a[+1]", "a[*]", "a[n!=1]", "a[n~x]", "a[:f]", "a|b", "a:b", "a[0]b", "a]", "$..a*", "a{b}", "a[=x]"} {
		if _, err := entities.ParseSelector(in); err == nil || !strings.Contains(err.Error(), "of selector") {
			t.Errorf("%s: got %v, want an error", in, err)
		}
	}
}

func TestResponseKey(t *testing.T) {
	const schema = `{}`
	a := action(t, schema, `,"entitypath":"/x","responseObjects":[
		{"type":"default","key":"d"},{"type":"withOptions","key":"o"},{"type":"withQuery","key":"q"},{"type":"withPathv2","key":"p2"},{"type":"WITHPATHV1","key":"p1"},
		{"type":"withBody","key":"b"},{"type":"k=v","key":"kv"},{"type":"special","key":"var"},{"type":"state-Open","key":"body"}]`)
	for _, tt := range []struct {
		name, want string
		call       entities.CallShape
	}{
		{"default", "d", entities.CallShape{}},
		{"options", "o", entities.CallShape{HasOptions: true}},
		{"query", "q", entities.CallShape{HasOptions: true, HasQuery: true}},
		{"second path variable", "p2", entities.CallShape{HasQuery: true, PathVars: []any{"", "x"}}},
		{"first path variable", "p1", entities.CallShape{HasQuery: true, PathVars: []any{"y", "x"}}},
		{"body", "b", entities.CallShape{HasBody: true, PathVars: []any{"y"}, Body: entities.Object{{"state", "closed"}}}},
		{"query pair", "kv", entities.CallShape{HasBody: true, Query: entities.Object{{"K", "V"}}}},
		{"path value", "var", entities.CallShape{Query: entities.Object{{"k", "v"}}, PathVars: []any{"a", "SPECIAL"}}},
		{"body field", "body", entities.CallShape{PathVars: []any{"special"}, Body: entities.Object{{"State", "open"}}}},
		{"body field of a map", "body", entities.CallShape{Body: map[string]any{"state": "open", "other": []any{}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, ok := a.ResponseKey(tt.call)
			got, found := s.Select(map[string]any{tt.want: "here"})
			if !ok || !found || got != "here" {
				t.Errorf("got the key of another response object")
			}
		})
	}
	if _, ok := action(t, schema, `,"entitypath":"/x","responseObjects":[{"type":"withBody"}]`).ResponseKey(entities.CallShape{}); ok {
		t.Error("want no response object for a call that none fits")
	}
}
