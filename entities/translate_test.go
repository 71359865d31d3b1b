package entities_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyhitch/keyhitch/entities"
	"github.com/keyhitch/keyhitch/entities/crypt"
)

func TestMapRequest(t *testing.T) {
	for _, tt := range []struct{ name, schema, in, want string }{
		{"names and order", `{"properties":{"b":{"type":"string","external_name":"B"},"a":{"type":"string","external_name":"A"}},"dynamicfields":true}`,
			`{"z":1,"a":"1","y":2,"b":"2"}`, `{"B":"2","A":"1","z":1,"y":2}`},
		{"golden payload", widgetSchema, `{"widgetName":"w1","extra":[1,2]}`, `{"label":"w1","extra":[1,2]}`},
		{"no dynamic fields", `{"properties":{"a":{"type":"string"}}}`, `{"a":"1","b":2}`, `{"a":"1"}`},
		{"ph_request_type never leaves", `{"dynamicfields":true,"properties":{"ph_request_type":{"type":"string","enum":["get"],"external_name":"rt"}}}`,
			`{"ph_request_type":"x","a":1}`, `{"a":1}`},
		{"undeclared ph_request_type neither", `{"dynamicfields":true}`, `{"ph_request_type":"x","a":1}`, `{"a":1}`},
		{"sealed schema", `{"additionalProperties":false,"properties":{"a":{"type":"string"}}}`, `{"a":"1"}`, `{"a":"1"}`},
		{"golden nested names", `{"properties":{"username":{"type":"string","external_name":"aaa.attr.name"},"password":{"type":"string","external_name":"aaa.attr.pwd"},"domain":{"type":"string","default":"corp","external_name":"list[1].d"}}}`,
			`{"username":"ann","password":"p:w"}`, `{"aaa":{"attr":{"name":"ann","pwd":"p:w"}},"list":[{},{"d":"corp"}]}`},
		{"literal dot", `{"properties":{"a":{"type":"string","external_name":"x\\.y.z"}}}`, `{"a":"1"}`, `{"x.y":{"z":"1"}}`},
		{"slots of slots", `{"properties":{"a":{"type":"string","external_name":"m[1][0]"}}}`, `{"a":"1"}`, `{"m":[{},["1"]]}`},
		{"into an object that another property made", `{"properties":{"o":{"external_name":"x"},"a":{"type":"string","external_name":"x.y"}}}`,
			`{"o":{"k":1},"a":"1"}`, `{"x":{"k":1,"y":"1"}}`},
		{"dropped properties", `{"dynamicfields":true,"properties":{"a":{"type":"string","external_name":""},"b":{"type":"string","external_name":null}}}`,
			`{"a":"1","b":"2","c":"3"}`, `{"c":"3"}`},
		{"golden encode", `{"properties":{"username":{"type":"string","external_name":"user"},"password":{"type":"string","encode":true,"external_name":"pass"}}}`,
			`{"username":"ann","password":"p:w"}`, `{"user":"ann","pass":"cDp3"}`},
		{"encode keeps texts only", `{"properties":{"a":{"type":"number","encode":true},"b":{"encode":true}}}`, `{"a":1,"b":"x"}`, `{"b":"eA=="}`},
		{"defaults", `{"properties":{"a":{"type":"string","default":"A"},"b":{"type":"string","default":"B"},"c":{"type":"string","default":"C"},"n":{"type":["number","null"],"default":3},"o":{"type":"object","properties":{"x":{"type":"string","default":"no"}}}}}`,
			`{"a":"1","b":"","n":null,"o":{}}`, `{"a":"1","b":"B","c":"C","n":3,"o":{}}`},
		{"defaults behind $ref", `{"definitions":{"o":{"type":"object","properties":{"x":{"type":"string","default":"X","external_name":"ex"}}}},"properties":{"o":{"$ref":"#/definitions/o"},"p":{"$ref":"#/definitions/o","external_name":"P"}}}`,
			`{"o":{}}`, `{"o":{"ex":"X"}}`},
		{"empty values", `{"dynamicfields":true,"properties":{"s":{"type":"string"},"n":{"type":["number","string","null"]},"u":{},"l":{"type":"array"}}}`,
			`{"s":"","n":"","u":"","l":[],"d":"","e":null}`, `{"u":"","d":"","e":null}`},
		{"items", `{"properties":{"l":{"type":"array","items":{"type":"object","properties":{"a":{"type":"string","external_name":"A"}}}}}}`,
			`{"l":[{"a":"1","b":2},{"a":"2"}]}`, `{"l":[{"A":"1"},{"A":"2"}]}`},
		{"items without a schema", `{"properties":{"l":{"type":"array"}}}`, `{"l":[{"a":"1"},2]}`, `{"l":[{"a":"1"},2]}`},
		{"tuple", `{"properties":{"l":{"type":"array","items":[{"type":"object","properties":{"a":{"external_name":"A"}}}]}}}`,
			`{"l":[{"a":"1"},{"a":"2"}]}`, `{"l":[{"A":"1"},{"a":"2"}]}`},
		{"type lists", `{"properties":{"v":{"type":["array","object"],"items":{"type":"object","properties":{"a":{"external_name":"A"}}},"properties":{"a":{"external_name":"O"}}}}}`,
			`{"v":{"a":1}}`, `{"v":{"O":1}}`},
		{"dynamicfields inherited", `{"dynamicfields":true,"properties":{"o":{"type":"object","properties":{"a":{"external_name":"A"}}}}}`,
			`{"o":{"a":1,"b":2}}`, `{"o":{"A":1,"b":2}}`},
		{"dynamicfields overridden", `{"dynamicfields":true,"properties":{"o":{"type":"object","dynamicfields":false,"properties":{"a":{"external_name":"A"}}}}}`,
			`{"o":{"a":1,"b":2}}`, `{"o":{"A":1}}`},
		{"dynamicfields switched on inside", `{"properties":{"o":{"type":"object","dynamicfields":true,"properties":{"a":{"external_name":"A"}}}}}`,
			`{"o":{"a":1,"b":2},"c":3}`, `{"o":{"A":1,"b":2}}`},
		{"translate false inside", `{"properties":{"o":{"type":"object","translate":false,"properties":{"a":{"external_name":"A"}}}}}`,
			`{"o":{"a":1,"b":2}}`, `{"o":{"a":1,"b":2}}`},
		{"translate false at the top", `{"translate":false,"required":["x"],"properties":{"a":{"type":"string","external_name":"A"}}}`,
			`{"ph_request_type":"q","a":1,"b":2}`, `{"a":1,"b":2}`},
		{"recursive", `{"type":"object","properties":{"v":{"type":"string","external_name":"V"},"next":{"$ref":"#"}}}`, `{"v":"1","next":{"v":"2","next":{"v":"3"}}}`, `{"V":"1","next":{"V":"2","next":{"V":"3"}}}`},
		{"own $id in a reference", `{"$id":"http://x/y.json","definitions":{"d":{"type":"string","external_name":"D"}},"properties":{"a":{"$ref":"http://x/y.json#/definitions/d"}}}`, `{"a":"1"}`, `{"D":"1"}`},
		{"anchor", `{"definitions":{"d":{"$id":"#d","type":"string","external_name":"D"}},"properties":{"a":{"$ref":"#d"}}}`, `{"a":"1"}`, `{"D":"1"}`},
		{"list", widgetSchema, `[{"widgetName":"a"},"text",{"widgetName":"b"}]`, `[{"label":"a"},"text",{"label":"b"}]`},
		{"list by an array schema", `{"type":"array","items":{"type":"object","properties":{"a":{"external_name":"A"}}}}`, `[{"a":1}]`, `[{"A":1}]`},
		{"text", widgetSchema, `"text"`, `"text"`},
		{"nothing", `{"properties":{"a":{"type":"string","default":"A"}}}`, `null`, `{"a":"A"}`},
		{"exact numbers", widgetSchema, `{"n":12345678901234567890.10}`, `{"n":12345678901234567890.10}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := value(t, tt.in)
			if strings.HasPrefix(tt.in, "{") {
				in = object(t, tt.in)
			}
			before := text(t, in)
			out, err := requestSchema(t, tt.schema).MapRequest("get", in)
			if err != nil {
				t.Fatal(err)
			}
			if got := text(t, out); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if text(t, in) != before {
				t.Errorf("the input was changed to %s", text(t, in))
			}
		})
	}
}

func TestMapResponse(t *testing.T) {
	for _, tt := range []struct{ name, schema, in, want string }{
		{"golden answer", widgetSchema, `{"id":7,"label":"w"}`, `{"id":7,"widgetName":"w"}`},
		{"no dynamic fields", `{"properties":{"a":{"type":"string","external_name":"A"}}}`, `{"A":"1","b":2}`, `{"a":"1"}`},
		{"nested names", `{"properties":{"a":{"type":"string","external_name":"x.y[1].z"}}}`, `{"x":{"y":[{},{"z":"1"}]}}`, `{"a":"1"}`},
		{"last segments do not pass", `{"dynamicfields":true,"properties":{"a":{"type":"string","external_name":"x.y"}}}`, `{"y":"no","z":1}`, `{"z":1}`},
		{"the schema wins over a dynamic field", `{"dynamicfields":true,"properties":{"id":{"type":"string","external_name":"sys_id"}}}`, `{"id":7,"sys_id":"s"}`, `{"id":"s"}`},
		{"encode", `{"properties":{"a":{"type":"string","encode":true}}}`, `{"a":"cDp3"}`, `{"a":"p:w"}`},
		{"parse", `{"properties":{"a":{"parse":true},"b":{"parse":true},"o":{"type":"object","properties":{"c":{"parse":true}}},"l":{"type":"array","items":{"parse":true}}},"type":"object"}`,
			`{"a":"{\"x\":1}","b":"{x","o":{"c":"[1]"},"l":["1","no"]}`, `{"a":{"x":1},"b":"{x","l":[1,"no"],"o":{"c":[1]}}`},
		{"parse leaves what passes untyped", `{"properties":{"l":{"items":{"parse":true}},"o":{"properties":{"c":{"parse":true}}}}}`, `{"l":["1"],"o":{"c":"1"}}`, `{"l":["1"],"o":{"c":"1"}}`},
		{"parse comes after validation", `{"properties":{"a":{"type":"string","parse":true}}}`, `{"a":"[1]"}`, `{"a":[1]}`},
		{"respFilter", `{"properties":{"a":{"type":"string","external_name":"list","respFilter":"[name=x].v"}}}`, `{"list":[{"name":"y","v":"no"},{"name":"x","v":"yes"}]}`, `{"a":"yes"}`},
		{"first item for a scalar", `{"properties":{"a":{"type":"string"}}}`, `{"a":["1","2"]}`, `{"a":"1"}`},
		{"defaults", `{"properties":{"a":{"type":"string","default":"A"}}}`, `{}`, `{"a":"A"}`},
		{"list", widgetSchema, `[{"label":"a"},{"label":"b"}]`, `[{"widgetName":"a"},{"widgetName":"b"}]`},
		{"text", widgetSchema, `"text"`, `"text"`},
		{"nothing", widgetSchema, `null`, `null`},
		{"untouched", `{"translate":false,"type":"array"}`, `{"ph_request_type":1,"a":1}`, `{"a":1}`},
		{"items", `{"properties":{"l":{"type":"array","external_name":"L","items":{"type":"object","properties":{"a":{"external_name":"A"}}}}}}`, `{"L":[{"A":1,"x":2}]}`, `{"l":[{"a":1}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := value(t, tt.in)
			before := text(t, in)
			out, err := requestSchema(t, tt.schema).MapResponse("get", in)
			if err != nil {
				t.Fatal(err)
			}
			if text(t, in) != before {
				t.Errorf("the input was changed to %s", text(t, in))
			}
			if got := text(t, out); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestEncryptedPropertyTravelsBothWays(t *testing.T) {
	s := requestSchema(t, `{"properties":{"a":{"type":"string","encode":true,"encrypt":{"type":"AES","key":"k"}}}}`)
	out, err := s.MapRequest("get", object(t, `{"a":"secret"}`))
	if err != nil {
		t.Fatal(err)
	}
	sealed, _ := out.(entities.Object).Get("a")
	if plain, err := crypt.Open("k", sealed.(string)); err != nil || plain != base64.StdEncoding.EncodeToString([]byte("secret")) {
		t.Errorf("sealed %q holds %q, %v", sealed, plain, err)
	}
	for _, prefix := range []string{"", crypt.Prefix} {
		back, err := s.MapResponse("get", map[string]any{"a": prefix + sealed.(string)})
		if diff := cmp.Diff(map[string]any{"a": "secret"}, back); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	}
	if _, err := s.MapResponse("get", map[string]any{"a": "cDp3"}); err == nil || err.Error() != "/a: cannot be decrypted" {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestValidationErrorsHoldNoValues(t *testing.T) {
	const secret = "s3cr3t-value"
	for _, tt := range []struct{ name, schema, in, want string }{
		{"type", `{"properties":{"p":{"type":"number"}}}`, `{"p":"s3cr3t-value"}`, "/p: is string, want number"},
		{"types", `{"properties":{"p":{"type":["number","null"]}}}`, `{"p":"s3cr3t-value"}`, "/p: is string, want null or number"},
		{"required", `{"required":["x"]}`, `{}`, `required property "x" is missing`},
		{"required two", `{"required":["x","y"]}`, `{}`, `required properties "x", "y" are missing`},
		{"enum", `{"properties":{"p":{"enum":["a"]}}}`, `{"p":"s3cr3t-value"}`, "/p: is not one of the allowed values"},
		{"const", `{"properties":{"p":{"const":"a"}}}`, `{"p":"s3cr3t-value"}`, "/p: is not one of the allowed values"},
		{"pattern", `{"properties":{"p":{"pattern":"^a"}}}`, `{"p":"s3cr3t-value"}`, "/p: does not match the pattern"},
		{"format", `{"properties":{"p":{"format":"ipv4"}}}`, `{"p":"s3cr3t-value"}`, "/p: is not in the format ipv4"},
		{"length", `{"properties":{"p":{"maxLength":3}}}`, `{"p":"s3cr3t-value"}`, "/p: has 12 characters, want at most 3"},
		{"minimum", `{"properties":{"p":{"minimum":3}}}`, `{"p":1}`, "/p: is too small, want at least 3"},
		{"alternatives", `{"properties":{"p":{"anyOf":[{"type":"number"},{"type":"null"}]}}}`, `{"p":"s3cr3t-value"}`, "/p: does not fit the alternatives that the schema allows"},
		{"not", `{"properties":{"p":{"not":{"type":"string"}}}}`, `{"p":"s3cr3t-value"}`, "/p: is not allowed by the schema"},
		{"nested", `{"properties":{"o":{"type":"object","properties":{"a/b":{"type":"array","items":{"type":"number"}}}}}}`, `{"o":{"a/b":[1,"s3cr3t-value"]}}`, "/o/a~1b/1: is string, want number"},
		{"additional", `{"additionalProperties":false}`, `{"p":"s3cr3t-value"}`, `has property "p" that the schema does not allow`},
		{"first of several", `{"properties":{"b":{"type":"number"},"a":{"type":"number"}}}`, `{"b":"s3cr3t-value","a":"s3cr3t-value"}`, "/a: is string, want number"},
		{"not in the enum", `{"properties":{"ph_request_type":{"enum":["other"]}}}`, `{}`, "/ph_request_type: is not one of the allowed values"},
		{"condition", `{"allOf":[{"if":{"properties":{"ph_request_type":{"enum":["get"]}}},"then":{"required":["x"]}}]}`, `{}`, `required property "x" is missing`},
		{"huge number", `{"properties":{"p":{"minimum":3}}}`, `{"p":1e999999999}`, "/p: is a number with too many digits"},
		{"list", `{"required":["x"]}`, `[{"x":1},{}]`, `/1: required property "x" is missing`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := requestSchema(t, tt.schema).MapRequest("get", value(t, tt.in))
			var invalid *entities.ValidationError
			if !errors.As(err, &invalid) || err.Error() != tt.want {
				t.Fatalf("got %v, want %s", err, tt.want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Error("the error holds the value")
			}
		})
	}
}

func TestExtractForgivesOtherTypes(t *testing.T) {
	s := requestSchema(t, `{"required":["x"],"properties":{"token":{"type":"string","external_name":"data.access_token"},"expires":{"type":"string","external_name":"expires_in","default":"1"},
		"list":{"type":"array"},"o":{"type":"object"}}}`)
	got := s.Extract(value(t, `[{"data":{"access_token":12},"expires_in":3600,"list":"a","o":[1],"other":1}]`))
	if want := `{"expires":3600,"list":"a","o":[1],"token":12}`; text(t, got) != want {
		t.Errorf("got %s, want %s", text(t, got), want)
	}
	if got := s.Extract("text"); got != nil {
		t.Errorf("got %v of a text, want nothing", got)
	}
}

func TestPropertyAndRename(t *testing.T) {
	s := requestSchema(t, `{"properties":{"username":{"type":"string"},"token":{"type":["string","null"],"placement":"HEADER","front":"<a>","end":"</a>","external_name":"sid","default":"d"},"gone":{"external_name":""}}}`)
	token, ok := s.Property("token")
	want := entities.Property{Name: "token", External: "sid", HasExternal: true, Placement: "HEADER", Front: "<a>", End: "</a>", Type: "string", Types: []string{"string", "null"}, Default: "d"}
	if diff := cmp.Diff(want, token); !ok || diff != "" {
		t.Error(diff)
	}
	if user, _ := s.Property("username"); user.External != "username" || user.HasExternal {
		t.Errorf("username: got %+v", user)
	}
	if gone, _ := s.Property("gone"); gone.External != "" || !gone.HasExternal {
		t.Errorf("gone: got %+v", gone)
	}
	if _, ok := s.Property("none"); ok || len(s.Properties()) != 3 {
		t.Errorf("want 3 properties and no property none")
	}
	renamed, err := s.Rename(map[string]string{"username": "user.name", "none": "x"}).MapRequest("get", object(t, `{"username":"ann"}`))
	if got := text(t, renamed); err != nil || got != `{"user":{"name":"ann"},"sid":"d"}` {
		t.Errorf("renamed: got %s, %v", got, err)
	}
	if same, _ := s.MapRequest("get", object(t, `{"username":"ann"}`)); text(t, same) != `{"username":"ann","sid":"d"}` {
		t.Errorf("Rename changed the original: %s", text(t, same))
	}
}

func TestMapRequestTakesGoValues(t *testing.T) {
	in := map[string]any{"widgetName": "w", "n": 7, "list": []string{"a"}, "o": entities.Object{{"z", 1}, {"a", 2.5}}}
	out, err := requestSchema(t, widgetSchema).MapRequest("get", in)
	if want := `{"label":"w","list":["a"],"n":7,"o":{"z":1,"a":2.5}}`; err != nil || text(t, out) != want {
		t.Errorf("got %s, %v, want %s", text(t, out), err, want)
	}
	if _, err := requestSchema(t, widgetSchema).MapRequest("get", map[string]any{"c": make(chan int)}); err == nil {
		t.Error("want an error for a channel")
	}
}
