package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/keyhitch/keyhitch/auth"
)

// collector sends spans to an OpenTelemetry collector, by OTLP over HTTP. It is an otlptrace.Client
// of our own because that of the module links all of gRPC: a third of the program.
type collector struct {
	wire     http.RoundTripper // no http.Client: a redirect is an answer like any other, and is not followed
	endpoint *url.URL
	variable string                 // that says where the collector is
	headers  map[string]auth.Secret // of the operator
	agent    string                 // User-Agent
	timeout  time.Duration          // of one try
	gzip     bool
	life     context.Context // ends with Stop
	end      context.CancelFunc
}

const (
	exportTime   = time.Minute // for one batch, pauses included
	firstPause   = time.Second // after a try that is worth another
	longestPause = 15 * time.Second
	answerBytes  = 64 << 10          // read of an answer
	noRetry      = time.Duration(-1) // the same again would be refused again
	protobuf     = "application/x-protobuf"
)

// Start does nothing: connections are made when there is something to send.
func (c *collector) Start(context.Context) error { return nil }

// Stop ends what is under way.
func (c *collector) Stop(context.Context) error {
	c.end()
	if idle, ok := c.wire.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
	return nil
}

// UploadTraces sends one batch, several times if it has to.
func (c *collector) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := c.encode(spans)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, exportTime)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	end, _ := ctx.Deadline()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		after, err := c.send(ctx, body)
		if err == nil || after == noRetry {
			return err
		}
		wait := max(after, pause/2+rand.N(pause)) // not all gateways at once
		if time.Until(end) < wait {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

// encode writes an ExportTraceServiceRequest. TracesData has the same form on the wire, and its
// package no gRPC.
func (c *collector) encode(spans []*tracepb.ResourceSpans) ([]byte, error) {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil || !c.gzip {
		return body, err
	}
	var small bytes.Buffer
	w := gzip.NewWriter(&small)
	_, _ = w.Write(body) // memory takes everything
	_ = w.Close()
	return small.Bytes(), nil
}

// send tries once. After an error, after is the least pause before another try.
func (c *collector) send(ctx context.Context, body []byte) (after time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint.String(), bytes.NewReader(body))
	if err != nil {
		return noRetry, c.trouble("cannot be asked")
	}
	c.head(req)
	res, err := c.wire.RoundTrip(req)
	if err != nil {
		return 0, c.trouble("gave no answer: " + err.Error())
	}
	defer func() { _ = res.Body.Close() }()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, answerBytes)) // the status says what became of the spans
	if !strings.HasPrefix(res.Header.Get("Content-Type"), protobuf) {
		answer = nil
	}
	switch code := res.StatusCode; {
	case code >= 200 && code < 300:
		c.tellPartial(answer)
		return 0, nil
	case code == http.StatusTooManyRequests, code == http.StatusBadGateway, code == http.StatusServiceUnavailable, code == http.StatusGatewayTimeout:
		return retryAfter(res.Header.Get("Retry-After")), c.refused(code, answer)
	default: // OTLP forbids to try these again
		return noRetry, c.refused(code, answer)
	}
}

// head sets the headers, the operator's own first.
func (c *collector) head(req *http.Request) {
	req.Header.Set("User-Agent", c.agent)
	if user := c.endpoint.User; user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	for name, value := range c.headers {
		req.Header.Set(name, value.Reveal())
	}
	req.Header.Set("Content-Type", protobuf)
	req.Header.Del("Content-Encoding")
	if c.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
}

// trouble is an error about the collector. Userinfo, path and query of its URL may be secret.
func (c *collector) trouble(what string) error {
	return fmt.Errorf("the collector %s://%s of %s %s", c.endpoint.Scheme, c.endpoint.Host, c.variable, what)
}

// refused is the error of an answer that is no success. Its body is a google.rpc.Status.
func (c *collector) refused(code int, answer []byte) error {
	what := "answered " + strconv.Itoa(code)
	if code >= 300 && code < 400 {
		what += ", and redirects are not followed"
	}
	if why, _ := wireField(answer, 2); len(why) > 0 {
		what += ": " + quoted(why)
	}
	return c.trouble(what)
}

// tellPartial reports spans that a successful answer (ExportTraceServiceResponse) says were not
// taken, or a warning.
func (c *collector) tellPartial(answer []byte) {
	partial, _ := wireField(answer, 1)
	_, rejected := wireField(partial, 1)
	why, _ := wireField(partial, 2)
	if rejected != 0 || len(why) > 0 {
		otel.Handle(c.trouble(fmt.Sprintf("did not take %d spans of a batch: %s", rejected, quoted(why))))
	}
}

// quoted is a text of somebody else, short and in one line.
func quoted(text []byte) string { return strconv.Quote(clip(string(text), 300)) }

// wireField reads one field of a protobuf message, text or number. What is not well-formed is
// read as far as it goes.
func wireField(message []byte, want protowire.Number) (text []byte, number uint64) {
	for len(message) > 0 {
		at, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			break
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(at, kind, message); n < 0 {
			break
		}
		switch {
		case at == want && kind == protowire.BytesType:
			text, _ = protowire.ConsumeBytes(message)
		case at == want && kind == protowire.VarintType:
			number, _ = protowire.ConsumeVarint(message)
		}
		message = message[n:]
	}
	return text, number
}

// retryAfter reads a Retry-After header, in seconds or as a date. More than exportTime is never
// waited for.
func retryAfter(text string) time.Duration {
	if seconds, err := strconv.ParseUint(strings.TrimSpace(text), 10, 63); err == nil {
		return time.Duration(min(seconds, uint64(2*exportTime/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(date))
	}
	return 0
}
