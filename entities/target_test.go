package entities_test

import (
	"errors"
	"testing"

	"github.com/keyhitch/keyhitch/entities"
)

const widgetSchema = `{"type":"object","dynamicfields":true,"properties":{"widgetName":{"type":"string","external_name":"label"}}}`

func TestTarget(t *testing.T) {
	list := []any{"a", "b"}
	for _, tt := range []struct {
		name, path, more string
		target           entities.Target
		query, want      string
	}{
		{"golden call", "{base_path}/{version}/widgets/{pathv1}?{query}", "", entities.Target{BasePath: "/api", Version: "v2", PathVars: []any{"a b/c"}},
			`{"widgetName":"x y&z","k":2}`, "/api/v2/widgets/a%20b%2Fc?label=x%20y%26z&k=2"},
		{"slash before variables", "{base_path}/{version}/a{pathv1}/b/{pathv2}?{query}", "", entities.Target{BasePath: "/api", Version: "v2", PathVars: []any{"1", "2"}},
			"", "/api/v2/a/1/b/2"},
		{"base path without slash", "{base_path}/x", "", entities.Target{BasePath: "api"}, "", "/api/x"},
		{"base path merged", "/{base_path}/x", "", entities.Target{BasePath: "/api/"}, "", "/api/x"},
		{"empty base path and version", "{base_path}/{version}/x", "", entities.Target{}, "", "/x"},
		{"base path is a slash", "{base_path}/{version}/x", "", entities.Target{BasePath: "/"}, "", "/x"},
		{"version is encoded", "/{version}/x", "", entities.Target{Version: "a/b"}, "", "/a%2Fb/x"},
		{"empty variable vanishes", "/a/{pathv1}/b/{pathv2}", "", entities.Target{PathVars: []any{"", nil}}, "", "/a/b"},
		{"empty variable after colon", "/a:{pathv1}/b", "", entities.Target{PathVars: []any{""}}, "", "/a/b"},
		{"colon", "/a:{pathv1}/b", "", entities.Target{PathVars: []any{"x"}}, "", "/a:x/b"},
		{"no slash after =", "/a={pathv1}", "", entities.Target{PathVars: []any{"x"}}, "", "/a=x"},
		{"number and bool", "/{pathv1}/{pathv2}", "", entities.Target{PathVars: []any{7, true}}, "", "/7/true"},
		{"more values than holders", "/{pathv1}", "", entities.Target{PathVars: []any{"1", "2", "3"}}, "", "/1"},
		{"slashes collapse in the path only", "//a//b?u=http://x", "", entities.Target{}, "", "/a/b?u=http://x"},
		{"= before slash stays", "/x?u=/y", "", entities.Target{}, "", "/x?u=/y"},
		{"leading slash", "x", "", entities.Target{}, "", "/x"},
		{"unknown variable", "/x/{who}", "", entities.Target{}, "", "/x/%7Bwho%7D"},
		{"credentials stay", "/token/{username}/{password}", "", entities.Target{}, "", "/token/{username}/{password}"},
		{"illegal template bytes", "/a b/ç#", "", entities.Target{}, "", "/a%20b/%C3%A7%23"},
		{"triplets of the template stay", "/a%2Fb/100%", "", entities.Target{}, "", "/a%2Fb/100%25"},

		{"raw variable", "/{pathv1}/x", "", entities.Target{PathVars: []any{"a/b c?d#e%2F"}, RawPathVars: true}, "", "/a/b%20c%3Fd%23e%2F/x"},
		{"variable in the query", "/x?id={pathv1}&{query}", "", entities.Target{PathVars: []any{"a&b"}}, `{"q":1}`, "/x?id=a%26b&q=1"},

		{"fixed query kept", "/x?fixed=1&{query}", "", entities.Target{}, `{"q":1}`, "/x?fixed=1&q=1"},
		{"fixed query without data", "/x?fixed=1&{query}", "", entities.Target{}, "", "/x?fixed=1"},
		{"after the query", "/x?{query}&z=1", "", entities.Target{}, `{"q":1}`, "/x?q=1&z=1"},
		{"after an empty query", "/x?{query}&z=1", "", entities.Target{}, "", "/x?z=1"},
		{"after an empty query without mark", "/x{query}&z=1", "", entities.Target{}, "", "/x?z=1"},
		{"path after the query", "/x{query}/y", "", entities.Target{}, "", "/x/y"},
		{"fixed query after", "/x{query}?z=1", "", entities.Target{}, `{"q":1}`, "/x?q=1&z=1"},
		{"options without query", "/x", "", entities.Target{Options: entities.Object{{"o", "1"}}}, "", "/x?o=1"},
		{"options after fixed query", "/x?fixed=1", "", entities.Target{Options: entities.Object{{"o", "1"}}}, "", "/x?fixed=1&o=1"},
		{"options after query", "/x?{query}", "", entities.Target{Options: entities.Object{{"o", "1"}}}, `{"q":1}`, "/x?q=1&o=1"},
		{"nothing dangles", "/x?{query}", "", entities.Target{}, "", "/x"},
		{"options after an empty query", "/x?{query}", "", entities.Target{Options: entities.Object{{"o", "1"}}}, "", "/x?o=1"},
		{"no holder", "/x", "", entities.Target{}, `{"q":1}`, "/x"},
		{"querykey", "/x{query}", `,"querykey":"?f="`, entities.Target{}, `{"widgetName":"v","z":["a","b"],"e":""}`, "/x?f=label=v&z=a&z=b&e="},
		{"querykey and fixed query", "/x?a=1&{query}", `,"querykey":"?f="`, entities.Target{}, `{"q":1}`, "/x?a=1&f=q=1"},
		{"querykey of a matrix", "/x{query}/y", `,"querykey":";"`, entities.Target{}, `{"q":1}`, "/x;q=1/y"},
		{"querykey empty", "/x{query}", `,"querykey":""`, entities.Target{}, `{"q":1}`, "/x?q=1"},
		{"values only", "/x?{query}", "", entities.Target{ValuesOnly: true, Options: entities.Object{{"o", "1"}}}, `{"q":1,"r":"b c"}`, "/x?1&b%20c&o=1"},
		{"raw query", "/x?{query}", "", entities.Target{RawQuery: true}, `{"q":"a:b,c/d e#"}`, "/x?q=a:b,c/d%20e%23"},
		{"raw query joins arrays", "/x?{query}", "", entities.Target{RawQuery: true, Options: entities.Object{{"o", list}}}, "", "/x?o=a,b"},
		{"encoded options repeat", "/x", "", entities.Target{Options: entities.Object{{"o", list}}}, "", "/x?o=a&o=b"},
		{"empty schema text left out", "/x?{query}", "", entities.Target{}, `{"widgetName":"","e":""}`, "/x?e="},
		{"schema order first", "/x?{query}", "", entities.Target{}, `{"b":1,"widgetName":"w","a":2}`, "/x?label=w&b=1&a=2"},
		{"nested object", "/x?{query}", "", entities.Target{}, `{"f":{"b":1,"a":[2]}}`, "/x?f=%7B%22a%22%3A%5B2%5D%2C%22b%22%3A1%7D"},
		{"alphabet", "/x?{query}", "", entities.Target{}, `{"q":"-_.!~*'()+=/ç\u2028"}`, "/x?q=-_.!~*'()%2B%3D%2F%C3%A7%E2%80%A8"},
		{"other path", "/x", "", entities.Target{BasePath: "/api", Path: "{base_path}/token?a=1"}, "", "/api/token?a=1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := action(t, widgetSchema, `,"entitypath":"`+tt.path+`"`+tt.more)
			if tt.query != "" {
				tt.target.Query = mapped(t, a, object(t, tt.query))
			}
			path, query, err := a.Target(tt.target)
			if err != nil {
				t.Fatal(err)
			}
			if query != "" {
				path += "?" + query
			}
			if path != tt.want {
				t.Errorf("got %s, want %s", path, tt.want)
			}
		})
	}
}

