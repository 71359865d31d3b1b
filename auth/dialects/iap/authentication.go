package iap

import (
	"encoding/json"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/invopop/jsonschema"

	"github.com/keyhitch/keyhitch/auth"
)

// Authentication says how to log in. auth_method decides which of the other settings
// count. An absent, null or empty ("") setting takes its default.
type Authentication struct {
	// How requests are authenticated.
	AuthMethod string `json:"auth_method" jsonschema:"enum=basic user_password,enum=basic_user_password,enum=static_token,enum=jwt_token,enum=request_token,enum=no_authentication,enum=multi_step_authentication,enum=aws_authentication,default=basic user_password"`

	// User name: {username} in formats, username in the token request.
	Username auth.Secret `json:"username"`
	// Password: {password} in formats, password in the token request. May be written as {code}… or {crypt}….
	Password auth.Secret `json:"password"`
	// Token of static_token: {token} in formats. May be written as {code}… or {crypt}….
	Token auth.Secret `json:"token"`

	// Where each placed text goes, one or a list: header.headers.NAME, header.auth, body.PATH, url, query.NAME, urlpath.
	AuthField Texts `json:"auth_field" jsonschema:"default=header.headers.X-AUTH-TOKEN"`
	// What is placed there, one or a list: text with {token}, {tokenp2}, {username}, {password}; {b64}…{/b64} encodes what is between.
	AuthFieldFormat Texts `json:"auth_field_format" jsonschema:"default={token}"`
	// Log where credentials were placed, and what was sent, at debug level; credentials stay redacted.
	AuthLogging bool `json:"auth_logging" jsonschema:"default=false"`
	// More names of members and headers whose values are never logged.
	Sensitive []string `json:"sensitive"`

	// Name that the system gives to the user name in the token request.
	TokenUserField string `json:"token_user_field" jsonschema:"default=username"`
	// Name that the system gives to the password in the token request.
	TokenPasswordField string `json:"token_password_field" jsonschema:"default=password"`
	// Name that the system gives to the token in its answer.
	TokenResultField string `json:"token_result_field" jsonschema:"default=token"`
	// Path of the token request, in place of the path that the action .system/getToken declares.
	TokenURIPath string `json:"token_URI_path" jsonschema:"example=/api/v1/authenticate"`
	// Datatype of the token request, in place of the one that getToken declares.
	AuthRequestDatatype string `json:"auth_request_datatype" jsonschema:"enum=,enum=JSON,enum=JSON2XML,enum=PLAIN,enum=XML,enum=URLENCODE,enum=URLQUERY,enum=FORM"`
	// Datatype of the token request's answer, in place of the one that getToken declares.
	AuthResponseDatatype string `json:"auth_response_datatype" jsonschema:"enum=,enum=JSON,enum=XML2JSON,enum=PLAIN,enum=XML,enum=URLENCODE"`
	// Part of the answer that holds the token, in place of the one that getToken's schema declares.
	TokenResponsePlacement string `json:"token_response_placement" jsonschema:"enum=,enum=HEADER,enum=BODY"`
	// Percent-encode the values of a token request of datatype URLQUERY. Default: as encode_queryvars says.
	AuthQueryEncode *bool `json:"authQueryEncode"`
	// Send user name and password with a token request that has authData.
	AddCreds bool `json:"addCreds" jsonschema:"default=true"`

	// Client identifier (RFC 6749 client_id).
	ClientID string `json:"client_id"`
	// Client secret (RFC 6749 client_secret).
	ClientSecret auth.Secret `json:"client_secret"`
	// Grant type (RFC 6749 grant_type).
	GrantType string `json:"grant_type" jsonschema:"example=client_credentials"`
	// Scope of the token (RFC 6749 scope).
	Scope string `json:"scope"`
	// Resource server that the token is for (RFC 8707 resource).
	Resource string `json:"resource"`
	// Where token requests go, when not to the system itself.
	SSO SSO `json:"sso"`

	// Life of a token, in milliseconds. -1: a new token for every call. 0: as the answer says. Above 0: this long, whatever the answer says.
	TokenTimeout int `json:"token_timeout" jsonschema:"minimum=-1,maximum=86400000,default=-1"`
	// How long before its expiry a token is renewed, in milliseconds. Default: 60000, or 10 % of the token's life when that is less.
	TokenMargin *int `json:"token_margin" jsonschema:"minimum=0"`
	// Where tokens are kept: in this process, or in Redis for several.
	TokenCache string `json:"token_cache" jsonschema:"enum=local,enum=redis,default=local"`
	// Status, or list of statuses, that mean «token refused».
	InvalidTokenError Statuses `json:"invalid_token_error" jsonschema:"default=401"`
	// How often a request is sent again with a new token after its token was refused.
	InvalidTokenResubmits int `json:"invalid_token_resubmits" jsonschema:"minimum=0,maximum=5,default=1"`
	// How a refresh token renews the token, by the action .system/getRefreshToken.
	RefreshTokenRequest *RefreshTokenRequest `json:"refresh_token_request"`
	// The steps of multi_step_authentication, in order; step N runs the action .system/MFA_Step_N.
	MultiStepAuthCalls []Step `json:"multiStepAuthCalls"`

	// AWS access key. Default: from the environment.
	AWSAccessKey auth.Secret `json:"aws_access_key"`
	// AWS secret key. Default: from the environment.
	AWSSecretKey auth.Secret `json:"aws_secret_key"`
	// AWS session token.
	AWSSessionToken auth.Secret `json:"aws_session_token"`
	// AWS role to assume.
	AWSIAMRole string `json:"aws_iam_role"`
	// AWS security token service.
	AWSSTS AWSSTS `json:"aws_sts"`
}

