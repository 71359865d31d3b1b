package port

import (
	"slices"
	"strconv"
	"strings"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/methods/basic"
	"github.com/keyhitch/keyhitch/auth/methods/custom"
	"github.com/keyhitch/keyhitch/auth/methods/noauth"
	"github.com/keyhitch/keyhitch/auth/methods/statictoken"
)

// method fills in how requests are authenticated.
func (p *parser) method(spec *auth.Spec) {
	switch c := &p.config; c.AuthType {
	case "bearer_token":
		spec.Method, spec.Config = "static_token", p.static("apiToken", c.APIToken,
			auth.Field{Path: "header.headers.Authorization", Format: "Bearer {token}", Weak: true})
	case "api_key":
		spec.Sensitive = []string{c.APIKeyHeader}
		spec.Method, spec.Config = "static_token", p.static("apiKey", c.APIKey,
			auth.Field{Path: "header.headers." + c.APIKeyHeader, Format: "{token}", Weak: true})
	case "basic_auth":
		p.warn("/authType", "basic_auth is not the documented name; write basic")
		fallthrough
	case "basic":
		spec.Method, spec.Config = p.basic()
	case "custom":
		spec.Method, spec.Config = "custom", p.custom(spec)
	default:
		spec.Method, spec.Config = "no_authentication", new(noauth.Config)
	}
}

// static is a token that is known beforehand, in a header that a request may bring itself.
func (p *parser) static(setting string, token auth.Secret, field auth.Field) auth.Config {
	fixed := map[string]auth.Secret{"token": token}
	place, problems := auth.CompileFields([]auth.Field{field}, fixed, "token")
	for _, found := range problems {
		p.problem("/apiKeyHeader", "%s", found.Reason)
	}
	if token.IsZero() {
		p.problem("/"+setting, "is required with authType %s", p.config.AuthType)
	} else if len(problems) == 0 {
		p.sendable("/"+setting, place)
	}
	return &statictoken.Config{Token: token, Place: place}
}

// sendable finds what no header can carry now, and not when it is sent.
func (p *parser) sendable(pointer string, place auth.Placement) {
	if _, err := place.Render(auth.Token{}); err != nil {
		p.problem(pointer, "%v", err)
	}
}

func (p *parser) basic() (string, auth.Config) {
	user, password := p.config.Username, p.config.Password
	switch {
	case user.IsZero():
		p.problem("/username", "is required with authType %s", p.config.AuthType)
	case strings.Contains(user.Reveal(), ":"):
		p.problem("/username", "holds a colon, which Basic authentication cannot send (RFC 7617, section 2)")
	}
	if password.IsZero() {
		// The method basic wants a password; a blank one is right here.
		pair := auth.NewSecret(user.Reveal() + ":")
		place, _ := auth.CompileFields([]auth.Field{{Path: "header.auth", Format: "{token}"}}, map[string]auth.Secret{"token": pair}, "token")
		return "static_token", &statictoken.Config{Token: pair, Place: place}
	}
	fixed := map[string]auth.Secret{"username": user, "password": password}
	place, _ := auth.CompileFields([]auth.Field{{Path: "header.auth", Format: "{username}:{password}"}}, fixed, "username", "password")
	return "basic", &basic.Config{Username: user, Password: password, Place: place}
}

// custom reads the calls and the template, and what the last call says of renewal.
func (p *parser) custom(spec *auth.Spec) auth.Config {
	spec.Resubmits = 1
	c := &custom.Config{Owner: p.src.Owner, Tries: 1 + spec.Resubmits, Identity: identity(spec.System)}
	if spec.System != nil && spec.System.BaseURL != nil {
		c.Base = spec.System.BaseURL.String()
	}
	c.Calls = p.calls(spec, c)
	c.Template = p.template()
	return c
}

func (p *parser) calls(spec *auth.Spec, c *custom.Config) []custom.Call {
	const pointer = "/customAuthRequest"
	raw, ok := p.unfolded(p.raw["customAuthRequest"], pointer)
	list, several := raw.([]any)
	switch {
	case !ok:
		return nil
	case missing(raw):
		p.problem(pointer, "is missing: authType custom needs an authentication call")
	case !several:
		return []custom.Call{p.call(raw, pointer, spec, c, callPlace{last: true})}
	}
	var calls []custom.Call
	for i, item := range list {
		at := callPlace{templated: i > 0, last: i == len(list)-1, words: "customAuthRequest[" + strconv.Itoa(i) + "]."}
		calls = append(calls, p.call(item, pointer+"/"+strconv.Itoa(i), spec, c, at))
	}
	return calls
}

