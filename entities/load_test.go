package entities_test

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyhitch/keyhitch/entities"
)

func TestLoadNeedsActionFiles(t *testing.T) {
	for name, home := range map[string]fs.FS{
		"no folder":      fstest.MapFS{"x": {}},
		"no action file": fstest.MapFS{"entities/device/schema.json": {Data: []byte("{}")}},
		"only a file":    fstest.MapFS{"entities/action.json": {Data: []byte("{}")}},
	} {
		if _, err := entities.Load(home); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want fs.ErrNotExist", name, err)
		}
	}
}

func TestLoadedAction(t *testing.T) {
	set := load(t, map[string]string{
		"e/action.json": "\xef\xbb\xbf" + `{"actions":[{"name":"get","protocol":"rest","method":"post","entitypath":"/x","schema":"sub/s.json",
			"datatype":"plain","requestDatatype":"urlencode","responseDatatype":"","timeout":1500,"sendEmpty":true,"sendGetBody":true,
			"headers":{"b":"1","a":"2"},"sso":{"protocol":"https","host":"idp","port":8443},
			"responseObjects":[{"type":"default","key":"a.b","mockFile":""}]}]}`,
		"e/sub/s.json": "{}",
	})
	a, err := set.Action("e", "get")
	if err != nil {
		t.Fatal(err)
	}
	if a.Entity != "e" || a.Name != "get" || a.Method != "POST" || a.RequestType != entities.URLENCODE || a.ResponseType != entities.PLAIN ||
		a.Timeout != 1500*time.Millisecond || !a.SendEmpty || !a.SendGetBody {
		t.Errorf("got %+v", a)
	}
	if diff := cmp.Diff([]entities.Header{{"b", "1"}, {"a", "2"}}, a.Headers); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(entities.SSO{Protocol: "https", Host: "idp", Port: 8443}, a.SSO); diff != "" {
		t.Error(diff)
	}
	part, ok := a.Responses[0].Selector().Select(value(t, `{"a":{"b":1}}`))
	if !ok || text(t, part) != "1" || len(a.Problems()) > 0 {
		t.Errorf("got %v, problems %v", part, a.Problems())
	}
	if diff := cmp.Diff([]string{"e"}, set.Entities()); diff != "" || !set.HasEntity("e") || set.HasEntity("f") || len(set.Actions("e")) != 1 || set.Actions("f") != nil {
		t.Error(diff)
	}
}

