package auth_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
)

var names = []string{"token", "tokenp2", "username", "password"}

func values(token string) map[string]auth.Secret {
	return map[string]auth.Secret{"token": auth.NewSecret(token), "tokenp2": auth.NewSecret("S-T1"),
		"username": auth.NewSecret("ann"), "password": auth.NewSecret("p:w")}
}

// The examples of spec 2.2 and the golden vectors of section 9.
func TestFormatFillsInValuesInOnePass(t *testing.T) {
	cases := []struct{ name, format, token, want string }{
		{name: "basic", format: "Basic {b64}{username}:{password}{/b64}", want: "Basic YW5uOnA6dw=="},
		{name: "word inside the block", format: "{b64}Basic {username}:{password}{/b64}", want: "QmFzaWMgYW5uOnA6dw=="},
		{name: "bearer", format: "Bearer {token}", want: "Bearer T1"},
		{name: "two tokens", format: "session={token}; csrf={tokenp2}", want: "session=T1; csrf=S-T1"},
		{name: "text around", format: "My Token is {token}", want: "My Token is T1"},
		{name: "several blocks", format: "{b64}{username}{/b64}-{b64}{password}{/b64}", want: "YW5u-cDp3"},
		{name: "nested blocks", format: "{b64}a{b64}{token}{/b64}b{/b64}", want: base64.StdEncoding.EncodeToString([]byte("aVDE=b"))},
		{name: "blocks side by side in a block", format: "{b64}{b64}x{/b64}{b64}y{/b64}{/b64}", want: base64.StdEncoding.EncodeToString([]byte("eA==eQ=="))},
		{name: "empty block", format: "a{b64}{/b64}b", want: "ab"},
		{name: "angle block", format: "Basic <b64>{username}:{password}</b64>", want: "Basic YW5uOnA6dw=="},
		{name: "mixed block", format: "{b64}x</b64>", want: "eA=="},
		{name: "every occurrence", format: "{token}/{token}/{unknown}", token: "SEK", want: "SEK/SEK/{unknown}"},
		{name: "unknown name", format: "{client_id}{Token}{ token }", want: "{client_id}{Token}{ token }"},
		{name: "dollar patterns", format: "T {token}", token: "a$&b$$c$'d$`e", want: "T a$&b$$c$'d$`e"},
		{name: "a value that is a name", format: "T {token}", token: "{username}", want: "T {username}"},
		{name: "a value that is a block", format: "T {token}{password}", token: "{b64}x{/b64}", want: "T {b64}x{/b64}p:w"},
		{name: "a value that opens a block", format: "{token}{/b", token: "{b64}", want: "{b64}{/b"},
		{name: "half of a name in each", format: "{tok{token}en}", token: "x", want: "{tokxen}"},
		{name: "braces around", format: "{{token}}", want: "{T1}"},
		{name: "nothing", format: "", want: ""},
		{name: "literal", format: "fixed", want: "fixed"},
		{name: "utf-8", format: "ü{b64}ü{token}{/b64}", token: "é", want: "ü" + base64.StdEncoding.EncodeToString([]byte("üé"))},
		{name: "longer than the room on the stack", format: "{b64}{b64}{token}{/b64}{/b64}", token: strings.Repeat("x", 999),
			want: twice(strings.Repeat("x", 999))},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f, err := auth.CompileFormat(c.format, names...)
			if err != nil {
				t.Fatalf("got %v, want no error", err)
			}
			if c.token == "" {
				c.token = "T1"
			}
			got, err := f.Render(values(c.token))
			if err != nil || got != c.want {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func twice(s string) string {
	encode := base64.StdEncoding.EncodeToString
	return encode([]byte(encode([]byte(s))))
}

func TestBadBlockIsNamedByItsPlaceOnly(t *testing.T) {
	secret := authtest.Marker()
	cases := []struct{ name, format, want string }{
		{name: "unclosed", format: "Basic {b64}" + secret, want: "the {b64} block before character 12 is not closed; write {/b64} at its end"},
		{name: "unclosed inner", format: "{b64}{b64}" + secret + "{/b64}", want: "the {b64} block before character 6 is not closed; write {/b64} at its end"},
		{name: "stray close", format: "ab{/b64}" + secret, want: "{/b64} at character 3 closes no {b64} block"},
		{name: "stray angle close", format: "<b64>x</b64></b64>" + secret, want: "{/b64} at character 13 closes no {b64} block"},
		{name: "close before open", format: "{/b64}" + secret + "{b64}", want: "{/b64} at character 1 closes no {b64} block"},
		{name: "too deep", format: strings.Repeat("{b64}", 9) + secret, want: "the {b64} block at character 41 is nested more than 8 deep"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := auth.CompileFormat(c.format, names...)
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestUnknownNamesAreListed(t *testing.T) {
	cases := []struct {
		name, format string
		want         []string
	}{
		{name: "none", format: "Bearer {token}"},
		{name: "one", format: "{client_id}", want: []string{"{client_id}"}},
		{name: "in a block", format: "{a}{b64}{b-2}{token}{/b64}{c.d}", want: []string{"{a}", "{b-2}", "{c.d}"}},
		{name: "behind an open brace", format: `{"t": {word}}`, want: []string{"{word}"}},
		{name: "JSON is no name", format: `{"a":"{token}"}`},
		{name: "blank", format: "{}{ }{a b}"},
	}
	for _, c := range cases {
		f, err := auth.CompileFormat(c.format, names...)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Unknown(); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestUsesFindsNamesInBlocks(t *testing.T) {
	f, _ := auth.CompileFormat("{username}{b64}{tokenp2}{/b64}", names...)
	for name, want := range map[string]bool{"username": true, "tokenp2": true, "token": false} {
		if got := f.Uses(name); got != want {
			t.Errorf("Uses(%q): got %t, want %t", name, got, want)
		}
	}
}

func TestBlockAroundAStandInStaysWrittenOut(t *testing.T) {
	f, _ := auth.CompileFormat("Basic {b64}{username}:{password}{/b64} {b64}{username}{/b64}{b64}a{b64}{token}{/b64}{/b64}", names...)
	got, err := f.Render(map[string]auth.Secret{"username": auth.NewSecret("ann"), "password": auth.NewSecret("p").Masked(), "token": auth.Unknown("token")})
	if want := "Basic {b64}ann:[redacted]{/b64} YW5u{b64}a{b64}{token}{/b64}{/b64}"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestAbsentValueIsEmptyAndMissingOneIsAnError(t *testing.T) {
	f, _ := auth.CompileFormat("[{token}{b64}{tokenp2}{/b64}]", names...)
	if got, err := f.Render(map[string]auth.Secret{"token": {}, "tokenp2": {}}); err != nil || got != "[]" {
		t.Errorf("got %q, %v, want []", got, err)
	}
	_, err := f.Render(map[string]auth.Secret{"token": auth.NewSecret("T1")})
	if want := "there is no tokenp2 to put into {tokenp2}"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestRenderAllocatesItsResultOnly(t *testing.T) {
	for _, format := range []string{"Bearer {token}", "Basic {b64}{username}:{password}{/b64}", "{b64}{b64}{token}{/b64}{/b64}"} {
		f, _ := auth.CompileFormat(format, names...)
		with := values("T1")
		if got := testing.AllocsPerRun(100, func() { _, _ = f.Render(with) }); got != 1 {
			t.Errorf("%s: got %v allocations, want 1", format, got)
		}
	}
}
