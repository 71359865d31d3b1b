package custom_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/auth/methods/custom"
)

const oddNames = `a name with other characters than letters, digits and _ is written .["name"]`

// quoted is a text as JSON.
func quoted(text string) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, `\`, `\\`), `"`, `\"`)
	return `"` + text + `"`
}

// Section 6.1, both tables, and «template» of section 14.
func TestExpressionsBecomeText(t *testing.T) {
	cases := []struct{ template, answer, want string }{
		{"Bearer {{.tok}}", `{"tok":"q1"}`, "Bearer q1"},
		{"{{.a}}:{{.b}}/{{.a}}", `{"a":"l","b":"r"}`, "l:r/l"},
		{"{{.data.key}}", `{"data":{"key":"k"}}`, "k"},
		{"{{.keys[1].v}}", `{"keys":[{"v":0},{"v":"x"}]}`, "x"},
		{`{{.["access-token"]}}`, `{"access-token":"d"}`, "d"},
		{`{{."access-token"}}`, `{"access-token":"d"}`, "d"},
		{"{{.tok }}", `{"tok":"q"}`, "q"},
		{"{{..tok}}", `{"tok":"q"}`, "q"},
		{"{{{.tok}}}", `{"tok":"q"}`, "{q}"},
		{"{.tok}", `{"tok":"q"}`, "{.tok}"},
		{"{{.t // .tok}}", `{"tok":"q"}`, "q"},
		{`{{.t // "none"}}`, `{"tok":"q"}`, "none"},
		{`{{.t // 'none'}}`, `{"tok":"q"}`, "none"},
		{"{{.tok | ascii_upcase}}", `{"tok":"q"}`, "Q"},
		{"{{.l[]}}", `{"l":["a","b"]}`, "a"},
		{"{{.[1].t}}", `[1,{"t":"x"}]`, "x"},
		{"{{.| ascii_upcase}}", `"tok"`, "TOK"},
		{"{{.tok}}", `{"tok":"{{.other}}","other":"x"}`, "{{.other}}"},
		{"a{{.tok}}b", `{"tok":""}`, "ab"},
		{"{{.n}}", `{"n":77}`, "77"},
		{"{{.n}}", `{"n":-90071992547409931}`, "-90071992547409931"},
		{"{{.n}}", `{"n":123456789012345678901234567890}`, "123456789012345678901234567890"},
		{"{{.n + 1}}", `{"n":90071992547409931}`, "90071992547409932"},
		{"{{.n}}", `{"n":2.25}`, "2.25"},
		{"{{.n}}", `{"n":90.0}`, "90"},
		{"{{.n}}", `{"n":1e3}`, "1000"},
		{"{{.n}}", `{"n":0.00000001}`, "1e-8"},
		{"{{.n}}", `{"n":true}`, "true"},
		{"{{.n}}", `{"n":false}`, "false"},
		{"{{.n | tojson}}", `{"n":{"b":[1,"x"],"a":null}}`, `{"a":null,"b":[1,"x"]}`},
		{"{{$answers[0].tok}}", `{"tok":"q"}`, "q"},
		{"{{.tok}} | {{.tok|length}}", `{"tok":"é"}`, "é | 1"},
	}
	for _, c := range cases {
		a := login{template: `{"body":{"m":` + quoted(c.template) + `}}`}.open(t, env(t, says(c.answer)))
		req, err := apply(t.Context(), a, http.MethodPost, "{}", "application/json")
		if err != nil {
			t.Errorf("%s of %s: got %v, want %q", c.template, c.answer, err, c.want)
			continue
		}
		body, _ := io.ReadAll(req.Body)
		if got := tree(t, string(body))["m"]; got != c.want {
			t.Errorf("%s of %s: got %q, want %q", c.template, c.answer, got, c.want)
		}
	}
}

