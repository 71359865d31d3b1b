package project_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/internal/project"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// lookup knows one variable and one file.
func lookup() settings.Lookup {
	return settings.Lookup{
		Env: func(name string) (string, bool) { return "redis://127.0.0.1:6379", name == "URL" },
		File: func(path string) ([]byte, error) {
			if path != filepath.Join("conf", "seal") {
				return nil, fs.ErrNotExist
			}
			return []byte("sealing-key\n"), nil
		},
	}
}

func read(t *testing.T, text string) *project.File {
	t.Helper()
	f, err := project.Read(filepath.Join("conf", "keyhitch.yaml"), []byte(text), lookup())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const whole = `
adapters:
  acme:    {home: ./adapters/acme, instance: prod.json, set_cookie: true}
  metrics: {config: /etc/metrics.yaml}
cache: {redis: {url: "${env:URL}", seal_key: "${file:seal}", prefix: ours}}
log: {level: debug, format: text}
gateway:
  listen: unix:/run/keyhitch.sock
  tls: {certificate: tls/cert.pem, key: tls/key.pem}
  allow_targets: [127.0.0.0/8, "::1"]
  callers:
    - {name: reports, key_sha256: aa, allow: ["acme/*"]}
    - {name: rotating, key_sha256: [bb, cc], allow: []}
`

func TestSettingsHoldWhatTheFileSays(t *testing.T) {
	s, err := read(t, whole).Settings()
	if err != nil {
		t.Fatal(err)
	}
	acme := project.Adapter{Home: filepath.Join("conf", "adapters", "acme"), Instance: filepath.Join("conf", "prod.json"), SetCookie: true}
	if got := s.Adapters["acme"]; got != acme {
		t.Errorf("got %+v, want %+v: paths are relative to the file", got, acme)
	}
	if got := s.Adapters["metrics"].Config; got != "/etc/metrics.yaml" {
		t.Errorf("got %s, want the absolute path as it is", got)
	}
	if r := s.Cache.Redis; r.URL.Reveal() != "redis://127.0.0.1:6379" || r.SealKey.Reveal() != "sealing-key" || r.Prefix != "ours" {
		t.Errorf("got URL %q, key %q, prefix %q, want what variable and file hold", r.URL.Reveal(), r.SealKey.Reveal(), r.Prefix)
	}
	g := s.Gateway
	if g.Listen != "unix:/run/keyhitch.sock" || g.TLS.Key != filepath.Join("conf", "tls", "key.pem") {
		t.Errorf("got listen %s and key %s", g.Listen, g.TLS.Key)
	}
	if !slices.Equal(g.Callers[0].KeySHA256, project.Texts{"aa"}) || !slices.Equal(g.Callers[1].KeySHA256, project.Texts{"bb", "cc"}) {
		t.Errorf("got keys %q and %q, want one and two", g.Callers[0].KeySHA256, g.Callers[1].KeySHA256)
	}
}

func TestSafeDefaults(t *testing.T) {
	s, err := read(t, "adapters: {}\n").Settings()
	if err != nil {
		t.Fatal(err)
	}
	g := s.Gateway
	if g.Listen != "127.0.0.1:8733" || g.Admin != "127.0.0.1:8734" || s.Cache.Redis.Prefix != "keyhitch" || s.Log != (project.Log{}) {
		t.Errorf("got listen %s, admin %s, prefix %s, log %v", g.Listen, g.Admin, s.Cache.Redis.Prefix, s.Log)
	}
	for name, n := range map[string]int{"header_seconds": g.HeaderSeconds, "header_bytes": g.HeaderBytes, "idle_seconds": g.IdleSeconds,
		"answer_seconds": g.AnswerSeconds, "stream_idle_seconds": g.StreamIdleSeconds, "drain_seconds": g.DrainSeconds, "call_seconds": g.CallSeconds, "call_bytes": int(g.CallBytes), "replay_bytes": int(g.ReplayBytes)} {
		if n <= 0 {
			t.Errorf("got %s %d, want a limit", name, n)
		}
	}
}

func TestEveryProblemIsToldWithItsPlace(t *testing.T) {
	text := `adapters:
  a: {hoem: ./x}
  b: {home: ./x, config: ./y}
  c/d: {home: ./x}
cache: {redis: {url: "${env:GONE}"}}
log: {level: loud}
gateway:
  lisen: 127.0.0.1:1
  drain_seconds: -1
  allow_targets: [nowhere]
  tls: {certificate: c.pem}
  callers: [{key_sha256: 7, certificate: x}]
`
	f, err := project.Read("p.yaml", []byte(text), lookup())
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Settings()
	want := []string{
		`p.yaml:2:13: /adapters/a/hoem: is not a known property; did you mean "home"?`,
		`p.yaml:3:6: /adapters/b: needs either home or config`,
		`p.yaml:4:8: /adapters/c~1d: is a name that cannot stand in a path; use letters, digits, . _ and -`,
		`p.yaml:5:22: /cache/redis/url: wants the environment variable GONE, which is not set`,
		`p.yaml:6:14: /log/level: must be one of "trace", "debug", "info", "warning", "error"`,
		`p.yaml:8:10: /gateway/lisen: is not a known property; did you mean "listen"?`,
		`p.yaml:9:18: /gateway/drain_seconds: must be at least 0`,
		`p.yaml:10:19: /gateway/allow_targets/0: is no address range; write 10.0.0.0/8 or one address`,
		`p.yaml:11:8: /gateway/tls: needs both certificate and key`,
		`p.yaml:12:13: /gateway/callers/0/name: is required`,
		`p.yaml:12:26: /gateway/callers/0/key_sha256: is number, want string or array of string`,
		`p.yaml:12:42: /gateway/callers/0/certificate: needs gateway.tls.client_authority, which signs it`,
	}
	if got := sorted(err); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func sorted(err error) []string {
	if err == nil {
		return nil
	}
	return slices.Sorted(strings.SplitSeq(err.Error(), "\n"))
}

func TestFilesThatAreNone(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a misspelt member", "adpaters: {}\n", "p.yaml:1:11: /adpaters: is not a known member; did you mean adapters?"},
		{"two wrong members", "x: 1\ny: 2\n", "p.yaml:1:4: /x: is not a known member\np.yaml:2:4: /y: is not a known member"},
		{"a member twice", "{\"log\": {}, \"log\": {}}", "p.yaml:1:13: /log: is written more than once"},
		{"a list", "[1]", "p.yaml:1:1: is no project file: it must be an object with adapters"},
		{"adapters that are a list", "adapters: [a]", "p.yaml:1:11: /adapters: must be an object: a name, and what it stands for"},
		{"nothing", "", "p.yaml:1:1: is empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := project.Read("p.yaml", []byte(tt.text), lookup())
			var config *adapter.ConfigError
			if !errors.As(err, &config) || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestAWrongAdapterDoesNotStopAnother(t *testing.T) {
	f := read(t, "adapters:\n  good: {home: x}\n  bad: {hoem: x}\ngateway: {nonsense: 1}\n")
	if a, err := f.Adapter("good"); err != nil || a.Home != filepath.Join("conf", "x") {
		t.Errorf("got %v and error %v, want the good one", a, err)
	}
	if _, err := f.Adapter("bad"); err == nil || !strings.Contains(err.Error(), "/adapters/bad/hoem") {
		t.Errorf("got error %v, want one about hoem", err)
	}
	if a, err := f.Adapter("unknown"); a != nil || err != nil {
		t.Errorf("got %v and error %v for a name that is not there, want neither", a, err)
	}
	if _, err := f.Log(); err != nil {
		t.Errorf("got error %v from the log section, want none: the mistake is elsewhere", err)
	}
}

func TestNoProblemShowsAValue(t *testing.T) {
	f := read(t, `{"cache": {"redis": {"url": ["s3cret-in-url"], "seal_key": 12345678}}, "gateway": {"callers": [{"name": "x", "key_sha256": {"s3cret": 1}}]}}`)
	_, err := f.Settings()
	if err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "12345678") {
		t.Errorf("got %v, want errors that show no value", err)
	}
}
