package adapter_test

import (
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/adapter"
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
