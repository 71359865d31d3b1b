package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/entities"
)

// apiDocument is the document of a caller. That it is valid says TestOpenAPIIsValid.
type apiDocument struct {
	object
	compiler *jsonschema.Compiler
}

func documentOf(t *testing.T, f *apiGateway, key string) apiDocument {
	t.Helper()
	doc := apiDocument{f.ask(t, key, "GET", "/openapi.json", "").wantOK(), jsonschema.NewCompiler()}
	if doc.object["openapi"] != openAPIVersion {
		t.Errorf("the version is %v", doc.object["openapi"])
	}
	if err := doc.compiler.AddResource("http://gateway/openapi.json", doc.object); err != nil {
		t.Fatal(err)
	}
	return doc
}

// at is the member at a path of names; nil: there is none.
func (d apiDocument) at(names ...string) any {
	var v any = d.object
	for _, name := range names {
		inner, _ := v.(object)
		v = inner[name]
	}
	return v
}

// fits checks a JSON text by the schema at a path of names (JSON Schema 2020-12).
func (d apiDocument) fits(t *testing.T, text string, names ...string) {
	t.Helper()
	if err := d.check(t, text, names...); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

func (d apiDocument) check(t *testing.T, text string, names ...string) error {
	t.Helper()
	at := ""
	for _, name := range names {
		at = pointer(at, name)
	}
	schema, err := d.compiler.Compile("http://gateway/openapi.json#" + (&url.URL{Fragment: at}).EscapedFragment())
	if err != nil {
		t.Fatalf("%s is no schema: %v", at, err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("no JSON: %v\n%s", err, text)
	}
	return schema.Validate(value)
}

// requestAt and answerAt are where the schemas of an operation stand.
func requestAt(path string) []string {
	return []string{"paths", path, "post", "requestBody", "content", "application/json", "schema"}
}

func answerAt(path, method, status string) []string {
	return []string{"paths", path, method, "responses", status, "content", "application/json", "schema"}
}

func TestOpenAPIShowsOnlyWhatTheCallerMayUse(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	all, devices := documentOf(t, f, keyAll), documentOf(t, f, keyDevices)
	for _, path := range []string{"/v1/adapters", "/v1/adapters/{adapter}/credential:refresh", "/proxy/{adapter}/{path}", getDevice,
		"/v1/adapters/fixed/actions/ticket/create", "/v1/adapters/acme/actions/.system/healthcheck"} {
		if all.at("paths", path) == nil {
			t.Errorf("%s is not described", path)
		}
	}
	text, _ := compact(devices.object)
	for _, foreign := range []string{"fixed", "ticket", ".system", "getToken", mayProperties, mayAuthData} {
		if strings.Contains(string(text), `"`+foreign) || strings.Contains(string(text), "/"+foreign) {
			t.Errorf("the caller of acme/device is shown %s", foreign)
		}
	}
	if devices.at("paths", getDevice) == nil {
		t.Error("the caller of acme/device is not shown his action")
	}
	for path := range all.at("paths").(object) {
		if strings.Contains(path, "getToken") {
			t.Errorf("an action of the engine is described: %s", path)
		}
	}
}

func TestOpenAPIListsEveryCode(t *testing.T) {
	codes, _ := documentOf(t, newAPIGateway(t, apiOptions{}), keyAll).at("components", "schemas", "Problem", "properties", "code", "enum").([]any)
	for _, f := range catalogue {
		if !slices.Contains(codes, any(f.Code)) {
			t.Errorf("the code %s is missing", f.Code)
		}
	}
}

func TestOpenAPITellsPrivilegesOnlyToThoseWhoHaveThem(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	for key, want := range map[string]bool{keyAll: false, keyMay: true} {
		doc := documentOf(t, f, key)
		if got := doc.at(append(requestAt(getDevice), "properties", "callProperties")...) != nil; got != want {
			t.Errorf("%s: callProperties is described: %t, want %t", key, got, want)
		}
	}
}

func TestOpenAPIIsCachedByETag(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	first := f.ask(t, keyAll, "GET", "/openapi.json", "")
	etag := first.Header().Get("ETag")
	if etag == "" || etag == f.ask(t, keyDevices, "GET", "/openapi.json", "").Header().Get("ETag") {
		t.Errorf("two callers share the tag %q", etag)
	}
	r := httptest.NewRequest("GET", "/openapi.json", nil)
	r.Header.Set("Authorization", "Bearer "+keyAll)
	r.Header.Set("If-None-Match", etag)
	if a := f.send(t, r); a.Code != http.StatusNotModified || a.Body.Len() != 0 {
		t.Errorf("got %d with %d bytes, want 304", a.Code, a.Body.Len())
	}
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if again := f.ask(t, keyAll, "GET", "/openapi.json", ""); again.Body.String() != first.Body.String() {
		t.Error("the same configuration makes another document")
	}
}

func TestOpenAPIOfAnOpenGatewayWantsNoCredential(t *testing.T) {
	if security := documentOf(t, newAPIGateway(t, apiOptions{open: true}), "").at("security"); security != nil {
		t.Errorf("it wants %v", security)
	}
}

// Files that refer to one another arrive whole, and without what is the engine's own.
func TestOpenAPIHasTheSchemasOfTheHome(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	doc := documentOf(t, f, keyAll)
	payload := append(requestAt("/v1/adapters/acme/actions/device/create"), "properties", "payload", "anyOf", "0")
	doc.fits(t, `{"name":"r1","status":"up","port":{"number":1,"state":"down"}}`, payload...)
	for _, wrong := range []string{`{"status":"odd"}`, `{"port":{"state":"odd"}}`, `{"port":{"number":"1"}}`} {
		if doc.check(t, wrong, payload...) == nil {
			t.Errorf("%s fits", wrong)
		}
	}
	for _, listed := range f.ask(t, keyAll, "GET", "/v1/adapters/acme/actions", "").wantOK()["actions"].([]any) {
		item := listed.(object)
		if paths, _ := item["path"].([]any); len(paths) == 0 {
			t.Errorf("the paths of %v are missing", item["action"])
		}
		alone := jsonschema.NewCompiler()
		if err := alone.AddResource("http://alone/", item["request"]); err != nil {
			t.Fatal(err)
		}
		if _, err := alone.Compile("http://alone/"); err != nil {
			t.Errorf("the request schema of %v does not stand alone: %v", item["action"], err)
		}
	}
}

// samples are request objects that the pretend system's actions take.
var samples = map[string]string{
	"device/get": `{"uriPathVars":["7"]}`, "device/delete": `{"uriPathVars":["7"]}`, "device/create": `{"payload":{"name":"r1","status":"up"}}`,
	"ticket/create": `{"payload":{"title":"t","number":1}}`, ".system/healthcheck": `{}`,
}

// Every operation is called as the document says, and what comes back is what it says.
func TestEveryOperationOfTheDocumentWorks(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	doc := documentOf(t, f, keyAll)
	called := 0
	for path, item := range doc.at("paths").(object) {
		for method, operation := range item.(object) {
			called++
			t.Run(method+" "+path, func(t *testing.T) { exercise(t, f, doc, method, path, operation.(object)) })
		}
	}
	if called < 20 {
		t.Errorf("only %d operations were found", called)
	}
}

func exercise(t *testing.T, f *apiGateway, doc apiDocument, method, path string, operation object) {
	target := strings.NewReplacer("{adapter}", "acme", "{path}", "api/devices").Replace(path)
	body := ""
	if _, action, ok := strings.Cut(path, "/actions/"); ok {
		body = samples[action]
		doc.fits(t, body, requestAt(path)...)
	}
	a := f.ask(t, keyAll, strings.ToUpper(method), target, body)
	if a.Code >= 300 {
		t.Fatalf("got %d %s", a.Code, a.Body)
	}
	if strings.HasPrefix(path, "/proxy/") {
		return // what comes back is the system's to say
	}
	status := strconv.Itoa(a.Code)
	if operation["responses"].(object)[status] == nil {
		t.Fatalf("the status %s is not described", status)
	}
	schema := answerAt(path, method, status)
	if doc.at(schema...) == nil && a.Body.Len() > 0 {
		t.Fatalf("a body is not described: %s", a.Body)
	}
	if a.Body.Len() > 0 {
		doc.fits(t, a.Body.String(), schema...)
	}
	if body != "" {
		plan := f.ask(t, keyAll, "POST", target+"?dry_run=true", body)
		plan.wantOK()
		doc.fits(t, plan.Body.String(), schema...)
	}
}

func TestProblemsFitTheirSchema(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	doc := documentOf(t, f, keyAll)
	doc.fits(t, f.ask(t, keyAll, "GET", "/v1/adapters/nothing", "").Body.String(), "components", "schemas", "Problem")
	f.answering(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	doc.fits(t, f.ask(t, keyAll, "POST", getDevice, `{"uriPathVars":["7"]}`).Body.String(), "components", "schemas", "Problem")
}

// A schema as draft-07 has it, and as 2020-12 wants it.
func TestModernWritesDraft07AsDraft2020(t *testing.T) {
	for name, c := range map[string]struct{ old, want string }{
		"own attributes go":      {`{"$schema":"x","$id":"y","$comment":"z","type":"string","external_name":"e","encrypt":{"key":"k"},"parse":true}`, `{"type":"string"}`},
		"definitions":            {`{"definitions":{"a":{"type":"string"}},"$defs":{"b":true}}`, `{"$defs":{"a":{"type":"string"},"b":true}}`},
		"engine's property":      {`{"properties":{"ph_request_type":{},"a":{}},"required":["ph_request_type","a"]}`, `{"properties":{"a":{}},"required":["a"]}`},
		"tuple":                  {`{"items":[{"type":"string"}],"additionalItems":false}`, `{"prefixItems":[{"type":"string"}],"items":false}`},
		"list":                   {`{"items":{"type":"string"},"additionalItems":false}`, `{"items":{"type":"string"}}`},
		"dependencies":           {`{"dependencies":{"a":["b"],"c":{"required":["d"]}}}`, `{"dependentRequired":{"a":["b"]},"dependentSchemas":{"c":{"required":["d"]}}}`},
		"beside a reference":     {`{"$ref":"#/definitions/a","type":"string","title":"t"}`, `{"$ref":"#/$defs/a","title":"t"}`},
		"reference to a tuple":   {`{"$ref":"#/components/schemas/x/definitions/definitions/items/0"}`, `{"$ref":"#/components/schemas/x/$defs/definitions/prefixItems/0"}`},
		"name like a keyword":    {`{"$ref":"#/properties/definitions/items"}`, `{"$ref":"#/properties/definitions/items"}`},
		"property like keywords": {`{"properties":{"$ref":{"type":"string"},"items":{"type":"array"}}}`, `{"properties":{"$ref":{"type":"string"},"items":{"type":"array"}}}`},
	} {
		ordered, err := orderedTree(c.old)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := json.Marshal(drafts{}.modern(ordered))
		var a, b any
		_ = json.Unmarshal(got, &a)
		_ = json.Unmarshal([]byte(c.want), &b)
		if diff := cmp.Diff(b, a); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// orderedTree reads JSON as the entities loader does: every object is an entities.Object.
func orderedTree(text string) (any, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		var list []json.RawMessage
		if json.Unmarshal([]byte(text), &list) == nil {
			out := make([]any, len(list))
			for i, item := range list {
				out[i], _ = orderedTree(string(item))
			}
			return out, nil
		}
		var value any
		err := json.Unmarshal([]byte(text), &value)
		return value, err
	}
	out := entities.Object{}
	for name, item := range raw {
		value, err := orderedTree(string(item))
		if err != nil {
			return nil, err
		}
		out = append(out, entities.Field{Name: name, Value: value})
	}
	return out, nil
}

func TestSecretsInDefaultsAreNotShown(t *testing.T) {
	redact := new(auth.Redactor)
	redact.Learn(auth.NewSecret("pretend-default"), auth.NewSecret("string"))
	ordered, err := orderedTree(`{"type":"string","default":{"a":["pretend-default"]},"enum":["pretend-default"]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := object{"type": "string", "default": object{"a": []any{"[redacted]"}}, "enum": []any{"[redacted]"}}
	if diff := cmp.Diff(any(want), drafts{redact}.modern(ordered)); diff != "" {
		t.Error(diff)
	}
}

func TestComponentNamesStayApart(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"a b", "a_b", "a/b", "a.b", "ä", "entities/device/device.json", "device_device", ""} {
		got := componentName(name)
		if other, taken := seen[got]; taken || strings.ContainsFunc(got, func(r rune) bool { return r > 127 || strings.ContainsRune("/ ", r) }) {
			t.Errorf("%q is called %q, as is %q", name, got, other)
		}
		seen[got] = name
	}
	if got := href("a/b", &entities.Action{Entity: "x y", Name: "{n}"}); got != "/v1/adapters/a%2Fb/actions/x%20y/%7Bn%7D" {
		t.Errorf("the path is %s", got)
	}
}
