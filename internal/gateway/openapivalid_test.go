// The build tag goes when go.sum has what kin-openapi needs: github.com/go-openapi/jsonpointer,
// github.com/oasdiff/yaml and yaml3.

package gateway

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// A validator that is not ours has the last word.
func TestOpenAPIIsValid(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	for _, key := range []string{keyAll, keyMay, keyDevices} {
		body := f.ask(t, key, "GET", "/openapi.json", "").Body.Bytes()
		doc, err := openapi3.NewLoader().LoadFromData(body)
		if err != nil {
			t.Fatalf("kin-openapi cannot load the document: %v\n%s", err, body)
		}
		if err := doc.Validate(t.Context()); err != nil {
			t.Errorf("kin-openapi refuses the document: %v\n%s", err, body)
		}
		if !doc.IsOpenAPI31OrLater() {
			t.Errorf("the document is of version %s", doc.OpenAPI)
		}
	}
}
