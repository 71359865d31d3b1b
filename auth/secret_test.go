package auth_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
)

// holder shows a secret in every way that a struct can.
type holder struct {
	Open   auth.Secret
	closed auth.Secret
	Ptr    *auth.Secret
	List   []auth.Secret
	Map    map[string]auth.Secret
	Any    any
}

type inXML struct{ S auth.Secret }

func (h holder) use() auth.Secret { return h.closed }

func TestSecretPrintsNothingUnderAnyVerb(t *testing.T) {
	text := authtest.Marker()
	s := auth.NewSecret(text)
	h := holder{Open: s, closed: s, Ptr: &s, List: []auth.Secret{s}, Map: map[string]auth.Secret{"k": s}, Any: s}
	_ = h.use()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "% x", "%T", "%t", "%c", "%U", "%e", "%10s", "%p"} {
		for _, value := range []any{s, &s, h, &h, []any{h}, map[string]any{"k": h}} {
			out := fmt.Sprintf(verb, value)
			for _, form := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text), fmt.Sprintf("% x", text), fmt.Sprintf("%d", []byte(text))} {
				if strings.Contains(out, form) {
					t.Errorf("Sprintf(%q, %T) shows the secret: %s", verb, value, out)
				}
			}
		}
		if verb != "%T" && verb != "%p" {
			if got := fmt.Sprintf(verb, s); got != "[redacted]" {
				t.Errorf("Sprintf(%q): got %q, want [redacted]", verb, got)
			}
		}
	}
}

func TestSecretIsRedactedByEveryEncoder(t *testing.T) {
	text := authtest.Marker()
	s := auth.NewSecret(text)
	encoders := map[string]func() string{
		"json": func() string { b, err := json.Marshal(holder{Open: s, closed: s}); return fmt.Sprint(string(b), err) },
		"xml":  func() string { b, err := xml.Marshal(inXML{s}); return fmt.Sprint(string(b), err) },
		"slog as text": func() string {
			return logged(func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) }, s)
		},
		"slog as JSON": func() string {
			return logged(func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) }, s)
		},
		"error": func() string { return fmt.Errorf("with %v and %w", s, errors.New(fmt.Sprint(s))).Error() },
		"panic": func() string { return recovered(s) },
	}
	for name, encode := range encoders {
		t.Run(name, func(t *testing.T) {
			if out := encode(); strings.Contains(out, text) || !strings.Contains(out, "[redacted]") {
				t.Errorf("got %s, want [redacted]", out)
			}
		})
	}
}

func logged(handler func(*bytes.Buffer) slog.Handler, s auth.Secret) string {
	var b bytes.Buffer
	slog.New(handler(&b)).Info("text", "secret", s, "in a struct", holder{Open: s, closed: s})
	return b.String()
}

func recovered(s auth.Secret) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	panic(s)
}

func TestReflectionSeesAnAddressOnly(t *testing.T) {
	text := authtest.Marker()
	v := reflect.ValueOf(auth.NewSecret(text))
	for i := range v.NumField() {
		if out := fmt.Sprintf("%v %+v %#v", v.Field(i), v.Field(i), v.Field(i)); strings.Contains(out, text) {
			t.Errorf("field %d shows the secret", i)
		}
	}
}

func TestSecretsCannotBeCompared(t *testing.T) {
	if reflect.TypeFor[auth.Secret]().Comparable() {
		t.Error("== compiles for a Secret, want it refused")
	}
}

func TestEmptyTextIsTheAbsentSecret(t *testing.T) {
	for name, s := range map[string]auth.Secret{"zero": {}, "empty": auth.NewSecret(""), "masked": auth.Secret{}.Masked()} {
		if !s.IsZero() || s.Reveal() != "" || s.String() != "" {
			t.Errorf("%s: got %t, %q, %q, want the absent secret", name, s.IsZero(), s.Reveal(), s)
		}
	}
}

func TestStandInsReadAsWhatTheyStandFor(t *testing.T) {
	s := auth.NewSecret("S")
	cases := []struct {
		name string
		got  auth.Secret
		want string
	}{
		{name: "unknown", got: auth.Unknown("token"), want: "{token}"},
		{name: "masked", got: s.Masked(), want: "[redacted]"},
		{name: "masked twice", got: s.Masked().Masked(), want: "[redacted]"},
		{name: "masked unless revealed", got: s.MaskedUnless(false), want: "[redacted]"},
		{name: "revealed", got: s.MaskedUnless(true), want: "S"},
	}
	for _, c := range cases {
		if got := c.got.Reveal(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSecretIsReadFromAJSONString(t *testing.T) {
	cases := []struct{ in, want, err string }{
		{in: `"T1"`, want: "T1"},
		{in: `""`},
		{in: `null`},
		{in: `7`, err: "want a string"},
		{in: `{"p":"T1"}`, err: "want a string"},
	}
	for _, c := range cases {
		s := auth.NewSecret("before")
		err := json.Unmarshal([]byte(c.in), &s)
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%s: got %v, want %s", c.in, err, c.err)
			}
			continue
		}
		if err != nil || s.Reveal() != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.in, s.Reveal(), err, c.want)
		}
	}
}
