package port_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/auth/dialects/dialecttest"
	"github.com/keyhitch/keyhitch/auth/dialects/port"
	"github.com/keyhitch/keyhitch/auth/methods/custom"
	"github.com/keyhitch/keyhitch/internal/settings"
)

func TestConformance(t *testing.T) {
	dialecttest.Run(t, port.Dialect{}, os.DirFS("testdata"), "none", "basic", "static-header", "token-header", "token-query",
		"token-body", "token-pair", "client-credentials")
}

// read takes a document the whole way to a Spec; told are all problems and notes, one per line.
func read(t testing.TB, document string) (spec auth.Spec, told string) {
	t.Helper()
	doc, err := settings.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	tree, at, notes, ok := port.Dialect{}.Tree(doc.Root())
	if !ok {
		t.Fatalf("%s is not found to be in this dialect", document)
	}
	return parse(tree, at, notes)
}

func parse(tree map[string]any, at string, problems []auth.Note) (spec auth.Spec, told string) {
	var lines []string
	for _, n := range problems {
		lines = append(lines, n.Pointer+": "+n.Reason)
	}
	spec, err := port.Dialect{}.Parse(auth.Source{Raw: tree, At: at, Owner: "test"})
	if err != nil {
		lines = append(lines, strings.Split(err.Error(), "\n")...)
	}
	for _, n := range spec.Notes {
		lines = append(lines, "note "+n.Pointer+": "+n.Reason)
	}
	slices.Sort(lines)
	return spec, strings.Join(lines, "\n")
}

// Sections 2 to 4, 10, and «config», «start-up check» and «choice of type» of section 14.
const (
	request  = `"baseUrl":"https://a.test","authType":"custom","customAuthRequest":{"endpoint":"/t"}`
	template = `"baseUrl":"https://a.test","authType":"custom","customAuthRequestTemplate":{"headers":{"A":"{{.t}}"}}`
)

