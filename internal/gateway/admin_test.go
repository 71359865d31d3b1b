package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// admin asks the operators' listener.
func (f *apiGateway) admin(t *testing.T, path string) apiAnswer {
	t.Helper()
	w := apiAnswer{httptest.NewRecorder(), t}
	f.Gateway.Admin().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

func TestAdminServesMetricsAndProfilesWithoutSecrets(t *testing.T) {
	f := newAPIGateway(t, apiOptions{metrics: NewMetrics()})
	f.ask(t, keyAll, "POST", getDevice, `{"uriPathVars":["7"]}`).wantOK()
	f.ask(t, keyDevices, "POST", "/v1/adapters/acme/actions/ticket/create?x="+apiToken, `{}`)
	for path, want := range map[string]string{"/metrics": "keyhitch_gateway_requests_total", "/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=2": "goroutine"} {
		a := f.admin(t, path)
		if a.Code != http.StatusOK || !strings.Contains(a.Body.String(), want) {
			t.Errorf("%s: got %d without %q", path, a.Code, want)
		}
		for _, secret := range []string{apiPassword, apiToken, keyAll, keyDevices} {
			if strings.Contains(a.Body.String(), secret) {
				t.Errorf("%s shows %q", path, secret)
			}
		}
	}
}

func TestAdminPathsAreNotOnTheCallersListener(t *testing.T) {
	f := newAPIGateway(t, apiOptions{open: true, metrics: NewMetrics()})
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/debug/pprof/", "/v1/metrics"} {
		f.ask(t, "", "GET", path, "").wantProblem(404, "no-route", "")
	}
}

func TestReadyzSaysNoAfterClose(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	if err := f.Gateway.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := f.admin(t, "/readyz"); a.Code != http.StatusServiceUnavailable {
		t.Errorf("got %d %s", a.Code, a.Body)
	}
	f.ask(t, keyAll, "GET", "/v1/adapters", "").wantProblem(503, "closing", "")
}
