package adapter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/entities"
)

const getToken = "getToken"

// notSent are members of authData that are not part of the token request's data.
var notSent = []string{"uriPathVars", "stsParams", "roleName"}

// tokenRequest is the token request that the action .system/getToken declares, with the login
// of one instance. It is pure: New builds, Read reads.
type tokenRequest struct {
	action     *entities.Action
	request    *entities.Schema
	response   *entities.Schema
	login      auth.Login
	props      *Properties
	authData   map[string]any // the call's own
	globalData map[string]any // the instance's authData
	standard   bool           // the default system entity declares it: RFC 6749
	owner      string
	kind       entities.Datatype // of the request
	answers    entities.Datatype
	headers    []headerFormat
}

// headerFormat is one header of the token request; its text may use the login's values.
type headerFormat struct {
	name   string
	format auth.Format
}

// loginNames are what headers of the token request may use.
var loginNames = []string{"username", "password", "client_id", "client_secret"}

// declared returns what makes a login's token request.
func (d *Definition) declared(p *Properties, authData map[string]any) func(auth.Login) (auth.TokenRequest, error) {
	return func(login auth.Login) (auth.TokenRequest, error) {
		t := &tokenRequest{login: login, props: p, authData: authData, globalData: p.Request.GlobalRequest.AuthData, owner: d.name}
		act, err := d.system.Action(systemEntity, getToken)
		var missing *entities.NotFoundError
		if t.standard = d.system == entities.System() || errors.As(err, &missing); t.standard {
			act, err = entities.System().Action(systemEntity, getToken)
			if login.Path == "" {
				return nil, errors.New("the home declares no getToken action, so token_URI_path must say where tokens come from")
			}
		}
		if err != nil {
			return nil, err
		}
		t.action = act
		return t, t.compile()
	}
}

func (t *tokenRequest) compile() error {
	var err error
	if t.request, err = t.action.Request(); err != nil {
		return err
	}
	if t.response, err = t.action.Response(); err != nil {
		return err
	}
	t.request = t.request.Rename(named("username", t.login.UserField, "password", t.login.PasswordField))
	t.response = t.response.Rename(named("token", t.login.ResultField))
	over := Datatypes{Request: t.login.RequestType, Response: t.login.ResponseType}
	if t.kind, t.answers, err = datatypes(t.action, over); err != nil {
		return err
	}
	if _, ok := t.response.Property("token"); !ok {
		return errors.New("the response schema of getToken has no property token")
	}
	return t.compileHeaders()
}

func (t *tokenRequest) compileHeaders() error {
	h := headerSet{header: http.Header{}}
	for _, own := range t.action.Headers {
		h.set(own.Name, own.Value)
	}
	h.add(t.props.Request.GlobalRequest.AddlHeaders)
	h.fill("Content-Type", t.kind.ContentType())
	h.fill("Accept", t.answers.ContentType())
	header, err := h.done()
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		format, err := auth.CompileFormat(header[name][0], loginNames...)
		if err != nil {
			return fmt.Errorf("header %s of getToken: %w", name, err)
		}
		t.headers = append(t.headers, headerFormat{name, format})
	}
	return nil
}

func named(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			m[pairs[i]] = pairs[i+1]
		}
	}
	return m
}

// Timeout is getToken's own, else the instance's for any attempt.
func (t *tokenRequest) Timeout() time.Duration {
	if t.action.Timeout > 0 {
		return t.action.Timeout
	}
	return time.Duration(t.props.Request.AttemptTimeout) * time.Millisecond
}

// Fingerprint names what decides how the answer is read.
func (t *tokenRequest) Fingerprint() string {
	return canonical([]any{t.owner, t.standard, t.login.ResultField, t.login.TokenSource, string(t.answers)})
}

// New builds the token request.
func (t *tokenRequest) New(ctx context.Context, reveal bool) (*http.Request, error) {
	values := t.values(reveal)
	header := http.Header{}
	for _, h := range t.headers {
		text, err := h.format.Render(values)
		if err != nil {
			return nil, err
		}
		header[h.name] = []string{text}
	}
	shown := t
	if !reveal {
		masked := *t
		masked.authData, masked.globalData = maskData(t.authData), maskData(t.globalData)
		shown = &masked
	}
	body, query, err := shown.data(values)
	if err != nil && !reveal {
		body, err = t.hidden(err)
	}
	if err != nil {
		return nil, err
	}
	u, err := shown.url(values, query)
	if err != nil {
		return nil, err
	}
	return newRequest(ctx, t.action.Method, u, header, body), nil
}

func (t *tokenRequest) values(reveal bool) map[string]auth.Secret {
	return map[string]auth.Secret{
		"username": t.login.Username.MaskedUnless(reveal), "password": t.login.Password.MaskedUnless(reveal),
		"client_secret": t.login.ClientSecret.MaskedUnless(reveal), "client_id": auth.NewSecret(t.login.ClientID),
	}
}

// hidden is the body where masks do not fit the request schema (a pattern, a length), but the
// values themselves do.
func (t *tokenRequest) hidden(err error) ([]byte, error) {
	if _, _, wrong := t.data(t.values(true)); wrong != nil {
		return nil, err
	}
	return []byte("[redacted]"), nil
}

// data is the body of the token request, or what goes into its query.
func (t *tokenRequest) data(values map[string]auth.Secret) ([]byte, entities.Object, error) {
	if t.action.Method == http.MethodGet {
		return nil, nil, nil
	}
	mapped, err := t.request.MapRequest(getToken, t.fields(values))
	if err != nil {
		return nil, nil, err
	}
	if t.kind == entities.URLQUERY {
		query, _ := mapped.(entities.Object)
		return nil, query, nil
	}
	body, err := entities.Encode(t.kind, mapped)
	if string(body) == "{}" && !t.action.SendEmpty {
		return nil, nil, err
	}
	return body, nil, err
}

