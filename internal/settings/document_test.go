package settings_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/internal/settings"
)

func TestParseGivesOneTreeForJSONAndYAML(t *testing.T) {
	want := map[string]any{
		"text": "é\n", "big": json.Number("12345678901234567890"), "real": json.Number("1.50"),
		"yes": true, "nothing": nil, "list": []any{json.Number("1"), map[string]any{}}, "a/b~c": "x",
	}
	for name, text := range map[string]string{
		"json":     `{"text":"é\n","big":12345678901234567890,"real":1.50,"yes":true,"nothing":null,"list":[1,{}],"a/b~c":"x"}`,
		"json bom": "\ufeff" + ` {"text":"é\n","big":12345678901234567890,"real":1.50,"yes":true,"nothing":null,"list":[1,{}],"a/b~c":"x"}` + "\n",
		"yaml": "text: \"é\\n\"\nbig: 12345678901234567890\nreal: 1.50\n\"yes\": true\nnothing: ~\n" +
			"list:\n  - 1\n  - {}\na/b~c: x\n",
	} {
		d, err := settings.Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := d.Root(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, want %#v", name, got, want)
		}
	}
}

func TestParseKeepsYAMLNumbersExact(t *testing.T) {
	for text, want := range map[string]string{
		"1": "1", "-7": "-7", "+7": "7", "0x1F": "31", "-0x1F": "-31", "0o17": "15", "0b101": "5", "1_000": "1000", "0": "0", "-0": "-0",
		".5": "0.5", "-.5": "-0.5", "1.": "1", "1.e3": "1e3", "+1.50E+3": "1.50E+3", "1e999": "1e999",
		"123456789012345678901234567890": "123456789012345678901234567890", "0.10000000000000000000001": "0.10000000000000000000001",
	} {
		d, err := settings.Parse([]byte("n: " + text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := d.Root().(map[string]any)["n"]; got != json.Number(want) {
			// a number that YAML's own types cannot hold may stay a text, but never another number
			if got != text {
				t.Errorf("%s: got %#v, want %s", text, got, want)
			}
		}
	}
}

func TestParseReadsYAMLTextsAsTexts(t *testing.T) {
	for text, want := range map[string]any{
		"yes": "yes", "on": "on", "2024-01-02": "2024-01-02", "'1'": "1", "!!str 12": "12", "1.2.3": "1.2.3",
		"": nil, "null": nil, "true": true, "False": false, "!!null ''": nil, "!!bool true": true, "a b": "a b", "|\n  a\n  b\n": "a\nb\n",
	} {
		d, err := settings.Parse([]byte("v: " + text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := d.Root().(map[string]any)["v"]; got != want {
			t.Errorf("%q: got %#v, want %#v", text, got, want)
		}
	}
}

func TestParseSaysWhereAndNeverWhat(t *testing.T) {
	deep := strings.Repeat("[", 65) + strings.Repeat("]", 65)
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'h'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), c-1)
	}
	merges := "a: &a {k0: 1}\n"
	for i := 1; i < 40; i++ {
		merges += fmt.Sprintf("a%d: &a%d {<<: [*a%s, *a%s], k%d: 1}\n", i, i, previous(i), previous(i), i)
	}
	tests := []struct{ name, text, want string }{
		{"empty", "", "1:1: is empty"},
		{"blank", " \n ", "1:1: is empty"},
		{"comment", "# S3CRET\n", "1:1: is empty"},
		{"unclosed", "{\n  \"a\": \"S3CRET\"", "2:16: ends too early: something is not closed"},
		{"unclosed text", `{"a": "S3CRET`, "1:14: ends too early: something is not closed"},
		{"comma", "{\"a\": \"S3CRET\"\n \"b\": 1}", `2:2: is not JSON here: want ',' or '}'`},
		{"trailing comma", `{"a": 1,}`, "1:8: has a comma too many"},
		{"comma in list", `["S3CRET" "S3CRET"]`, `1:11: is not JSON here: want ',' or ']'`},
		{"bare word", `{"a": S3CRET}`, "1:7: is not JSON here: want a value"},
		{"bare name", `{S3CRET: 1}`, "1:2: is not JSON here: want a value"},
		{"number name", `{5: 1}`, "1:2: has a member name without double quotes"},
		{"escape", `{"a": "S3CRET\q"}`, "1:14: has a text with an escape sequence that JSON does not know"},
		{"surrogate", `{"a": "S3CRET\ud800"}`, "1:14: has a text with an escape sequence that JSON does not know"},
		{"line break", "{\"a\": \"S3CRET\n\"}", "1:14: has a text with a control character in it, or without its closing quote"},
		{"colon", `{"a" "S3CRET"}`, `1:6: is not JSON here: want ':'`},
		{"more", "{}\nS3CRET", "2:1: is not JSON here: want a value"},
		{"more values", "{} {}", "1:4: goes on after its end"},
		{"wide characters", `{"é€😀": S3CRET}`, "1:9: is not JSON here: want a value"},
		{"not UTF-8", "{\"a\":\n\"\xffS3CRET\"}", "2:2: is not UTF-8 text"},
		{"too deep", deep, "1:65: is nested deeper than 64 levels"},
		{"too large", strings.Repeat(" ", 4<<20+1), "1:1: is larger than 4 MiB"},
		{"yaml unclosed", "a: [S3CRET\nb: S3CRET", "1:1: is not YAML here"},
		{"yaml tab", "a:\n\tb: S3CRET", "2:1: is not YAML here"},
		{"yaml quote", "a: 'S3CRET\n", "2:1: is not YAML here"},
		{"yaml anchor", "a: *S3CRET", "1:1: has an alias (*name) to an anchor (&name) that does not come before it"},
		{"yaml tag", "a: !S3CRET x", "1:4: /a: has a YAML tag that is not known here"},
		{"yaml int", "a: !!int S3CRET", "1:4: /a: is not a finite number"},
		{"yaml bool", "a: !!bool S3CRET", "1:4: /a: is not what its YAML tag says"},
		{"yaml infinite", "a: .inf", "1:4: /a: is not a finite number"},
		{"yaml octal", "a: 0755", "1:4: /a: is a number with leading zeros: put it in quotes, or write it without them"},
		{"yaml name", "a:\n  ? [S3CRET]\n  : 1", "2:5: /a: has a member name that is not a text"},
		{"yaml two", "a: 1\n---\nb: 2", "2:1: holds more than one YAML document"},
		{"yaml cycle", "a: &a [*a]", "nested deeper than 64 levels"},
		{"yaml bomb", bomb, "grows too large by its aliases"},
		{"yaml merge bomb", merges, "grows too large by its aliases"},
		{"yaml merge", "a: {<<: S3CRET}", "1:9: /a: merges (<<) something that is not a mapping"},
	}
	for _, tt := range tests {
		_, err := settings.Parse([]byte(tt.text))
		problem, ok := errors.AsType[*settings.Problem](err)
		if !ok {
			t.Errorf("%s: got %v, want a problem", tt.name, err)
			continue
		}
		if got := problem.Error(); !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if strings.Contains(problem.Error(), "S3CRET") {
			t.Errorf("%s: %q quotes the text", tt.name, problem)
		}
		if problem.Line < 1 || problem.Column < 1 {
			t.Errorf("%s: no place", tt.name)
		}
	}
}

func previous(i int) string {
	if i == 1 {
		return ""
	}
	return fmt.Sprint(i - 1)
}

func TestParseKeepsTheLastOfTwoAndWarns(t *testing.T) {
	for name, text := range map[string]string{
		"json": "{\"a\\\"\": 1, \"b\": {\"c\": 1,\n  \"c\": 2}}",
		"yaml": "b: {c: 1,\n  c: 2}\na: 1",
	} {
		d, err := settings.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Root().(map[string]any)["b"].(map[string]any)["c"]; got != json.Number("2") {
			t.Errorf("%s: got %v, want the last", name, got)
		}
		want := "2:3: /b/c: is written more than once; the last one counts"
		if got := d.Warnings(); got.Error() != want || got.Err() != nil {
			t.Errorf("%s: got %v, want the warning %q", name, got, want)
		}
	}
}

func TestParseMergesYAMLMappings(t *testing.T) {
	d, err := settings.Parse([]byte("base: &base {a: 1, b: {x: 1}}\nmore: &more {c: 3}\nuse:\n  b: mine\n  <<: [*base, *more]\nplain: {<<: *base, a: 2}\n"))
	if err != nil {
		t.Fatal(err)
	}
	root := d.Root().(map[string]any)
	want := map[string]any{"a": json.Number("1"), "b": "mine", "c": json.Number("3")}
	if got := root["use"]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := root["plain"].(map[string]any)["a"]; got != json.Number("2") {
		t.Errorf("got %v, want the member of the mapping itself", got)
	}
	if line, column := d.Position("/use/b"); line != 4 || column != 6 {
		t.Errorf("/use/b at %d:%d, want 4:6", line, column)
	}
}

func TestPosition(t *testing.T) {
	tests := []struct {
		name, text, pointer string
		line, column        int
	}{
		{"root", "\n {}", "", 2, 2},
		{"member", "{\n  \"a\" : {\"b\" : 5}}", "/a/b", 2, 16},
		{"item", `{"actions": [{"name": "get"}]}`, "/actions/0", 1, 14},
		{"missing member", `{"actions": [{"name": "get"}]}`, "/actions/0/method", 1, 14},
		{"missing far", `{"a": {}}`, "/a/b/c/d", 1, 7},
		{"no pointer", `{"a": 1}`, "nonsense", 1, 1},
		{"escaped name", `{"a/b~": {"": 1}}`, "/a~1b~0/", 1, 15},
		{"wide characters", `{"é€😀": 1}`, "/é€😀", 1, 9},
		{"bom", "\ufeff{\"a\": 1}", "/a", 1, 7},
		{"twice", `{"a": 1, "a": 2}`, "/a", 1, 15},
		{"after strings with marks", `{"a": "x,:{[\"", "b": [",", 1]}`, "/b/1", 1, 29},
		{"yaml member", "a:\n  b:\n    - c: 1\n      d: 2\n", "/a/b/0/d", 4, 10},
		{"yaml missing", "a:\n  b: 1\n", "/a/x", 2, 3},
		{"yaml alias", "a: &x {k: 1}\nb: *x\n", "/b/k", 1, 11},
	}
	for _, tt := range tests {
		d, err := settings.Parse([]byte(tt.text))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if line, column := d.Position(tt.pointer); line != tt.line || column != tt.column {
			t.Errorf("%s: got %d:%d, want %d:%d", tt.name, line, column, tt.line, tt.column)
		}
	}
}

func TestLocateSortsByPlace(t *testing.T) {
	d, err := settings.Parse([]byte("{\"b\": 1,\n\"a\": 2}"))
	if err != nil {
		t.Fatal(err)
	}
	ps := d.Locate(settings.Problems{{Pointer: "/a", Reason: "x"}, {Pointer: "/b", Reason: "y", Warning: true}})
	if got, want := ps.Error(), "1:7: /b: y\n2:6: /a: x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := ps.Err(); got == nil || got.Error() != "2:6: /a: x" {
		t.Errorf("Err: got %v, want the error alone", got)
	}
	if !ps.Fatal() || ps[:1].Fatal() {
		t.Error("Fatal: want true with the error and false without it")
	}
	if target, ok := errors.AsType[*settings.Problem](ps); !ok || target != ps[0] {
		t.Error("errors.As does not reach the single problem")
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,2.5e3,{"b":null}],"a":"\u00e9"}`, `[`, `{"a":"`, `"x"`, "\ufeff{}", "{} x",
		"a: &x {b: 1}\nc: *x\n<<: *x\n", "- 0x1f\n- .5\n- 1_0\n- .inf\n", "? [a]\n: b", "a: !!int x", "a: |\n  t\n---\nb", "%YAML 1.1\n---\na: b",
		"a: &a [*a]", "{<<: 1}", "!!map {a: !!binary AA==}", "<<: [{a: 1}, {b: 2}]", "'a", "\t",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := settings.Parse(data)
		if err != nil {
			if p, ok := errors.AsType[*settings.Problem](err); !ok || p.Line < 1 || p.Column < 1 {
				t.Fatalf("error without a place: %v", err)
			}
			return
		}
		var walk func(v any, at string)
		walk = func(v any, at string) {
			if line, column := d.Position(at); line < 1 || column < 1 {
				t.Fatalf("no place for %q", at)
			}
			switch v := v.(type) {
			case map[string]any:
				for name, member := range v {
					walk(member, at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
				}
			case []any:
				for i, item := range v {
					walk(item, fmt.Sprintf("%s/%d", at, i))
				}
			case json.Number:
				if !json.Valid([]byte(v)) {
					t.Fatalf("%q is no JSON number", v)
				}
			case string, bool, nil:
			default:
				t.Fatalf("%T in a tree", v)
			}
		}
		walk(d.Root(), "")
	})
}
