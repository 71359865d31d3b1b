package redis_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/cache/backends/redis"
)

const canary = "canary-Kq83Zx-w0P"

func TestURLShowsNoPassword(t *testing.T) {
	for text, want := range map[string]string{
		"redis://h":                      "redis://h:6379",
		"redis://h:1/0":                  "redis://h:1",
		"redis://[::1]:1/7":              "redis://[::1]:1/7",
		"rediss://:" + canary + "@h:1/2": "rediss://h:1/2",
		"redis://me:" + canary + "%2F%40@h:1?timeout=1s":         "redis://h:1",
		"redis+sentinel://me:" + canary + "@a,b:2/main":          "redis+sentinel://a:26379,b:2/main",
		"rediss+sentinel://a/main/3?sentinel_password=" + canary: "rediss+sentinel://a:26379/main/3",
		"redis+cluster://me:" + canary + "@a:1,b:2":              "redis+cluster://a:1,b:2",
		"rediss+cluster://a:1":                                   "rediss+cluster://a:1",
	} {
		c := redis.Config{URL: redis.NewURL(text)}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: got %v, want no error", text, err)
		}
		if got := c.URL.String(); got != want {
			t.Errorf("%s: shows as %s, want %s", text, got, want)
		}
		s, err := c.Open()
		if err != nil {
			t.Fatal(err)
		}
		inJSON, _ := json.Marshal(c)
		shown := string(inJSON)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			shown += fmt.Sprintf(verb+verb+verb+verb+verb, c, &c, c.URL, struct{ u redis.URL }{c.URL}, s)
		}
		if strings.Contains(shown, canary) || strings.Contains(shown, fmt.Sprintf("%x", canary)) {
			t.Errorf("%s: the password shows in %s", text, shown)
		}
		if err := s.(*redis.Store).Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestConfigReportsProblemsAndNoPassword(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "is required",
		"h:6379":                              "want redis://",
		"http://h":                            "want redis://",
		"redisx://h":                          "want redis://",
		"redis+sentinels://h":                 "want redis://",
		"redis://":                            "want host:port",
		"redis://h:0":                         "want host:port",
		"redis://h:99999":                     "want host:port",
		"redis://h:1:" + canary:               "want host:port",
		"redis://:" + canary + "/x@h:1":       "percent-encoded",
		"redis://:" + canary + "#x@h:1":       "percent-encoded",
		"redis://:" + canary + "?x@h:1":       "percent-encoded",
		"redis://:" + canary + "%zz@h":        "percent-encoded",
		"redis://" + canary + "@h":            "a user without a password",
		"redis://h/" + canary:                 "the database is a number",
		"redis://h/-1":                        "the database is a number",
		"redis://a,b":                         "several hosts need",
		"redis+sentinel://a":                  "/MASTER",
		"redis+sentinel://a/m/x":              "the database is a number",
		"redis+cluster://a/1":                 "no database",
		"redis://h?timeout=soon":              "timeout: want a duration",
		"redis://h?timeout=1us":               "timeout: want a duration",
		"redis://h?dial_timeout=1h":           "dial_timeout: want a duration",
		"redis://h?max=" + canary:             "unknown setting max",
		"redis://h?timeout=1s&a=%zz" + canary: "not readable",
	} {
		c := redis.Config{URL: redis.NewURL(text)}
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
			continue
		}
		if strings.Contains(err.Error(), canary[:6]) {
			t.Errorf("%s: the password shows in %v", text, err)
		}
		if _, err := c.Open(); err == nil {
			t.Errorf("%s: opens, want the error of Validate", text)
		}
	}
	err := (&redis.Config{URL: redis.NewURL("redis://h"), Prefix: "a{b"}).Validate()
	if err == nil || !strings.Contains(err.Error(), "/prefix: ") {
		t.Errorf("prefix with braces: got %v, want an error", err)
	}
}

func TestConfigDecodes(t *testing.T) {
	var c redis.Config
	if err := json.Unmarshal([]byte(`{"url": "redis://:pw@h/1", "prefix": "p"}`), &c); err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil || c.URL.String() != "redis://h:6379/1" || c.Prefix != "p" {
		t.Errorf("got %v, %v, %s", c, err, c.Prefix)
	}
}

func FuzzURL(f *testing.F) {
	for _, seed := range []string{"redis://u:p@h:1/2?timeout=1s", "rediss+sentinel://a,b:1/m/2", "redis+cluster://[::1]:1,h", "redis://", "redis:///@"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u := redis.NewURL("redis://:" + canary + text)
		err := (&redis.Config{URL: u}).Validate()
		if strings.Contains(u.String(), canary) || err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("the password shows: %s, %v", u, err)
		}
	})
}