func TestConfigurationIsCheckedWhole(t *testing.T) {
	in := func(fields string) string { return `{` + template + `,"customAuthRequest":{` + fields + `}}` }
	out := func(fields string) string { return `{` + request + `,"customAuthRequestTemplate":{` + fields + `}}` }
	const a, r, to = "/customAuthRequest", "/customAuthRequest/", "/customAuthRequestTemplate"
	cases := []struct{ name, document, told string }{
		{"template with headers", out(`"headers":{"A":"{{.t}}"}`), ""},
		{"template with a query", out(`"queryParams":{"A":"{{.t}}"}`), ""},
		{"template with a body", out(`"body":{"A":"{{.t}}"}`), ""},
		{"template with two", out(`"headers":{"A":"{{.t}}"},"queryParams":{"A":"{{.t}}"},"body":null`), ""},
		{"template with nothing", out(``), to + ": needs at least one of headers, queryParams and body"},
		{"template with nulls", out(`"headers":null,"queryParams":{},"body":null`), to + ": needs at least one of headers, queryParams and body"},
		{"template with a wrong type", out(`"headers":{"A":{"b":1}}`), to + "/headers/A: is object, want string or number"},
		{"template with a list", out(`"queryParams":["A"]`), to + "/queryParams: is array, want object"},
		{"unknown field of the template", out(`"headers":{"A":"x"},"query":{}`), to + `/query: is not a known property`},
		{"bad expression", out(`"headers":{"Authorization":"Bearer {{tok}}"}`),
			to + "/headers/Authorization: headers.Authorization: {{tok}} at character 8 is no expression; write {{.tok}}"},
		{"bad expressions, all of them", out(`"headers":{"A":"{{a}}"},"body":{"list":["x","{{b}}",{"c":"{{c}}"}]}`),
			to + "/body/list/1: body.list[1]: {{b}} at character 1 is no expression; write {{.b}}\n" +
				to + "/body/list/2/c: body.list[2].c: {{c}} at character 1 is no expression; write {{.c}}\n" +
				to + "/headers/A: headers.A: {{a}} at character 1 is no expression; write {{.a}}"},
		{"number as a header", out(`"headers":{"A":12}`), ""},

		{"request absent", `{` + template + `}`, a + ": is missing: authType custom needs an authentication call"},
		{"request null", `{` + template + `,"customAuthRequest":null}`, a + ": is missing: authType custom needs an authentication call"},
		{"request empty", in(``), a + ": is missing: authType custom needs an authentication call"},
		{"request empty text", `{` + template + `,"customAuthRequest":""}`, a + ": is missing: authType custom needs an authentication call"},
		{"template absent", `{` + request + `}`, to + ": is missing: authType custom needs to know where the values go"},
		{"endpoint absent", in(`"method":"GET"`), r + "endpoint: is required"},
		{"endpoint empty", in(`"endpoint":""`), r + "endpoint: is required"},
		{"endpoint of slashes", in(`"endpoint":"/"`), r + "endpoint: endpoint: is empty; write the path of the authentication call, or its whole URL"},
		{"unknown method", in(`"endpoint":"/t","method":"FETCH"`), r + `method: must be one of "GET", "POST", "PUT", "PATCH", "DELETE"`},
		{"method in small letters", in(`"endpoint":"/t","method":"post"`), r + `method: must be one of "GET", "POST", "PUT", "PATCH", "DELETE"`},
		{"HEAD", in(`"endpoint":"/t","method":"HEAD"`), r + `method: must be one of "GET", "POST", "PUT", "PATCH", "DELETE"`},
		{"body and form", in(`"endpoint":"/t","body":{"a":1},"bodyForm":"a=1"`), r + "bodyForm: and body are mutually exclusive; keep one of them"},
		{"empty body and form", in(`"endpoint":"/t","body":{},"bodyForm":"a=1"`), ""},
		{"body and empty form", in(`"endpoint":"/t","body":{"a":1},"bodyForm":""`), ""},
		{"body alone", in(`"endpoint":"/t","body":{"a":1}`), ""},
		{"form alone", in(`"endpoint":"/t","bodyForm":"a=1"`), ""},
		{"body that is a list", in(`"endpoint":"/t","body":[1]`), r + "body: is array, want object"},
		{"body that is text", in(`"endpoint":"/t","body":"x"`), r + "body: is string, want object"},
		{"number as a header of the request", in(`"endpoint":"/t","headers":{"A":12}`), ""},
		{"null as a header of the request", in(`"endpoint":"/t","headers":{"A":null}`), r + "headers/A: is null, want string or number"},
		{"list as a header of the request", in(`"endpoint":"/t","headers":{"A":[]}`), r + "headers/A: is array, want string or number"},
		{"object in the request's query", in(`"endpoint":"/t","queryParams":{"A":{"b":1}}`),
			r + "queryParams/A: queryParams.A: is an object or a list, which a query parameter cannot hold"},
		{"interval 0", in(`"endpoint":"/t","reauthenticateIntervalSeconds":0`), r + "reauthenticateIntervalSeconds: must be at least 1"},
		{"interval with a fraction", in(`"endpoint":"/t","reauthenticateIntervalSeconds":59.9`), r + "reauthenticateIntervalSeconds: is number with a fraction, want integer or string"},
		{"interval true", in(`"endpoint":"/t","reauthenticateIntervalSeconds":true`), r + "reauthenticateIntervalSeconds: is boolean, want integer or string"},
		{"interval as bad text", in(`"endpoint":"/t","reauthenticateIntervalSeconds":"1h"`), r + "reauthenticateIntervalSeconds: has a form that is not accepted here"},
		{"both intervals", in(`"endpoint":"/t","reauthenticateIntervalSeconds":1,"reauthenticate_interval_seconds":2`),
			r + "reauthenticate_interval_seconds: is given together with reauthenticateIntervalSeconds; keep that one"},
		{"bad interval path", in(`"endpoint":"/t","reauthenticateIntervalFrom":"a b"`),
			r + `reauthenticateIntervalFrom: is no jq program after 3 bytes of it; a name with other characters than letters, digits and _ is written .["name"]`},
		{"status that is no refusal", in(`"endpoint":"/t","reauthenticateOn":[200]`), r + "reauthenticateOn/0: must be at least 400"},
		{"unknown field", in(`"endpoint":"/t","bodyform":"x"`), r + `bodyform: is not a known property; did you mean "bodyForm"?`},
		{"another snake_case name", in(`"endpoint":"/t","query_params":{}`), r + `query_params: is not a known property; did you mean "queryParams"?`},
		{"several problems", in(`"endpoint":"","method":"X","headers":{"A":null},"body":{"a":1},"bodyForm":"x"`),
			r + "bodyForm: and body are mutually exclusive; keep one of them\n" + r + "endpoint: is required\n" + r + "headers/A: is null, want string or number\n" +
				r + `method: must be one of "GET", "POST", "PUT", "PATCH", "DELETE"`},

		{"text that is not JSON", `{` + template + `,"customAuthRequest":"{endpoint"}`,
			a + ": is a text, and not that of a JSON object: at character 2 of it: is not JSON here: want a value"},
		{"text of YAML", `{` + template + `,"customAuthRequest":"endpoint: /t"}`, a + ": is a text, and not that of a JSON object"},
		{"text of a list as the template", `{` + request + `,"customAuthRequestTemplate":"[1]"}`, to + ": is array, want object"},
		{"null in the list", `{` + template + `,"customAuthRequest":[{"endpoint":"/a"},null]}`, r + "1: is null, want object"},
		{"interval in an early call", `{` + template + `,"customAuthRequest":[{"endpoint":"/a","reauthenticateIntervalSeconds":5},{"endpoint":"/b"}]}`,
			r + "0: says when to reauthenticate; in a list of calls only the last one can"},
		{"expressions in later calls", `{` + template + `,"customAuthRequest":[{"endpoint":"/a","body":{"a":"{{x}}"}},{"endpoint":"/b","body":{"a":"{{x}}"}}]}`,
			r + "1/body/a: customAuthRequest[1].body.a: {{x}} at character 1 is no expression; write {{.x}}"},

		{"former name", `{` + request + `,"customAuthResponse":{"headers":{"A":"{{.t}}"}}}`,
			"note /customAuthResponse: is the former name; write customAuthRequestTemplate"},
		{"both names", `{` + request + `,"customAuthRequestTemplate":{"headers":{"A":"x"}},"customAuthResponse":{"headers":{"A":"{{.t}}"}}}`,
			"/customAuthResponse: is the former name of customAuthRequestTemplate; both are given"},

		{"no base URL", `{"authType":"none"}`, "/baseUrl: is required"},
		{"empty base URL", `{"authType":"none","baseUrl":""}`, "/baseUrl: is required"},
		{"base URL of another scheme", `{"authType":"none","baseUrl":"ftp://a"}`, "/baseUrl: must be a URL with http:// or https:// and a host"},
		{"base URL without host", `{"authType":"none","baseUrl":"https:///x"}`, "/baseUrl: must be a URL with http:// or https:// and a host"},
		{"base URL with a user", `{"authType":"none","baseUrl":"https://u:p@a"}`, "/baseUrl: holds a user name; use authType basic with username and password"},
		{"base URL with a query", `{"authType":"none","baseUrl":"https://a?x"}`, "/baseUrl: has a query or a fragment, which no path can be joined to"},
		{"unknown authType", `{"authType":"oauth2","baseUrl":"https://a"}`, `/authType: must be one of "none", "bearer_token", "basic", "basic_auth", "api_key", "custom"`},
		{"unknown setting", `{"authType":"none","baseUrl":"https://a","apitoken":"x"}`, `/apitoken: is not a known property; did you mean "apiToken"?`},
		{"bearer without a token", `{"authType":"bearer_token","baseUrl":"https://a"}`, "/apiToken: is required with authType bearer_token"},
		{"api_key without a key", `{"authType":"api_key","baseUrl":"https://a"}`, "/apiKey: is required with authType api_key"},
		{"api_key in no header", `{"authType":"api_key","baseUrl":"https://a","apiKey":"k","apiKeyHeader":"a b"}`, `/apiKeyHeader: "a b" is no header name`},
		{"token with a line break", `{"authType":"bearer_token","baseUrl":"https://a","apiToken":"a\nb"}`,
			"/apiToken: header Authorization: the value holds a line break or another control character"},
		{"basic without a user", `{"authType":"basic","baseUrl":"https://a","password":"x"}`, "/username: is required with authType basic"},
		{"basic with a colon", `{"authType":"basic","baseUrl":"https://a","username":"a:b","password":"x"}`,
			"/username: holds a colon, which Basic authentication cannot send (RFC 7617, section 2)"},
		{"basic_auth", `{"authType":"basic_auth","baseUrl":"https://a","username":"a","password":"x"}`,
			"note /authType: basic_auth is not the documented name; write basic"},
		{"unused settings", `{"baseUrl":"https://a","customAuthRequest":{"endpoint":"/t"},"apiKey":"k"}`,
			"note /apiKey: is not used: authType is none, not api_key\nnote /customAuthRequest: is not used: authType is none, not custom"},
		{"no certificate checks", `{"authType":"none","baseUrl":"https://a","verifySsl":false}`,
			"note /verifySsl: is off: whoever is on the way can read and change everything"},
		{"odd verifySsl", `{"authType":"none","baseUrl":"https://a","verifySsl":"maybe"}`,
			`/verifySsl: must be true or false; yes, no, on, off, 1 and 0 do too`},
		{"key without certificate", `{"authType":"none","baseUrl":"https://a","clientPrivateKey":"x"}`, "/clientCertificate: is required with clientPrivateKey"},
		{"certificate without key", `{"authType":"none","baseUrl":"https://a","clientCertificate":"x"}`, "/clientPrivateKey: is required with clientCertificate"},
		{"no pair", `{"authType":"none","baseUrl":"https://a","clientCertificate":"x","clientPrivateKey":"y"}`,
			"/clientCertificate: and clientPrivateKey are no pair of a certificate and its key in PEM"},
		{"no authority", `{"authType":"none","baseUrl":"https://a","caCertificate":"x"}`, "/caCertificate: holds no certificate in PEM"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, told := read(t, c.document); told != c.told {
				t.Errorf("got\n%s\nwant\n%s", told, c.told)
			}
		})
	}
}

