package adapter

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/keyhitch/keyhitch/auth"
)

// CallError is a call that is wrong in itself: the caller mends it. Nothing was sent.
type CallError struct {
	Reason string
	Err    error // the cause, where there is one
}

// Error says what is wrong and what would be right.
func (e *CallError) Error() string {
	switch {
	case e.Err == nil:
		return e.Reason
	case e.Reason == "":
		return e.Err.Error()
	}
	return e.Reason + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *CallError) Unwrap() error { return e.Err }

// ConfigError is a definition or configuration that cannot be used; Problems has them all.
type ConfigError struct{ Problems Problems }

// Error returns the problems that are errors, one per line.
func (e *ConfigError) Error() string {
	var lines []string
	for _, p := range e.Problems {
		if !p.Warning {
			lines = append(lines, p.Error())
		}
	}
	return strings.Join(lines, "\n")
}

// NotBuiltError is a setting that is on but not built yet: sending without it could reach the
// wrong system or go the wrong way.
type NotBuiltError struct{ Setting, Hint string }

// Error names the setting and what to do.
func (e *NotBuiltError) Error() string {
	return fmt.Sprintf("%s is on but not built yet, so nothing is sent; %s", e.Setting, e.Hint)
}

// StatusError is an answer outside 200..299.
type StatusError struct {
	Status    int
	Header    http.Header
	Body      []byte // limited to the largest answer that is read
	Resubmits int
}

// Error tells the status; the body may hold anything and is not part of it.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("the system answered %d %s", e.Status, http.StatusText(e.Status))
	switch {
	case e.Resubmits > 0:
		text += ", also with a new token"
	case e.Status >= 300 && e.Status < 400 && e.Header.Get("Location") != "":
		text += ", a redirect that number_redirects does not allow to follow"
	}
	return strings.TrimSpace(text)
}

// AnswerError is an answer that arrived but is not what the definition promises.
type AnswerError struct {
	Status int
	Header http.Header
	Body   []byte
	Reason string
	Err    error
}

// Error says what is wrong with the answer, without quoting it.
func (e *AnswerError) Error() string {
	if e.Err != nil {
		return e.Reason + ": " + e.Err.Error()
	}
	return e.Reason
}

// Unwrap returns the cause.
func (e *AnswerError) Unwrap() error { return e.Err }

// bare strips the URL that net/http puts in front of errors: it may hold what the caller put
// into the query.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var misplaced *auth.PlacementError
	if errors.As(err, &misplaced) {
		return &CallError{Err: err}
	}
	return err
}

// wireError is what went wrong on the wire: nothing that this side has done.
type wireError struct {
	err  error
	text string // in place of the cause's own; may be empty
}

// Error words what Go says to programmers for everybody.
func (e *wireError) Error() string {
	switch {
	case e.text != "":
		return e.text
	case errors.Is(e.err, io.EOF), errors.Is(e.err, syscall.ECONNRESET):
		return "the system closed the connection without an answer"
	case errors.Is(e.err, http.ErrSchemeMismatch), errors.As(e.err, new(tls.RecordHeaderError)):
		return "the system does not speak TLS; protocol http may be right"
	case strings.Contains(e.err.Error(), "malformed "), strings.Contains(e.err.Error(), "transport connection broken"):
		return "the answer is not HTTP" // the cause quotes it
	}
	var dns *net.DNSError
	if errors.As(e.err, &dns) {
		return "the host name " + dns.Name + " cannot be resolved"
	}
	var op *net.OpError
	if errors.Is(e.err, syscall.ECONNREFUSED) && errors.As(e.err, &op) && op.Addr != nil {
		return "connection refused by " + op.Addr.String()
	}
	return e.err.Error()
}

// Unwrap returns the cause.
func (e *wireError) Unwrap() error { return e.err }

// wire marks the errors of what really sends.
type wire struct{ http.RoundTripper }

// RoundTrip sends req.
func (w wire) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := w.RoundTripper.RoundTrip(req)
	if err != nil {
		err = &wireError{err: err}
	}
	return res, err
}

// CloseIdleConnections lets http.Client.CloseIdleConnections through.
func (w wire) CloseIdleConnections() {
	if c, ok := w.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Unreachable reports whether there was no way to the system, or it hung up.
func Unreachable(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, new(*wireError)) || errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &op) || errors.As(err, &dns) || errors.As(err, &cert) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}
