package adapter_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/adapter"
)

func TestFailuresCarryTheHomesOwnTexts(t *testing.T) {
	f := &fixture{files: map[string]string{"error.json": `{"errors":[
		{"key":"Error On Request","icode":"AD.777","displayString":"Oh no: $VARIABLE$ and $VARIABLE$","recommendation":"Ask Ann"}]}`}}
	f.data = func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Set-Cookie", "SID=secret")
		answerJSON(w, 418, object{"why": "teapot"})
	}
	a := f.open(t)
	_, err := callG(t, a)
	got := a.Failure(err)
	if got.ICode != "AD.777" || got.IAPError.Display != "Oh no: 418 and" || got.IAPError.Recommendation != "Ask Ann" || got.IAPError.Code != 418 {
		t.Errorf("failure %+v, want the home's own words", got)
	}
	if body, ok := got.Response.(map[string]any); !ok || body["why"] != "teapot" {
		t.Errorf("response %v, want the system's body", got.Response)
	}
	raw, ok := got.IAPError.RawResponse.(adapter.RawResponse)
	if !ok || raw.Status != 418 || raw.Headers["set-cookie"] != "" {
		t.Errorf("raw response %+v, want the status and no cookies", got.IAPError.RawResponse)
	}
}

func TestFailureCodes(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fixture fixture
		input   adapter.Input
		action  string
		icode   string
		code    any
	}{
		{name: "login refused", icode: "AD.400", code: 401, fixture: fixture{token: func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(401) }}},
		{name: "no token in the answer", icode: "AD.402", code: 200, fixture: fixture{token: func(w http.ResponseWriter, _ *http.Request, _ int) { answerJSON(w, 200, object{}) }}},
		{name: "empty token answer", icode: "AD.402", code: 200, fixture: fixture{token: func(http.ResponseWriter, *http.Request, int) {}}},
		{name: "HTML token answer", icode: "AD.402", code: 200, fixture: fixture{token: func(w http.ResponseWriter, _ *http.Request, _ int) { _, _ = w.Write([]byte("<html>")) }}},
		{name: "unknown action", action: "getWidgt", icode: "AD.302"},
		{name: "not JSON", icode: "AD.999", code: 200, fixture: fixture{data: func(w http.ResponseWriter, _ *http.Request, _ int) { _, _ = w.Write([]byte("<html>")) }}},
		{name: "schema of the query", action: "getWidget", icode: "AD.312",
			fixture: fixture{files: map[string]string{"entities/widget/schema.json": `{"type":"object","translate":true,"required":["x"],"properties":{}}`}}},
		{name: "path variable", action: "getWidget", icode: "AD.300", input: adapter.Input{PathVars: []any{}}},
		{name: "dot segment", action: "getWidget", icode: "AD.300", input: adapter.Input{PathVars: []any{".."}}},
		{name: "protocol", icode: "AD.303", fixture: fixture{files: map[string]string{"entities/widget/action.json": `{"actions":[
			{"name":"getWidget","protocol":"SOAP","method":"GET","entitypath":"/x","schema":"schema.json"}]}`}}},
		{name: "not overridable", icode: "AD.300", input: adapter.Input{PathVars: []any{"1"}, CallProperties: object{"throttle": object{}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := tt.fixture.open(t)
			input := tt.input
			if input.PathVars == nil {
				input.PathVars = []any{"1"}
			}
			action := tt.action
			if action == "" {
				action = "getWidget"
			}
			_, err := a.Call(t.Context(), "widget", action, input)
			if err == nil {
				t.Fatal("no error")
			}
			if got := a.Failure(err); got.ICode != tt.icode || got.IAPError.Code != tt.code || got.IAPError.Display == "" || strings.Contains(got.IAPError.Display, "pathv1 is missing") != (tt.name == "path variable") {
				t.Errorf("%v: failure %s code %v %q, want %s code %v", err, got.ICode, got.IAPError.Code, got.IAPError.Display, tt.icode, tt.code)
			}
		})
	}
	f := &fixture{}
	a := f.open(t)
	f.server.Close()
	_, err := callG(t, a)
	if got := a.Failure(err); got.ICode != "AD.502" || got.IAPError.Code != -1 || !adapter.Unreachable(err) {
		t.Errorf("refused connection: %v: failure %s code %v, want AD.502 code -1", err, got.ICode, got.IAPError.Code)
	}
}