func TestSettingsReachTheSpec(t *testing.T) {
	spec, told := read(t, `{"baseUrl":"https://a.test:8443/tenants/9//","authType":"custom","verifySsl":"false","timeout":"2.5","maxConcurrentRequests":"7","tokenCache":"redis",
		"customAuthRequest":[{"endpoint":"/a"},{"endpoint":"/b","reauthenticateIntervalSeconds":"900","reauthenticateIntervalFrom":"expires_in","reauthenticateOn":[401,403]}],
		"customAuthRequestTemplate":{"headers":{"A":"{{.t}}"}}}`)
	c, ok := spec.Config.(*custom.Config)
	if !ok || told != "note /verifySsl: is off: whoever is on the way can read and change everything" {
		t.Fatalf("got %T, %s", spec.Config, told)
	}
	if len(c.Calls) != 2 || c.Interval != 900*time.Second || c.IntervalFrom == nil || c.Owner != "test" || c.Base != "https://a.test:8443/tenants/9" || c.Tries != 2 {
		t.Errorf("got the method %+v", c)
	}
	if spec.Method != "custom" || !slices.Equal(spec.Refused, []int{401, 403}) || spec.Resubmits != 1 || !spec.Shared {
		t.Errorf("got %+v", spec)
	}
	if s := spec.System; s.BaseURL.String() != c.Base || s.Timeout != 2500*time.Millisecond || s.MaxConcurrent != 7 || !s.InsecureSkipVerify {
		t.Errorf("got the system %+v", s)
	}
}

