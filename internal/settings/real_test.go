package settings_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	inv "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth/dialects/iap"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// TestDecodeAgreesWithAGeneralValidator puts values of every kind in every place that a
// struct describes, and asks a full JSON Schema implementation the same question.
func TestDecodeAgreesWithAGeneralValidator(t *testing.T) {
	values := []any{
		true, false, json.Number("0"), json.Number("1"), json.Number("-1"), json.Number("-3"), json.Number("1.0"), json.Number("1.5"), json.Number("1e3"),
		json.Number("401"), json.Number("70000"), json.Number("10.00e1"), json.Number("1200e-2"), json.Number("1250e-2"), json.Number("1e-400"), "http", "x", "401", "500-599", "REST", "body", "basic user_password",
		[]any{}, []any{"x"}, []any{json.Number("5")}, []any{json.Number("1001")}, []any{true}, []any{nil}, []any{"429", json.Number("1")}, []any{map[string]any{}},
		map[string]any{}, map[string]any{"a": "x"}, map[string]any{"a": json.Number("1")}, map[string]any{"a": true}, map[string]any{"a": []any{}},
	}
	for _, into := range []any{&adapter.Properties{}, &iap.Authentication{}, &thing{}} {
		schema := settings.Schema(into)
		general := compile(t, schema)
		asked := 0
		for _, path := range paths(schema) {
			for _, v := range values {
				tree := plant(map[string]any{"host": "h", "authentication": map[string]any{}, "name": "n"}, path, v)
				ours := settings.Decode(tree, "", reflect.New(reflect.TypeOf(into).Elem()).Interface()).Err()
				theirs := general.Validate(tree)
				if (ours == nil) != (theirs == nil) {
					t.Errorf("%T: %v = %v: Decode says %v, the validator says %v", into, path, v, ours, theirs)
				}
				asked++
			}
		}
		t.Logf("%T: %d questions", into, asked)
	}
}

func compile(t *testing.T, schema *inv.Schema) *jsonschema.Schema {
	t.Helper()
	raw, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("s.json", doc); err != nil {
		t.Fatal(err)
	}
	return compiler.MustCompile("s.json")
}

// paths returns the place of every member; "0" stands for the item of an array.
func paths(s *inv.Schema) [][]string {
	var all [][]string
	add := func(name string, s *inv.Schema) {
		all = append(all, []string{name})
		for _, rest := range paths(s) {
			all = append(all, append([]string{name}, rest...))
		}
	}
	if s.Properties != nil {
		for pair := s.Properties.Oldest(); pair != nil; pair = pair.Next() {
			add(pair.Key, pair.Value)
		}
	}
	if s.Items != nil {
		add("0", s.Items)
	}
	return all
}

func plant(tree any, path []string, v any) any {
	if len(path) == 0 {
		return v
	}
	if path[0] == "0" {
		return []any{plant(nil, path[1:], v)}
	}
	m, _ := tree.(map[string]any)
	if m == nil {
		m = map[string]any{}
	}
	m[path[0]] = plant(m[path[0]], path[1:], v)
	return m
}

// TestDefaultsAreValid decodes each default as if it had been written.
func TestDefaultsAreValid(t *testing.T) {
	for _, into := range []any{&adapter.Properties{}, &iap.Authentication{}} {
		general := compile(t, settings.Schema(into))
		var walk func(at string, s *inv.Schema, path []string)
		walk = func(at string, s *inv.Schema, path []string) {
			if s.Default != nil {
				tree := plant(map[string]any{"host": "h", "authentication": map[string]any{}, "name": "n"}, path, s.Default)
				if err := general.Validate(tree); err != nil {
					t.Errorf("%T%s: default: %v", into, at, err)
				}
			}
			if s.Properties == nil {
				return
			}
			for pair := s.Properties.Oldest(); pair != nil; pair = pair.Next() {
				walk(at+"/"+pair.Key, pair.Value, append(path[:len(path):len(path)], pair.Key))
			}
		}
		walk("", settings.Schema(into), nil)
	}
}

func TestPublishedSamplesDecode(t *testing.T) {
	samples, _ := filepath.Glob("../../../shared/corpus/homes/*/sampleProperties.json")
	if len(samples) == 0 {
		t.Skip("no ../shared/corpus/homes here")
	}
	for _, sample := range samples {
		d := parseFile(t, sample)
		properties := d.Root().(map[string]any)["properties"]
		problems := settings.Decode(properties, "/properties", new(adapter.Properties))
		problems = append(problems, settings.Decode(properties.(map[string]any)["authentication"], "/properties/authentication", new(iap.Authentication))...)
		if err := problems.Err(); err != nil {
			t.Errorf("%s: %v", sample, err)
		}
		for _, p := range d.Locate(problems) {
			if !strings.HasSuffix(p.Reason, "belongs to the platform and is not used here") || p.Line < 2 {
				t.Errorf("%s: %v", sample, p)
			}
		}
	}
}

