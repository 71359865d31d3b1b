package settings_test

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	inv "github.com/invopop/jsonschema"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// thing has every kind of member that our structs have.
type thing struct {
	Name     string                 `json:"name" jsonschema:"required"`
	Mode     string                 `json:"mode" jsonschema:"enum=fast,enum=slow,enum=,default=fast"`
	One      string                 `json:"one" jsonschema:"enum=only"`
	Count    int                    `json:"count" jsonschema:"minimum=1,maximum=10,default=5"`
	Big      int64                  `json:"big"`
	Ratio    float64                `json:"ratio"`
	On       bool                   `json:"on" jsonschema:"default=true"`
	Maybe    *bool                  `json:"maybe"`
	Password auth.Secret            `json:"password"`
	Tags     []string               `json:"tags"`
	Either   either                 `json:"either" jsonschema:"default=x"`
	Free     map[string]any         `json:"free"`
	Secrets  map[string]auth.Secret `json:"secrets"`
	Anything any                    `json:"anything"`
	Raw      jsontext.Value         `json:"raw"`
	Old      json.RawMessage        `json:"old"`
	Inner    inner                  `json:"inner"`
	Pointer  *inner                 `json:"pointer"`
	List     []inner                `json:"list"`
	Used     any                    `json:"used" settings:"platform" jsonschema:"default=none"`
	Block    block                  `json:"block" settings:"platform"`
	Hidden   string                 `json:"-"`
}

type inner struct {
	Need  string `json:"need" jsonschema:"required"`
	Depth int    `json:"token_timeout" jsonschema:"default=-1"`
}

type block struct {
	Port int `json:"port"`
}

// either is a text of lower-case letters, an integer, or a list of integers.
type either []string

func (either) JSONSchema() *inv.Schema {
	return &inv.Schema{OneOf: []*inv.Schema{
		{Type: "string", Pattern: "^[a-z]*$"},
		{Type: "integer", Maximum: "9"},
		{Type: "array", Items: &inv.Schema{Type: "integer"}},
	}}
}

func (e *either) UnmarshalJSON(data []byte) error {
	if string(data) == `"refuse"` {
		return errors.New("S3CRET " + string(data))
	}
	*e = either{string(data)}
	return nil
}

func decode(t *testing.T, text string) (thing, settings.Problems) {
	t.Helper()
	d, err := settings.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var got thing
	problems := settings.Decode(d.Root(), "/at", &got)
	return got, problems
}