// SSO is where token requests go, when not to the system itself. What is empty or 0 is
// as for the system.
type SSO struct {
	// Protocol spoken with the authorization server.
	Protocol string `json:"protocol" jsonschema:"enum=http,enum=https,enum="`
	// Host name or address of the authorization server.
	Host string `json:"host" jsonschema:"example=login.example.com"`
	// Port of the authorization server.
	Port int `json:"port" jsonschema:"minimum=0,maximum=65535,default=0"`
}

// Step is one step of multi_step_authentication.
type Step struct {
	// Name by which later steps and formats refer to this one.
	Name string `json:"name"`
	// What the step sends: header.NAME, query.NAME, or members of its body. {step.responseFields.field} stands for what an earlier step returned.
	RequestFields map[string]auth.Secret `json:"requestFields"`
	// What the step returns: names by which it is referred to, and its names in the answer.
	ResponseFields map[string]string `json:"responseFields"`
	// Status that means success. Default: any 2xx.
	SuccessfullResponseCode int `json:"successfullResponseCode" jsonschema:"minimum=0,maximum=1000"`
	// Another spelling of successfullResponseCode.
	SuccessfulResponseCode int `json:"successfulResponseCode" jsonschema:"minimum=0,maximum=1000"`
	// Where the step goes: host, port, protocol and path; each may refer to an earlier step.
	SSO map[string]any `json:"sso"`
}

// RefreshTokenRequest says how a refresh token renews the token.
type RefreshTokenRequest struct {
	// What the request sends besides the refresh token: header.NAME, query.NAME, or members of its body.
	RequestFields map[string]auth.Secret `json:"requestFields"`
	// The refresh token itself.
	RefreshToken RefreshToken `json:"refresh_token"`
}

// RefreshToken says where a refresh token goes and how long it lives.
type RefreshToken struct {
	// Part of the request that holds the refresh token.
	Placement string `json:"placement" jsonschema:"enum=body,enum=query,default=body"`
	// Life of a refresh token, in milliseconds. -1: refresh tokens are not used.
	TokenTimeout int `json:"token_timeout" jsonschema:"minimum=-1,default=-1"`
}

// AWSSTS says how to reach the AWS security token service.
type AWSSTS struct {
	// AWS region of the service.
	Region string `json:"region"`
	// Speak TLS with the service.
	SSLEnable bool `json:"sslEnable" jsonschema:"default=true"`
	// Host of the service.
	Endpoint string `json:"endpoint" jsonschema:"example=sts.amazonaws.com"`
	// External identifier of the role to assume.
	ExternalID string `json:"externalId"`
	// Proxy on the way to the service; may hold its password.
	Proxy auth.Secret `json:"proxy"`
	// Accepted and unused.
	ProxyAgent jsontext.Value `json:"proxyagent"`
}

// Statuses are HTTP statuses. In JSON they are an integer or a list of integers.
type Statuses []int

// JSONSchema says what UnmarshalJSON reads.
func (Statuses) JSONSchema() *jsonschema.Schema {
	one := func() *jsonschema.Schema {
		return &jsonschema.Schema{Type: "integer", Minimum: "0", Maximum: "1000"}
	}
	list := &jsonschema.Schema{Type: "array", Items: one()}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{one(), list}}
}

// UnmarshalJSON reads an integer or a list of integers.
func (s *Statuses) UnmarshalJSON(data []byte) error {
	list, err := oneOrMore[int](data)
	*s = list
	return err
}

// Texts are one text or several. In JSON they are a string or a list of strings.
type Texts []string

// JSONSchema says what UnmarshalJSON reads.
func (Texts) JSONSchema() *jsonschema.Schema {
	list := &jsonschema.Schema{Type: "array", Items: &jsonschema.Schema{Type: "string"}}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, list}}
}

// UnmarshalJSON reads a string or a list of strings.
func (t *Texts) UnmarshalJSON(data []byte) error {
	list, err := oneOrMore[string](data)
	*t = list
	return err
}

func oneOrMore[T any](data []byte) ([]T, error) {
	var list []T
	if jsontext.Value(data).Kind() == '[' {
		err := json.Unmarshal(data, &list)
		return list, err
	}
	list = make([]T, 1)
	err := json.Unmarshal(data, &list[0])
	return list, err
}
