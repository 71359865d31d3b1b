package adapter

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/invopop/jsonschema"

	"github.com/keyhitch/keyhitch/auth"
)

// Properties are the settings of one service instance: which system to talk to, and how.
// An absent, null or empty ("") setting takes its default.
type Properties struct {
	// Host name or address of the system.
	Host string `json:"host" jsonschema:"required,example=systemx.example.com"`
	// Port of the system. Default: 443 with protocol https, 80 with http.
	Port int `json:"port" jsonschema:"minimum=1,maximum=65535"`
	// Protocol spoken with the system.
	Protocol string `json:"protocol" jsonschema:"enum=http,enum=https,default=http"`
	// First part of every path: what {base_path} stands for in the paths of actions.
	BasePath string `json:"base_path" jsonschema:"example=/system/api"`
	// Version of the system's API: what {version} stands for in the paths of actions.
	Version string `json:"version" jsonschema:"example=v1"`
	// Which path an action takes when it declares several, by version.
	ChoosePath string `json:"choosepath"`
	// Percent-encode path variables.
	EncodePathVars bool `json:"encode_pathvars" jsonschema:"default=true"`
	// Percent-encode query values.
	EncodeQueryVars bool `json:"encode_queryvars" jsonschema:"default=true"`
	// Write the names of query parameters; false writes their values only.
	QueryKeys bool `json:"query_keys" jsonschema:"default=true"`
	// Answer from mock data files; send nothing.
	Stub bool `json:"stub" jsonschema:"default=false"`
	// AWS region that requests are signed for.
	Region string `json:"region" jsonschema:"example=eu-central-1"`
	// AWS service that requests are signed for.
	Service string `json:"service" jsonschema:"example=ec2"`
	// Remove backslash escapes from texts in answers.
	StripEscapes bool `json:"stripEscapes" jsonschema:"default=false"`
	// Element names that become arrays, even when they occur once, in XML read as JSON.
	XMLArrayKeys []string `json:"xmlArrayKeys"`

	// How to log in. auth_method decides which of its settings count.
	Authentication jsontext.Value `json:"authentication" jsonschema:"required"`
	// How requests are sent, and sent again.
	Request Request `json:"request"`
	// How to find out whether the system is well.
	Healthcheck Healthcheck `json:"healthcheck"`
	// How many requests may run at one time.
	Throttle Throttle `json:"throttle"`
	// The proxy on the way to the system, and to the token endpoint.
	Proxy Proxy `json:"proxy"`
	// TLS: whom to trust, and the client certificate.
	SSL SSL `json:"ssl"`

	// Database of the original platform; not used here.
	Mongo Mongo `json:"mongo" settings:"platform"`
	// Device broker of the original platform; not used here.
	DeviceBroker any `json:"devicebroker" settings:"platform"`
	// Entity cache of the original platform; not used here.
	Cache any `json:"cache" settings:"platform"`
	// Where the entity cache of the original platform lives; not used here.
	CacheLocation any `json:"cache_location" settings:"platform" jsonschema:"default=none"`
	// Whether the original platform stores metrics; not used here.
	SaveMetric any `json:"save_metric" settings:"platform" jsonschema:"default=false"`
}

// EffectivePort returns the port, or the usual one of the protocol when none is set.
func (p *Properties) EffectivePort() int {
	switch {
	case p.Port != 0:
		return p.Port
	case p.Protocol == "https":
		return 443
	default:
		return 80
	}
}

// Request says how requests are sent, and sent again.
type Request struct {
	// How many redirects are followed.
	NumberRedirects int `json:"number_redirects" jsonschema:"minimum=0,maximum=20,default=0"`
	// How often a request is sent again after a status of limit_retry_error.
	NumberRetries int `json:"number_retries" jsonschema:"minimum=0,maximum=20,default=3"`
	// Statuses after which a request is sent again: a number, or a list of numbers, digits as text, and ranges as "500-599".
	LimitRetryError RetryCodes `json:"limit_retry_error" jsonschema:"default=0"`
	// Statuses after which the caller may try another adapter.
	FailoverCodes []int `json:"failover_codes"`
	// Longest time of one attempt, in milliseconds.
	AttemptTimeout int `json:"attempt_timeout" jsonschema:"minimum=1000,maximum=3600000,default=5000"`
	// Run the health check after an attempt that took too long.
	HealthcheckOnTimeout bool `json:"healthcheck_on_timeout" jsonschema:"default=false"`
	// What is added to every request.
	GlobalRequest GlobalRequest `json:"global_request"`
	// Put the untranslated body in the result.
	ReturnRaw bool `json:"return_raw" jsonschema:"default=false"`
	// Put the request that was sent in the result.
	ReturnRequest bool `json:"return_request" jsonschema:"default=false"`
	// Put the headers of the answer in the result.
	ReturnResponseHeaders bool `json:"returnResponseHeaders" jsonschema:"default=true"`
	// Pause between TCP keep-alive probes of long requests, in milliseconds; 0 is the system's own, and less than 30000 counts as 30000.
	KeepAliveInterval int `json:"keep_alive_interval" jsonschema:"minimum=0,maximum=3600000,default=0"`
	// Largest answer of a declared call that is read, in bytes.
	MaxResponseSize int64 `json:"max_response_size" jsonschema:"minimum=1,default=8388608"`
	// Whether the original platform archives requests and answers; not used here.
	Archiving any `json:"archiving" settings:"platform" jsonschema:"default=false"`
}