func TestDecodeFillsAndAppliesDefaults(t *testing.T) {
	got, problems := decode(t, `{"name": "n", "mode": "", "count": null, "ratio": 1e2, "password": "S3CRET", "tags": ["", "b"],
		"big": 9223372036854775807, "free": {"a": null, "b": "", "c": 12345678901234567890, "d": [1]}, "anything": 1.50,
		"raw": {"x": [1.0, null, ""]}, "old": [1], "inner": {"need": "y"}, "list": [{"need": "z", "token_timeout": 2.0}], "secrets": {"k": "v"}}`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if p := got.Password.Reveal(); p != "S3CRET" {
		t.Errorf("password: got %q", p)
	}
	if p := got.Secrets["k"].Reveal(); p != "v" {
		t.Errorf("secrets: got %q", p)
	}
	got.Password, got.Secrets = auth.Secret{}, nil
	want := thing{
		Name: "n", Mode: "fast", Count: 5, Big: 9223372036854775807, Ratio: 100, On: true, Tags: []string{"", "b"}, Either: either{`"x"`},
		Free:     map[string]any{"a": nil, "b": "", "c": json.Number("12345678901234567890"), "d": []any{json.Number("1")}},
		Anything: json.Number("1.50"), Inner: inner{"y", -1}, List: []inner{{"z", 2}}, Used: "none", Old: json.RawMessage("[1]"),
		Raw: jsontext.Value(`{"x":[1.0,null,""]}`),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDecodeFillsWholeNumbersHoweverWritten(t *testing.T) {
	for text, want := range map[string]int64{"1.0": 1, "1e3": 1000, "-0": 0, "1.5e1": 15, "-9e18": -9e18, "1200e-2": 12, "0.0e99": 0, "-10.00E+1": -100,
		"9223372036854775807.0": 9223372036854775807, "0.00012e5": 12, "100": 100} {
		got, problems := decode(t, `{"name": "n", "big": `+text+`}`)
		if len(problems) > 0 || got.Big != want {
			t.Errorf("%s: got %d, %v, want %d", text, got.Big, problems, want)
		}
	}
}

func TestDecodeReportsEachProblem(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"not an object", `["S3CRET"]`, "/at: is array, want object"},
		{"null", `null`, "/at: is null, want object"},
		{"nothing", `{}`, "/at/name: is required"},
		{"empty", `{"name": ""}`, "/at/name: is required"},
		{"null name", `{"name": null}`, "/at/name: is required"},
		{"nested", `{"name": "n", "inner": {}}`, "/at/inner/need: is required"},
		{"in a list", `{"name": "n", "list": [{"need": "x"}, {}]}`, "/at/list/1/need: is required"},
		{"string", `{"name": 5}`, "/at/name: is number, want string"},
		{"string from object", `{"name": {"S3CRET": "S3CRET"}}`, "/at/name: is object, want string"},
		{"secret", `{"name": "n", "password": ["S3CRET"]}`, "/at/password: is array, want string"},
		{"secret map", `{"name": "n", "secrets": {"a": "x", "b/c": 1}}`, "/at/secrets/b~1c: is number, want string"},
		{"integer", `{"name": "n", "count": "S3CRET"}`, "/at/count: is string, want integer"},
		{"fraction", `{"name": "n", "count": 5.5}`, "/at/count: is number with a fraction, want integer"},
		{"tiny", `{"name": "n", "count": 1e-999999999999999999999}`, "/at/count: is number with a fraction, want integer"},
		{"nearly whole", `{"name": "n", "count": 5.00000000000000000001}`, "/at/count: is number with a fraction, want integer"},
		{"low", `{"name": "n", "count": 0}`, "/at/count: must be at least 1"},
		{"high", `{"name": "n", "count": 11}`, "/at/count: must be at most 10"},
		{"far too high", `{"name": "n", "count": 1e999999999}`, "/at/count: must be at most 10"},
		{"far too low", `{"name": "n", "count": -1e999}`, "/at/count: must be at least 1"},
		{"no bound", `{"name": "n", "big": 9223372036854775808}`, "/at/big: is too large a number"},
		{"no bound, exponent", `{"name": "n", "big": 1e19}`, "/at/big: is too large a number"},
		{"real", `{"name": "n", "ratio": 1e999}`, "/at/ratio: is too large a number"},
		{"number", `{"name": "n", "ratio": true}`, "/at/ratio: is boolean, want number"},
		{"boolean", `{"name": "n", "on": "S3CRET"}`, "/at/on: is string, want boolean"},
		{"pointer", `{"name": "n", "maybe": 1}`, "/at/maybe: is number, want boolean"},
		{"enum", `{"name": "n", "mode": "S3CRET"}`, `/at/mode: must be one of "fast", "slow"`},
		{"enum of one", `{"name": "n", "one": "S3CRET"}`, `/at/one: must be "only"`},
		{"enum type", `{"name": "n", "mode": 1}`, `/at/mode: is number, want string`},
		{"list", `{"name": "n", "tags": "S3CRET"}`, "/at/tags: is string, want array"},
		{"list item", `{"name": "n", "tags": ["S3CRET", null]}`, "/at/tags/1: is null, want string"},
		{"list of objects", `{"name": "n", "list": {}}`, "/at/list: is object, want array"},
		{"object in a list", `{"name": "n", "list": ["S3CRET"]}`, "/at/list/0: is string, want object"},
		{"map", `{"name": "n", "free": "S3CRET"}`, "/at/free: is string, want object"},
		{"object", `{"name": "n", "inner": "S3CRET"}`, "/at/inner: is string, want object"},
		{"pattern", `{"name": "n", "either": "S3CRET"}`, "/at/either: has a form that is not accepted here"},
		{"one of several", `{"name": "n", "either": true}`, "/at/either: is boolean, want string or integer or array of integer"},
		{"one of several, bound", `{"name": "n", "either": 10}`, "/at/either: must be at most 9"},
		{"one of several, item", `{"name": "n", "either": [1, "S3CRET"]}`, "/at/either/1: is string, want integer"},
		{"refused by the type", `{"name": "n", "either": "refuse"}`, "/at/either: has a value that is not accepted here"},
		{"two", `{"name": 1, "count": 11}`, "/at/count: must be at most 10\n/at/name: is number, want string"},
	}
	for _, tt := range tests {
		_, problems := decode(t, tt.text)
		if got := problems.Error(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if problems.Err() == nil {
			t.Errorf("%s: only a warning", tt.name)
		}
	}
}

func TestDecodeWarns(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown", `{"name": "n", "zzz": 1}`, "/at/zzz: is not a known property"},
		{"misspelt", `{"name": "n", "inner": {"need": "x", "token_timout": "S3CRET"}}`,
			`/at/inner/token_timout: is not a known property; did you mean "token_timeout"?`},
		{"case", `{"name": "n", "Mode": 1}`, `/at/Mode: is not a known property; did you mean "mode"?`},
		{"go name", `{"name": "n", "Hidden": 1}`, "/at/Hidden: is not a known property"},
		{"unknown and empty", `{"name": "n", "zzz": null, "yyy": ""}`, ""},
		{"platform", `{"name": "n", "used": "S3CRET"}`, "/at/used: belongs to the platform and is not used here"},
		{"platform object", `{"name": "n", "block": {"port": 1}}`, "/at/block: belongs to the platform and is not used here"},
		{"platform, said nothing", `{"name": "n", "block": {"port": 0}, "used": "none"}`, ""},
		{"platform, empty inside", `{"name": "n", "used": {"a": [{"b": ""}, false, 0, null]}}`, ""},
		{"inside free forms", `{"name": "n", "free": {"nam": 1}, "raw": {"nam": ""}, "anything": {"x": null}}`, ""},
	}
	for _, tt := range tests {
		_, problems := decode(t, tt.text)
		if got := problems.Error(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if problems.Fatal() {
			t.Errorf("%s: more than a warning", tt.name)
		}
	}
}

func TestDecodeKeepsWhatIsRight(t *testing.T) {
	got, problems := decode(t, `{"name": "n", "count": 99, "inner": {"need": 1, "token_timeout": 3}, "list": [1, {"need": "x"}]}`)
	if len(problems) != 3 {
		t.Errorf("got %v, want 3 problems", problems)
	}
	if got.Name != "n" || got.Count != 5 || got.Inner.Depth != 3 || len(got.List) != 1 {
		t.Errorf("got %+v", got)
	}
	got, _ = decode(t, `"S3CRET"`)
	if got.Count != 5 || got.Inner.Depth != -1 || got.Pointer != nil {
		t.Errorf("got %+v, want the defaults", got)
	}
}

func TestDecodeLeavesTheTreeAlone(t *testing.T) {
	text := `{"name": "", "count": 1.0, "zzz": 1, "inner": {"token_timeout": null}, "list": [{"need": ""}], "tags": [1]}`
	d, err := settings.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	again, _ := settings.Parse([]byte(text))
	settings.Decode(d.Root(), "", new(thing))
	if !reflect.DeepEqual(d.Root(), again.Root()) {
		t.Errorf("got %v, want %v", d.Root(), again.Root())
	}
}

func TestSchemaNamesDefaultsAndSecrets(t *testing.T) {
	property := func(name string) *inv.Schema {
		p, ok := settings.Schema(&thing{}).Properties.Get(name)
		if !ok {
			t.Fatalf("no %s", name)
		}
		return p
	}
	if p := property("password"); p.Type != "string" || p.Format != "password" || !p.WriteOnly {
		t.Errorf("password: got %+v", p)
	}
	if got := property("either").Default; got != "x" {
		t.Errorf("either: default %v, want x", got)
	}
	if got := property("count").Default; got != json.Number("5") {
		t.Errorf("count: default %v, want 5", got)
	}
	if _, ok := settings.Schema(&thing{}).Properties.Get("Hidden"); ok {
		t.Error("Hidden is in the schema")
	}
}

func TestShapeRefusesKeywordsThatAreNotChecked(t *testing.T) {
	for name, into := range map[string]any{
		"of a number": &struct {
			N int `json:"n" jsonschema:"multipleOf=2"`
		}{},
		"of items": &struct {
			N []string `json:"n" jsonschema:"minLength=2"`
		}{},
		"of a map of objects": &struct {
			N map[string]inner `json:"n"`
		}{},
		"of lists of objects": &struct {
			N [][]inner `json:"n"`
		}{},
		"of an object": &struct {
			N string `json:"n" jsonschema:"oneof_required=a"`
		}{},
		"of an array of objects": &struct {
			N []inner `json:"n" jsonschema:"minItems=2"`
		}{},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			settings.ShapeOf(into)
		}()
	}
}

func TestNearest(t *testing.T) {
	known := []string{"token_timeout", "token_cache", "username", "password", "host", "port", "sso"}
	for name, want := range map[string]string{
		"token_timout": "token_timeout", "tokenTimeout": "token_timeout", "TOKEN-CACHE": "token_cache", "usrename": "username",
		"hots": "host", "prot": "port", "pasword": "password", "x": "", "": "", "zzzzzz": "", "api": "", "ss": "sso", "hosts": "host",
	} {
		if got := settings.Nearest(name, known); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if got := settings.Nearest("a1", []string{"a3", "a2"}); got != "a2" {
		t.Errorf("equally near: got %q, want the first by name", got)
	}
}

func TestAssign(t *testing.T) {
	shape := settings.ShapeOf(&thing{}).With("raw", &inner{})
	tests := []struct {
		path, value string
		want        any // of the whole tree
	}{
		{"name", "5", map[string]any{"name": "5", "tags": []any{"x"}}},
		{"name", "", map[string]any{"name": "", "tags": []any{"x"}}},
		{"password", `{"a":1}`, map[string]any{"name": "n", "password": `{"a":1}`, "tags": []any{"x"}}},
		{"count", "5", map[string]any{"name": "n", "count": json.Number("5"), "tags": []any{"x"}}},
		{"ratio", "1.50", map[string]any{"name": "n", "ratio": json.Number("1.50"), "tags": []any{"x"}}},
		{"maybe", "false", map[string]any{"name": "n", "maybe": false, "tags": []any{"x"}}},
		{"inner.token_timeout", "-1", map[string]any{"name": "n", "inner": map[string]any{"token_timeout": json.Number("-1")}, "tags": []any{"x"}}},
		{"raw.token_timeout", "7", map[string]any{"name": "n", "raw": map[string]any{"token_timeout": json.Number("7")}, "tags": []any{"x"}}},
		{"inner", `{"need":"x"}`, map[string]any{"name": "n", "inner": map[string]any{"need": "x"}, "tags": []any{"x"}}},
		{"either", "text", map[string]any{"name": "n", "either": "text", "tags": []any{"x"}}},
		{"either", "7", map[string]any{"name": "n", "either": json.Number("7"), "tags": []any{"x"}}},
		{"either", "true", map[string]any{"name": "n", "either": "true", "tags": []any{"x"}}},
		{"either", "[1,2]", map[string]any{"name": "n", "either": []any{json.Number("1"), json.Number("2")}, "tags": []any{"x"}}},
		{"either", "{token}", map[string]any{"name": "n", "either": "{token}", "tags": []any{"x"}}},
		{"anything", "{broken", map[string]any{"name": "n", "anything": "{broken", "tags": []any{"x"}}},
		{"free.a.b", "1", map[string]any{"name": "n", "free": map[string]any{"a": map[string]any{"b": json.Number("1")}}, "tags": []any{"x"}}},
		{`free.a\.b`, "x", map[string]any{"name": "n", "free": map[string]any{"a.b": "x"}, "tags": []any{"x"}}},
		{"secrets.k", "1", map[string]any{"name": "n", "secrets": map[string]any{"k": "1"}, "tags": []any{"x"}}},
		{"tags", `["a"]`, map[string]any{"name": "n", "tags": []any{"a"}}},
		{"tags.0", "a", map[string]any{"name": "n", "tags": []any{"a"}}},
		{"tags.1", "5", map[string]any{"name": "n", "tags": []any{"x", "5"}}},
		{"list.0.need", "5", map[string]any{"name": "n", "list": []any{map[string]any{"need": "5"}}, "tags": []any{"x"}}},
	}
	for _, tt := range tests {
		tree := map[string]any{"name": "n", "tags": []any{"x"}}
		before := maps.Clone(tree)
		got, err := shape.Assign(tree, tt.path, tt.value)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s=%s: got %v, %v, want %v", tt.path, tt.value, got, err, tt.want)
		}
		if !reflect.DeepEqual(tree, before) || tree["tags"].([]any)[0] != "x" {
			t.Errorf("%s=%s: changed the tree", tt.path, tt.value)
		}
	}
	if got, err := shape.Assign(nil, "inner.need", "x"); err != nil || !reflect.DeepEqual(got, map[string]any{"inner": map[string]any{"need": "x"}}) {
		t.Errorf("into nothing: got %v, %v", got, err)
	}
}

func TestAssignRefuses(t *testing.T) {
	shape := settings.ShapeOf(&thing{}).With("raw", &inner{})
	for _, tt := range []struct{ path, value, want string }{
		{"nmae", "S3CRET", `nmae: "nmae" is not a known property; did you mean "name"?`},
		{"inner.x", "S3CRET", `inner.x: "x" is not a known property`},
		{"raw.token_timout", "S3CRET", `raw.token_timout: "token_timout" is not a known property; did you mean "token_timeout"?`},
		{"count", "S3CRET", "count: wants integer"},
		{"count", "1.5", "count: wants integer"},
		{"on", "yes", "on: wants boolean"},
		{"inner", "S3CRET", "inner: wants object"},
		{"tags", "S3CRET", "tags: wants array of string"},
		{"tags.x", "S3CRET", "tags.x: wants an item number of 0 to 1 where it has a name"},
		{"tags.2", "S3CRET", "tags.2: wants an item number of 0 to 1 where it has a name"},
		{"name.x", "S3CRET", `name.x: goes on after a property that has no members: "x"`},
		{"", "S3CRET", ": has an empty name in it"},
		{"inner..x", "S3CRET", "inner..x: has an empty name in it"},
		{"name", "S3CRET\xff", "name: is set to something that is not UTF-8 text"},
	} {
		_, err := shape.Assign(map[string]any{"tags": []any{"x"}}, tt.path, tt.value)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s=%s: got %v, want %q", tt.path, tt.value, err, tt.want)
		}
	}
}
