package port

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/keyhitch/keyhitch/auth"
)

// Configuration says where a system is and how to log in to it. An absent, null or empty ("")
// setting takes its default. Every string may hold ${env:NAME} and ${file:PATH}.
type Configuration struct {
	// Base URL of the system: http or https, with a path that is kept. Slashes at its end do not count.
	BaseURL string `json:"baseUrl" jsonschema:"required,example=https://api.example.com"`
	// How requests are authenticated. basic_auth is another spelling of basic.
	AuthType string `json:"authType" jsonschema:"enum=none,enum=bearer_token,enum=basic,enum=basic_auth,enum=api_key,enum=custom,default=none"`

	// Token of bearer_token; sent as Authorization: Bearer, unless a request has an Authorization of its own.
	APIToken auth.Secret `json:"apiToken"`
	// Key of api_key.
	APIKey auth.Secret `json:"apiKey"`
	// Header that holds the key of api_key, unless a request has a header of this name itself.
	APIKeyHeader string `json:"apiKeyHeader" jsonschema:"default=X-API-Key"`
	// User name of basic.
	Username auth.Secret `json:"username"`
	// Password of basic; may be blank.
	Password auth.Secret `json:"password"`

	// How to get a credential: an authentication call, or a list of calls whose later entries may hold expressions on earlier answers. May be written as JSON text.
	CustomAuthRequest Part `json:"customAuthRequest"`
	// Where the values of the answer go in every request. May be written as JSON text.
	CustomAuthRequestTemplate Part `json:"customAuthRequestTemplate"`
	// Former name of customAuthRequestTemplate.
	CustomAuthResponse Part `json:"customAuthResponse"`

	// Check the certificates of the system and of the authentication endpoint.
	VerifySSL Flag `json:"verifySsl" jsonschema:"default=true"`
	// Longest time for one attempt of a request, in seconds.
	Timeout Seconds `json:"timeout" jsonschema:"default=30"`
	// Most requests at the same time; 0 is no limit. Authentication calls do not count.
	MaxConcurrentRequests Limit `json:"maxConcurrentRequests" jsonschema:"default=10"`
	// Where credentials are kept: in this process, or in Redis for several.
	TokenCache string `json:"tokenCache" jsonschema:"enum=local,enum=redis,default=local"`

	// Client certificate for mutual TLS, as PEM text.
	ClientCertificate auth.Secret `json:"clientCertificate" jsonschema:"example=${file:client.pem}"`
	// Private key of the client certificate, as PEM text.
	ClientPrivateKey auth.Secret `json:"clientPrivateKey" jsonschema:"example=${file:client.key}"`
	// Certificate authorities that are trusted in place of the machine's own, as PEM text.
	CACertificate auth.Secret `json:"caCertificate" jsonschema:"example=${file:ca.pem}"`
}

// AuthRequest is an authentication call.
type AuthRequest struct {
	// Where the call goes: a path that is joined to baseUrl, or a whole URL. A query in it is kept.
	Endpoint string `json:"endpoint" jsonschema:"required,example=/oauth/token"`
	// HTTP method of the call.
	Method string `json:"method" jsonschema:"enum=GET,enum=POST,enum=PUT,enum=PATCH,enum=DELETE,default=POST"`
	// Headers of the call. Without a Content-Type among them, the body says which it is.
	Headers Texts `json:"headers"`
	// JSON body of the call; not together with bodyForm.
	Body Object `json:"body"`
	// Form body of the call, sent as it is written; not together with body.
	BodyForm auth.Secret `json:"bodyForm" jsonschema:"example=grant_type=client_credentials&client_id=…&client_secret=…"`
	// Query parameters of the call. A list is sent as several of one name.
	QueryParams Object `json:"queryParams"`

	// How long a credential is good, in seconds. It is renewed 60 seconds (of short times, a tenth) before that. Default: until it is refused. In a list of calls: in the last one.
	ReauthenticateIntervalSeconds Interval `json:"reauthenticateIntervalSeconds"`
	// Another spelling of reauthenticateIntervalSeconds.
	ReauthenticateInterval Interval `json:"reauthenticate_interval_seconds"`
	// Where the answer says how long the credential is good (seconds, or a date), before reauthenticateIntervalSeconds. In a list of calls: in the last one.
	ReauthenticateIntervalFrom string `json:"reauthenticateIntervalFrom" jsonschema:"example=expires_in"`
	// Statuses that mean «credential refused». Default: 401. In a list of calls: in the last one.
	ReauthenticateOn Statuses `json:"reauthenticateOn"`
}

// Template says where values of the answer go; {{.path}} stands for one. It wins over what a
// request has of the same name.
type Template struct {
	// Headers of every request.
	Headers Texts `json:"headers"`
	// Query parameters of every request.
	QueryParams Object `json:"queryParams"`
	// Top-level members of every request's JSON body, or fields of its form.
	Body Object `json:"body"`
}