func TestNotFound(t *testing.T) {
	set := load(t, map[string]string{"device/action.json": `{"actions":[{"name":"getDevice"},{"name":"getDevices"},{"name":"x"}]}`})
	for _, tt := range []struct{ entity, action, want string }{
		{"device", "getDevce", `no action "getDevce" in entity device; did you mean getDevice or getDevices?`},
		{"device", "other", `no action "other" in entity device`},
		{"Device", "x", `no entity "Device"; did you mean device?`},
		{"nothing", "x", `no entity "nothing"`},
	} {
		_, err := set.Action(tt.entity, tt.action)
		var missing *entities.NotFoundError
		if !errors.As(err, &missing) || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

const good = `"name":"get","protocol":"REST","method":"GET","entitypath":"/x","schema":"s.json"`

// TestProblems holds the messages that authors see: errors of one action break that action only.
func TestProblems(t *testing.T) {
	for _, tt := range []struct {
		name, actions string
		want          string // all problems, a line each; warnings begin with W
	}{
		{"required", `{"actions": [{"name": "get"}]}`, `
entities/e/action.json:1:14: /actions/0/protocol: is required
entities/e/action.json:1:14: /actions/0/method: is required
entities/e/action.json:1:14: /actions/0/entitypath: is required
entities/e/action.json:1:14: /actions/0/schema: is required, or requestSchema and responseSchema`},
		{"no name", `{"actions":[{"protocol":"REST","method":"GET","entitypath":"/x","requestSchema":"s.json","responseSchema":"s.json"}]}`, `
entities/e/action.json:1:13: /actions/0/name: is required`},
		{"values", `{"actions":[{"name":"get","protocol":"SOAP",
  "method":"FETCH","entitypath":"/x","schema":"no.json","responseSchema":"../../../s.json","requestDatatype":"XML"}]}`, `
entities/e/action.json:1:38: /actions/0/protocol: unsupported protocol "SOAP", want REST
entities/e/action.json:2:12: /actions/0/method: unknown method "FETCH"
entities/e/action.json:2:47: /actions/0/schema: there is no file entities/e/no.json
entities/e/action.json:2:74: /actions/0/responseSchema: leaves the adapter home
entities/e/action.json:2:110: /actions/0/requestDatatype: datatype XML is not supported yet`},
		{"types", `{"actions":[{` + good + `,"timeout":"5","headers":{"a":[1]},"sendEmpty":1,"sso":[],"responseObjects":[{"key":1},2]}]}`, `
entities/e/action.json:1:106: /actions/0/timeout: is string, want integer
entities/e/action.json:1:125: /actions/0/headers/a: is array, want string
entities/e/action.json:1:142: /actions/0/sendEmpty: is number, want boolean
entities/e/action.json:1:150: /actions/0/sso: is array, want object
entities/e/action.json:1:179: /actions/0/responseObjects/0/key: is number, want string
entities/e/action.json:1:182: /actions/0/responseObjects/1: is number, want object`},
		{"no second report of a wrong type", `{"actions":[{"name":1,"protocol":"REST","method":"GET","entitypath":["/x"],"schema":"s.json"},3]}`, `
entities/e/action.json:1:21: /actions/0/name: is number, want string
entities/e/action.json:1:69: /actions/0/entitypath: is array, want string or object
entities/e/action.json:1:95: /actions/1: is number, want object`},
		{"selector", `{"actions":[{` + good + `,"responseObjects":[{"type":"default","key":"a[x"}]}]}`, `
entities/e/action.json:1:139: /actions/0/responseObjects/0/key: no ] to close [ at character 2 of selector "a[x"`},
		{"warnings", `{"actions":[{` + good + `,"metod":"GET","datatype":"YAML","responseObjects":[{"mockFile":"m.json"}]},
{` + good + `}],"extra":1}`, `
W entities/e/action.json:1:21: /actions/0/name: is used by a later action, which counts
W entities/e/action.json:1:104: /actions/0/metod: is not known; did you mean method?
W entities/e/action.json:1:121: /actions/0/datatype: unknown datatype "YAML" counts as PLAIN
W entities/e/action.json:1:159: /actions/0/responseObjects/0/mockFile: there is no file entities/e/m.json
W entities/e/action.json:2:94: /extra: is not known`},
		{"variables and duplicates", `{"actions":[{` + good + `,"entitypath":"/{x}"}]}`, `
W entities/e/action.json:1:109: /actions/0/entitypath: stands twice in its object; the last one counts
W entities/e/action.json:1:109: /actions/0/entitypath: {x} is no variable and is sent as it stands`},
		{"no JSON", "{\"actions\":[\n {\"name\" 1}]}", `
entities/e/action.json:2:10: not JSON`},
		{"no object", `[]`, `
entities/e/action.json:1:1: is array, want object`},
		{"no actions", `{"action":[]}`, `
entities/e/action.json:1:1: /actions: is required
W entities/e/action.json:1:11: /action: is not known; did you mean actions?`},
		{"actions of another type", `{"actions":null}`, `
entities/e/action.json:1:12: /actions: is null, want array`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := load(t, map[string]string{"e/action.json": tt.actions, "e/s.json": "{}", "ok/action.json": `{"actions":[{` + good + `}]}`, "ok/s.json": "{}"})
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), listing(set.Check())); diff != "" {
				t.Error(diff)
			}
			if _, err := set.Action("ok", "get"); err != nil {
				t.Errorf("the other entity is broken too: %v", err)
			}
			var problems entities.Problems
			if _, err := set.Action("e", "get"); !strings.HasPrefix(tt.want, "\nW") && !errors.As(err, &problems) {
				var missing *entities.NotFoundError
				if !errors.As(err, &missing) {
					t.Errorf("got %v, want problems", err)
				}
			}
		})
	}
}

