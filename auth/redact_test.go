package auth_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
)

func redactor(secrets ...string) *auth.Redactor {
	r := new(auth.Redactor)
	for _, s := range secrets {
		r.Learn(auth.NewSecret(s))
	}
	return r
}

func TestEveryFormOfASecretIsTakenOut(t *testing.T) {
	for _, secret := range []string{`p:w/+ ü"<&>'%41\` + authtest.Marker(), authtest.Marker(), `quote at the end"`, "a/b?c=d&e", "söß~!*()"} {
		std, web := base64.StdEncoding, base64.URLEncoding
		escaped, _ := json.Marshal(secret)
		forms := map[string]string{
			"raw": secret, "hex": hex.EncodeToString([]byte(secret)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(secret))),
			"base64": std.EncodeToString([]byte(secret)), "base64url": web.EncodeToString([]byte(secret)),
			"raw base64": base64.RawStdEncoding.EncodeToString([]byte(secret)),
			"query":      url.QueryEscape(secret), "query with %20": strings.ReplaceAll(url.QueryEscape(secret), "+", "%20"),
			"path": url.PathEscape(secret), "lower-case escapes": lowered(url.QueryEscape(secret)),
			"JSON": string(escaped[1 : len(escaped)-1]), "quoted": strings.Trim(strconv.Quote(secret), "\x00"),
		}
		r := redactor(secret)
		for name, form := range forms {
			got := r.Scrub("before " + form + " after")
			want := "before [redacted] after"
			if name == "quoted" {
				want = `before "[redacted]" after`
			}
			if name == "raw base64" { // its last character holds few bits of the secret
				got = strings.Replace(got, "] after", "]", 1)[:len("before [redacted]")]
				want = "before [redacted]"
			}
			if got != want {
				t.Errorf("%s of %q: got %q, want %q", name, secret, got, want)
			}
		}
	}
}

func lowered(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			b.WriteString(strings.ToLower(s[i : i+3]))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func TestSecretInsideALongerBase64TextIsTakenOut(t *testing.T) {
	secret := authtest.Marker()
	r := redactor(secret)
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for before := range 7 {
			for after := range 4 {
				text := encoding.EncodeToString([]byte(strings.Repeat("u", before) + secret + strings.Repeat("x", after)))
				got := r.Scrub(text)
				plain, _ := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.Split(got, "[redacted]")[0], "="))
				if !strings.Contains(got, "[redacted]") || len(got) > len(text)-len(secret)*4/3+len("[redacted]")+4 {
					t.Errorf("%d before, %d after: got %s (%q), want no more than ragged ends", before, after, got, plain)
				}
			}
		}
	}
}

func TestLongerSecretGoesBeforeTheOneItBeginsWith(t *testing.T) {
	for _, r := range []*auth.Redactor{redactor("abcd", "abcdefgh"), redactor("abcdefgh", "abcd")} {
		if got, want := r.Scrub("abcdefgh abcd abcdef"), "[redacted] [redacted] [redacted]ef"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestShortAndAbsentValuesAndStandInsAreNotLearned(t *testing.T) {
	r := redactor("", "a", "the")
	r.Learn(auth.Unknown("token"), auth.NewSecret("secret").Masked(), auth.NewSecret(strings.Repeat("long", 20_000)))
	for _, text := range []string{"", "the token {token} is [redacted]", "a"} {
		if got := r.Scrub(text); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
}

func TestNilRedactorChangesNothing(t *testing.T) {
	var r *auth.Redactor
	r.Learn(auth.NewSecret("secret"))
	if got := r.Scrub("secret"); got != "secret" {
		t.Errorf("got %q, want secret", got)
	}
}

func TestOldestSecretsLeaveAFullRedactor(t *testing.T) {
	r := new(auth.Redactor)
	name := func(i int) string { return fmt.Sprintf("secret-%05d", i) }
	for i := range 5000 {
		r.Learn(auth.NewSecret(name(i)), auth.NewSecret(name(i)))
	}
	for i, known := range map[int]bool{0: false, 903: false, 904: true, 4999: true} {
		if got := r.Scrub(name(i)) == "[redacted]"; got != known {
			t.Errorf("%s is known: %t, want %t", name(i), got, known)
		}
		encoded := base64.StdEncoding.EncodeToString([]byte(name(i)))
		if got := r.Scrub(encoded) == "[redacted]"; got != known {
			t.Errorf("%s in base64 is known: %t, want %t", name(i), got, known)
		}
	}
}

func TestTokensPushOutNoSetting(t *testing.T) {
	r := redactor("a password")
	n := 0
	src := auth.TokenSourceFunc(func(context.Context) (auth.Token, error) {
		if n++; n == 1 {
			return token("a password", 0), nil // a setting stays one
		}
		return token(fmt.Sprintf("%s-%d", strings.Repeat("long", 250), n), 0), nil
	})
	a := &auth.PerCall{Source: src, Placement: compile(t, "", auth.Field{Path: "header.headers.X", Format: "{token}"}), Redact: r}
	for range 5000 {
		if _, err := a.Apply(get(t, "https://a.example/")); err != nil {
			t.Fatal(err)
		}
	}
	last := fmt.Sprintf("%s-%d", strings.Repeat("long", 250), n)
	if got := r.Scrub("a password " + last); got != "[redacted] [redacted]" {
		t.Errorf("got %q, want both redacted", got)
	}
	r.Learn(auth.NewSecret(last)) // a token that is a setting after all
	if got := r.Scrub(last); got != "[redacted]" {
		t.Errorf("got %q, want [redacted]", got)
	}
}

func TestRedactorLearnsAndScrubsAtOnce(t *testing.T) {
	r := new(auth.Redactor)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				secret := authtest.Marker()
				r.Learn(auth.NewSecret(secret))
				if got := r.Scrub("x" + secret + "y"); got != "x[redacted]y" {
					t.Errorf("got %q, want x[redacted]y", got)
				}
			}
		})
	}
	wg.Wait()
}