func TestDefaultsAreThoseOfThePage(t *testing.T) {
	spec, told := read(t, `{"baseUrl":"https://a.test","authType":""}`)
	s := spec.System
	if told != "" || spec.Method != "no_authentication" || s.Timeout != 30*time.Second || s.MaxConcurrent != 10 || s.InsecureSkipVerify || spec.Shared {
		t.Errorf("got %+v, %+v, %s", spec, s, told)
	}
	if spec, _ := read(t, `{`+template+`,"customAuthRequest":{"endpoint":"/t"}}`); spec.Config.(*custom.Config).Interval != 0 || len(spec.Refused) != 0 {
		t.Errorf("got %+v, want no interval, and 401 alone", spec.Config)
	}
}

// Section 10: what the static types send, and who wins.
func TestStaticTypes(t *testing.T) {
	for _, c := range []struct{ name, fields, header, own, want string }{
		{"bearer", `"authType":"bearer_token","apiToken":"T"`, "Authorization", "", "Bearer T"},
		{"bearer, the request's own", `"authType":"bearer_token","apiToken":"T"`, "Authorization", "own", "own"},
		{"api_key", `"authType":"api_key","apiKey":"K"`, "X-API-Key", "", "K"},
		{"api_key, another header", `"authType":"api_key","apiKey":"K","apiKeyHeader":"x-key"`, "X-Key", "", "K"},
		{"api_key, the request's own", `"authType":"api_key","apiKey":"K"`, "X-Api-Key", "own", "own"},
		{"basic", `"authType":"basic","username":"ann","password":"p:w"`, "Authorization", "own", "Basic YW5uOnA6dw=="},
		{"basic_auth", `"authType":"basic_auth","username":"ann","password":"p:w"`, "Authorization", "", "Basic YW5uOnA6dw=="},
		{"blank password", `"authType":"basic","username":"ann"`, "Authorization", "own", "Basic YW5uOg=="},
		{"none", `"authType":"none"`, "Authorization", "own", "own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec, told := read(t, `{"baseUrl":"https://a.test",`+c.fields+`}`)
			if told != "" && !strings.HasPrefix(told, "note ") {
				t.Fatal(told)
			}
			if err := spec.Config.Validate(); err != nil {
				t.Fatal(err)
			}
			a, err := spec.Config.Open(auth.Env{})
			if err != nil {
				t.Fatal(err)
			}
			req := httptest.NewRequest(http.MethodGet, "https://a.test/", nil)
			if c.own != "" {
				req.Header.Set(c.header, c.own)
			}
			if _, err := a.Apply(req); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(req.Header.Values(c.header), "|"); got != c.want {
				t.Errorf("%s: got %q, want %q", c.header, got, c.want)
			}
		})
	}
}