// GlobalRequest is what is added to every request; what the call itself brings wins.
type GlobalRequest struct {
	// Members added to the body, except of GET requests.
	Payload map[string]any `json:"payload"`
	// Query parameters added to every request.
	URIOptions map[string]any `json:"uriOptions"`
	// Headers added to every request.
	AddlHeaders HeaderTexts `json:"addlHeaders"`
	// Data added to every token request.
	AuthData map[string]any `json:"authData"`
}

// Healthcheck says how to find out whether the system is well.
type Healthcheck struct {
	// When it runs.
	Type string `json:"type" jsonschema:"enum=none,enum=startup,enum=intermittent,default=intermittent"`
	// Pause between two checks of type intermittent, in milliseconds.
	Frequency int `json:"frequency" jsonschema:"minimum=30000,maximum=3600000,default=300000"`
	// Protocol of the check.
	Protocol string `json:"protocol" jsonschema:"enum=REST,default=REST"`
	// Path of the check, in place of the path that the action .system/healthcheck declares.
	URIPath string `json:"URI_Path" jsonschema:"example=/api/version/ping"`
	// Query parameters of the check.
	QueryObject map[string]any `json:"query_object"`
	// Headers of the check.
	AddlHeaders HeaderTexts `json:"addlHeaders"`
}

// Throttle says how many requests may run at one time.
type Throttle struct {
	// Whether requests wait for each other at all.
	Enabled bool `json:"throttle_enabled" jsonschema:"default=false"`
	// How many processes share the queue.
	NumberPronghorns int `json:"number_pronghorns" jsonschema:"minimum=1,maximum=20,default=1"`
	// Accepted and unused.
	SyncAsync string `json:"sync_async" jsonschema:"enum=sync,enum=async,default=sync"`
	// How many requests may wait; one more is refused.
	MaxInQueue int `json:"max_in_queue" jsonschema:"minimum=1,maximum=5000,default=1000"`
	// How many requests may run at one time; 0 lets none run.
	ConcurrentMax int `json:"concurrent_max" jsonschema:"minimum=0,maximum=1000,default=1"`
	// How long a place stays taken after its request is done, in milliseconds.
	ExpireTimeout int `json:"expire_timeout" jsonschema:"minimum=0,maximum=60000,default=0"`
	// About how long the system takes for one request, in milliseconds.
	AvgRuntime int `json:"avg_runtime" jsonschema:"minimum=50,maximum=60000,default=200"`
	// Which priorities calls may name, and where in the queue each one goes.
	Priorities []Priority `json:"priorities"`
}

// Priority places requests in the queue.
type Priority struct {
	// The number that a call names.
	Value float64 `json:"value"`
	// The percentage of the queue that goes first: 0 is the front, 100 the end.
	Percent float64 `json:"percent"`
}

// Proxy is the proxy on the way to the system.
type Proxy struct {
	// Whether the proxy is used.
	Enabled bool `json:"enabled" jsonschema:"default=false"`
	// Host name or address of the proxy.
	Host string `json:"host" jsonschema:"example=proxy.example.com"`
	// Port of the proxy.
	Port int `json:"port" jsonschema:"minimum=1,maximum=65535,default=443"`
	// Protocol spoken with the proxy.
	Protocol string `json:"protocol" jsonschema:"enum=http,enum=https,enum=socks4,enum=socks5,enum=tls,default=http"`
	// User name at the proxy.
	Username string `json:"username"`
	// Password at the proxy.
	Password auth.Secret `json:"password"`
}

// SSL says whom to trust with TLS, and which client certificate to show.
type SSL struct {
	// Whether the settings below count; without them the system's trust store decides.
	Enabled bool `json:"enabled" jsonschema:"default=false"`
	// DANGEROUS: talk to a server whatever certificate it shows.
	AcceptInvalidCert bool `json:"accept_invalid_cert" jsonschema:"default=false"`
	// Another spelling of accept_invalid_cert; one of the two is enough.
	AcceptInvalidCerts bool `json:"accept_invalid_certs" jsonschema:"default=false"`
	// File with the certificates of the authorities to trust (PEM).
	CAFile string `json:"ca_file" jsonschema:"example=security/ca.pem"`
	// The certificates of the authorities to trust, as text (PEM); used in place of ca_file.
	CAFileContent string `json:"ca_file_content"`
	// File with the client certificate (PEM).
	CertFile string `json:"cert_file" jsonschema:"example=security/cert.pem"`
	// File with the key of the client certificate (PEM).
	KeyFile string `json:"key_file" jsonschema:"example=security/key.pem"`
	// Passphrase of the key file.
	Passphrase auth.Secret `json:"passphrase"`
	// Acceptable cipher suites, separated by colons.
	Ciphers string `json:"ciphers"`
	// Protocol version to speak.
	SecureProtocol string `json:"secure_protocol"`
	// Elliptic curve to use.
	ECDHCurve string `json:"ecdhCurve" jsonschema:"example=auto"`
}