func listing(problems entities.Problems) string {
	var lines []string
	for _, p := range problems {
		line := p.Error()
		if p.Warning {
			line = "W " + line
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// TestSchemaProblems: a schema that cannot be used breaks every action that names it.
func TestSchemaProblems(t *testing.T) {
	for _, tt := range []struct{ name, schema, want string }{
		{"no JSON", "{\n\"a\" 1}", "entities/e/s.json:2:5: not JSON"},
		{"no object", `[]`, "entities/e/s.json:1:1: is array, want object"},
		{"pattern", `{"properties":{"a":{"pattern":"(?!x)"}}}`, `entities/e/s.json:1:31: /properties/a/pattern: is no regular expression that can be used here (RE2 syntax, so no look-around)`},
		{"$schema", `{"$schema":"http://x/y"}`, `entities/e/s.json:1:12: /$schema: cannot use "http://x/y": there is no such file`},
		{"network", `{"properties":{"a":{"$ref":"http://127.0.0.1/x"}}}`, `entities/e/s.json:1:28: /properties/a/$ref: cannot use "http://127.0.0.1/x": there is no such file`},
		{"OS file", `{"properties":{"a":{"$ref":"file:///etc/hostname"}}}`, `entities/e/s.json:1:28: /properties/a/$ref: cannot use "file:///etc/hostname": there is no such file`},
		{"pointer", `{"properties":{"a":{"$ref":"#/definitions/b"}}}`, `entities/e/s.json:1:28: /properties/a/$ref: refers to "/definitions/b", which is not there`},
		{"file", `{"properties":{"a":{"$ref":"t.json#/x"}}}`, `entities/e/s.json:1:28: /properties/a/$ref: cannot use "entities/e/t.json": there is no such file`},
		{"type", `{"properties":{"a":{"type":"text"}}}`, `entities/e/s.json:1:28: /properties/a/type: does not fit the alternatives that the schema allows`},
		{"cycle", `{"definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"}},"properties":{"x":{"$ref":"#/definitions/a"}}}`,
			`entities/e/s.json:1:21: /definitions/a: goes round in a circle of references`},
		{"cycle through allOf", `{"allOf":[{"$ref":"#"}]}`, `entities/e/s.json:1:1: goes round in a circle of references`},
		{"attributes", `{"properties":{"a":{"external_name":1,"parse":"x","encrypt":{"key":2},"respFilter":"a..b","placement":[]}}}`, `
entities/e/s.json:1:37: /properties/a/external_name: is number, want string
entities/e/s.json:1:47: /properties/a/parse: is string, want boolean
entities/e/s.json:1:61: /properties/a/encrypt: has a key that is number, want string
entities/e/s.json:1:84: /properties/a/respFilter: a name is missing at character 2 of selector "a..b"
entities/e/s.json:1:103: /properties/a/placement: is array, want string`},
		{"slot", `{"properties":{"a":{"external_name":"x[1000000]"}}}`, `entities/e/s.json:1:37: /properties/a/external_name: has an array slot above 999`},
		{"enum", `{"properties":{"ph_request_type":{"enum":["other"]}}}`, `W entities/e/s.json:1:42: /properties/ph_request_type/enum: does not list action "get" of entities/e/action.json, so that every call of it fails`},
		{"duplicate", `{"type":"object","type":"object"}`, `W entities/e/s.json:1:25: /type: stands twice in its object; the last one counts`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := load(t, map[string]string{"e/action.json": `{"actions":[{` + good + `}]}`, "e/s.json": tt.schema})
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), listing(set.Check())); diff != "" {
				t.Error(diff)
			}
			a, err := set.Action("e", "get")
			if err != nil {
				t.Fatal(err)
			}
			_, err = a.Request()
			var problems entities.Problems
			if !strings.HasPrefix(tt.want, "W") != errors.As(err, &problems) {
				t.Errorf("got %v from Request", err)
			}
		})
	}
}