// Sections 3 and 11: objects as JSON text, alone or in the values of a chart, mean the same.
func TestEveryFormOfADocumentMeansTheSame(t *testing.T) {
	const req, tpl = `{"endpoint":"/t","body":{"n":90071992547409931}}`, `{"headers":{"A":"{{.t}}"}}`
	text := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }
	keys := map[string]bool{}
	for _, c := range []struct{ document, at string }{
		{`{"baseUrl":"https://a.test","authType":"custom","customAuthRequest":` + req + `,"customAuthRequestTemplate":` + tpl + `}`, ""},
		{`{"baseUrl":"https://a.test","authType":"custom","customAuthRequest":` + text(req) + `,"customAuthRequestTemplate":` + text(tpl) + `}`, ""},
		{`{"baseUrl":"https://a.test","authType":"custom","customAuthRequest":[` + req + `],"customAuthRequestTemplate":` + text(tpl) + `}`, ""},
		{`{"integration":{"config":{"baseUrl":"https://a.test","authType":"custom","customAuthRequest":` + text(req) + `,"customAuthRequestTemplate":` + tpl + `}}}`, "/integration/config"},
		{"integration:\n  config:\n    baseUrl: https://a.test\n    authType: custom\n    customAuthRequest: '" + req + "'\n    customAuthRequestTemplate: {headers: {A: '{{.t}}'}}\n", "/integration/config"},
	} {
		doc, err := settings.Parse([]byte(c.document))
		if err != nil {
			t.Fatal(err)
		}
		if _, at, _, _ := (port.Dialect{}).Tree(doc.Root()); at != c.at {
			t.Errorf("%s: at %q, want %q", c.document, at, c.at)
		}
		spec, told := read(t, c.document)
		if told != "" {
			t.Fatal(told)
		}
		plan, err := spec.Config.Plan(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		body := make([]byte, 100)
		n, _ := plan.Requests[0].Body.Read(body)
		keys[plan.Requests[0].URL.String()+string(body[:n])] = true
	}
	if len(keys) != 1 || !keys[`https://a.test/t{"n":90071992547409931}`] {
		t.Errorf("got the calls %v, want one", keys)
	}
}