// Section 6.1 [N]: errors name the path and the keys, keep jq's own words, and hold no value.
func TestExpressionsThatFindNothingAreClearErrors(t *testing.T) {
	secret := authtest.Marker()
	answer := `{"tok":"` + secret + `","list":["` + secret + `"],"none":null,"n":1e999,"pin":48151623421e9}`
	keys := "its keys are list, n, none, pin, tok"
	cases := []struct{ template, want string }{
		{"{{.absent}}", "{{.absent}}: the answer has no such value; " + keys},
		{"{{.none}}", "{{.none}}: the answer has no such value; " + keys},
		{"{{.list[5]}}", "{{.list[5]}}: the answer has no such value; " + keys},
		{"{{.list[] | select(. == 1)}}", "{{.list[] | select(. == 1)}}: the answer has no such value; " + keys},
		{"{{.list}}", "{{.list}}: is a list; choose an item ([0]), join it, or ask for its JSON (| tojson)"},
		{"{{.|. }}", "{{.|.}}: is an object; choose a member, or ask for its JSON (| tojson)"},
		{"{{.n}}", "{{.n}}: is a number out of range"},
		{"{{.tok.sub}}", "{{.tok.sub}}: expected an object but got: string"},
		{"{{.tok + 1}}", "{{.tok + 1}}: cannot add: string and number (status 200)"},
		{"{{.pin | gmtime}}", "{{.pin | gmtime}}: gmtime cannot be applied to this value (status 200)"},
		{"{{.tok | tonumber}}", "{{.tok | tonumber}}: tonumber cannot be applied to this value (status 200)"},
		{"{{.tok | startswith(1)}}", "{{.tok | startswith(1)}}: startswith cannot be applied to string (status 200)"},
		{"{{.tok | error}}", "{{.tok | error}}: the expression ends with an error of its own"},
		{"{{.tok | test(\"(\")}}", "{{.tok | test(\"(\")}}: invalid regular expression"},
	}
	for _, c := range cases {
		a := login{template: `{"headers":{"X-T":` + quoted(c.template) + `}}`}.open(t, env(t, says(answer)))
		_, err := get(t.Context(), a)
		if want := "template: headers.X-T: " + c.want; err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("got %v, want … %s", err, want)
		}
	}
}

// Section 6.1 [N]: no environment, no files, no loops; what is refused is named when the template is read.
func TestProgramsThatATemplateDoesNotNeedAreRefused(t *testing.T) {
	for program, want := range map[string]string{
		".|env.HOME": "the function env", ".|$ENV.HOME": "the variable $ENV", ".|halt": "the function halt", ".tok | halt_error": "the function halt_error",
		".|[limit(9; repeat(1))] | length": "the function repeat", ".|last(range(1; 1000000000000))": "the function range",
		".|def f: f; f": "def", ".|until(false; .)": "the function until", "..|..": "..", ".. | .a": "..", ".|recurse": "the function recurse",
		".|reduce .[] as $x (0; . + 1)": "reduce", ".|foreach .[] as $x (0; . + 1)": "foreach", ".|label $x | 1": "label and break", ".a as $x | $x": "a variable of its own (as)",
		".a |= 1": "the operator |=", ".a += 1": "the operator +=", ".|try .a catch .": "try", ".|walk(.)": "the function walk", ".|input_filename": "no jq program: function not defined",
		".|splits(\"a\")": "the function splits", ".|test(.a)": "the function test with an argument that is no constant text, or a long one, which a template cannot",
		".|sub(\"a\"; \"b\"; \"g\")": "the function sub", ".|match(\"a\"; \"g\")": "the function match with the flag g",
		".|test(\"(a{1,100}){1,10}(b{1,100}){1,10}\")": "the function test with a large pattern", ".|split(.a)": "the function split with an argument",
		".|join(\"" + strings.Repeat("a", 257) + "\")": "the function join with an argument", ".|paths": "the function paths", ".|del(.a)": "the function del",
		".|" + strings.Repeat("9", 1025): "a number of more than 1024 digits", ".|\"\\(range(9))\"": "the function range", ".|map({(env|tojson):1})": "the function env",
		".|if range(9) then 1 end": "the function range", ".|-range(9)": "the function range", ".[range(9)]": "the function range", ".|@base32d": "the format @base32d",
		".|{$ENV}": "the variable $ENV", ".|builtins": "the function builtins", ".|getpath([range(9)])": "the function getpath", ".|select(range(9))": "the function range",
	} {
		_, err := custom.ParseExpression(program)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", program, err, want)
		}
	}
}

