package adapter

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// instance is one set of properties, opened: where calls go, and how they are authenticated.
// It does not change.
type instance struct {
	settled
	base      *url.URL
	auth      auth.Authenticator
	transport *auth.Transport
	redirects func(*http.Request, []*http.Request) error
}

func (d *Definition) instance(env auth.Env, base http.RoundTripper, s settled) (*instance, error) {
	origin, err := baseURL(&s.props)
	if err != nil {
		return nil, err
	}
	env.Redact.Learn(s.secrets()...)
	authenticator, err := s.spec.Config.Open(env)
	if err != nil {
		return nil, &ConfigError{Problems{d.problem(d.doc, &settings.Problem{Pointer: d.at + "/authentication", Reason: err.Error()})}}
	}
	return &instance{settled: s, base: origin, auth: authenticator,
		transport: &auth.Transport{Base: base, Auth: authenticator, Origin: auth.OriginOf(origin),
			Refused: s.spec.Refused, Resubmits: s.spec.Resubmits, Observe: env.Observe},
		redirects: auth.Redirects(s.props.Request.NumberRedirects, env.Observe),
	}, nil
}

// shortestAuthData is how long a text of authData is before the redactor knows it: shorter ones
// are words such as a domain, which would be blotted out of every message.
const shortestAuthData = 8

// secrets are those that the method does not know of.
func (s *settled) secrets() []auth.Secret {
	list := []auth.Secret{s.props.Proxy.Password, s.props.SSL.Passphrase, s.props.Mongo.Password, s.props.Mongo.URL}
	if s.spec.System != nil {
		list = append(list, s.spec.System.PrivateKey)
	}
	list = append(list, dataSecrets(s.props.Request.GlobalRequest.AuthData)...)
	return append(list, dataSecrets(s.data)...)
}

func dataSecrets(data map[string]any) []auth.Secret {
	var list []auth.Secret
	for name, value := range data {
		switch v := value.(type) {
		case string:
			if len(v) >= shortestAuthData || auth.SensitiveName(name) {
				list = append(list, auth.NewSecret(v))
			}
		case map[string]any:
			list = append(list, dataSecrets(v)...)
		}
	}
	return list
}

// client is for requests that belong to a caller: the transport copies them, no deadline.
func (in *instance) client() *http.Client {
	if err := in.sendable(); err != nil {
		return &http.Client{Transport: refusing{err}}
	}
	return &http.Client{Transport: in.transport, CheckRedirect: in.redirects}
}

// refusing is the transport of an instance that must not send.
type refusing struct{ err error }

// RoundTrip returns the reason.
func (r refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return nil, r.err
}

// sendable reports why nothing may be sent with these properties; nil when it may.
func (in *instance) sendable() error {
	for _, off := range in.props.notBuilt() {
		return &NotBuiltError{Setting: strings.ReplaceAll(strings.TrimPrefix(off.pointer, "/"), "/", "."), Hint: off.hint}
	}
	return nil
}

func (in *instance) attempt() time.Duration {
	return time.Duration(in.props.Request.AttemptTimeout) * time.Millisecond
}

// baseURL is the origin of the system.
func baseURL(p *Properties) (*url.URL, error) {
	return originURL(p.Protocol, p.Host, p.EffectivePort())
}

// originURL makes an origin from its parts, and refuses a host that is more than a host.
func originURL(protocol, host string, port int) (*url.URL, error) {
	switch {
	case host == "":
		return nil, errors.New("is required")
	case strings.Contains(host, "://"):
		return nil, errors.New("is a URL; write the host name alone, and protocol, port and base_path beside it")
	case strings.ContainsAny(host, "/\\@?#% \t\r\n\x00"):
		return nil, errors.New("is no host name or address")
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.Contains(bare, ":") && net.ParseIP(bare) == nil {
		return nil, errors.New("is no host name or address; write the port beside it, in port")
	}
	authority := net.JoinHostPort(bare, strconv.Itoa(port))
	if protocol == "http" && port == 80 || protocol == "https" && port == 443 {
		authority = strings.TrimSuffix(authority, fmt.Sprintf(":%d", port))
	}
	u, err := url.Parse(protocol + "://" + authority)
	if err != nil {
		return nil, errors.New("is no host name or address")
	}
	return u, nil
}