func TestTokenWithoutPlacement(t *testing.T) {
	files := map[string]string{".system/action.json": `{"actions":[{` + good + `}]}`, ".system/s.json": `{"properties":{"token":{},"expires":{"placement":"body"}}}`}
	const want = "W entities/.system/s.json:1:24: /properties/token: has no placement and is looked for in the body"
	if got := listing(load(t, files).Check()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestReferencesBetweenFiles(t *testing.T) {
	set := load(t, map[string]string{
		"e/action.json": `{"actions":[{` + good + `}]}`,
		"e/s.json":      `{"$id":"shared","properties":{"a":{"$ref":"sub/t.json#/definitions/d"},"b":{"$ref":"../f/u.json"}}}`,
		"e/sub/t.json":  `{"$id":"shared","definitions":{"d":{"$ref":"#/definitions/e"},"e":{"type":"string","external_name":"A"}}}`,
		"f/u.json":      `{"$id":"shared","type":"number","external_name":"B"}`,
	})
	a, err := set.Action("e", "get")
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Request()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.MapRequest("get", object(t, `{"a":"1","b":2}`))
	if err != nil || text(t, out) != `{"A":"1","B":2}` {
		t.Errorf("got %s, %v", text(t, out), err)
	}
	if _, err := s.MapRequest("get", object(t, `{"a":1}`)); err == nil {
		t.Error("the other file is not used for validation")
	}
}

func TestLargeFileIsRefused(t *testing.T) {
	set := load(t, map[string]string{"e/action.json": strings.Repeat(" ", 16<<20) + "{}", "f/action.json": `{"actions":[]}`})
	_, err := set.Action("e", "get")
	if err == nil || err.Error() != "entities/e/action.json: is larger than 16 MiB" {
		t.Errorf("got %v", err)
	}
}

func TestSystem(t *testing.T) {
	set := entities.System()
	if problems := set.Check(); len(problems) > 0 {
		t.Fatal(problems)
	}
	a, err := set.Action(".system", "getToken")
	if err != nil {
		t.Fatal(err)
	}
	request, err := a.Request()
	if err != nil {
		t.Fatal(err)
	}
	out, err := request.MapRequest("getToken", object(t, `{"username":"ann","password":"p:w","client_id":"cid","client_secret":"s&c","grant_type":"client_credentials","scope":"r w","domain":"corp"}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := entities.Encode(a.RequestType, out)
	const want = "grant_type=client_credentials&client_id=cid&client_secret=s%26c&username=ann&password=p%3Aw&scope=r%20w&domain=corp"
	if err != nil || string(body) != want || a.Method != "POST" {
		t.Errorf("got %s, %v, want %s", body, err, want)
	}
	response, err := a.Response()
	if err != nil {
		t.Fatal(err)
	}
	got := response.Extract(value(t, `{"access_token":"T1","refresh_token":"R1","expires_in":3600,"token_type":"Bearer"}`))
	if text(t, got) != `{"expires":3600,"refreshToken":"R1","token":"T1"}` {
		t.Errorf("got %s", text(t, got))
	}
	if p, _ := response.Property("expires"); p.Placement != "BODY" || p.External != "expires_in" {
		t.Errorf("got %+v", p)
	}
	health, err := set.Action(".system", "healthcheck")
	if err != nil || health.Method != "GET" {
		t.Errorf("got %v, %v", health, err)
	}
}

// TestSchemaIsReadOnce counts what many callers of many actions cost.
func TestSchemaIsReadOnce(t *testing.T) {
	counted := &countingFS{MapFS: benchHome(50, 1), opened: make(map[string]int)}
	set, err := entities.Load(counted)
	if err != nil {
		t.Fatal(err)
	}
	if n := counted.opened["entities/device/schema0.json"]; n != 0 {
		t.Errorf("Load read the schema %d times, want 0", n)
	}
	var wg sync.WaitGroup
	for _, a := range set.Actions("device") {
		wg.Go(func() {
			request, err1 := a.Request()
			response, err2 := a.Response()
			if err1 != nil || err2 != nil || request != response {
				t.Errorf("%v, %v", err1, err2)
			}
			if _, err := request.MapRequest(a.Name, map[string]any{"property0_1": "x"}); err != nil {
				t.Error(err)
			}
			if _, _, err := a.Target(entities.Target{PathVars: []any{"1", "2", "3", "4"}}); err != nil {
				t.Error(err)
			}
			a.Problems()
		})
	}
	wg.Wait()
	if n := counted.opened["entities/device/schema0.json"]; n != 1 {
		t.Errorf("read the schema %d times, want 1", n)
	}
}

type countingFS struct {
	fstest.MapFS
	mu     sync.Mutex
	opened map[string]int
}

func (c *countingFS) Open(name string) (fs.File, error) {
	c.mu.Lock()
	c.opened[name]++
	c.mu.Unlock()
	return c.MapFS.Open(name)
}
