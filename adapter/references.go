package adapter

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// expand replaces the references of a configuration. What came from the environment or a file is
// there because it is secret, whatever the place that it went to is called, so the redactor learns
// it before anything is said of the configuration.
func (d *Definition) expand(tree any) (any, settings.Problems) {
	expanded, came, found := settings.ExpandTold(tree, d.at, d.lookup())
	if d.options.Redact == nil {
		d.options.Redact = new(auth.Redactor)
	}
	for _, r := range came {
		if slices.Contains(publicPlaces, strings.TrimPrefix(r.Pointer, d.at)) || isPlain(r.Text) {
			continue
		}
		d.options.Redact.Learn(auth.NewSecret(r.Text))
		if plain, err := url.QueryUnescape(r.Text); err == nil && plain != r.Text { // encoded for a form
			d.options.Redact.Learn(auth.NewSecret(plain))
		}
	}
	return expanded, found
}

// publicPlaces are settings that every message may name.
var publicPlaces = []string{
	"/baseUrl", "/authType", "/apiKeyHeader", "/verifySsl", "/timeout", "/maxConcurrentRequests", "/tokenCache",
	"/clientCertificate", "/caCertificate", "/customAuthRequest/method",
	"/customAuthRequest/reauthenticateIntervalSeconds", "/customAuthRequest/reauthenticateIntervalFrom",
	"/host", "/port", "/protocol", "/base_path", "/version", "/choosepath", "/region", "/service", "/stub",
	"/authentication/auth_method", "/authentication/token_cache",
	"/proxy/host", "/proxy/port", "/proxy/protocol", "/ssl/ca_file", "/ssl/cert_file", "/ssl/key_file",
}

// longestNumber is how many digits a plain number has: more are an identity or a key.
const longestNumber = 9

// isPlain reports whether a text is too ordinary to be blotted out: a number, a boolean, or
// nothing but where a server is.
func isPlain(text string) bool {
	if _, err := strconv.ParseFloat(text, 64); err == nil && len(text) <= longestNumber {
		return true
	}
	switch strings.ToLower(text) {
	case "true", "false", "null", "none":
		return true
	}
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.User == nil && strings.TrimRight(u.Path, "/")+u.RawQuery+u.Fragment == ""
}