// Part is a setting that is read on its own, as AuthRequest or Template.
type Part struct{}

// JSONSchema allows anything.
func (Part) JSONSchema() *jsonschema.Schema { return new(jsonschema.Schema) }

// UnmarshalJSON keeps nothing: what is written may be a secret, and is taken from the tree.
func (*Part) UnmarshalJSON([]byte) error { return nil }

// Object is a JSON object of any content. Like Part it keeps nothing.
type Object struct{}

// JSONSchema says that it is an object.
func (Object) JSONSchema() *jsonschema.Schema { return &jsonschema.Schema{Type: "object"} }

// UnmarshalJSON keeps nothing.
func (*Object) UnmarshalJSON([]byte) error { return nil }

// Texts are named texts. In JSON they are strings or numbers.
type Texts map[string]auth.Secret

// JSONSchema says what UnmarshalJSON reads.
func (Texts) JSONSchema() *jsonschema.Schema {
	text := &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}}}
	return &jsonschema.Schema{Type: "object", AdditionalProperties: text}
}

// UnmarshalJSON reads strings and numbers, these as they are written.
func (t *Texts) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*t = Texts{}
	for name, value := range raw {
		text, err := textOrNumber(value)
		if err != nil {
			return err
		}
		(*t)[name] = auth.NewSecret(text)
	}
	return nil
}

// Interval is a number of seconds of at least 1. In JSON it is an integer or an integer's text.
type Interval int

// JSONSchema says what UnmarshalJSON reads.
func (Interval) JSONSchema() *jsonschema.Schema {
	return numberOrText("integer", "1", "999999999", "^[1-9][0-9]{0,8}$")
}

// UnmarshalJSON reads an integer or its text.
func (i *Interval) UnmarshalJSON(data []byte) error { return unmarshalInt(data, (*int)(i)) }

// Limit is a number from 0. In JSON it is an integer or an integer's text.
type Limit int

// JSONSchema says what UnmarshalJSON reads.
func (Limit) JSONSchema() *jsonschema.Schema {
	return numberOrText("integer", "0", "999999", "^[0-9]{1,6}$")
}

// UnmarshalJSON reads an integer or its text.
func (l *Limit) UnmarshalJSON(data []byte) error { return unmarshalInt(data, (*int)(l)) }

// Seconds is a time of at least a millisecond. In JSON it is a number of seconds or a number's text.
type Seconds time.Duration

// JSONSchema says what UnmarshalJSON reads.
func (Seconds) JSONSchema() *jsonschema.Schema {
	return numberOrText("number", "0.001", "86400", `^[0-9]{1,5}([.][0-9]{1,3})?$`)
}

// UnmarshalJSON reads a number or its text.
func (s *Seconds) UnmarshalJSON(data []byte) error {
	text, err := textOrNumber(data)
	if err != nil {
		return err
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n <= 0 {
		return errors.New("want more than 0 seconds")
	}
	*s = Seconds(n * float64(time.Second))
	return nil
}

// Flag is yes or no. In JSON it is a boolean or a word for it.
type Flag bool

// JSON Schema has no pattern without case.
const (
	yes = `[Tt]([Rr][Uu][Ee])?|[Yy]([Ee][Ss])?|[Oo][Nn]|1`
	no  = `[Ff]([Aa][Ll][Ss][Ee])?|[Nn][Oo]?|[Oo][Ff][Ff]|0`
)

var yesWord = regexp.MustCompile(`^(` + yes + `)$`)

// JSONSchema says what UnmarshalJSON reads.
func (Flag) JSONSchema() *jsonschema.Schema {
	words := &jsonschema.Schema{Type: "string", Pattern: "^(" + yes + "|" + no + ")$"}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "boolean"}, words}}
}

// UnmarshalJSON reads a boolean or a word.
func (f *Flag) UnmarshalJSON(data []byte) error {
	*f = Flag(yesWord.MatchString(strings.Trim(string(data), `"`)))
	return nil
}

// Statuses are HTTP statuses.
type Statuses []int

// JSONSchema says what they are.
func (Statuses) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "array", Items: &jsonschema.Schema{Type: "integer", Minimum: "400", Maximum: "599"}}
}

func numberOrText(kind, low, high json.Number, pattern string) *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		{Type: string(kind), Minimum: low, Maximum: high}, {Type: "string", Pattern: pattern}}}
}

func textOrNumber(data []byte) (string, error) {
	var text string
	if len(data) > 0 && data[0] == '"' {
		err := json.Unmarshal(data, &text)
		return text, err
	}
	return string(data), nil
}

func unmarshalInt(data []byte, into *int) error {
	text, err := textOrNumber(data)
	if err == nil {
		*into, err = strconv.Atoi(text)
	}
	if err != nil {
		return errors.New("want an integer")
	}
	return nil
}
