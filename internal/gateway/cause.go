package gateway

import (
	"errors"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/time/rate"

	"github.com/keyhitch/keyhitch/auth"
)

// What callers hear of an error, and what only the log does: they need not know which addresses
// there are within, and which ports answer.

// causeInLog is a detail whose cause is for operators.
const causeInLog = "the gateway's log has the cause under this request id"

// outside is an error as a caller hears it: without its causes, but with what a token endpoint
// answered. It is empty where that leaves nothing.
func outside(f *fault, err error) string {
	switch f {
	case faultInternal, faultUnreachable, faultTimeout, faultTokenUnreachable, faultTokenTimeout, faultRedirect, faultForbiddenTarget:
		return ""
	}
	var token *auth.TokenError
	if !errors.As(err, &token) {
		return err.Error()
	}
	if token.Status == 0 && token.Reason == "" {
		return ""
	}
	answered := *token
	answered.Endpoint, answered.Err = "", nil
	return answered.Error()
}

// Causes are logged as often as this for each adapter: a system that is down fails every request,
// and all for one cause.
const (
	causesEvery  = 100 * time.Millisecond
	causesAtOnce = 100
)

func newCauses() *rate.Limiter { return rate.NewLimiter(rate.Every(causesEvery), causesAtOnce) }

// mayLogCause reports whether the cause of one more failed request may be logged now.
func (x *exchange) mayLogCause() bool {
	d := x.doors[x.adapter]
	return d == nil || d.causes.AllowN(x.gateway.now(), 1)
}

// logCause begins a line of the log that has the names of the access log's.
func (x *exchange) logCause(f *fault) *logrus.Entry {
	return x.gateway.options.Log.WithFields(logrus.Fields{"adapter": x.adapter, "fault": f.Code,
		"request_id": x.gateway.options.Redact.Scrub(x.id)})
}