func TestSensitiveNamesAreKnownInAnyCase(t *testing.T) {
	for name, want := range map[string]bool{"Authorization": true, "proxy-authorization": true, "Set-Cookie": true, "X-API-Key": true,
		"access_token": true, "X-Amz-Security-Token": true, "client_secret": true, "PASSWORD": true, "code": true, "sig": true, "DPoP": true,
		"code_verifier": true, "client_assertion": true, "X-Session-Id": true,
		"Accept": false, "label": false, "postcode": false, "keyboard": false, "": false} {
		if got := auth.SensitiveName(name); got != want {
			t.Errorf("%q: got %t, want %t", name, got, want)
		}
	}
}

// Names as APIs really have them.
func TestWellKnownNamesAreSortedRightly(t *testing.T) {
	for name, want := range map[string]bool{
		"X-Auth-Key": true, "X-Access-Key": true, "Ocp-Apim-Subscription-Key": true, "x-functions-key": true, "DD-APPLICATION-KEY": true,
		"accessKey": true, "access_key": true, "accesskey": true, "private_key": true, "privateKey": true, "aws_secret_access_key": true,
		"pw": true, "user_pw": true, "userPw": true, "passcode": true, "login_pass": true, "Bearer": true, "bearer": true, "private": true,
		"jwt": true, "id_jwt": true, "subscriptionKey": true, "Private-Token": true, "X-Vault-Token": true, "user[pw]": true,
		"monkey": false, "turkey": false, "Keyword": false, "keys": false, "sort_key": false, "sortKey": false, "primaryKey": false,
		"public_key": false, "foreign-key": false, "Idempotency-Key": false, "compass": false, "bypass": false, "passenger": false,
		"private_ip": false, "isPrivate": false, "status_code": false, "zip_code": false, "pinned": false, "pwm": false, "grant_type": false,
		"client_id": false, "username": false, "X-Request-Id": false, "key_id": false, "AccessKeyId": false, "-": false,
	} {
		if got := auth.SensitiveName(name); got != want {
			t.Errorf("%q: got %t, want %t", name, got, want)
		}
	}
}

func TestWordsAreNoSecrets(t *testing.T) {
	if got := redactor("true", "null").Scrub("it is true, or null"); got != "it is true, or null" {
		t.Errorf("got %q, want no word taken out", got)
	}
}

func BenchmarkRedactorWithFreshTokens(b *testing.B) {
	r := new(auth.Redactor)
	for range 4096 {
		r.Learn(auth.NewSecret(authtest.Marker()))
	}
	line := "GET http://127.0.0.1:8080/api/v2/widgets/7?label=x: status 200, fingerprint 01234567, expires in 59m59s"
	for b.Loop() { // a token per call, and a line of log for each
		r.Learn(auth.NewSecret(authtest.Marker()))
		_ = r.Scrub(line)
	}
}