// What a template does need.
func TestProgramsThatATemplateNeeds(t *testing.T) {
	answer := `{"tok":" Ab ","n":-2.5,"list":[{"id":1,"v":"x"},{"id":2,"v":"y","when":1700000000}],"jwt":"aGk.eyJzdWIiOiJhbm4ifQ","u":"a b","nested":"{\"t\":\"T\"}","at":"2026-01-02T03:04:05Z"}`
	for program, want := range map[string]string{
		".list[] | select(.id == 2) | .v": "y", ".list | map(.v) | join(\",\")": "x,y", ".list | length": "2", ".list | sort_by(.id) | last | .v": "y",
		".list[1:] | first | .v": "y", ".list[-1].v": "y", ".tok | trim | ascii_downcase": "ab", ".tok | ltrimstr(\" \") | rtrimstr(\" \")": "Ab", ".u | @uri": "a%20b",
		".|@base64 \"\\(.u):\\(.n)\"": "YSBi:LTIuNQ==", ".jwt | split(\".\") | .[1] | @base64d | fromjson | .sub": "ann", ".nested | fromjson.t": "T",
		".n | floor": "-3", ".n | abs": "2.5", ".|-.n * 2 - 1": "4", ".n / -5": "0.5", ".|if .n < 0 then \"neg\" elif .n then 1 else 2 end": "neg",
		".u | sub(\" \"; \"-\")": "a-b", ".u | gsub(\"[ab]\"; \"x\")": "x x", ".u | test(\"^A\"; \"i\")": "true", ".u | capture(\"(?<x>.) (?<y>.)\") | .y + .x": "ba",
		".list[1].when | todate": "2023-11-14T22:13:20Z", ".at | fromdate": "1767323045", ".at | strptime(\"%Y-%m-%dT%H:%M:%SZ\") | mktime": "1767323045",
		".gone? // .u": "a b", ".gone.deep // \"none\"": "none", ".|{a: .u, \"b\": .n} | tojson": `{"a":"a b","b":-2.5}`, ".list | map(.id) | add": "3", ".list | map(.id) | min, max": "1",
		".list[0] | keys | tojson": `["id","v"]`, ".list[0] | has(\"v\") and (.id | not | not)": "true", ".list[0] | to_entries[0].key": "id", ".u | startswith(\"a\")": "true",
		".u | contains(\" \")": "true", ".u | explode | implode": "a b", ".list | any(.id == 2)": "true", ".n | tostring | tonumber": "-2.5", ".u | type": "string",
		"$answers[0].u": "a b", ".[\"u\"] + \"!\"": "a b!", ".|[.u, .n] | @csv": `"a b",-2.5`, ".list[.n + 3 | floor].v": "x", ".|first(.list[].v)": "x",
	} {
		a := login{template: `{"body":{"m":` + quoted("{{"+program+"}}") + `}}`}
		if strings.Contains(program, "}") { // which a template cannot hold, and a setting can
			if _, err := custom.ParseExpression(program); err != nil {
				t.Errorf("%s: %v", program, err)
			}
			continue
		}
		req, err := apply(t.Context(), a.open(t, env(t, says(answer))), http.MethodPost, "{}", "application/json")
		if err != nil {
			t.Errorf("%s: %v", program, err)
			continue
		}
		body, _ := io.ReadAll(req.Body)
		if got := tree(t, string(body))["m"]; got != want {
			t.Errorf("%s: got %q, want %q", program, got, want)
		}
	}
}