// fields are the login's data before translation: the call's authData over the login's own over
// the instance's authData.
func (t *tokenRequest) fields(values map[string]auth.Secret) entities.Object {
	own := t.ownFields(values)
	if t.hasAuthorization() || t.login.OmitCredentials && len(t.authData) > 0 {
		own = slices.DeleteFunc(own, func(f entities.Field) bool { return f.Name == "username" || f.Name == "password" })
	}
	own = slices.DeleteFunc(own, func(f entities.Field) bool { return f.Value == "" })
	all := entities.Merge(ordered(t.globalData), own)
	all = entities.Merge(all, ordered(t.authData))
	return slices.DeleteFunc(all, func(f entities.Field) bool { return slices.Contains(notSent, f.Name) })
}

func (t *tokenRequest) ownFields(values map[string]auth.Secret) entities.Object {
	own := entities.Object{
		{Name: "username", Value: values["username"].Reveal()}, {Name: "password", Value: values["password"].Reveal()},
		{Name: "client_id", Value: t.login.ClientID}, {Name: "client_secret", Value: values["client_secret"].Reveal()},
		{Name: "scope", Value: t.login.Scope}, {Name: "resource", Value: t.login.Resource},
		{Name: "grant_type", Value: t.login.GrantType},
	}
	if t.standard {
		return standardFields(own, t.login)
	}
	return own
}

// standardFields keeps to RFC 6749: user name and password belong to the password grant (section
// 4.3) alone, which is meant when there is no client_id; with one it is client credentials (4.4).
func standardFields(own entities.Object, login auth.Login) entities.Object {
	grant := login.GrantType
	switch {
	case grant != "":
	case login.ClientID != "":
		grant = "client_credentials"
	default:
		grant = "password"
	}
	own = slices.DeleteFunc(own, func(f entities.Field) bool {
		return grant != "password" && (f.Name == "username" || f.Name == "password")
	})
	return entities.Merge(own, entities.Object{{Name: "grant_type", Value: grant}})
}

// maskData hides login data that is not known to be harmless: one-time codes, PINs, domains.
func maskData(data map[string]any) map[string]any {
	masked, _ := mask(data).(map[string]any)
	return masked
}

func mask(value any) any {
	switch v := value.(type) {
	case string:
		return auth.NewSecret(v).Masked().Reveal()
	case map[string]any:
		masked := make(map[string]any, len(v))
		for name, inner := range v {
			masked[name] = mask(inner)
		}
		return masked
	case []any:
		masked := make([]any, len(v))
		for i, inner := range v {
			masked[i] = mask(inner)
		}
		return masked
	case nil, bool:
		return v
	}
	return json.Number("0") // a number must stay one, or the schema refuses it
}

func (t *tokenRequest) hasAuthorization() bool {
	return slices.ContainsFunc(t.action.Headers, func(h entities.Header) bool { return strings.EqualFold(h.Name, "Authorization") })
}

// url is where the token request goes.
func (t *tokenRequest) url(values map[string]auth.Secret, query entities.Object) (*url.URL, error) {
	p := t.props
	vars, _ := t.authData["uriPathVars"].([]any)
	raw := !p.EncodeQueryVars
	if t.login.RawQuery != nil {
		raw = *t.login.RawQuery
	}
	target := entities.Target{
		BasePath: p.BasePath, Version: p.Version, ChoosePath: p.ChoosePath, PathVars: vars, Path: t.login.Path,
		RawPathVars: !p.EncodePathVars, RawQuery: raw,
	}
	path, fixed, err := t.action.Target(target)
	if err != nil {
		return nil, err
	}
	target.Options = entities.Merge(query, ordered(p.Request.GlobalRequest.URIOptions))
	_, rawQuery, err := t.action.Target(target)
	if err != nil {
		return nil, err
	}
	origin, err := originURL(t.destination())
	if err != nil {
		return nil, fmt.Errorf("sso host %w", err)
	}
	// Only the declaration's own text is filled in: a value that holds {password} stays as it is.
	fill := strings.NewReplacer("{username}", escaped(values["username"]), "{password}", escaped(values["password"]))
	return join(origin, fill.Replace(path), fill.Replace(fixed)+strings.TrimPrefix(rawQuery, fixed))
}

// escaped is a value as one path segment or query value.
func escaped(s auth.Secret) string {
	return strings.NewReplacer("+", "%20", "%2A", "*").Replace(url.QueryEscape(s.Reveal()))
}

// destination says where the authorization server is; empty and 0 mean «not said». The protocol
// of the action goes before that of the instance, host and port the other way round (spec 1.7).
func (t *tokenRequest) destination() (protocol, host string, port int) {
	p, sso, own := t.props, t.action.SSO, t.login
	protocol, host, port = p.Protocol, p.Host, p.EffectivePort()
	for _, s := range []string{own.Protocol, sso.Protocol} {
		if s != "" {
			protocol = s
		}
	}
	for _, s := range []string{sso.Host, own.Host} {
		if s != "" {
			host = s
		}
	}
	elsewhere := sso.Host != "" || own.Host != ""
	for _, n := range []int{sso.Port, own.Port} {
		if n != 0 {
			port = n
		} else if elsewhere && p.Port == 0 {
			port = (&Properties{Protocol: protocol}).EffectivePort()
		}
	}
	return protocol, host, port
}
