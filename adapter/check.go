package adapter

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/keyhitch/keyhitch/entities/crypt"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// secretNames are the members whose values may be written as {code}… or {crypt}….
var secretNames = []string{"password", "token", "client_secret", "aws_access_key", "aws_secret_key", "aws_session_token", "passphrase"}

// decodeSecrets returns tree with its {code} and {crypt} values in clear, wherever they stand.
func decodeSecrets(tree map[string]any, at, id string) (map[string]any, settings.Problems) {
	out := make(map[string]any, len(tree))
	var found settings.Problems
	for name, value := range tree {
		here := at + "/" + name
		switch v := value.(type) {
		case map[string]any:
			inner, more := decodeSecrets(v, here, id)
			value = inner
			found = append(found, more...)
		case string:
			if slices.Contains(secretNames, name) && (strings.HasPrefix(v, "{code}") || strings.HasPrefix(v, "{crypt}")) {
				clear, err := crypt.Decode(id, v)
				if err != nil {
					found = append(found, &settings.Problem{Pointer: here, Reason: "cannot be decoded; was it made for an adapter of another id?"})
				}
				value = clear
			}
		}
		out[name] = value
	}
	return out, found
}

// checkProperties finds what the types cannot say.
func (d *Definition) checkProperties(p *Properties) settings.Problems {
	var found settings.Problems
	note := func(warning bool, pointer, format string, args ...any) {
		found = append(found, &settings.Problem{Pointer: d.at + pointer, Reason: fmt.Sprintf(format, args...), Warning: warning})
	}
	if _, err := baseURL(p); err != nil {
		note(false, "/host", "%v", err)
	}
	for pointer, headers := range map[string]HeaderTexts{
		"/request/global_request/addlHeaders": p.Request.GlobalRequest.AddlHeaders, "/healthcheck/addlHeaders": p.Healthcheck.AddlHeaders,
	} {
		set := headerSet{header: http.Header{}}
		set.add(headers)
		if _, err := set.done(); err != nil {
			note(false, pointer, "%v", err)
		}
	}
	for _, off := range p.notBuilt() {
		note(true, off.pointer, "is on but not built yet: calls stop with exit 3; %s", off.hint)
	}
	for _, unused := range p.notRead() {
		note(true, unused, "is not used yet")
	}
	if p.Request.NumberRetries > 0 && slices.ContainsFunc(p.Request.LimitRetryError, func(c CodeRange) bool { return c.High >= 100 || c.Low < 0 }) {
		note(true, "/request/limit_retry_error", "retries are not built yet: the first answer counts")
	}
	return found
}

// notRead lists settings that are on, do no harm, and have no effect yet.
func (p *Properties) notRead() []string {
	var list []string
	for pointer, on := range map[string]bool{
		"/request/healthcheck_on_timeout": p.Request.HealthcheckOnTimeout, "/request/keep_alive_interval": p.Request.KeepAliveInterval != 0,
		"/request/failover_codes": len(p.Request.FailoverCodes) > 0, "/stripEscapes": p.StripEscapes, "/xmlArrayKeys": len(p.XMLArrayKeys) > 0,
	} {
		if on {
			list = append(list, pointer)
		}
	}
	slices.Sort(list)
	return list
}

// offSetting is a setting that is on but not built.
type offSetting struct{ pointer, hint string }

func (p *Properties) notBuilt() []offSetting {
	var list []offSetting
	for _, s := range []struct {
		on bool
		offSetting
	}{
		{p.Stub, offSetting{"/stub", "set stub to false to reach the real system"}},
		{p.Proxy.Enabled, offSetting{"/proxy/enabled", "set proxy.enabled to false where the system can be reached directly"}},
		{p.SSL.Enabled, offSetting{"/ssl/enabled", "set ssl.enabled to false to verify with the machine's own trust store"}},
		{p.Throttle.Enabled, offSetting{"/throttle/throttle_enabled", "set throttle.throttle_enabled to false to call without a queue"}},
	} {
		if s.on {
			list = append(list, s.offSetting)
		}
	}
	return list
}

// canonical writes a tree so that equal trees give equal bytes: encoding/json sorts names.
func canonical(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("unwritable %T", v) // only a Go caller's channel or function gets here
	}
	return string(data)
}