// No answer makes a login take long or grow: what was slow took minutes before. On a slow machine
// the limit of time may come before the limit of size; either will do.
func TestLargeAnswersAreBounded(t *testing.T) {
	mega := 1 << 20
	text := `{"t":"` + strings.Repeat("a", mega-20) + `"}`
	numbers := `{"n":` + strings.Repeat("9", mega-20) + `}`
	list := `{"l":[` + strings.TrimSuffix(strings.Repeat("1,", mega/2-10), ",") + `]}`
	shorter := `{"l":[` + strings.TrimSuffix(strings.Repeat("1,", 10_000), ",") + `]}`
	words := `{"s":"ok","t":"` + strings.Repeat("a", 64<<10) + `"}`
	long, many := "too long for this", "too many digits"
	for _, c := range []struct{ program, answer, want string }{
		{`.t | gsub("a";"b") | length`, text, long}, {`.t | sub("a";"b") | length`, text, long}, {`.t | @base64`, text, long}, {`.t | ascii_upcase`, text, long},
		{`.t + .t | length`, text, long}, {`.|"\(.t)\(.t)" | length`, text, long}, {`.t == "a"`, text, long}, {`.|tojson | length`, text, long}, {`.t`, text, "is larger than 64 KiB"},
		{`.t | gsub("a";"b") | length`, words, long}, {`.t | test("(a*)*$")`, words, ""}, {`.t | match("a*?b|.$").offset`, words, ""}, {`.s`, words, ""}, {`.t * 100000000 | length`, words, "wants numbers"},
		{`.|"x" * 1e8 | length`, words, "wants numbers"}, {`.t + .t | . + . | . + . | . + . | . + . | . + . | length`, words, long},
		{`.n`, numbers, "is larger than 64 KiB"}, {`.n * .n | length`, numbers, many}, {`.n | tostring`, numbers, many}, {`.n + 1`, numbers, many}, {`.n == 1`, numbers, many}, {`.[.n]`, numbers, many},
		{`.|1e100 * 1e100 * 1e100`, words, ""}, {`.|` + strings.Repeat("9", 1000) + `|.*.|.*.|.*.|.*.|.*.|.*.`, words, many},
		{`.l | length`, list, ""}, {`.l | sort | first`, shorter, ""}, {`.l | unique | length`, shorter, ""}, {`.l | map(. + 1) | add`, shorter, ""}, {`.l - .l | length`, list, "wants numbers"},
		{`.l | join("") | length`, list, long}, {`.l + .l + .l | length`, list, "too large for this"}, {`.|[.l,.l]|[.,.]|[.,.]|[.,.]|tojson|length`, list, "too large for this"},
		{`.|[.l[] | $answers] | tojson | length`, shorter, "too large for this"}, {`.|[.l[] | [$answers[0].l[]]] | length`, list, "takes too long"},
		{`.l | map($answers[0].l) | length`, shorter, "too large for this"},
	} {
		start := time.Now()
		_, err := get(t.Context(), login{template: `{"headers":{"X-T":` + quoted("{{"+c.program+"}}") + `}}`}.open(t, env(t, says(c.answer))))
		took := time.Since(start)
		late := c.want != "" && err != nil && strings.Contains(err.Error(), "takes too long")
		if !late && ((err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want)) || took > 30*time.Second {
			t.Errorf("%.80s: got %v after %s, want %q", c.program, err, took, c.want)
		}
	}
}

