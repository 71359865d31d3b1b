package project

import "github.com/keyhitch/keyhitch/auth"

// Settings are what a project file says. Its paths can be opened from where the program runs.
type Settings struct {
	// The adapters, by the names that commands and callers use.
	Adapters map[string]Adapter `json:"adapters"`
	// Where tokens are shared.
	Cache Cache `json:"cache"`
	// What is logged.
	Log Log `json:"log"`
	// How `keyhitch serve` serves.
	Gateway Gateway `json:"gateway"`
}

// Adapter is one named adapter. It needs either home or config.
type Adapter struct {
	// Directory of the adapter home.
	Home string `json:"home"`
	// Service-instance file of the home.
	Instance string `json:"instance"`
	// Configuration file, for adapters without a home.
	Config string `json:"config"`
	// Answers of the gateway's /proxy keep the system's Set-Cookie headers.
	SetCookie bool `json:"set_cookie" jsonschema:"default=false"`
}

// Cache says where tokens are shared.
type Cache struct {
	// The Redis of `token_cache: redis`.
	Redis Redis `json:"redis"`
}

// Redis is where tokens are shared, and how they are sealed.
type Redis struct {
	// Where it is: redis://, redis+sentinel:// or redis+cluster://; rediss for TLS. KEYHITCH_REDIS_URL beats it.
	URL auth.Secret `json:"url"`
	// Keys that tokens are sealed with, as `keyhitch secret key` prints them. KEYHITCH_SEAL_KEY beats it.
	SealKey auth.Secret `json:"seal_key"`
	// Begins every name in Redis.
	Prefix string `json:"prefix" jsonschema:"default=keyhitch"`
}

// Log says what is logged.
type Log struct {
	// Least level that is logged. Default: info for `keyhitch serve`, warning for other commands.
	Level string `json:"level" jsonschema:"enum=trace,enum=debug,enum=info,enum=warning,enum=error"`
	// Lines for people or for programs. Default: json for `keyhitch serve` away from a terminal, else text.
	Format string `json:"format" jsonschema:"enum=text,enum=json"`
}

// Gateway says how `keyhitch serve` serves.
type Gateway struct {
	// Address for callers, host:port or unix:/path. Anything but loopback or a unix socket needs callers.
	Listen string `json:"listen" jsonschema:"default=127.0.0.1:8733"`
	// Address for operators: health, metrics, profiles. Loopback or a unix socket; none: there is none.
	Admin string `json:"admin" jsonschema:"default=127.0.0.1:8734"`
	// TLS of the callers' listener; without a certificate it is plain HTTP.
	TLS TLS `json:"tls"`
	// Who may call what. None: everybody who can reach the listener may call everything.
	Callers []Caller `json:"callers"`
	// Issuer whose tokens callers may show (OpenID Connect Discovery).
	OIDC OIDC `json:"oidc"`
	// Addresses (CIDR) that a system's name may lead to although they are loopback, link-local or metadata addresses.
	AllowTargets []string `json:"allow_targets"`
	// Addresses (CIDR) that a system's name may not lead to, besides loopback, link-local and metadata addresses.
	DenyTargets []string `json:"deny_targets"`
	// Most bytes of a request body that are kept to send it once more after a refusal.
	ReplayBytes int64 `json:"replay_bytes" jsonschema:"minimum=0,maximum=16777216,default=65536"`
	// Most bytes of the body of a declared call.
	CallBytes int64 `json:"call_bytes" jsonschema:"minimum=1,maximum=1073741824,default=8388608"`
	// Most time for a declared call, in seconds.
	CallSeconds int `json:"call_seconds" jsonschema:"minimum=1,maximum=86400,default=300"`
	// Most time for a system to begin its answer to a request that it has whole, in seconds. The timeout of an adapter in the port dialect counts more.
	AnswerSeconds int `json:"answer_seconds" jsonschema:"minimum=1,maximum=86400,default=300"`
	// Most time that a switched connection or a stream of events may be silent, in seconds; 0 is no limit.
	StreamIdleSeconds int `json:"stream_idle_seconds" jsonschema:"minimum=0,maximum=604800,default=3600"`
	// Most time for a caller's request headers, in seconds.
	HeaderSeconds int `json:"header_seconds" jsonschema:"minimum=1,maximum=600,default=10"`
	// Most bytes of a caller's request headers.
	HeaderBytes int `json:"header_bytes" jsonschema:"minimum=1024,maximum=1048576,default=65536"`
	// Most time that a caller's connection may be idle, in seconds.
	IdleSeconds int `json:"idle_seconds" jsonschema:"minimum=1,maximum=86400,default=120"`
	// Most time for requests under way at the end, in seconds.
	DrainSeconds int `json:"drain_seconds" jsonschema:"minimum=0,maximum=3600,default=30"`
	// Time before that, in seconds, in which /readyz says no and everything is still served, for load balancers to notice.
	DrainDelaySeconds int `json:"drain_delay_seconds" jsonschema:"minimum=0,maximum=600,default=0"`
}

// TLS is the certificate of a listener, and whom it lets in.
type TLS struct {
	// Certificate file, PEM.
	Certificate string `json:"certificate"`
	// Key file of the certificate, PEM.
	Key string `json:"key"`
	// Authority file, PEM: callers may show certificates that it has signed.
	ClientAuthority string `json:"client_authority"`
}

// OIDC is an issuer of callers' tokens.
type OIDC struct {
	// URL of the issuer; its discovery document and keys are fetched.
	Issuer string `json:"issuer"`
	// What a token's aud must hold.
	Audience string `json:"audience"`
}

// Caller is who may call, and what. He is known by a key, a certificate or an issuer's token.
type Caller struct {
	// How logs call the caller.
	Name string `json:"name" jsonschema:"required"`
	// SHA-256 of his key, or of several while keys are changed, in hexadecimal.
	KeySHA256 Texts `json:"key_sha256"`
	// Name in his certificate: a DNS name or URI (subject alternative name), or the common name.
	Certificate string `json:"certificate"`
	// Subject (sub) of his tokens.
	Subject string `json:"subject"`
	// What he may call: adapter/entity/action or adapter/METHOD /path; * stands for any characters.
	Allow []string `json:"allow"`
	// What he may set in declared calls besides data: callProperties, authData, files, credential_headers.
	May []string `json:"may"`
	// Most requests a second, on average; 0 is no limit.
	Rate float64 `json:"rate" jsonschema:"minimum=0,default=0"`
	// Most requests at the same time; 0 is no limit.
	Concurrent int `json:"concurrent" jsonschema:"minimum=0,default=0"`
}