func TestDocumentsOfOtherDialectsAreLeftAlone(t *testing.T) {
	for _, document := range []string{`{"authentication":{}}`, `{"baseUrl":"https://a"}`, `[1]`, `"x"`, `{"integration":{"config":"{}"}}`, `{"integration":1}`} {
		doc, err := settings.Parse([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, ok := (port.Dialect{}).Tree(doc.Root()); ok {
			t.Errorf("%s is taken for this dialect", document)
		}
	}
}

// A whole object may come from an environment variable or a file, as JSON text.
func TestObjectsCanBeOneReference(t *testing.T) {
	tree, at, _, _ := port.Dialect{}.Tree(map[string]any{"baseUrl": "https://a.test", "authType": "custom",
		"customAuthRequest": "${env:REQ}", "customAuthRequestTemplate": map[string]any{"headers": map[string]any{"A": "{{.t}}"}}})
	expanded, problems := settings.Expand(tree, at, settings.Lookup{Env: func(string) (string, bool) { return `{"endpoint":"/t"}`, true }})
	if problems != nil {
		t.Fatal(problems)
	}
	if _, told := parse(expanded.(map[string]any), at, nil); told != "" {
		t.Error(told)
	}
}

func TestTreeDoesNotChangeTheDocument(t *testing.T) {
	document := map[string]any{"authType": "custom", "customAuthRequest": `{"endpoint":"/t"}`}
	before := fmt.Sprint(document)
	if tree, _, _, _ := (port.Dialect{}).Tree(document); fmt.Sprint(document) != before || tree["customAuthRequest"] == document["customAuthRequest"] {
		t.Errorf("the document became %v, want %s", document, before)
	}
}

// Section 11.
func TestEnvironmentIsReadAsItIs(t *testing.T) {
	const prefix = "OCEAN__INTEGRATION__CONFIG__"
	base := []string{"PATH=/bin", "OCEAN__PORT__CLIENT_ID=x", prefix + "BASE_URL=https://a.test", prefix + "AUTH_TYPE=custom", prefix + "QUITE_OTHER=5"}
	req, tpl := prefix+`CUSTOM_AUTH_REQUEST={"endpoint":"/t"}`, prefix+`CUSTOM_AUTH_REQUEST_TEMPLATE={"headers":{"A":"{{.t}}"}}`
	missing := "/customAuthRequest: is missing: authType custom needs an authentication call"
	cases := []struct {
		name    string
		environ []string
		told    string
	}{
		{"as on the page", []string{req, tpl}, ""},
		{"any case", []string{strings.ToLower(prefix) + `Custom_Auth_Request={"endpoint":"/t"}`, tpl, prefix + "verify_ssl=true"}, ""},
		{"no JSON", []string{prefix + "CUSTOM_AUTH_REQUEST=x", tpl}, "/customAuthRequest: is a text, and not that of a JSON object"},
		{"a list as the template", []string{req, prefix + "CUSTOM_AUTH_REQUEST_TEMPLATE=[1]"}, "/customAuthRequestTemplate: is array, want object"},
		{"empty", []string{prefix + "CUSTOM_AUTH_REQUEST=", tpl}, missing},
		{"one level deeper", []string{prefix + "CUSTOM_AUTH_REQUEST__ENDPOINT=/t", prefix + "CUSTOM_AUTH_REQUEST__BODYFORM=a=1",
			prefix + "CUSTOM_AUTH_REQUEST__QUERY_PARAMS__Q=1", prefix + "CUSTOM_AUTH_REQUEST__REAUTHENTICATE_INTERVAL_SECONDS=60", tpl}, ""},
		{"deeper into a text", []string{req, prefix + "CUSTOM_AUTH_REQUEST__METHOD=PUT", tpl}, ""},
		{"deeper into a list", []string{prefix + `CUSTOM_AUTH_REQUEST=[{"endpoint":"/t"}]`, prefix + "CUSTOM_AUTH_REQUEST__METHOD=PUT", tpl},
			"/customAuthRequest: is a list, which the variables below its name cannot go into"},
		{"below a text", []string{req, tpl, prefix + "BASE_URL__X=1"}, "/baseUrl: has variables below its name, but is no object"},
		{"unknown field", []string{prefix + "CUSTOM_AUTH_REQUEST__ENDPOINT=/t", prefix + "CUSTOM_AUTH_REQUEST__ZZ=1", tpl}, "/customAuthRequest/zz: is not a known property"},
		{"slip", []string{req, tpl, prefix + "API_TOKN=x"}, `/api_tokn: is not a known property; did you mean "apiToken"?`},
		{"the whole as one text", []string{`OCEAN__INTEGRATION={"config":{"custom_auth_request":{"endpoint":"/t"},"customAuthRequestTemplate":{"headers":{"A":"{{.t}}"}}}}`}, ""},
		{"the whole is no JSON", []string{`OCEAN__INTEGRATION={x`, req, tpl},
			": OCEAN__INTEGRATION is a text, and not that of a JSON object: at character 2 of it: is not JSON here: want a value"},
		{"the whole with more", []string{`OCEAN__INTEGRATION={"config":{"custom_auth_request":{"endpoint":"/u"}}}`, req, tpl}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			document, problems := port.FromEnviron(append(base[:len(base):len(base)], c.environ...))
			tree, at, more, ok := port.Dialect{}.Tree(document)
			if !ok {
				t.Fatal("the document is not found to be in this dialect")
			}
			spec, told := parse(tree, at, append(problems, more...))
			if told != c.told {
				t.Errorf("got\n%s\nwant\n%s", told, c.told)
			}
			if c.told == "" {
				if plan, err := spec.Config.Plan(t.Context(), true); err != nil || plan.Requests[0].URL.Path != "/t" {
					t.Errorf("got %v, want a call to /t", err)
				}
			}
		})
	}
}

func TestEnvironmentWithoutAuthTypeMeansNone(t *testing.T) {
	document, _ := port.FromEnviron([]string{"OCEAN__INTEGRATION__CONFIG__BASE_URL=https://a.test"})
	tree, at, _, ok := port.Dialect{}.Tree(document)
	if spec, told := parse(tree, at, nil); !ok || told != "" || spec.Method != "no_authentication" {
		t.Errorf("got %+v, %s", spec, told)
	}
	if document, _ := port.FromEnviron([]string{"PATH=/bin"}); len(document) != 0 {
		t.Errorf("got %v of an environment without settings, want nothing", document)
	}
}

// What the original integration reads besides: a file or a container that has it works.
func TestSettingsOfTheOriginalIntegrationAreWarnedOf(t *testing.T) {
	others := []string{"multipleHosts", "paginationType", "pageSize", "paginationParam", "sizeParam", "startPage", "cursorPath", "hasMorePath", "customHeaders"}
	config := ""
	var want []string
	for _, name := range others {
		config += `,"` + name + `":"x"`
		want = append(want, "note /integration/config/"+name+": is not used here: it is the original integration's, and says nothing of authentication")
	}
	slices.Sort(want)
	spec, told := read(t, `{"integration":{"config":{"baseUrl":"https://a.test","authType":"none"`+config+`}}}`)
	if told != strings.Join(want, "\n") || spec.Config == nil {
		t.Errorf("got\n%s", told)
	}
	if _, told = read(t, `{"baseUrl":"https://a.test","authType":"none","pageSiz":1}`); told != "/pageSiz: is not a known property" {
		t.Errorf("got %s, want an error", told)
	}
	document, _ := port.FromEnviron([]string{"OCEAN__INTEGRATION__CONFIG__BASE_URL=https://a.test", "OCEAN__INTEGRATION__CONFIG__PAGE_SIZE=5", "ocean__integration__config__PaginationType=page"})
	tree, at, _, _ := port.Dialect{}.Tree(document)
	if _, told := parse(tree, at, nil); strings.Count(told, "note /") != 2 || strings.Count(told, "\n") != 1 {
		t.Errorf("got %s, want two notes", told)
	}
}

func TestSlipsOfTheCallAreTold(t *testing.T) {
	in := func(fields string) string { return `{` + template + `,"customAuthRequest":` + fields + `}` }
	const literal = "goes out as it is written: there is no answer yet that an expression could take a value from"
	for _, c := range []struct{ document, told string }{
		{in(`{"endpoint":"/t","reauthenticateOn":[]}`), "/customAuthRequest/reauthenticateOn: is empty; name at least one status, or leave it out (401)"},
		{in(`{"endpoint":"/t","reauthenticateOn":null}`), ""},
		{in(`{"endpoint":"/t","headers":{"X":"{{.a}}"},"body":{"b":["{{$answers[0].b}}"]}}`),
			"note /customAuthRequest/body/b/0: " + literal + "\nnote /customAuthRequest/headers/X: " + literal},
		{in(`[{"endpoint":"/t","bodyForm":"a={{.a}}"},{"endpoint":"/u","bodyForm":"a={{.a}}"}]`), "note /customAuthRequest/0/bodyForm: " + literal},
		{in(`{"endpoint":"/t","body":{"b":"{{mustache}}"}}`), ""},
		{in(`{"endpoint":"/t","headers":{"X":"{{ from env SECRET_1 }}"}}`), "/customAuthRequest/headers/X: is a reference in another notation; write ${env:SECRET_1}"},
		{in(`[{"endpoint":"/t"},{"endpoint":"/t","body":{"X":"{{from env SECRET_1}}"}}]`), "/customAuthRequest/1/body/X: is a reference in another notation; write ${env:SECRET_1}"},
		{`{"baseUrl":"{{ from env BASE }}","authType":"bearer_token","apiToken":"{{ from env TOKEN }}"}`,
			"/apiToken: is a reference in another notation; write ${env:TOKEN}\n/baseUrl: is a reference in another notation; write ${env:BASE}"},
	} {
		if _, told := read(t, c.document); told != c.told {
			t.Errorf("%s: got\n%s\nwant\n%s", c.document, told, c.told)
		}
	}
}

func TestVerifySSLTakesManyWords(t *testing.T) {
	for word, insecure := range map[string]bool{`"TRUE"`: false, `"tRue"`: false, `"t"`: false, `"T"`: false, `"Yes"`: false, `"y"`: false, `"ON"`: false, `"1"`: false, `true`: false, `""`: false, `null`: false,
		`"FALSE"`: true, `"fAlse"`: true, `"f"`: true, `"No"`: true, `"N"`: true, `"Off"`: true, `"0"`: true, `false`: true} {
		spec, told := read(t, `{"baseUrl":"https://a.test","authType":"none","verifySsl":`+word+`}`)
		if spec.System == nil || spec.System.InsecureSkipVerify != insecure {
			t.Errorf("%s: got %s, want insecure %t", word, told, insecure)
		}
	}
	for _, word := range []string{`"maybe"`, `"truee"`, `1`, `"2"`} {
		if _, told := read(t, `{"baseUrl":"https://a.test","authType":"none","verifySsl":`+word+`}`); told == "" {
			t.Errorf("%s is taken for a word", word)
		}
	}
}

func TestBrokenJSONTextNamesItsPlace(t *testing.T) {
	for text, want := range map[string]string{
		`{"endpoint": "/t", "secret-1": secret-2}`: "at character 32 of it: ", "{\n \"endpoint\": é}": "at line 2, character 14 of it: ",
		`{"endpoint": "/t"} secret-1`: "at character 20 of it: ", `[{"endpoint": "/t"}`: "at character 20 of it: ",
	} {
		_, told := read(t, `{`+template+`,"customAuthRequest":`+fmt.Sprintf("%q", text)+`}`)
		if !strings.HasPrefix(told, "/customAuthRequest: is a text, and not that of a JSON object: "+want) || strings.Contains(told, "secret-") {
			t.Errorf("%s: got %s, want %s", text, told, want)
		}
	}
}

// Values of secrets stand in no problem, and no verb prints them.
func TestProblemsAndSpecsHoldNoSecret(t *testing.T) {
	secret := authtest.Marker()
	for _, c := range []string{
		`{"baseUrl":"$","authType":"$","apiToken":["$"],"verifySsl":"$","timeout":"$","customAuthRequest":"$","customAuthRequestTemplate":"{$"}`,
		`{"baseUrl":"http://$:$@x y/","authType":"custom","customAuthRequest":{"endpoint":"://$","method":"$","headers":{"A":["$"],"B":"$\n"},"body":"$","bodyForm":["$"],"reauthenticateIntervalFrom":"$ $","reauthenticateOn":["$"]},"customAuthRequestTemplate":{"headers":{"A":"{{$-}}"},"body":{"a":"{{.a \"$}}"}}}`,
		`{"baseUrl":"https://a.test","authType":"custom","customAuthRequest":{"endpoint":"/t","headers":{"A":"$"},"body":{"a":["$"]},"queryParams":{"q":"$"}},"customAuthRequestTemplate":{"headers":{"A":"$"},"body":{"a":{"b":"$"}}}}`,
	} {
		spec, told := read(t, strings.ReplaceAll(c, "$", secret))
		if text := told + fmt.Sprintf("%v %+v %#v %+v", spec, spec, spec, spec.Config); strings.Contains(text, secret) {
			t.Errorf("a secret is shown: %s", text)
		}
	}
}