// Section 6.2, and «template check» of section 14.
func TestTemplatesAreCheckedWhenTheyAreRead(t *testing.T) {
	cases := []struct{ name, template, want string }{
		{"good", `{"headers":{"A":"x {{.t}}"},"queryParams":{"n":1,"m":null,"l":["{{.t}}",true]},"body":{"a":{"b":[1,{"c":"{{.t}}"}]}}}`, ""},
		{"no braces", `{"headers":{"A":"plain","B":"{.t}","C":"}}"}}`, ""},
		{"no dot", `{"headers":{"Authorization":"Bearer {{tok}}"}}`,
			"/headers/Authorization headers.Authorization {{tok}} at character 8 is no expression; write {{.tok}}"},
		{"blank", `{"headers":{"A":"{{ .tok }}"}}`, "/headers/A headers.A {{ .tok }} at character 1 is no expression; write {{.tok}}"},
		{"nothing in it", `{"headers":{"A":"{{}}"}}`, "/headers/A headers.A the {{…}} at character 1 is no expression; write {{.path}}, with the dot right after the braces"},
		{"a dot alone", `{"headers":{"A":"{{.}}"}}`, "/headers/A headers.A the {{…}} at character 1 is no expression; write {{.path}}, with the dot right after the braces"},
		{"beside a good one", `{"headers":{"A":"é{{.a}}{{b}}"}}`, "/headers/A headers.A {{b}} at character 8 is no expression; write {{.b}}"},
		{"not closed", `{"headers":{"A":"{{.tok"}}`, "/headers/A headers.A the {{ at character 1 is not closed"},
		{"half closed", `{"headers":{"A":"{{.tok}"}}`, "/headers/A headers.A the {{ at character 1 is not closed"},
		{"brace inside", `{"headers":{"A":"{{.tok|{a:.}|.a}}"}}`, "/headers/A headers.A the {{ at character 1 begins an expression with a } in it, which none can have"},
		{"nested", `{"body":{"auth":{"token":"{{t}}"}}}`, "/body/auth/token body.auth.token {{t}} at character 1 is no expression; write {{.t}}"},
		{"list", `{"body":{"list":["{{.a}}","{{b}}"]}}`, "/body/list/1 body.list[1] {{b}} at character 1 is no expression; write {{.b}}"},
		{"object in a list", `{"body":{"list":[{"a":"{{b}}"}]}}`, "/body/list/0/a body.list[0].a {{b}} at character 1 is no expression; write {{.b}}"},
		{"list in a query", `{"queryParams":{"l":["{{b}}"]}}`, "/queryParams/l/0 queryParams.l[0] {{b}} at character 1 is no expression; write {{.b}}"},
		{"object in a query", `{"queryParams":{"l":{"a":1}}}`, "/queryParams/l queryParams.l is an object or a list, which a query parameter cannot hold"},
		{"list in a list in a query", `{"queryParams":{"l":[[1]]}}`, "/queryParams/l/0 queryParams.l[0] is an object or a list, which a query parameter cannot hold"},
		{"no jq", `{"headers":{"A":"{{.a b}}"}}`, "/headers/A headers.A the expression at character 1 is no jq program after 3 bytes of it; " + oddNames},
		{"blank after the dot", `{"headers":{"A":"{{. tok}}"}}`, "/headers/A headers.A the expression at character 1 is no jq program after 2 bytes of it; " + oddNames},
		{"subtraction", `{"headers":{"A":"{{.access-token}}"}}`, "/headers/A headers.A the expression at character 1 is no jq program: function not defined: token/0; " + oddNames},
		{"input", `{"headers":{"A":"{{.a|input}}"}}`, "/headers/A headers.A the expression at character 1 is no jq program: input(s)/0 is not allowed; " + oddNames},
		{"debug", `{"headers":{"A":"{{.a|debug}}"}}`, "/headers/A headers.A the expression at character 1 is no jq program: function not defined: debug/0; " + oddNames},
		{"too long", `{"headers":{"A":"{{.` + strings.Repeat("a", 5000) + `}}"}}`, "/headers/A headers.A the expression at character 1 is longer than 4096 bytes"},
		{"odd name", `{"headers":{"A B":"x"}}`, "/headers/A B headers.A B is no header name"},
		{"framing", `{"headers":{"content-length":"1"}}`, "/headers/content-length headers.content-length belongs to the connection and cannot be set here"},
		{"twice", `{"headers":{"X-a":"1","X-A":"2"}}`, "/headers/X-a headers.X-a is the same header twice; its name is read without case"},
		{"line break", `{"headers":{"A":"x\r\ny"}}`, "/headers/A headers.A holds a line break or another control character"},
		{"pointer", `{"body":{"a/b~c":"{{b}}"}}`, "/body/a~1b~0c body.a/b~c {{b}} at character 1 is no expression; write {{.b}}"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, faults := parseTemplate(t, c.template)
			var got []string
			for _, f := range faults {
				got = append(got, f.Pointer+" "+f.Place+" "+f.Reason)
			}
			if text := strings.Join(got, "\n"); text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
		})
	}
}

func TestFaultsDoNotShowWhatIsWritten(t *testing.T) {
	secret := authtest.Marker()
	for _, text := range []string{secret + "{{x", "{{" + secret + "-}}", "{{.a " + secret + "}}", "{{" + secret + secret + "}}", "{{.a}}\r\n" + secret} {
		_, faults := parseTemplate(t, `{"headers":{"A":`+strings.ReplaceAll(strings.ReplaceAll(quoted(text), "\r", `\r`), "\n", `\n`)+`}}`)
		if len(faults) == 0 || strings.Contains(fmt.Sprint(faults), secret) {
			t.Errorf("got %v, want a fault without the secret", faults)
		}
	}
}

