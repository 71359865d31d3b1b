package adapter_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/entities"
)

func TestPlanShowsWhatCallWouldSendWithoutSecrets(t *testing.T) {
	const password, data, header = "marker-password-51d0", "marker-otp-882e", "marker-header-03bb"
	for _, reveal := range []bool{false, true} {
		f := &fixture{auth: object{"password": password, "sensitive": []any{"X-Odd"}, "auth_field_format": "Bearer {token}"},
			getToken: object{"headers": object{"X-Login": "{b64}{username}:{password}{/b64}"}},
			files:    map[string]string{"entities/.system/req.json": `{"type":"object","translate":true,"dynamicfields":true,"properties":{}}`}}
		a := f.open(t)
		input := adapter.Input{AuthData: object{"otp": data, "pin": 1234}, Payload: object{"widgetName": "w"},
			Headers: adapter.HeaderTexts{"X-Odd": header, "X-Plain": "p"}}
		plan, err := a.Plan(t.Context(), "widget", "createWidget", input, reveal)
		if err != nil {
			t.Fatal(err)
		}
		if len(plan) != 2 || plan[0].Purpose != "token" || plan[1].Purpose != "call" || len(f.log) != 0 {
			t.Fatalf("planned %v after sending %v, want a token request and a call, and nothing sent", plan, f.log)
		}
		call := plan[1]
		if got := call.Headers["Authorization"]; len(got) != 1 || got[0] != "Bearer {token}" {
			t.Errorf("Authorization %v, want a stand-in for the token", got)
		}
		if !strings.HasSuffix(call.URL, "/api/v2/widgets") || call.Body != `{"label":"w"}` || call.Headers["X-Plain"][0] != "p" {
			t.Errorf("call %+v, want the translated request", call)
		}
		all := text(plan)
		for _, secret := range []string{password, data, header, "1234"} {
			if strings.Contains(all, secret) != reveal {
				t.Errorf("reveal %v: %q shown is %v in %s", reveal, secret, !reveal, all)
			}
		}
		if !reveal && plan[0].Headers["X-Login"][0] != "{b64}[redacted]:[redacted]{/b64}" {
			t.Errorf("masked block %q, want it written out", plan[0].Headers["X-Login"][0])
		}
	}
}

func TestPlanHidesValuesByNameAndKeepsNames(t *testing.T) {
	f := &fixture{auth: object{"password": "password", "sensitive": []any{"pin"}}}
	a := f.open(t)
	for _, tt := range []struct{ kind, path, body, wantURL, want string }{
		{"application/json", "/x?pin=1234&a=b", `{"password": "hunter2", "list":[{"pin":1234,"a":[1,true]}],"secret":{"v":"deep"}}`,
			"/x?pin=[redacted]&a=b", `{"password": "[redacted]", "list":[{"pin":"[redacted]","a":[1,true]}],"secret":{"v":"[redacted]"}}`},
		{"application/x-www-form-urlencoded", "/x", "password=hunter2&a=b", "/x", "password=[redacted]&a=b"},
		{"application/json", "/x", `{"a":"b","pin":"12`, "/x", `{"a":"b","pin":[redacted]`},
	} {
		for _, reveal := range []bool{false, true} {
			plan, err := a.PlanRequest(t.Context(), "POST", tt.path, http.Header{"Content-Type": {tt.kind}, "Pin": {"9"}}, strings.NewReader(tt.body), reveal)
			if err != nil {
				t.Fatal(err)
			}
			call, want, wantURL := plan[len(plan)-1], tt.want, tt.wantURL
			if reveal {
				want, wantURL = tt.body, tt.path
			}
			if call.Body != want || !strings.HasSuffix(call.URL, wantURL) || (call.Headers["Pin"][0] == "9") != reveal {
				t.Errorf("reveal %v: got %+v, want %s %s", reveal, call, wantURL, want)
			}
			if !reveal && strings.Contains(plan[0].Body, `"[redacted]":`) {
				t.Errorf("token request %s, want its names kept", plan[0].Body)
			}
		}
	}
}

// A caller's own secret is hidden even where it looks like a stand-in.
func TestPlanHidesSecretsThatLookLikeStandIns(t *testing.T) {
	const secret = "mine-4f1c{token}[redacted]"
	for _, field := range []string{"header.headers.Authorization", "body.token", "query.token"} {
		f := &fixture{auth: object{"auth_field": field, "auth_field_format": "{token}"}}
		plan, err := f.open(t).Plan(t.Context(), "widget", "createWidget", adapter.Input{
			Payload: object{"password": secret, "widgetName": "w"}, Headers: adapter.HeaderTexts{"X-Api-Key": secret},
			Options: entities.Object{{Name: "access_token", Value: secret}}}, false)
		if err != nil {
			t.Fatal(err)
		}
		if all := text(plan); strings.Contains(all, "mine-4f1c") || !strings.Contains(text(plan[1]), "{token}") {
			t.Errorf("%s: %s, want a stand-in for the token and nothing of the caller's secret", field, all)
		}
	}
}
