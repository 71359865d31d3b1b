package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/keyhitch/keyhitch/auth"
)

// What the OTEL_EXPORTER_OTLP_ variables say. Each has a form for traces only, which wins. Empty is
// not set. Files are read once. An error names the variable and never holds its value, which may be
// a secret or have one in it.

// newCollector makes a collector of what the variables say. The error tells everything that is wrong.
func newCollector(version string) (*collector, error) {
	c := &collector{agent: "keyhitch/" + version}
	config, tlsErr := exportTLS()
	base := auth.NewBase()
	base.TLSClientConfig = config
	c.wire = base
	c.life, c.end = context.WithCancel(context.Background())
	if err := errors.Join(c.readEndpoint(), c.readHeaders(), c.readTimeout(), c.readCompression(), tlsErr); err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}

const (
	exportVariable = "OTEL_EXPORTER_OTLP_"
	tracesVariable = "OTEL_EXPORTER_OTLP_TRACES_"
)

// exportSetting returns a setting, and the variable that it is from.
func exportSetting(name string) (value, variable string) {
	for _, variable := range []string{tracesVariable + name, exportVariable + name} {
		if value := strings.TrimSpace(os.Getenv(variable)); value != "" {
			return value, variable
		}
	}
	return "", exportVariable + name
}

// readEndpoint reads where the collector is. The endpoint of traces is used as it is; that of all
// signals is where each has a path of its own.
func (c *collector) readEndpoint() error {
	value, variable := exportSetting("ENDPOINT")
	if value == "" {
		value = "http://localhost:4318"
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("%s is no address like http://localhost:4318 or https://collector.example", variable)
	}
	if variable == exportVariable+"ENDPOINT" {
		u = u.JoinPath("v1", "traces")
	}
	c.endpoint, c.variable = u, variable
	return nil
}

// readHeaders reads name=value pairs with commas between them, as in W3C Baggage: values are
// percent-encoded.
func (c *collector) readHeaders() error {
	value, variable := exportSetting("HEADERS")
	c.headers = map[string]auth.Secret{}
	for pair := range strings.SplitSeq(value, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, text, found := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		text, err := url.PathUnescape(strings.TrimSpace(text))
		if !found || err != nil || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(text) {
			return fmt.Errorf("%s is no list of headers like name=value,other=value with values percent-encoded", variable)
		}
		c.headers[http.CanonicalHeaderKey(name)] = auth.NewSecret(strings.TrimSpace(text))
	}
	return nil
}

// secrets are the credentials that spans are sent with.
func (c *collector) secrets() []auth.Secret {
	password, _ := c.endpoint.User.Password()
	list := []auth.Secret{auth.NewSecret(password)}
	for _, value := range c.headers {
		text := value.Reveal()
		list = append(list, value, auth.NewSecret(text[strings.LastIndex(text, " ")+1:])) // without the scheme
	}
	return list
}

// longestTry bounds what a variable can ask for; exportTime ends it all sooner.
const longestTry = 10 * time.Minute

func (c *collector) readTimeout() error {
	value, variable := exportSetting("TIMEOUT")
	if value == "" {
		value = "10000"
	}
	ms, err := strconv.ParseUint(value, 10, 32)
	if c.timeout = time.Duration(ms) * time.Millisecond; err != nil || ms == 0 || c.timeout > longestTry {
		return fmt.Errorf("%s is no number of milliseconds from 1 to %d", variable, longestTry.Milliseconds())
	}
	return nil
}

func (c *collector) readCompression() error {
	value, variable := exportSetting("COMPRESSION")
	switch value {
	case "gzip":
		c.gzip = true
	case "", "none":
	default:
		return fmt.Errorf("%s is neither gzip nor none", variable)
	}
	return nil
}

// exportTLS reads whom we trust, and who we are; nil: the usual settings do.
func exportTLS() (*tls.Config, error) {
	roots, err := exportRoots()
	pairs, pairErr := exportPair()
	if err := errors.Join(err, pairErr); err != nil || roots == nil && pairs == nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: pairs}, nil
}

func exportRoots() (*x509.CertPool, error) {
	file, variable := exportSetting("CERTIFICATE")
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s names a file that cannot be read: %w", variable, withoutPath(err))
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s names a file that holds no PEM certificate", variable)
	}
	return roots, nil
}

// withoutPath is the cause alone: somebody may have put the key where its path belongs.
func withoutPath(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

func exportPair() ([]tls.Certificate, error) {
	certificate, certificateVariable := exportSetting("CLIENT_CERTIFICATE")
	key, keyVariable := exportSetting("CLIENT_KEY")
	if certificate == "" && key == "" {
		return nil, nil
	}
	if certificate == "" || key == "" {
		return nil, fmt.Errorf("%s and %s need each other, and one is not set", certificateVariable, keyVariable)
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s name files that cannot be used: %w", certificateVariable, keyVariable, withoutPath(err))
	}
	return []tls.Certificate{pair}, nil
}