// Sections 7 and 14, «merge».
func TestTemplateIsMergedIntoTheRequest(t *testing.T) {
	answer := `{"t":"T&1","n":5}`
	const JSON, form = "application/json", "application/x-www-form-urlencoded"
	cases := []struct {
		name, template, method, body, kind string
		query, wantBody, wantKind          string
		header                             map[string]string
	}{
		{name: "header", template: `{"headers":{"x-t":"{{.t}}"}}`, method: "GET", query: "page=1&limit=10", header: map[string]string{"X-T": "T&1"}},
		{name: "header wins", template: `{"headers":{"content-TYPE":"text/x"}}`, method: "POST", body: "x", kind: "text/plain", query: "page=1&limit=10", wantBody: "x", wantKind: "text/x"},
		{name: "query", template: `{"queryParams":{"k":"{{.t}}","s":"a b"}}`, method: "GET", query: "page=1&limit=10&k=T%261&s=a+b"},
		{name: "query wins", template: `{"queryParams":{"page":"{{.n}}"}}`, method: "GET", query: "limit=10&page=5"},
		{name: "query kinds", template: `{"queryParams":{"l":["{{.t}}",2],"n":null,"b":true,"f":1.50,"e":[]}}`, method: "GET",
			query: "page=1&limit=10&b=true&f=1.50&l=T%261&l=2&n="},
		{name: "body", template: `{"body":{"t":"{{.t}}","n":"{{.n}}","l":[{"x":"{{.t}}"},1.50,null]}}`, method: "POST", body: `{"a": 1.0, "t": {"old":1}}`, kind: JSON,
			query: "page=1&limit=10", wantBody: `{"a":1.0,"l":[{"x":"T&1"},1.50,null],"n":"5","t":"T&1"}`, wantKind: JSON},
		{name: "body of none", template: `{"body":{"t":"{{.t}}"}}`, method: "POST", query: "page=1&limit=10", wantBody: `{"t":"T&1"}`, wantKind: JSON},
		{name: "body of a GET", template: `{"body":{"t":"{{.t}}"}}`, method: "GET", query: "page=1&limit=10", wantBody: `{"t":"T&1"}`, wantKind: JSON},
		{name: "form", template: `{"body":{"t":"{{.t}}","o":{"a":1}}}`, method: "POST", body: "a=1&t=old", kind: form, query: "page=1&limit=10",
			wantBody: "a=1&o=%7B%22a%22%3A1%7D&t=T%261", wantKind: form},
		{name: "all three", template: `{"headers":{"X-T":"{{.t}}"},"queryParams":{"q":"{{.n}}"},"body":{"t":"{{.t}}"}}`, method: "PUT", body: `{"a":1}`, kind: JSON,
			query: "page=1&limit=10&q=5", wantBody: `{"a":1,"t":"T&1"}`, wantKind: JSON, header: map[string]string{"X-T": "T&1"}},
		{name: "body untouched", template: `{"headers":{"X-T":"{{.t}}"}}`, method: "POST", body: "\x00raw", kind: "x/y", query: "page=1&limit=10", wantBody: "\x00raw", wantKind: "x/y"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req, err := apply(t.Context(), login{template: c.template}.open(t, env(t, says(answer))), c.method, c.body, c.kind)
			if err != nil {
				t.Fatal(err)
			}
			body := ""
			if req.Body != nil {
				data, _ := io.ReadAll(req.Body)
				body = string(data)
				if req.ContentLength != int64(len(data)) {
					t.Errorf("Content-Length %d, want %d", req.ContentLength, len(data))
				}
				again, err := req.GetBody()
				if err != nil {
					t.Fatal(err)
				}
				if more, _ := io.ReadAll(again); string(more) != body {
					t.Errorf("the body read again is %q, want %q", more, body)
				}
			}
			if req.URL.RawQuery != c.query || body != c.wantBody || req.Header.Get("Content-Type") != c.wantKind || req.Method != c.method {
				t.Errorf("got  %s ?%s %s %s\nwant %s ?%s %s %s", req.Method, req.URL.RawQuery, req.Header.Get("Content-Type"), body,
					c.method, c.query, c.wantKind, c.wantBody)
			}
			for name, want := range c.header {
				if got := req.Header.Get(name); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
		})
	}
}

