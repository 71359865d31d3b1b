package entities_test

import (
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/keyhitch/keyhitch/entities"
)

// FuzzPathTemplate: whatever template and values, the path is one that URLs can have, and
// values add no segments and no dot segments.
func FuzzPathTemplate(f *testing.F) {
	f.Add("{base_path}/{version}/a{pathv1}/b/{pathv2}?{query}", "/api", "v2", "a b/ç?", "", "x y&z", false)
	f.Add("/x?fixed=1&{query}&z={pathv1}", "", "", "..", "%2e%2e", "#", true)
	f.Add("{{pathv1}}{pathv99999999999999999999}{pathv0}{query}{query}?", "?#", "..", "\x00", "\xff", "=", false)
	f.Fuzz(func(t *testing.T, template, base, version, first, second, query string, raw bool) {
		file := text(t, map[string]any{"actions": []any{map[string]any{
			"name": "get", "protocol": "REST", "method": "GET", "entitypath": template, "schema": "s.json", "querykey": query,
		}}})
		a, err := load(t, map[string]string{".generic/action.json": file, ".generic/s.json": "{}"}).Action(".generic", "get")
		if err != nil {
			return // an empty template
		}
		target := entities.Target{
			BasePath: base, Version: version, PathVars: []any{first, second}, RawPathVars: raw, RawQuery: raw,
			Query: entities.Object{{"q", query}}, Options: entities.Object{{query, first}},
		}
		path, rawQuery, err := a.Target(target)
		if err != nil {
			return
		}
		checkTarget(t, path, rawQuery)
		if dots(path) > dots(base)+dots(template) && !strings.Contains(template, "{") {
			t.Errorf("path %q has new dot segments", path)
		}
	})
}

func checkTarget(t *testing.T, path, rawQuery string) {
	t.Helper()
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "?# \r\n\x00") || strings.ContainsAny(rawQuery, "# \r\n\x00") {
		t.Errorf("path %q, query %q", path, rawQuery)
	}
	u, err := url.ParseRequestURI(path + "?" + rawQuery)
	if err != nil {
		t.Fatal(err)
	}
	if u.RawQuery != rawQuery {
		t.Errorf("query %q became %q", rawQuery, u.RawQuery)
	}
}

func dots(path string) int {
	n := 0
	for segment := range strings.SplitSeq(path, "/") {
		if plain, err := url.PathUnescape(segment); err == nil && (plain == "." || plain == "..") {
			n++
		}
	}
	return n
}

// FuzzTranslate: no schema and no data brings translation down; what comes out is JSON without
// ph_request_type.
func FuzzTranslate(f *testing.F) {
	f.Add(widgetSchema, `{"widgetName":"x","k":[1,{"a":null}]}`)
	f.Add(`{"type":"object","properties":{"v":{"external_name":"a.b[2].c"},"next":{"$ref":"#"}}}`, `{"v":1,"next":{"v":2,"next":{}}}`)
	f.Add(`{"definitions":{"a":{"$ref":"#/definitions/a"}},"properties":{"x":{"$ref":"#/definitions/a"}}}`, `[{},[[]]]`)
	f.Add(`{"dynamicfields":true,"properties":{"l":{"type":["array","object"],"items":[{"encode":true},{"parse":true}],"default":[1]}}}`, `{"l":["eA==","{}"]}`)
	f.Fuzz(func(t *testing.T, schema, data string) {
		if len(schema) > 4<<10 {
			return
		}
		set := load(t, map[string]string{
			"e/action.json": `{"actions":[{"name":"get","protocol":"REST","method":"GET","entitypath":"/x","schema":"schema.json"}]}`,
			"e/schema.json": schema,
		})
		set.Check()
		a, err := set.Action("e", "get")
		if err != nil {
			t.Fatal(err)
		}
		s, err := a.Request()
		if err != nil {
			return
		}
		in, err := entities.Decode(entities.JSON, []byte(data))
		if err != nil {
			return
		}
		before := text(t, in)
		for _, translate := range []func(string, any) (any, error){s.MapRequest, s.MapResponse} {
			out, err := translate("get", in)
			if err != nil {
				continue
			}
			if o, ok := out.(entities.Object); ok {
				if _, ok := o.Get("ph_request_type"); ok && !strings.Contains(schema, "external_name") {
					t.Error("ph_request_type came out")
				}
			}
			text(t, out)
			if _, err := entities.Encode(entities.PLAIN, out); err != nil {
				t.Error(err)
			}
		}
		s.Extract(in)
		if text(t, in) != before {
			t.Error("translation changed its input")
		}
	})
}

// FuzzActionFile: every file is loaded or refused with problems that have a place.
func FuzzActionFile(f *testing.F) {
	f.Add(`{"actions":[{` + good + `,"timeout":1,"headers":{"a":"b"},"responseObjects":[{"type":"default","key":"a[0].b"}]}]}`)
	f.Add(`{"actions":[{"name":1,"headers":[],"entitypath":{"v1":2}},null,{}],"actions":[[]]}`)
	f.Add("\xef\xbb\xbf{\"actions\":\n[{\"a/b~\":1,\"a/b~\":2}]}")
	f.Add(`{"actions":[` + strings.Repeat("[", 600))
	f.Fuzz(func(t *testing.T, file string) {
		set, err := entities.Load(fstest.MapFS{
			"entities/e/action.json": {Data: []byte(file)},
			"entities/e/s.json":      {Data: []byte("{}")},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range set.Check() {
			if p.File == "" || p.Reason == "" || p.Line < 1 || p.Column < 1 {
				t.Errorf("problem without a place: %+v", p)
			}
		}
		for _, a := range set.Actions("e") {
			checkAction(t, set, a)
		}
	})
}

func checkAction(t *testing.T, set *entities.Set, a *entities.Action) {
	t.Helper()
	found, err := set.Action("e", a.Name)
	if found == a && len(a.Problems().Errors()) > 0 {
		t.Errorf("%s is usable with problems %v", a.Name, a.Problems())
	}
	if err != nil {
		return
	}
	if _, _, err := found.Target(entities.Target{PathVars: []any{"a", "b"}}); err == nil {
		found.ResponseKey(entities.CallShape{PathVars: []any{"a"}})
	}
	if _, err := found.Request(); err != nil {
		t.Error(err)
	}
}

// FuzzSelector: every text is a selector or an error, and selecting never fails.
func FuzzSelector(f *testing.F) {
	const data = `{"a":{"b":[{"n":"x"},{"n":1,"c":[]}]},"list":[[1],{"n":null}]}`
	for _, s := range []string{"", "a.b[0].n", "a.b[*n=x].n", "a[**][n=1]", "list[1]", "a..b", "[99999999999999999999]", "[*=]"} {
		f.Add(s, data)
	}
	f.Fuzz(func(t *testing.T, selector, data string) {
		s, err := entities.ParseSelector(selector)
		if err != nil {
			return
		}
		if in, err := entities.Decode(entities.JSON, []byte(data)); err == nil {
			if out, ok := s.Select(in); ok {
				text(t, out)
			}
		}
	})
}
