package adapter

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"golang.org/x/net/http/httpguts"

	"github.com/keyhitch/keyhitch/entities"
)

// built is a finished, unauthenticated request, and how its answer is read.
type built struct {
	req    *http.Request
	action *entities.Action
	schema *entities.Schema  // of the answer; nil where nothing is translated
	kind   entities.Datatype // of the answer
	key    entities.Selector // the part of the answer that is translated
	filter entities.Selector // on the translated answer
	plain  http.Header       // the headers without credentials, where the caller wants them
}

// build makes the request of a declared action. It is pure: nothing is read or sent.
func (in *instance) build(ctx context.Context, act *entities.Action, input Input) (*built, error) {
	requestType, responseType, err := datatypes(act, input.Datatype)
	if err != nil {
		return nil, err
	}
	filter, err := entities.ParseSelector(input.Filter)
	if err != nil {
		return nil, &CallError{Reason: "filter", Err: err}
	}
	payload, err := in.payload(act, input.Payload)
	if err != nil {
		return nil, err
	}
	target, err := in.target(act, input)
	if err != nil {
		return nil, err
	}
	header, err := in.headers(act, input, requestType, responseType)
	if err != nil {
		return nil, err
	}
	body, err := in.body(act, requestType, payload)
	if err != nil {
		return nil, err
	}
	schema, err := answerSchema(act, responseType)
	if err != nil {
		return nil, err // before the action has been done, not after
	}
	key, _ := act.ResponseKey(entities.CallShape{Body: input.Payload, PathVars: input.PathVars, Query: input.Query,
		HasBody: len(body) > 0, HasQuery: len(input.Query) > 0, HasOptions: len(input.Options) > 0})
	return &built{req: newRequest(ctx, act.Method, target, header, body), action: act, schema: schema, kind: responseType, key: key, filter: filter}, nil
}

func answerSchema(act *entities.Action, kind entities.Datatype) (*entities.Schema, error) {
	if kind == entities.PLAIN {
		return nil, nil
	}
	return act.Response()
}

func datatypes(act *entities.Action, over Datatypes) (request, response entities.Datatype, err error) {
	request, response = act.RequestType, act.ResponseType
	known := true
	if over.Request != "" {
		request, known = entities.ParseDatatype(over.Request)
	}
	if over.Response != "" && known {
		response, known = entities.ParseDatatype(over.Response)
	}
	if !known {
		return "", "", &CallError{Reason: "datatype: is unknown; use JSON, URLENCODE or PLAIN"}
	}
	for _, d := range []entities.Datatype{request, response} {
		if !d.Supported() {
			return "", "", &CallError{Reason: fmt.Sprintf("datatype %s is not built yet; use JSON, URLENCODE or PLAIN", d)}
		}
	}
	return request, response, nil
}

// target is the finished URL.
func (in *instance) target(act *entities.Action, input Input) (*url.URL, error) {
	p := &in.props
	target := entities.Target{
		BasePath: p.BasePath, Version: p.Version, ChoosePath: p.ChoosePath, PathVars: input.PathVars,
		Options:     entities.Merge(ordered(p.Request.GlobalRequest.URIOptions), input.Options),
		RawPathVars: !p.EncodePathVars, RawQuery: !p.EncodeQueryVars, ValuesOnly: !p.QueryKeys,
	}
	query := input.Query
	if isHealthcheck(act) {
		target.Path = p.Healthcheck.URIPath
		query = entities.Merge(ordered(p.Healthcheck.QueryObject), query)
	}
	// One schema describes query and payload alike: with a payload, a query that the caller did
	// not give must not be held against it.
	if act.TakesQuery(target) && (len(query) > 0 || !takesPayload(act)) {
		schema, err := act.Request()
		if err != nil {
			return nil, err
		}
		mapped, err := schema.MapRequest(act.Name, query)
		if err != nil {
			return nil, &CallError{Reason: "query", Err: err}
		}
		target.Query, _ = mapped.(entities.Object)
	}
	path, rawQuery, err := act.Target(target)
	if err != nil {
		return nil, &CallError{Err: err}
	}
	return in.at(path, rawQuery)
}

// at returns the URL of an escaped path and query of the system.
func (in *instance) at(path, rawQuery string) (*url.URL, error) { return join(in.base, path, rawQuery) }

func join(base *url.URL, path, rawQuery string) (*url.URL, error) {
	plain, err := url.PathUnescape(path)
	if err != nil {
		return nil, &CallError{Reason: "the path is not well formed: a % must begin an escape, as in %20"}
	}
	return &url.URL{Scheme: base.Scheme, Host: base.Host, Path: plain, RawPath: path, RawQuery: rawQuery}, nil
}

func isHealthcheck(act *entities.Action) bool {
	return act.Entity == systemEntity && act.Name == "healthcheck"
}