// Section 7 [N]: the whole body is held in memory only when the template has one.
func TestStreamedBodyIsNotRead(t *testing.T) {
	a := login{template: `{"headers":{"X-T":"{{.t}}"},"queryParams":{"q":"{{.t}}"}}`}.open(t, env(t, says(`{"t":"T"}`)))
	stream, _ := io.Pipe() // whoever reads from it waits for ever
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://sys.example/", stream)
	if _, err := a.Apply(req); err != nil || req.Body != stream {
		t.Errorf("got %v, want the stream untouched", err)
	}
}

// Section 7 [N]: a clear error, and nothing is sent.
func TestBodiesThatCannotTakeTheTemplateAreErrors(t *testing.T) {
	for kind, body := range map[string]string{"application/json": "[1]", "application/json; charset=utf-8": "null", "text/plain": "hello"} {
		a := login{template: `{"body":{"t":"{{.t}}"}}`}.open(t, env(t, says(`{"t":"T"}`)))
		if _, err := apply(t.Context(), a, http.MethodPost, body, kind); err == nil {
			t.Errorf("%s: got no error, want one", kind)
		}
	}
}

// Section 7 [N]: control characters are refused with a clear error.
func TestControlCharactersNeverReachARequest(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{`a\r\nX-Evil: 1`, "holds a line break or another control character"},
		{`a\u0000b`, "holds a line break or another control character"},
		{`a\u001bb`, "holds a line break or another control character"},
	} {
		_, err := get(t.Context(), login{}.open(t, env(t, says(`{"access_token":"`+c.value+`"}`))))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want … %s", c.value, err, c.want)
		}
	}
}

