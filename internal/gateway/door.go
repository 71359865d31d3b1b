package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/time/rate"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
)

// door is an adapter as the gateway serves it. It is made once and not changed.
type door struct {
	name    string
	adapter *adapter.Adapter
	unsent  error // why nothing may be sent with its configuration; nil: it may

	transport *auth.Transport // of a request, which sends over its timing
	origin    auth.Origin
	base      url.URL
	headers   map[string]bool // headers that hold the credential
	query     []string        // query parameters that hold it
	inBody    bool            // it goes into the body, which is read whole for that
	inURL     bool            // it goes into the path or query, which answers may repeat
	replay    int64           // bytes of a body that are kept to send it once more
	scrub     func(string) string
	sent      atomic.Pointer[fingerprint]
	causes    *rate.Limiter // of lines in the log that tell why requests failed
}

// fingerprint is how a credential may be called in logs.
type fingerprint struct {
	header *string // where the values of its header begin: one slice for each token
	text   string
}

func (g *Gateway) newDoor(name string, a *adapter.Adapter, limits Limits) (*door, error) {
	headers, query, err := a.Places()
	if err != nil {
		return nil, fmt.Errorf("adapter %s: %w", name, err)
	}
	d := &door{name: name, adapter: a, unsent: a.Sendable(), transport: a.Transport(),
		origin: a.Transport().Origin, base: *a.BaseURL(), query: query,
		replay: limits.ReplayBytes, scrub: g.options.Redact.Scrub, headers: map[string]bool{}, causes: newCauses()}
	for _, header := range headers {
		d.headers[header] = true
	}
	d.base.RawPath = strings.TrimSuffix(d.base.EscapedPath(), "/")
	d.base.Path = unescape(d.base.RawPath)
	if err := d.probe(); err != nil {
		return nil, fmt.Errorf("adapter %s: %w", name, err)
	}
	return d, nil
}

// probe finds out what of a request holds the credential besides headers.
func (d *door) probe() error {
	const body = "{}"
	plan, err := d.adapter.PlanRequest(context.Background(), http.MethodPost, "/probe",
		http.Header{"Content-Type": {"application/json"}}, strings.NewReader(body), false)
	if err != nil {
		return err
	}
	call := plan[len(plan)-1]
	d.inBody = call.Body != body
	d.inURL = !strings.HasSuffix(call.URL, "/probe")
	return nil
}

// url is where a path of the system is.
func (d *door) url(in *url.URL, rest string) *url.URL {
	out := &url.URL{Scheme: d.base.Scheme, Host: d.base.Host, RawQuery: d.withoutCredentials(in.RawQuery), ForceQuery: in.ForceQuery}
	escaped := d.base.RawPath + rest
	if escaped == "" {
		escaped = "/"
	}
	out.Path = unescape(escaped)
	if out.Path != escaped || in.RawPath != "" || d.base.RawPath != "" {
		out.RawPath = escaped
	}
	return out
}

// withoutCredentials takes the parameters out of a query that hold credentials, in any spelling
// that a server could read as one of them. An adapter without such parameters has it byte for byte.
func (d *door) withoutCredentials(query string) string {
	if len(d.query) == 0 || query == "" {
		return query
	}
	var kept []string
	for pair := range parameters(query) {
		name, _, _ := strings.Cut(pair, "=")
		if !isReadAs(d.query, unescapeName(name)) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

// refuses reports whether a status means that the credential was refused. 401 and 407 do so
// whatever the adapter says: they would ask our caller for credentials that are not his to give.
func (d *door) refuses(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusProxyAuthRequired ||
		slices.Contains(d.adapter.Transport().Refused, status)
}

// fingerprint names the token that out carried. It is looked up once for each token; "" where it
// is not known: for a fixed credential, or one that is not in a header alone.
func (d *door) fingerprint(out *http.Request) string {
	if d.inURL || d.inBody {
		return ""
	}
	var header *string // nil for the first request of a token, which went out as a copy
	for name := range d.headers {
		if values := out.Header[name]; len(values) > 0 {
			header = &values[0]
			break
		}
	}
	if known := d.sent.Load(); known != nil && header != nil && header == known.header {
		return known.text
	}
	now := &fingerprint{header: header}
	if tokens := d.adapter.Tokens(out.Context()); len(tokens) == 1 {
		now.text = tokens[0].Fingerprint
	}
	d.sent.Store(now)
	return now.text
}
