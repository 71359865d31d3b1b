package entities_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyhitch/keyhitch/entities"
)

func TestParseDatatype(t *testing.T) {
	for _, tt := range []struct {
		text  string
		want  entities.Datatype
		known bool
	}{
		{"", entities.JSON, true}, {"json", entities.JSON, true}, {"UrlEncode", entities.URLENCODE, true}, {"URLQUERY", entities.URLQUERY, true},
		{"plain", entities.PLAIN, true}, {"xml2json", entities.XML2JSON, true}, {"gzip2json", "GZIP2JSON", true}, {"GZIP2XML2JSON", "GZIP2XML2JSON", true},
		{"YAML", entities.PLAIN, false}, {"GZIP2FORM", entities.PLAIN, false},
	} {
		if got, known := entities.ParseDatatype(tt.text); got != tt.want || known != tt.known {
			t.Errorf("%q: got %s, %t", tt.text, got, known)
		}
	}
}

func TestContentType(t *testing.T) {
	for d, want := range map[entities.Datatype]string{
		entities.JSON: "application/json", entities.URLQUERY: "application/json", entities.PLAIN: "text/plain", entities.JSON2XML: "application/json",
		entities.URLENCODE: "application/x-www-form-urlencoded", entities.XML: "application/xml", entities.XML2JSON: "application/xml",
		entities.FORM: "multipart/form-data", "GZIP2XML": "application/xml",
	} {
		if got := d.ContentType(); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}

func TestEncode(t *testing.T) {
	form := entities.Object{{"username", "ann"}, {"pass", "p:w"}, {"client_secret", "s&c"}, {"scope", "r w"}, {"l", []any{"1", "2"}}, {"o", entities.Object{{"b", 1}, {"a", nil}}}, {"n", nil}}
	for _, tt := range []struct {
		name     string
		datatype entities.Datatype
		in       any
		want     string
	}{
		{"golden form", entities.URLENCODE, form, "username=ann&pass=p%3Aw&client_secret=s%26c&scope=r%20w&l=1&l=2&o=%7B%22b%22%3A1%2C%22a%22%3Anull%7D&n="},
		{"form of a map", entities.URLENCODE, map[string]any{"b": 1, "a": true}, "a=true&b=1"},
		{"form of a text", entities.URLENCODE, "a=b c", "a=b c"},
		{"empty form", entities.URLENCODE, nil, ""},
		{"text", entities.PLAIN, "<a>", "<a>"},
		{"object as text", entities.PLAIN, entities.Object{{"a", 1}}, `{"a":1}`},
		{"nothing escaped for HTML", entities.JSON, entities.Object{{"a", "<&>\u2028\"\n"}}, "{\"a\":\"<&>\u2028\\\"\\n\"}"},
		{"query data as JSON", entities.URLQUERY, entities.Object{{"a", 1}}, `{"a":1}`},
		{"broken UTF-8", entities.JSON, "a\xff", "\"a\ufffd\""},
		{"Go values", entities.JSON, struct{ A []int }{[]int{1}}, `{"A":[1]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := entities.Encode(tt.datatype, tt.in)
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
	for _, in := range []any{make(chan int), json.Number("1; drop"), json.Number(""), json.Number(`"x"`)} {
		if got, err := entities.Encode(entities.JSON, in); err == nil {
			t.Errorf("%v: got %s, want an error", in, got)
		}
	}
	if _, err := entities.Encode(entities.XML, "x"); err == nil {
		t.Error("want an error for a datatype that is not built")
	}
	if _, err := entities.Encode(entities.URLENCODE, []any{1}); err == nil {
		t.Error("want an error for a form of an array")
	}
}

func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		name     string
		datatype entities.Datatype
		in       string
		want     any
	}{
		{"exact numbers", entities.JSON, `{"a":12345678901234567890,"b":[1.10,true,null]}`, map[string]any{"a": json.Number("12345678901234567890"), "b": []any{json.Number("1.10"), true, nil}}},
		{"duplicate names", entities.JSON, `{"a":1,"a":2}`, map[string]any{"a": json.Number("2")}},
		{"broken UTF-8", entities.JSON, "\"a\xff\"", "a\ufffd"},
		{"byte order mark", entities.JSON, "\xef\xbb\xbf[]", []any{}},
		{"form", entities.URLENCODE, "a=1&b=x+y%3D&a=2&&c", map[string]any{"a": []any{"1", "2"}, "b": "x y=", "c": ""}},
		{"text", entities.PLAIN, "{x", "{x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := entities.Decode(tt.datatype, []byte(tt.in))
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestDecodeErrorsQuoteNothing(t *testing.T) {
	for _, tt := range []struct {
		datatype entities.Datatype
		in, want string
	}{
		{entities.JSON, `{"token":secret}`, "not JSON at byte 9"},
		{entities.JSON, "\xef\xbb\xbf" + `{"token":secret}`, "not JSON at byte 12"},
		{entities.JSON, ``, "not JSON at byte 0"},
		{entities.JSON, `{"a":1} secret`, "not JSON at byte 8"},
		{entities.JSON, `1 2`, "more than one JSON value at byte 3"},
		{entities.JSON, strings.Repeat("[", 600), "nested deeper than 512 at byte 513"},
		{entities.URLENCODE, "a=1&b=%zz", "not a form: bad percent-encoding at byte 4"},
	} {
		_, err := entities.Decode(tt.datatype, []byte(tt.in))
		var bad *entities.DecodeError
		if !errors.As(err, &bad) || err.Error() != tt.want {
			t.Errorf("%.20q: got %v, want %s", tt.in, err, tt.want)
		}
	}
	if _, err := entities.Decode(entities.XML, nil); err == nil {
		t.Error("want an error for a datatype that is not built")
	}
}

func TestObjectKeepsOrder(t *testing.T) {
	const in = `{"z":1,"a":{"y":1,"b":[1e2]},"z":3}`
	var o entities.Object
	if err := json.Unmarshal([]byte(in), &o); err != nil {
		t.Fatal(err)
	}
	want := entities.Object{{"z", json.Number("3")}, {"a", map[string]any{"y": json.Number("1"), "b": []any{json.Number("1e2")}}}}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Error(diff)
	}
	if got := text(t, o); got != `{"z":3,"a":{"b":[1e2],"y":1}}` {
		t.Errorf("got %s", got)
	}
	if err := json.Unmarshal([]byte(`[1]`), &o); err == nil {
		t.Error("want an error for an array")
	}
	if v, ok := want.Get("z"); v != json.Number("3") || !ok {
		t.Errorf("got %v", v)
	}
}

func TestMerge(t *testing.T) {
	got := entities.Merge(entities.Object{{"a", 1}, {"b", 2}}, entities.Object{{"c", 3}, {"a", 4}})
	if diff := cmp.Diff(entities.Object{{"a", 4}, {"b", 2}, {"c", 3}}, got); diff != "" {
		t.Error(diff)
	}
}