func mapped(t *testing.T, a *entities.Action, in entities.Object) entities.Object {
	t.Helper()
	schema, err := a.Request()
	if err != nil {
		t.Fatal(err)
	}
	out, err := schema.MapRequest(a.Name, in)
	if err != nil {
		t.Fatal(err)
	}
	return out.(entities.Object)
}

func TestTargetRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		target     entities.Target
		want       string
	}{
		{"missing variable", "/a/{pathv1}/b/{pathv2}", entities.Target{PathVars: []any{"1"}},
			`path variable pathv2 of /a/{pathv1}/b/{pathv2} is missing; give "" to leave it out`},
		{"dot segment", "/a/{pathv1}", entities.Target{PathVars: []any{".."}},
			"path variable pathv1 of /a/{pathv1} is a dot segment, which would change the path"},
		{"dot", "/a/{pathv1}", entities.Target{PathVars: []any{"."}},
			"path variable pathv1 of /a/{pathv1} is a dot segment, which would change the path"},
		{"dots in a raw variable", "/a/{pathv1}", entities.Target{PathVars: []any{"x/../../y"}, RawPathVars: true},
			"path /a/{pathv1} would get a dot segment from its variables"},
		{"escaped dots in a raw variable", "/a/{pathv1}", entities.Target{PathVars: []any{"%2e%2E"}, RawPathVars: true},
			"path /a/{pathv1} would get a dot segment from its variables"},
		{"dots from parts", "/a:{pathv1}{pathv2}", entities.Target{PathVars: []any{"x", []any{}}},
			"path variable pathv2 of /a:{pathv1}{pathv2} is array, want string"},
		{"dots around a variable", "/a/{pathv1}.", entities.Target{PathVars: []any{""}},
			""},
		{"object", "/a/{pathv1}", entities.Target{PathVars: []any{map[string]any{"a": 1}}},
			"path variable pathv1 of /a/{pathv1} is object, want string"},
		{"function", "/a/{pathv1}", entities.Target{PathVars: []any{func() {}}},
			"path variable pathv1 of /a/{pathv1} is no JSON value: Go type func()"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := action(t, widgetSchema, `,"entitypath":"`+tt.path+`"`).Target(tt.target)
			if tt.want == "" && err == nil {
				return
			}
			var bad *entities.PathError
			if !errors.As(err, &bad) || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestGenericEntityTakesFewerVariables(t *testing.T) {
	a := actionOf(t, ".generic", widgetSchema, `,"entitypath":"/{pathv1}/{pathv2}/{pathv3}"`)
	path, _, err := a.Target(entities.Target{PathVars: []any{"a"}})
	if err != nil || path != "/a" {
		t.Errorf("got %s, %v, want /a", path, err)
	}
}

func TestTargetChoosesVersion(t *testing.T) {
	a := action(t, widgetSchema, `,"entitypath":{"v1.2":"/a","v1.10":"/b","v2":"/c"},"startVersion":"v1","endVersion":"v3"`)
	for choose, want := range map[string]string{"": "/a", "v1.2": "/a", "v1.9": "/a", "v1.10": "/b", "1.11": "/b", "ver2": "/b", "v2.1": "/c", "v1": "/a"} {
		path, _, err := a.Target(entities.Target{ChoosePath: choose})
		if err != nil || path != want {
			t.Errorf("choosepath %q: got %s, %v, want %s", choose, path, err, want)
		}
	}
	for _, choose := range []string{"v0.9", "v3.1", "v4"} {
		_, _, err := a.Target(entities.Target{ChoosePath: choose})
		var bad *entities.VersionError
		if !errors.As(err, &bad) {
			t.Errorf("choosepath %q: got %v, want a version error", choose, err)
		}
	}
}

func TestTakesQuery(t *testing.T) {
	a := action(t, widgetSchema, `,"entitypath":{"v1":"/a","v2":"/a?{query}"}`)
	if a.TakesQuery(entities.Target{}) || !a.TakesQuery(entities.Target{ChoosePath: "v2"}) || !a.TakesQuery(entities.Target{Path: "/{query}"}) {
		t.Error("want a query for version v2 and for the other path only")
	}
}
