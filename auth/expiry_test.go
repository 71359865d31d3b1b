package auth_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

func TestExpiryIsReadInEveryFormPeopleSend(t *testing.T) {
	zone := time.FixedZone("here", 2*3600)
	obtained := time.Date(2026, 10, 21, 9, 0, 0, 0, zone) // 07:00 UTC
	at := func(hour, minute, sec int) time.Time { return time.Date(2026, 10, 21, hour, minute, sec, 0, time.UTC) }
	end := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	cases := []struct {
		name, text string
		want       time.Time // zero: it says nothing
	}{
		{name: "lifetime", text: "3600", want: at(8, 0, 0)},
		{name: "lifetime with blanks", text: " 3600\n", want: at(8, 0, 0)},
		{name: "lifetime with a fraction", text: "1.5", want: at(7, 0, 1).Add(500 * time.Millisecond)},
		{name: "lifetime with an exponent", text: "3.6e3", want: at(8, 0, 0)},
		{name: "longest lifetime", text: "999999999", want: obtained.Add(999999999 * time.Second)},
		{name: "earliest epoch second", text: "1000000000", want: time.Unix(1e9, 0)},
		{name: "epoch seconds", text: "1792571400", want: time.Unix(1792571400, 0)},
		{name: "latest epoch second", text: "99999999999", want: time.Unix(99999999999, 0)},
		{name: "earliest epoch millisecond", text: "100000000000", want: time.Unix(1e8, 0)},
		{name: "epoch milliseconds", text: "1792571400123", want: time.UnixMilli(1792571400123)},
		{name: "beyond year 9999", text: "1e300", want: end},
		{name: "milliseconds of year 9999", text: "253402300799000", want: end},
		{name: "no number of Go", text: "1e400"},
		{name: "NaN", text: "NaN"},
		{name: "infinity", text: "+Inf"},
		{name: "negative", text: "-1"},
		{name: "zero", text: "0"},
		{name: "empty", text: ""},
		{name: "word", text: "never"},
		{name: "ISO", text: "2026-10-21T07:28:00Z", want: at(7, 28, 0)},
		{name: "ISO with offset", text: "2026-10-21T09:28:00+02:00", want: at(7, 28, 0)},
		{name: "ISO with a fraction", text: "2026-10-21T07:28:00.250Z", want: at(7, 28, 0).Add(250 * time.Millisecond)},
		{name: "ISO without colon", text: "2026-10-21T09:28:00+0200", want: at(7, 28, 0)},
		{name: "ISO without seconds", text: "2026-10-21T07:28Z", want: at(7, 28, 0)},
		{name: "RFC 1123", text: "Wed, 21 Oct 2026 07:28:00 GMT", want: at(7, 28, 0)},
		{name: "RFC 1123 with offset", text: "Wed, 21 Oct 2026 09:28:00 +0200", want: at(7, 28, 0)},
		{name: "RFC 1123 in the west", text: "Wed, 21 Oct 2026 00:28:00 PDT", want: at(7, 28, 0)},
		{name: "RFC 1123 in a zone nobody knows", text: "Wed, 21 Oct 2026 09:28:00 XYZ"},
		{name: "RFC 850", text: "Wednesday, 21-Oct-26 07:28:00 GMT", want: at(7, 28, 0)},
		{name: "cookie", text: "Wed, 21-Oct-2026 07:28:00 GMT", want: at(7, 28, 0)},
		{name: "C", text: "Wed Oct 21 07:28:00 2026", want: at(7, 28, 0)},
		{name: "Java", text: "Wed Oct 21 07:28:00 UTC 2026", want: at(7, 28, 0)},
		{name: "JavaScript", text: "Wed Oct 21 2026 09:28:00 GMT+0200 (Central European Summer Time)", want: at(7, 28, 0)},
		{name: "PostgreSQL", text: "2026-10-21 07:28:00+00", want: at(7, 28, 0)},
		{name: "Ruby", text: "2026-10-21 07:28:00 UTC", want: at(7, 28, 0)},
		{name: "local ISO", text: "2026-10-21T09:28:00", want: at(7, 28, 0)},
		{name: "local with a fraction", text: "2026-10-21 09:28:00.000", want: at(7, 28, 0)},
		{name: "local American", text: "10/21/2026, 9:28:00 AM", want: at(7, 28, 0)},
		{name: "local with a month", text: "Oct 21, 2026 09:28:00", want: at(7, 28, 0)},
		{name: "bare date", text: "2026-10-22", want: time.Date(2026, 10, 22, 0, 0, 0, 0, time.UTC)},
		{name: "year 9999", text: "9999-12-31T23:59:59Z", want: end},
		{name: "the zero of .NET", text: "0001-01-01T00:00:00"},
		{name: "the zero of Go", text: "0001-01-01T00:00:00Z"},
		{name: "no such day", text: "2026-02-30T00:00:00Z"},
		{name: "past", text: "2020-01-01T00:00:00Z", want: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, ok := auth.ParseExpiry(c.text, obtained)
			if ok != !c.want.IsZero() || ok && !got.Equal(c.want) {
				t.Errorf("got %s, %t, want %s", got.UTC(), ok, c.want.UTC())
			}
		})
	}
}

func TestJWTExpiryReadsTheClaimAndNothingElse(t *testing.T) {
	jwt := func(payload string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
	}
	cases := []struct {
		name, token string
		want        int64 // 0: it says nothing
	}{
		{name: "exp", token: jwt(`{"exp":1792571400}`), want: 1792571400},
		{name: "fraction", token: jwt(`{"exp":1792571400.9}`), want: 1792571400},
		{name: "milliseconds", token: jwt(`{"exp":1792571400123}`), want: 1792571400},
		{name: "far too large", token: jwt(`{"exp":1e300}`), want: 253402300799},
		{name: "1e400", token: jwt(`{"exp":1e400}`)},
		{name: "text", token: jwt(`{"exp":"1792571400"}`)},
		{name: "zero", token: jwt(`{"exp":0}`)},
		{name: "negative", token: jwt(`{"exp":-1}`)},
		{name: "null", token: jwt(`{"exp":null}`)},
		{name: "absent", token: jwt(`{}`)},
		{name: "no object", token: jwt(`[1]`)},
		{name: "no JSON", token: jwt(`{`)},
		{name: "no base64", token: "e30.%%%.x"},
		{name: "opaque", token: "k-81"},
		{name: "one dot", token: "a.b"},
		{name: "encrypted", token: "a.b.c.d.e"},
		{name: "only dots", token: strings.Repeat(".", 1_000_000)},
		{name: "too long", token: jwt(`{"exp":1792571400,"x":"` + strings.Repeat("x", 16<<10) + `"}`)},
		{name: "deep", token: jwt(strings.Repeat("[", 11_000))},
		{name: "empty", token: ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, ok := auth.JWTExpiry(auth.NewSecret(c.token))
			if ok != (c.want != 0) || ok && got.Unix() != c.want {
				t.Errorf("got %s, %t, want %d", got, ok, c.want)
			}
		})
	}
}