func TestTokenHoldsTheTemplatesValuesOnly(t *testing.T) {
	e := env(t, says(`{"access_token":"T","refresh":"R","id":7}`))
	a := login{template: `{"headers":{"Authorization":"Bearer {{.access_token}}","X-Id":"{{.id}}/{{.access_token}}"}}`}.open(t, e)
	if _, err := get(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(e.Tokens.List()[0].Names); got != "[.access_token .id]" {
		t.Errorf("the token holds %s, want [.access_token .id]", got)
	}
}

func TestPlanShowsCallsAndPlacesWithoutSecrets(t *testing.T) {
	l := login{
		calls: []call{
			{endpoint: "https://u:pw-1@as.example/t?key=pw-2&v=1", headers: `{"X-Api-Key":"pw-3","X-Version":"2"}`, body: `{"user":"ann","login":{"password":"pw-4","pin_code_token":5},"n":1}`},
			{endpoint: "/step/{{.id}}", form: "grant_type=x&client_secret=pw%2D5&ticket={{.ticket}}"},
			{endpoint: "/raw", headers: `{"content-type":"text/xml"}`, form: "<password>pw-6</password>"},
		},
		template: `{"headers":{"Authorization":"Bearer {{.t}}","Cookie":"SID={{$cookies.SID}}; x=1","X-Api-Key":"pw-7","X-V":"{{.v}}"},"queryParams":{"token":"pw-8"},"body":{"secret":"pw-9","z":"{{.t}}"}}`,
	}
	plan, err := l.config(t).Plan(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, req := range plan.Requests {
		body, _ := io.ReadAll(req.Body)
		fmt.Fprintf(&got, "%s %s %s %s\n", req.Method, req.URL, strings.Join(req.Header["Authorization"], ""), body)
	}
	req, _ := http.NewRequest(http.MethodPost, "https://sys.example/", nil)
	if _, err := plan.Auth.Apply(req); err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(req.Body)
	for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "X-V"} {
		fmt.Fprintf(&got, "%s: %s\n", name, req.Header.Get(name))
	}
	fmt.Fprintf(&got, "%s %s", req.URL.RawQuery, body)
	want := `POST https://as.example/t?key=[redacted]&v=1 Basic [redacted] {"login":{"password":"[redacted]","pin_code_token":"[redacted]"},"n":1,"user":"ann"}
POST https://sys.example/step/%7B.id%7D  grant_type=x&client_secret=[redacted]&ticket={.ticket}
POST https://sys.example/raw  [redacted]
Authorization: Bearer {.t}
Cookie: SID={$cookies.SID}[redacted]
X-Api-Key: [redacted]
X-V: {.v}
token=%5Bredacted%5D {"secret":"[redacted]","z":"{.t}"}`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

// What has no names cannot be hidden by them.
func TestFormThatIsNoneIsHiddenWhole(t *testing.T) {
	for form, want := range map[string]string{
		`{"user":"ann","odd":"marker-1=x"}`:     "[redacted]",
		"bWFya2VyLTE6bWFya2VyLTI=":              "[redacted]",
		"bWFya2VyLTE6bWFya2VyLTI2dGU==":         "[redacted]",
		"marker-1":                              "[redacted]",
		"marker-1&user=ann":                     "[redacted]",
		"marker/1=x&user=ann":                   "[redacted]",
		strings.Repeat("marker-1", 9) + "=x":    "[redacted]",
		"<a b=\"marker-1\"/>":                   "[redacted]",
		"user=ann&scope=&password=marker-1&b=c": "user=ann&scope=&password=[redacted]&b=c",
		"user=ann&":                             "user=ann&",
		"ids[]=1&a.b=2&c%5B0%5D=x=y":            "ids[]=1&a.b=2&c%5B0%5D=x=y",
	} {
		e := env(t, says(`{}`))
		l := login{calls: []call{{endpoint: "/t", form: form}}}
		l.open(t, e)
		plan, err := l.config(t).Plan(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(plan.Requests[0].Body); string(body) != want {
			t.Errorf("%s: got %s, want %s", form, body, want)
		}
		if learned := e.Redact.Scrub(form) != form; learned != strings.Contains(want, "[redacted]") {
			t.Errorf("%s: learned is %t", form, learned)
		}
	}
}

func TestSettingsSecretsAreTaughtToTheRedactor(t *testing.T) {
	secrets := make([]string, 6)
	for i := range secrets {
		secrets[i] = authtest.Marker()
	}
	e := env(t, says(`{}`))
	login{calls: []call{
		{endpoint: "https://u:" + secrets[0] + "@as.example/t?token=" + secrets[1], headers: `{"Authorization":"Bearer ` + secrets[2] + `"}`, body: `{"a":[{"password":"` + secrets[3] + `"}]}`},
		{endpoint: "/t", form: "client_secret=" + secrets[4]},
	}, template: `{"headers":{"X-Token":"` + secrets[5] + `","Authorization":"Bearer {{.t}}"}}`}.open(t, e)
	for i, secret := range secrets {
		if got := e.Redact.Scrub(secret); got != "[redacted]" {
			t.Errorf("secret %d is not known to the redactor", i)
		}
	}
	if got := e.Redact.Scrub("Bearer x"); got != "Bearer x" {
		t.Errorf("got %q, want the scheme to be no secret", got)
	}
}

func TestExplainShowsShapesAndFingerprints(t *testing.T) {
	e := env(t, says(`{"access_token":"T1","expires_in":3600,"scopes":["a","b"],"user":{"id":1,"deep":{"x":1}},"ok":true,"none":null,"line\nbreak":1}`))
	var got []string
	e.Observe = func(ev auth.Event) { got = append(got, ev.Step+": "+ev.Detail) }
	if _, err := get(t.Context(), login{}.open(t, e)); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(got, "\n")
	want := "answer: {access_token: text, expires_in: number, line break: number, none: null, ok: boolean, scopes: list of 2, user: {deep: object of 1, id: number}}\n" +
		"template: headers.Authorization: Bearer {{.access_token}} → fingerprint " + e.Keys.Fingerprint(auth.NewSecret("Bearer T1"))
	if !strings.Contains(text, want) || strings.Contains(text, "T1") {
		t.Errorf("got\n%s\nwant in it\n%s", text, want)
	}
}
