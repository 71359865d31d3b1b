package adapter_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/internal/settings"
)

func decodeProperties(t *testing.T, text string) (*adapter.Properties, settings.Problems) {
	t.Helper()
	d, err := settings.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got := new(adapter.Properties)
	return got, settings.Decode(d.Root(), "", got)
}

func TestPropertiesTakeTheirDefaults(t *testing.T) {
	got, problems := decodeProperties(t, `{"host": "h", "authentication": {"auth_method": "no_authentication", "x": null}}`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := &adapter.Properties{
		Host: "h", Protocol: "http", EncodePathVars: true, EncodeQueryVars: true, QueryKeys: true,
		Request: adapter.Request{
			NumberRetries: 3, LimitRetryError: adapter.RetryCodes{{}}, AttemptTimeout: 5000, ReturnResponseHeaders: true, MaxResponseSize: 8 << 20, Archiving: false,
		},
		Healthcheck:   adapter.Healthcheck{Type: "intermittent", Frequency: 300000, Protocol: "REST"},
		Throttle:      adapter.Throttle{NumberPronghorns: 1, SyncAsync: "sync", MaxInQueue: 1000, ConcurrentMax: 1, AvgRuntime: 200},
		Proxy:         adapter.Proxy{Port: 443, Protocol: "http"},
		CacheLocation: "none", SaveMetric: false,
	}
	var authentication map[string]any
	if err := json.Unmarshal(got.Authentication, &authentication); err != nil || len(authentication) != 2 {
		t.Errorf("authentication: got %v, %v, want it whole", authentication, err)
	}
	got.Authentication = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestPropertiesAcceptBothGenerations(t *testing.T) {
	got, problems := decodeProperties(t, `{"host": "h", "port": 8443, "protocol": "https", "authentication": {},
		"healthcheck": {"type": "intermittent", "frequency": 30000, "addlHeaders": {"X-N": 5, "X-B": true, "X-T": "é"}},
		"request": {"keep_alive_interval": 10, "limit_retry_error": [401, "429", " 500 - 599 ", -1], "max_response_size": 1024, "global_request": {"payload": {"n": 12345678901234567890}}},
		"ssl": {"enabled": true, "accept_invalid_certs": true, "ca_file_content": "-----BEGIN", "passphrase": "S3CRET"},
		"mongo": {"url": "S3CRET", "dbAuth": true, "addSrv": false, "port": 0}, "throttle": {"priorities": [{"value": 0, "percent": 12.5}]},
		"xmlArrayKeys": ["a"], "stripEscapes": true}`)
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	if want := (adapter.HeaderTexts{"X-N": "5", "X-B": "true", "X-T": "é"}); !reflect.DeepEqual(got.Healthcheck.AddlHeaders, want) {
		t.Errorf("headers: got %v, want %v", got.Healthcheck.AddlHeaders, want)
	}
	if want := (adapter.RetryCodes{{401, 401}, {429, 429}, {500, 599}, {-1, -1}}); !reflect.DeepEqual(got.Request.LimitRetryError, want) {
		t.Errorf("retry codes: got %v, want %v", got.Request.LimitRetryError, want)
	}
	if n := got.Request.GlobalRequest.Payload["n"]; n != json.Number("12345678901234567890") {
		t.Errorf("payload: got %#v, want the exact number", n)
	}
	if !got.SSL.AcceptsInvalid() || got.SSL.Passphrase.Reveal() != "S3CRET" || got.EffectivePort() != 8443 {
		t.Errorf("got %+v", got.SSL)
	}
	if text := fmt.Sprintf("%+v %#v", got.SSL, got.Mongo) + problems.Error(); strings.Contains(text, "S3CRET") {
		t.Errorf("a secret is in %s", text)
	}
}

func TestPropertiesEffectivePort(t *testing.T) {
	for _, tt := range []struct {
		properties adapter.Properties
		want       int
	}{
		{adapter.Properties{Protocol: "https"}, 443},
		{adapter.Properties{Protocol: "http"}, 80},
		{adapter.Properties{Protocol: "https", Port: 80}, 80},
	} {
		if got := tt.properties.EffectivePort(); got != tt.want {
			t.Errorf("%+v: got %d, want %d", tt.properties, got, tt.want)
		}
	}
}

func TestPropertiesProblems(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: "/authentication: is required\n/host: is required",
		`{"host": "h", "authentication": "", "port": 0}`:                                                          "/authentication: is required\n/port: must be at least 1",
		`{"host": "h", "authentication": {}, "request": {"limit_retry_error": "S3CRET"}}`:                         "/request/limit_retry_error: has a form that is not accepted here",
		`{"host": "h", "authentication": {}, "request": {"limit_retry_error": [429, "5xx"]}}`:                     "/request/limit_retry_error/1: has a form that is not accepted here",
		`{"host": "h", "authentication": {}, "request": {"limit_retry_error": true}}`:                             "/request/limit_retry_error: is boolean, want integer or string or array of integer or string",
		`{"host": "h", "authentication": {}, "request": {"global_request": {"addlHeaders": {"A": ["S3CRET"]}}}}`:  "/request/global_request/addlHeaders/A: is array, want string or number or boolean",
		`{"host": "h", "authentication": {}, "proxy": {"password": 5}}`:                                           "/proxy/password: is number, want string",
		`{"host": "h", "authentication": {}, "ssl": {"enabled": "S3CRET"}}`:                                       "/ssl/enabled: is string, want boolean",
		`{"host": "h", "authentication": {}, "healthcheck": {"type": "S3CRET"}}`:                                  `/healthcheck/type: must be one of "none", "startup", "intermittent"`,
		`{"host": "h", "authentication": {}, "healtcheck": {"type": "S3CRET"}}`:                                   `/healtcheck: is not a known property; did you mean "healthcheck"?`,
		`{"host": "h", "authentication": {}, "mongo": {"host": "S3CRET"}, "cache": {"entities": [{"limit": 1}]}}`: "/cache: belongs to the platform and is not used here\n/mongo: belongs to the platform and is not used here",
	} {
		_, problems := decodeProperties(t, text)
		lines := strings.Split(problems.Error(), "\n")
		slices.Sort(lines)
		if got := strings.Join(lines, "\n"); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestRetryCodesMatch(t *testing.T) {
	var codes adapter.RetryCodes
	if err := json.Unmarshal([]byte(`[429, "500-502", "599-590", "-2"]`), &codes); err != nil {
		t.Fatal(err)
	}
	for code, want := range map[int]bool{429: true, 428: false, 500: true, 501: true, 502: true, 503: false, 595: true, 600: false, -2: true, -1: false, 0: false} {
		if got := codes.Match(code); got != want {
			t.Errorf("%d: got %v, want %v", code, got, want)
		}
	}
	for _, text := range []string{`"x"`, `"500-"`, `["1-2-3"]`, `{}`, `null`, `[null]`} {
		if err := json.Unmarshal([]byte(text), &codes); err == nil && text != "null" {
			t.Errorf("%s: read as %v, want an error", text, codes)
		}
	}
}

func TestPropertiesReadPublishedSamples(t *testing.T) {
	samples, _ := filepath.Glob("../../shared/corpus/homes/*/sampleProperties.json")
	if len(samples) == 0 {
		t.Skip("no ../shared/corpus/homes here")
	}
	for _, sample := range samples {
		data, err := os.ReadFile(sample)
		if err != nil {
			t.Fatal(err)
		}
		d, err := settings.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		var got adapter.Properties
		problems := settings.Decode(d.Root().(map[string]any)["properties"], "/properties", &got)
		if problems.Err() != nil || !got.Stub || got.Port != 443 || got.Request.NumberRetries != 3 {
			t.Errorf("%s: got %v, %v", sample, &got, problems.Err())
		}
	}
}
