package auth

import "net/http"

// What the tests in package auth_test look at from inside.
var (
	DecodeToken = decodeToken
	EncodeToken = encodeToken
)

// PatchBody sets one body field, as an Injection does.
func PatchBody(req *http.Request, path []string, value string) error {
	return patchBody(req, []bodyField{{path: path, value: value}})
}
