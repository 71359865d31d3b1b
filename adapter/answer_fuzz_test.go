package adapter

import (
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/entities"
)

// FuzzTokenAnswer: whatever a token endpoint says, reading it ends, without a panic, in a token
// that holds only what the answer held, or in an error that quotes nothing of the answer.
func FuzzTokenAnswer(f *testing.F) {
	f.Add(200, `{"access_token":"T1","expires_in":3600}`, "application/json", "SID=1; Path=/", uint8(0))
	f.Add(200, `<html>no</html>`, "text/html", "", uint8(0))
	f.Add(200, `{"access_token":{"token":{"token":[1]}}}`, "", "", uint8(0))
	f.Add(200, `"T1"`, "text/plain", `SID="a b"`, uint8(1))
	f.Add(200, `access_token=a%20b&access_token=c`, "", "=;", uint8(2))
	f.Add(302, ``, "", "SID", uint8(3))
	f.Add(200, `[{"access_token":12345678901234567890,"expires_in":1e400}]`, "", "", uint8(0))
	requests := fuzzRequests(f)
	f.Fuzz(func(t *testing.T, status int, body, contentType, cookie string, which uint8) {
		request := requests[int(which)%len(requests)]
		answer := auth.Answer{Status: status, Body: []byte(body), At: time.Unix(1e9, 0),
			Header: http.Header{"Content-Type": {contentType}, "Set-Cookie": {cookie}}}
		token, err := request.Read(answer)
		if err != nil {
			if len(body) > 30 && strings.Contains(err.Error(), body) {
				t.Errorf("the error quotes the answer: %v", err)
			}
			return
		}
		if status < 200 || status > 308 {
			t.Errorf("status %d gave a token", status)
		}
		if !token.Expiry.IsZero() && token.Expiry.Year() > 9999 {
			t.Errorf("expiry %v", token.Expiry)
		}
		for name, value := range token.Values {
			if value.IsZero() {
				t.Errorf("%s is empty", name)
			}
		}
	})
}

// fuzzRequests are token requests whose answers are read in every way there is.
func fuzzRequests(f *testing.F) []auth.TokenRequest {
	var list []auth.TokenRequest
	for _, kind := range []struct{ datatype, token string }{
		{"JSON", `"placement":"BODY","external_name":"access_token"`},
		{"PLAIN", `"placement":"BODY","front":"<","end":">"`},
		{"URLENCODE", `"placement":"BODY","external_name":"access_token"`},
		{"JSON", `"placement":"HEADER","external_name":"set-cookie.SID"`},
		{"JSON", `"placement":"HEADER","external_name":"set-cookie"`},
	} {
		home := fstest.MapFS{
			"entities/.system/action.json": {Data: []byte(`{"actions":[{"name":"getToken","protocol":"REST","method":"POST","entitypath":"/t","requestSchema":"req.json","responseSchema":"resp.json","responseDatatype":"` + kind.datatype + `"}]}`)},
			"entities/.system/req.json":    {Data: []byte(`{"type":"object"}`)},
			"entities/.system/resp.json":   {Data: []byte(`{"type":"object","translate":true,"properties":{"token":{"type":"string",` + kind.token + `},"expires":{"type":"number","placement":"BODY","external_name":"expires_in"}}}`)},
		}
		set, err := entities.Load(home)
		if err != nil {
			f.Fatal(err)
		}
		d := &Definition{set: set, system: set, name: "fuzz"}
		request, err := d.declared(&Properties{Host: "h", Protocol: "http"}, nil)(auth.Login{})
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, request)
	}
	return list
}