// callPlace is where a call stands among the calls.
type callPlace struct {
	templated, last bool
	words           string // customAuthRequest[1]. in a list
}

func (p *parser) call(raw any, pointer string, spec *auth.Spec, c *custom.Config, at callPlace) custom.Call {
	var r AuthRequest
	p.decode(raw, pointer, &r)
	tree, ok := raw.(map[string]any)
	if !ok {
		return custom.Call{}
	}
	body, _ := tree["body"].(map[string]any)
	query, _ := tree["queryParams"].(map[string]any)
	if len(body) > 0 && !r.BodyForm.IsZero() {
		p.problem(pointer+"/bodyForm", "and body are mutually exclusive; keep one of them")
	}
	p.renewal(r, pointer, spec, c, at)
	if !at.templated {
		p.asWritten(raw, pointer)
	}
	call, faults := custom.NewCall(custom.WrittenCall{
		Written: custom.Written{Headers: r.Headers, Query: query, Body: body},
		Base:    spec.System.BaseURL, Endpoint: r.Endpoint, Method: r.Method, Form: r.BodyForm, Templated: at.templated,
	})
	if r.Endpoint == "" || spec.System.BaseURL == nil { // said already, of itself or of baseUrl
		faults = slices.DeleteFunc(faults, func(f custom.Fault) bool { return f.Pointer == "/endpoint" })
	}
	p.faults(pointer, at.words, faults)
	return call
}

// renewal is what a call says of how long its credential is good.
func (p *parser) renewal(r AuthRequest, pointer string, spec *auth.Spec, c *custom.Config, at callPlace) {
	says := r.ReauthenticateIntervalSeconds+r.ReauthenticateInterval != 0 || r.ReauthenticateIntervalFrom != "" || r.ReauthenticateOn != nil
	if says && !at.last {
		p.problem(pointer, "says when to reauthenticate; in a list of calls only the last one can")
		return
	}
	if r.ReauthenticateIntervalSeconds != 0 && r.ReauthenticateInterval != 0 {
		p.problem(pointer+"/reauthenticate_interval_seconds", "is given together with reauthenticateIntervalSeconds; keep that one")
	}
	c.Interval = seconds(max(r.ReauthenticateIntervalSeconds, r.ReauthenticateInterval))
	if spec.Refused = r.ReauthenticateOn; spec.Refused != nil && len(spec.Refused) == 0 {
		p.problem(pointer+"/reauthenticateOn", "is empty; name at least one status, or leave it out (401)")
	}
	if r.ReauthenticateIntervalFrom == "" {
		return
	}
	expr, err := custom.ParseExpression(r.ReauthenticateIntervalFrom)
	if err != nil {
		p.problem(pointer+"/reauthenticateIntervalFrom", "%v", err)
	}
	c.IntervalFrom = expr
}

func (p *parser) template() custom.Template {
	pointer := "/customAuthRequestTemplate"
	raw := p.raw["customAuthRequestTemplate"]
	if former := p.raw["customAuthResponse"]; former != nil && former != "" {
		if raw != nil && raw != "" {
			p.problem("/customAuthResponse", "is the former name of customAuthRequestTemplate; both are given")
		} else {
			raw, pointer = former, "/customAuthResponse"
			p.warn(pointer, "is the former name; write customAuthRequestTemplate")
		}
	}
	raw, ok := p.unfolded(raw, pointer)
	switch {
	case !ok:
		return custom.Template{}
	case raw == nil || raw == "":
		p.problem(pointer, "is missing: authType custom needs to know where the values go")
		return custom.Template{}
	}
	var t Template
	right := p.decode(raw, pointer, &t)
	tree, _ := raw.(map[string]any)
	body, _ := tree["body"].(map[string]any)
	query, _ := tree["queryParams"].(map[string]any)
	if right && len(t.Headers)+len(query)+len(body) == 0 {
		p.problem(pointer, "needs at least one of headers, queryParams and body")
	}
	template, faults := custom.NewTemplate(custom.Written{Headers: t.Headers, Query: query, Body: body})
	p.faults(pointer, "", faults)
	return template
}

// faults reports what is wrong in a call or a template; within says in which of several calls.
func (p *parser) faults(pointer, within string, faults []custom.Fault) {
	for _, f := range faults {
		p.problem(pointer+f.Pointer, "%s%s: %s", within, f.Place, f.Reason)
	}
}

// unfolded parses a setting that is still text.
func (p *parser) unfolded(v any, pointer string) (out any, ok bool) {
	out, reason := unfold(v)
	if reason != "" {
		p.problem(pointer, "%s", reason)
	}
	return out, reason == ""
}
