package gateway

import (
	"strings"
	"testing"
)

// ruled returns a caller with these allow rules.
func ruled(t testing.TB, allow ...string) *Caller {
	t.Helper()
	c := &Caller{name: "reports"}
	for _, text := range allow {
		r, err := parseRule(text)
		if err != nil {
			t.Fatalf("rule %q: %v", text, err)
		}
		c.rules = append(c.rules, r)
	}
	return c
}

func TestRulesCoverWhatTheySayAndNothingElse(t *testing.T) {
	for _, tt := range []struct {
		rule, call string // call: adapter entity action, or adapter METHOD /path
		want       bool
	}{
		{"acme/device/get", "acme device get", true},
		{"acme/device/get", "acme device getAll", false},
		{"acme/device/get", "acme Device get", false},
		{"acme/device/get", "acme device GET", false},
		{"acme/device/get", "acme2 device get", false},
		{"acme/device/*", "acme device get", true},
		{"acme/device/*", "acme devices get", false},
		{"acme/dev*", "acme device get", true},
		{"acme/*/get", "acme device get", true},
		{"acme/*/get", "acme device getAll", false},
		{"acme/*/get*", "acme device getAll", true},
		{"acme/.system/healthcheck", "acme .system healthcheck", true},

		{"acme/*", "acme device get", true},
		{"acme/*", "acme GET /v1/x", true},
		{"acme/*", "acme2 device get", false},
		{"acme/*", "acme2 GET /v1/x", false},
		{"acme/*", "ACME GET /v1/x", false},
		{"acme/*", "xacme GET /v1/x", false},
		{"*", "anything DELETE /all", true},
		{"*/*", "anything device get", true},
		{"ac*/*", "acme GET /", true},
		{"ac*/*", "bacme GET /", false},
		{"*me/GET /*", "acme GET /x", true},

		{"metrics/GET /v1/*", "metrics GET /v1/a/b/c", true},
		{"metrics/GET /v1/*", "metrics GET /v1/", true},
		{"metrics/GET /v1/*", "metrics GET /v1", false},
		{"metrics/GET /v1/*", "metrics GET /v11/a", false},
		{"metrics/GET /v1/*", "metrics HEAD /v1/a", true},
		{"metrics/HEAD /v1/*", "metrics GET /v1/a", false},
		{"metrics/GET /v1/*", "metrics POST /v1/a", false},
		{"metrics/GET /v1/*", "metrics get /v1/a", false},
		{"metrics/GET /v1/*", "metrics GET /V1/a", false},
		{"metrics/GET /v1/*", "metrics v1 get", false},
		{"metrics/* /v1/*", "metrics PURGE /v1/a", true},
		{"metrics/* /v1/*", "metrics v1 a", false},
		{"metrics/P* /v1/a", "metrics PATCH /v1/a", true},
		{"metrics/GET *", "metrics GET /", true},
		{"metrics/GET /a/*/z", "metrics GET /a/b/c/z", true},
		{"metrics/GET /a/*/z", "metrics GET /a/z", false},
		{"metrics/GET /a*a", "metrics GET /a", false},
		{"metrics/GET /a*b*c", "metrics GET /abc", true},
		{"metrics/GET /a*b*c", "metrics GET /acb", false},
		{"metrics/GET /ä b/*", "metrics GET /ä b/c", true},

		// An action's rule opens no path that looks like it, and the other way round.
		{"*/device/get", "acme DELETE /device/get", false},
		{"acme/*/get", "acme GET /x/get", false},
		{"acme/GET*", "acme GET /x", false},
		{"acme/GET /*", "acme GET  device", false},

		// What means something in regular expressions or file globs means itself here.
		{"a.me/*", "acme GET /", false},
		{"a.me/*", "a.me GET /", true},
		{"a+(b)[c]/*", "a+(b)[c] GET /", true},
		{"a+(b)[c]/*", "aab)[c] GET /", false},
		{"metrics/GET /[ab]", "metrics GET /a", false},
		{`metrics/GET /\d`, "metrics GET /1", false},
	} {
		c := ruled(t, tt.rule)
		parts := strings.SplitN(tt.call, " ", 3)
		got := c.mayCall(parts[0], parts[1], parts[2])
		if strings.HasPrefix(parts[2], "/") {
			got = c.mayReach(parts[0], parts[1], parts[2])
		}
		if got != tt.want {
			t.Errorf("rule %q, %s: got %t, want %t", tt.rule, tt.call, got, tt.want)
		}
	}
}

func TestWithoutRulesNothingIsAllowed(t *testing.T) {
	c := ruled(t)
	if c.mayCall("acme", "device", "get") || c.mayReach("acme", "GET", "/") || c.maySee("acme") || c.may("files") {
		t.Error("a caller without rules may do something, want nothing")
	}
}

func TestEverybodyMayDoAllWhereThereAreNoCallers(t *testing.T) {
	var c *Caller
	if !c.mayCall("acme", "device", "get") || !c.mayReach("acme", "GET", "/") || !c.maySee("acme") || !c.may("files") {
		t.Error("nobody in particular may not do everything, want that")
	}
}

func TestSeveralRulesAddUp(t *testing.T) {
	c := ruled(t, "acme/device/get", "metrics/GET /v1/*")
	if !c.mayCall("acme", "device", "get") || !c.mayReach("metrics", "GET", "/v1/x") {
		t.Error("one of two rules is not obeyed")
	}
	if c.mayReach("acme", "GET", "/v1/x") || c.mayCall("metrics", "device", "get") {
		t.Error("two rules allow together what neither says")
	}
	if !c.maySee("acme") || !c.maySee("metrics") || c.maySee("other") {
		t.Error("what a caller sees is not what its rules name")
	}
}

func TestRulesThatCouldNotMeanAnythingAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "is no rule",
		"acme":                  "is no rule",
		"/device/get":           "is no rule",
		"acme/":                 "is no rule",
		"acme/device":           "write acme/device/* for all actions",
		"acme/get /v1":          "write GET",
		"acme/FETCH /v1":        "unknown method",
		"acme/GET v1":           "does not begin with /",
		"acme/GET ":             "does not begin with /",
		"acme/GET /v1?x=1":      "query",
		"acme/GET /v1#x":        "fragment",
		"acme/GET /v1/../admin": "dot segment",
		"acme/GET /a%2fb":       "decoded",
		"acme/GET /a\nb":        "control character",
	} {
		_, err := parseRule(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("rule %q: got %v, want an error that says %q", text, err, want)
		}
	}
}

func FuzzGlobComparesLikeItsDefinition(f *testing.F) {
	f.Add("a*b*c", "aXbXc")
	f.Add("*/x*", "/x/x/x")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 12 || len(text) > 24 {
			t.Skip()
		}
		if got, want := newGlob(pattern).matches(text), slowGlob(pattern, text); got != want {
			t.Errorf("%q on %q: got %t, want %t", pattern, text, got, want)
		}
	})
}

// slowGlob is the definition: a star takes nothing, or one more character.
func slowGlob(pattern, text string) bool {
	switch {
	case pattern == "":
		return text == ""
	case pattern[0] == '*':
		return slowGlob(pattern[1:], text) || text != "" && slowGlob(pattern, text[1:])
	}
	return text != "" && text[0] == pattern[0] && slowGlob(pattern[1:], text[1:])
}