// AcceptsInvalid reports whether any server certificate will do, in either spelling.
func (s *SSL) AcceptsInvalid() bool { return s.AcceptInvalidCert || s.AcceptInvalidCerts }

// Mongo is the database of the original platform. It is accepted, and not used.
type Mongo struct {
	// Host of the database.
	Host any `json:"host"`
	// Port of the database.
	Port any `json:"port"`
	// Name of the database.
	Database any `json:"database"`
	// User name at the database.
	Username any `json:"username"`
	// Password at the database.
	Password auth.Secret `json:"password"`
	// Replica set of the database.
	ReplSet any `json:"replSet"`
	// TLS with the database.
	DBSSL any `json:"db_ssl"`
	// Address of the database, which may hold its password.
	URL auth.Secret `json:"url"`
	// Whether the database wants a login.
	DBAuth any `json:"dbAuth"`
	// Whether the address is looked up as an SRV record.
	AddSrv any `json:"addSrv"`
}

// RetryCodes are statuses, one by one or as ranges. In JSON they are an integer, a text
// ("429", "500-599"), or a list of these. -1 is a failed connection, -2 an attempt that
// took too long.
type RetryCodes []CodeRange

// CodeRange is the statuses from Low to High, both included.
type CodeRange struct{ Low, High int }

// Match reports whether code is one of these.
func (r RetryCodes) Match(code int) bool {
	for _, c := range r {
		if c.Low <= code && code <= c.High {
			return true
		}
	}
	return false
}

// JSONSchema says what UnmarshalJSON reads.
func (RetryCodes) JSONSchema() *jsonschema.Schema {
	number := func() *jsonschema.Schema {
		return &jsonschema.Schema{Type: "integer", Minimum: "-2", Maximum: "1000"}
	}
	text := func() *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Pattern: `^\s*(-[12]|[0-9]{1,3}(\s*-\s*[0-9]{1,3})?)\s*$`}
	}
	one := &jsonschema.Schema{AnyOf: []*jsonschema.Schema{number(), text()}}
	list := &jsonschema.Schema{Type: "array", Items: one}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{number(), text(), list}}
}

// UnmarshalJSON reads an integer, a text or a list of them. A range may be written from
// either end.
func (r *RetryCodes) UnmarshalJSON(data []byte) error {
	items := []json.RawMessage{data}
	if jsontext.Value(data).Kind() == '[' {
		if err := json.Unmarshal(data, &items); err != nil {
			return err
		}
	}
	codes := make(RetryCodes, 0, len(items))
	for _, item := range items {
		c, err := parseCodeRange(strings.Trim(string(item), `"`))
		if err != nil {
			return err
		}
		codes = append(codes, c)
	}
	*r = codes
	return nil
}

func parseCodeRange(text string) (CodeRange, error) {
	text = strings.TrimSpace(text)
	low, high, isRange := strings.Cut(text, "-")
	if !isRange || low == "" { // -1 and -2 begin with the hyphen
		low, high = text, text
	}
	from, err1 := strconv.Atoi(strings.TrimSpace(low))
	to, err2 := strconv.Atoi(strings.TrimSpace(high))
	if err1 != nil || err2 != nil {
		return CodeRange{}, errors.New("want a status, or a range of two")
	}
	return CodeRange{min(from, to), max(from, to)}, nil
}

// HeaderTexts are header values by name. Numbers and booleans become texts.
type HeaderTexts map[string]string

// JSONSchema says what UnmarshalJSON reads.
func (HeaderTexts) JSONSchema() *jsonschema.Schema {
	value := &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}}
	return &jsonschema.Schema{Type: "object", AdditionalProperties: value}
}

// UnmarshalJSON reads an object of texts, numbers and booleans.
func (h *HeaderTexts) UnmarshalJSON(data []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	texts := make(HeaderTexts, len(members))
	for name, raw := range members {
		switch jsontext.Value(raw).Kind() {
		case '"':
			var text string
			if err := json.Unmarshal(raw, &text); err != nil {
				return err
			}
			texts[name] = text
		case '0', 't', 'f':
			texts[name] = string(raw)
		default:
			return errors.New("want texts, numbers or booleans")
		}
	}
	*h = texts
	return nil
}