func takesPayload(act *entities.Action) bool { return act.Method != http.MethodGet || act.SendGetBody }

// payload translates what the caller sends. Requests without a body have none.
func (in *instance) payload(act *entities.Action, payload any) (any, error) {
	if !takesPayload(act) {
		return nil, nil
	}
	payload = withGlobal(payload, in.props.Request.GlobalRequest.Payload)
	if text, ok := payload.(string); ok && act.RequestType != entities.PLAIN {
		value, err := entities.Decode(entities.JSON, []byte(text))
		if err != nil {
			return nil, &CallError{Reason: "payload", Err: err}
		}
		payload = withGlobal(value, in.props.Request.GlobalRequest.Payload)
	}
	if _, ok := payload.(string); ok {
		return payload, nil
	}
	schema, err := act.Request()
	if err != nil {
		return nil, err
	}
	mapped, err := schema.MapRequest(act.Name, payload)
	if err != nil {
		return nil, &CallError{Reason: "payload", Err: err}
	}
	return mapped, nil
}

// withGlobal lays the payload over the instance's own, each element of a list.
func withGlobal(payload any, global map[string]any) any {
	switch v := payload.(type) {
	case nil:
		return entities.Merge(ordered(global), nil)
	case map[string]any:
		if len(global) == 0 {
			return v
		}
		merged := maps.Clone(global)
		maps.Copy(merged, v)
		return merged
	case entities.Object:
		return entities.Merge(ordered(global), v)
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = withGlobal(item, global)
		}
		return list
	}
	return payload
}

// body encodes the payload; an empty object is sent only where the action says so.
func (in *instance) body(act *entities.Action, kind entities.Datatype, payload any) ([]byte, error) {
	if payload == nil {
		return nil, nil
	}
	data, err := entities.Encode(kind, payload)
	if err != nil {
		return nil, &CallError{Reason: "payload", Err: err}
	}
	if empty := string(data) == "{}" || len(data) == 0; empty && !act.SendEmpty {
		return nil, nil
	}
	return data, nil
}

// headers merges what the call, the action, the health check and the instance say; the first
// who says something holds, and an empty text says nothing but removes the default.
func (in *instance) headers(act *entities.Action, input Input, request, response entities.Datatype) (http.Header, error) {
	h := headerSet{header: http.Header{}}
	h.add(input.Headers)
	for _, own := range act.Headers {
		h.set(own.Name, own.Value)
	}
	if isHealthcheck(act) {
		h.add(in.props.Healthcheck.AddlHeaders)
	}
	h.add(in.props.Request.GlobalRequest.AddlHeaders)
	h.fill("Content-Type", request.ContentType())
	h.fill("Accept", response.ContentType())
	return h.done()
}

type headerSet struct {
	header http.Header
	err    error
}

func (h *headerSet) add(texts map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		h.set(name, texts[name])
	}
}

func (h *headerSet) set(name, value string) {
	canonical := http.CanonicalHeaderKey(name)
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		h.err = cmp.Or(h.err, error(&CallError{Reason: fmt.Sprintf("header %q: is no header name", name)}))
	case !httpguts.ValidHeaderFieldValue(value):
		h.err = cmp.Or(h.err, error(&CallError{Reason: fmt.Sprintf("header %s: the value holds a line break or another control character", name)}))
	case framing[canonical]:
		h.err = cmp.Or(h.err, error(&CallError{Reason: fmt.Sprintf("header %s: follows from the request and cannot be set", name)}))
	case len(h.header[canonical]) == 0 || h.header[canonical][0] == "":
		h.header[canonical] = []string{value}
	}
}

// fill sets a header that nobody mentioned.
func (h *headerSet) fill(name, value string) {
	if _, mentioned := h.header[name]; !mentioned {
		h.header[name] = []string{value}
	}
}

// framing headers follow from the request itself.
var framing = map[string]bool{"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Connection": true, "Trailer": true}

func (h *headerSet) done() (http.Header, error) {
	maps.DeleteFunc(h.header, func(_ string, values []string) bool { return values[0] == "" })
	return h.header, h.err
}

// newRequest makes the request. A body can be sent again, and its length is always known.
func newRequest(ctx context.Context, method string, u *url.URL, header http.Header, body []byte) *http.Request {
	req := (&http.Request{Method: method, URL: u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	if len(body) == 0 {
		req.Body = http.NoBody
		return req
	}
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Body, _ = req.GetBody()
	return req
}

// ordered sorts a map's members by name, so that equal settings send equal bytes.
func ordered(m map[string]any) entities.Object {
	if len(m) == 0 {
		return nil
	}
	o := make(entities.Object, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		o = append(o, entities.Field{Name: name, Value: m[name]})
	}
	return o
}
