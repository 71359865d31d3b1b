package port_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/dialects/port"
)

func ExampleDialect_Parse() {
	spec, err := port.Dialect{}.Parse(auth.Source{Raw: map[string]any{
		"baseUrl": "https://api.example.com", "authType": "custom",
		"customAuthRequest":         map[string]any{"endpoint": "/oauth/token", "bodyForm": "grant_type=client_credentials&client_secret=s"},
		"customAuthRequestTemplate": map[string]any{"headers": map[string]any{"Authorization": "Bearer {{.access_token}}"}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, err := spec.Config.Plan(context.Background(), false)
	if err != nil {
		fmt.Println(err)
		return
	}
	req, _ := http.NewRequest(http.MethodGet, "https://api.example.com/things", nil)
	_, _ = plan.Auth.Apply(req)
	fmt.Println(plan.Requests[0].Method, plan.Requests[0].URL)
	fmt.Println(req.Header.Get("Authorization"))
	// Output:
	// POST https://api.example.com/oauth/token
	// Bearer {.access_token}
}