func TestAuthenticationTakesItsDefaults(t *testing.T) {
	var got iap.Authentication
	if problems := settings.Decode(map[string]any{}, "", &got); len(problems) > 0 {
		t.Fatal(problems)
	}
	want := iap.Authentication{
		AuthMethod: "basic user_password", AuthField: iap.Texts{"header.headers.X-AUTH-TOKEN"}, AuthFieldFormat: iap.Texts{"{token}"},
		TokenUserField: "username", TokenPasswordField: "password", TokenResultField: "token", AddCreds: true, TokenTimeout: -1, TokenCache: "local",
		InvalidTokenError: iap.Statuses{401}, InvalidTokenResubmits: 1, AWSSTS: iap.AWSSTS{SSLEnable: true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAuthenticationReadsOneOrMoreAndKeepsSecrets(t *testing.T) {
	d, err := settings.Parse([]byte(`{"auth_method": "multi_step_authentication", "username": "S3CRET", "invalid_token_error": [401, 403.0], "auth_field": ["a", "b"],
		"auth_field_format": "x", "authQueryEncode": false, "token_margin": 0, "addCreds": false, "aws_secret_key": "S3CRET",
		"multiStepAuthCalls": [{"name": "one", "requestFields": {"pw": "S3CRET"}, "successfulResponseCode": 201}],
		"refresh_token_request": {"requestFields": {"client_secret": "S3CRET"}, "refresh_token": {"placement": "query"}}, "client_secret": "S3CRET"}`))
	if err != nil {
		t.Fatal(err)
	}
	var got iap.Authentication
	if problems := settings.Decode(d.Root(), "", &got); len(problems) > 0 {
		t.Fatal(problems)
	}
	if !reflect.DeepEqual(got.InvalidTokenError, iap.Statuses{401, 403}) || !reflect.DeepEqual(got.AuthField, iap.Texts{"a", "b"}) ||
		!reflect.DeepEqual(got.AuthFieldFormat, iap.Texts{"x"}) || got.AuthQueryEncode == nil || *got.AuthQueryEncode || got.TokenMargin == nil ||
		*got.TokenMargin != 0 || got.AddCreds || got.RefreshTokenRequest.RefreshToken.TokenTimeout != -1 {
		t.Errorf("got %+v", got)
	}
	if s := got.MultiStepAuthCalls[0].RequestFields["pw"].Reveal() + got.Username.Reveal(); s != "S3CRETS3CRET" {
		t.Errorf("secrets: got %q", s)
	}
	if text := fmt.Sprintf("%+v %#v %v", got, got, got.MultiStepAuthCalls); strings.Contains(text, "S3CRET") {
		t.Errorf("a secret is in %s", text)
	}
}

func parseFile(tb testing.TB, name string) *settings.Document {
	tb.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	d, err := settings.Parse(data)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// instance is a service instance of usual size.
const instance = `{
  "host": "systemx.example.com", "port": 443, "base_path": "/api", "version": "v1", "protocol": "https", "stub": false,
  "cache_location": "none", "encode_pathvars": true, "encode_queryvars": true, "save_metric": false,
  "authentication": {"auth_method": "request_token", "username": "u", "password": "p", "token": "", "token_timeout": 1800000, "token_cache": "local",
    "invalid_token_error": 401, "auth_field": "header.headers.Authorization", "auth_field_format": "Bearer {token}", "sso": {"protocol": "", "host": "", "port": 0}},
  "healthcheck": {"type": "startup", "frequency": 60000, "query_object": {}, "addlHeaders": {}},
  "request": {"number_redirects": 0, "number_retries": 3, "limit_retry_error": [429, "500-599"], "attempt_timeout": 5000,
    "global_request": {"payload": {}, "uriOptions": {"a": 1}, "addlHeaders": {"X-A": "b"}, "authData": {}}, "healthcheck_on_timeout": true},
  "throttle": {"throttle_enabled": false, "max_in_queue": 1000, "priorities": [{"value": 0, "percent": 100}]},
  "proxy": {"enabled": false, "host": "", "port": 1, "protocol": "http"}, "ssl": {"enabled": false, "accept_invalid_cert": false}
}`

// BenchmarkDecode is what a second instance in one process costs.
func BenchmarkDecode(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		decodeInstance(b)
	}
}

func decodeInstance(tb testing.TB) {
	d, err := settings.Parse([]byte(instance))
	if err != nil {
		tb.Fatal(err)
	}
	problems := settings.Decode(d.Root(), "", new(adapter.Properties))
	problems = append(problems, settings.Decode(d.Root().(map[string]any)["authentication"], "/authentication", new(iap.Authentication))...)
	if len(problems) > 0 {
		tb.Fatal(problems)
	}
}

// BenchmarkDecodeCold is what the first instance in a process costs: each round is a new
// process that measures itself.
func BenchmarkDecodeCold(b *testing.B) {
	var total time.Duration
	for range b.N {
		cmd := exec.Command(os.Args[0], "-test.run=^TestColdProcess$", "-test.v")
		cmd.Env = append(os.Environ(), "SETTINGS_COLD=1")
		out, err := cmd.Output()
		if err != nil {
			b.Fatal(err)
		}
		_, text, _ := strings.Cut(string(out), "cold=")
		text, _, _ = strings.Cut(text, "\n")
		d, err := time.ParseDuration(text)
		if err != nil {
			b.Fatal(err)
		}
		total += d
	}
	b.ReportMetric(float64(total.Microseconds())/float64(b.N), "cold-µs/op")
}

// TestColdProcess measures in the processes that BenchmarkDecodeCold starts.
func TestColdProcess(t *testing.T) {
	if os.Getenv("SETTINGS_COLD") == "" {
		return
	}
	start := time.Now()
	decodeInstance(t)
	t.Logf("cold=%v", time.Since(start))
}
