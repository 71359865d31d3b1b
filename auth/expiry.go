package auth

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// Numbers in an expiry are told apart by size: a lifetime in seconds, a moment in seconds, or a
// moment in milliseconds since 1970.
const (
	lifetimeBelow = 1e9
	secondsBelow  = 1e11
	latest        = 253402300799 // the end of year 9999, in seconds
)

var dateLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04Z07:00",
	time.RFC1123, time.RFC1123Z, time.RFC850, time.RFC822, time.RFC822Z, time.ANSIC, time.UnixDate,
	"Mon, 2 Jan 2006 15:04:05 MST", "Mon, 2 Jan 2006 15:04:05 -0700", "Mon, 02-Jan-2006 15:04:05 MST",
	"2006-01-02 15:04:05 MST", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07",
	"Mon Jan 2 2006 15:04:05 GMT-0700", // JavaScript's own, less its zone's name in brackets
}

// zones are the abbreviations that RFC 822, section 5, knows. Go takes any other for UTC.
var zones = map[string]int{"UTC": 0, "GMT": 0, "UT": 0, "Z": 0,
	"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}

// localLayouts carry no zone; like the systems that send them, they mean local time.
var localLayouts = []string{
	"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04",
	"Jan 2, 2006 15:04:05", "2 Jan 2006 15:04:05", "01/02/2006 15:04:05", "1/2/2006, 3:04:05 PM",
}

// ParseExpiry reads an expiry in every form people send: ISO 8601, RFC 1123 and kin, and numbers
// or digits as text, which below 10^9 are a lifetime in seconds from obtained, below 10^11 epoch
// seconds, else epoch milliseconds. A bare date means its start, in UTC. False: it says nothing.
func ParseExpiry(text string, obtained time.Time) (time.Time, bool) {
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return numericExpiry(n, obtained)
	}
	t, ok := parseDate(text, obtained.Location())
	return t, ok && t.Year() > 1 // year 1 is some languages' word for «none»
}

func parseDate(text string, local *time.Location) (time.Time, bool) {
	text, _, _ = strings.Cut(text, " (")
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return inZone(t, strings.Contains(layout, "MST"))
		}
	}
	for _, layout := range localLayouts {
		if t, err := time.ParseInLocation(layout, text, local); err == nil {
			return t, true
		}
	}
	t, err := time.Parse(time.DateOnly, text)
	return t, err == nil
}

// inZone corrects a time whose zone was given by name: time.Parse knows only UTC and the
// machine's own, and silently takes others for UTC. False: nobody knows what the name means.
func inZone(t time.Time, named bool) (time.Time, bool) {
	name, offset := t.Zone()
	if !named || offset != 0 {
		return t, true
	}
	hours, known := zones[name]
	return t.Add(-time.Duration(hours) * time.Hour), known
}

func numericExpiry(n float64, obtained time.Time) (time.Time, bool) {
	switch {
	case math.IsNaN(n) || math.IsInf(n, 0) || n <= 0:
		return time.Time{}, false
	case n < lifetimeBelow:
		return obtained.Add(time.Duration(n * float64(time.Second))), true
	case n >= secondsBelow:
		return time.UnixMilli(int64(min(n, latest*1000))), true
	}
	whole, part := math.Modf(n)
	return time.Unix(int64(whole), int64(part*1e9)), true
}

// jwtBytes bounds what is looked at: a longer text is no token that says when it ends.
const jwtBytes = 16 << 10

// JWTExpiry returns the exp claim (RFC 7519, section 4.1.4) of a token that is a JWT. The
// signature is not checked: the claim is used only to ask for the next token in time.
func JWTExpiry(token Secret) (time.Time, bool) {
	text := token.Reveal()
	if len(text) > jwtBytes || strings.Count(text, ".") != 2 {
		return time.Time{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1])
	if err != nil {
		return time.Time{}, false
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Exp <= 0 {
		return time.Time{}, false
	}
	if claims.Exp >= secondsBelow {
		claims.Exp /= 1000 // milliseconds, against the RFC; seconds would never end
	}
	return time.Unix(int64(min(claims.Exp, latest)), 0), true
}
