package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/entities"
)

// callAction runs a declared action, or says with ?dry_run=true what it would send.
func (x *exchange) callAction(r *http.Request, a *adapter.Adapter) {
	entity, action := r.PathValue("entity"), r.PathValue("action")
	if !x.caller.mayCall(x.adapter, entity, action) {
		x.fail(faultForbidden, "no allow rule covers this action")
		return
	}
	act := declared(a, entity, action)
	if act != nil {
		x.entity, x.action = entity, action // names that exist, so that nobody fills logs and counters with his own
	}
	dry, err := dryRun(r.URL)
	if err != nil {
		x.fail(faultBadCall, err.Error())
		return
	}
	input, ok := x.readInput(r, act)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), x.Limits.CallTime)
	defer cancel()
	if dry {
		x.plan(ctx, a, entity, action, input)
		return
	}
	res, err := x.sendCall(ctx, a, entity, action, input)
	x.called(ctx, a, input, err)
	if err != nil {
		x.failCall(a, err)
		return
	}
	if !x.SetCookie[x.adapter] {
		delete(res.Headers, "set-cookie") // it may continue the session of our credential
	}
	x.answer(res)
}

// declared finds an action; nil: there is none.
func declared(a *adapter.Adapter, entity, action string) *entities.Action {
	for _, act := range a.Definition().Actions(entity) {
		if act.Name == action {
			return act
		}
	}
	return nil
}

// dryRun reads the only parameter that a call takes. A misspelt one would send what was not to be sent.
func dryRun(u *url.URL) (bool, error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return false, errors.New("the query is not well formed")
	}
	for name, values := range query {
		if name != "dry_run" || len(values) != 1 {
			return false, errors.New("the only query parameter is dry_run, once; what goes to the system stands in the body")
		}
	}
	switch query.Get("dry_run") {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, errors.New("dry_run is true or false")
}

// plans is what a dry run answers.
type plans struct {
	Requests []adapter.Planned `json:"requests"`
}

func (x *exchange) plan(ctx context.Context, a *adapter.Adapter, entity, action string, input adapter.Input) {
	list, err := a.Plan(ctx, entity, action, input, false)
	if err != nil {
		x.failCall(a, err)
		return
	}
	x.answer(plans{list})
}

// failCall answers with what became of a call.
func (x *exchange) failCall(a *adapter.Adapter, err error) {
	var status *adapter.StatusError
	switch {
	case errors.As(err, &status):
		x.failStatus(a.Failure(err), status)
	case errors.As(err, new(*adapter.AnswerError)): // the schema that it misses is not missed by the caller
		x.fail(faultBadAnswer, err.Error())
	default:
		x.failWith(err)
	}
}

// failure is a problem that repeats what the system answered.
type failure struct {
	problem
	Failure *adapter.Failure `json:"failure"`
}

// failStatus passes the system's own status on, with its answer. 401 and 407 are not for the
// caller: they speak of our credential, and he would look for the fault in his own.
func (x *exchange) failStatus(told *adapter.Failure, err *adapter.StatusError) {
	x.fault = statusFault(err.Status)
	status, retry := x.fault.Status, x.fault.Retryable
	if x.fault == faultUpstreamStatus {
		status, retry = passedOn(err.Status), retryable(err.Status)
	}
	header := x.w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	if wait := err.Header.Get("Retry-After"); retry && plainSeconds(wait) {
		header.Set("Retry-After", wait)
	}
	scrub := x.gateway.options.Redact.Scrub
	body, _ := json.Marshal(failure{problem{Type: errorPage + x.fault.Code, Title: x.fault.Title, Status: status, Code: x.fault.Code, // plain texts and decoded JSON: never fails
		Step: x.fault.Step, Detail: scrub(err.Error()), Adapter: x.adapter, Retryable: retry, RequestID: x.id}, scrubFailure(told, scrub)})
	x.w.WriteHeader(status)
	_, _ = x.w.Write(append(body, '\n'))
}

// scrubFailure takes secrets out of what the system answered: some repeat what they were sent.
func scrubFailure(f *adapter.Failure, scrub func(string) string) *adapter.Failure {
	out := *f
	out.IAPError.Display = scrub(f.IAPError.Display)
	out.Response = scrubTree(f.Response, scrub)
	if raw, ok := f.IAPError.RawResponse.(adapter.RawResponse); ok {
		raw.Body, raw.Message = scrub(raw.Body), scrub(raw.Message)
		raw.Headers = maps.Clone(raw.Headers)
		for name, value := range raw.Headers {
			raw.Headers[name] = scrub(value)
		}
		out.IAPError.RawResponse = raw
	}
	return &out
}

// scrubTree is decoded JSON without secrets.
func scrubTree(v any, scrub func(string) string) any {
	switch v := v.(type) {
	case string:
		return scrub(v)
	case json.Number:
		if text := scrub(string(v)); text != string(v) {
			return text
		}
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = scrubTree(item, scrub)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, item := range v {
			out[scrub(name)] = scrubTree(item, scrub)
		}
		return out
	}
	return v
}

// statusFault is the catalogue's entry for an answer that is no success.
func statusFault(status int) *fault {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusProxyAuthRequired:
		return faultAuthRefused
	case status >= 300 && status < 400:
		return faultRedirect
	}
	return faultUpstreamStatus
}

// passedOn is a status that can end an answer of ours.
func passedOn(status int) int {
	if status < 400 || status > 599 {
		return http.StatusBadGateway
	}
	return status
}

// retryable reports whether the same request may work later.
func retryable(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status == http.StatusTooEarly
}

// plainSeconds reports whether a Retry-After can be passed on as it is.
func plainSeconds(text string) bool {
	n, err := strconv.ParseUint(text, 10, 32)
	return err == nil && time.Duration(n)*time.Second <= 24*time.Hour
}
