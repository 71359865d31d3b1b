package gateway

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyhitch/keyhitch/entities"
)

// documents are what is made of the loaded homes for callers to read, each when it is first asked
// for: the OpenAPI document as each caller sees it, and the schemas of each declared action. The
// zero value is ready.
type documents struct {
	byCaller sync.Map // name → func() (*document, error)
	byAction sync.Map // *entities.Action → func() schemas
}

// document is a finished /openapi.json.
type document struct {
	body []byte
	etag string
}

func sum(text string) []byte {
	whole := sha256.Sum256([]byte(text))
	return whole[:]
}

// of returns the document as the caller of x sees it.
func (d *documents) of(x *exchange) (*document, error) {
	name := ""
	if x.caller != nil {
		name = x.caller.name
	}
	made, ok := d.byCaller.Load(name)
	if !ok {
		made, _ = d.byCaller.LoadOrStore(name, sync.OnceValues(x.newDocument))
	}
	return made.(func() (*document, error))()
}

func (x *exchange) newDocument() (*document, error) {
	body, err := compact(x.describe())
	if err != nil {
		return nil, err
	}
	return &document{body, `"` + hex.EncodeToString(sum(string(body))[:16]) + `"`}, nil
}

// serveOpenAPI serves the description of what the caller may do here.
func (x *exchange) serveOpenAPI(r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		x.failMethod(http.MethodGet)
		return
	}
	doc, err := x.documents.of(x)
	if err != nil {
		x.failWith(err)
		return
	}
	header := x.w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "private, no-cache") // each caller has his own
	header.Set("Vary", "Authorization")
	header.Set("ETag", doc.etag)
	http.ServeContent(x.w, r, "", time.Time{}, bytes.NewReader(doc.body))
}

// openAPIVersion is the version of OpenAPI that the document is written in.
const openAPIVersion = "3.1.0"

// description is a document while it is made.
type description struct {
	drafts         drafts
	paths, schemas object
	ids            map[string]bool
}

// describe makes the document.
func (x *exchange) describe() object {
	d := &description{drafts{x.gateway.options.Redact}, object{}, ownSchemas(), map[string]bool{}}
	visible := x.visible()
	d.common(visible)
	tags := []any{}
	for _, name := range visible {
		tags = append(tags, object{"name": name})
		for _, act := range x.callable(x.Adapters[name], name) {
			d.action(x, name, act)
		}
	}
	doc := object{"openapi": openAPIVersion, "paths": d.paths, "tags": tags,
		"info": object{"title": "keyhitch gateway", "version": cmp.Or(x.gateway.options.Version, "0"),
			"description": "Systems called over plain HTTP; their credentials are added on the way."},
		"components": object{"schemas": d.schemas, "responses": ownResponses(), "securitySchemes": object{
			"bearer":    object{"type": "http", "scheme": "bearer", "description": "A caller's key, or a token of the gateway's issuer."},
			"mutualTLS": object{"type": "mutualTLS", "description": "A caller's client certificate."}}}}
	if x.caller != nil {
		doc["security"] = []any{object{"bearer": []any{}}, object{"mutualTLS": []any{}}}
	}
	return doc
}

// operation is one entry of the document.
type operation struct {
	method, path, id, summary string
	tags                      []any
	parameters                []any
	request, answer           any    // schemas; nil: none
	status                    string // of success; default 200
}

// add writes an operation into the document.
func (d *description) add(o operation) {
	success := object{"description": "Success."}
	if o.answer != nil {
		success["content"] = object{"application/json": object{"schema": o.answer}}
	}
	id := o.id
	for n := 2; d.ids[id]; n++ {
		id = fmt.Sprintf("%s_%d", o.id, n)
	}
	d.ids[id] = true
	entry := object{"operationId": id, "summary": o.summary,
		"responses": object{cmp.Or(o.status, "200"): success, "default": object{"$ref": "#/components/responses/Problem"}}}
	if len(o.tags) > 0 {
		entry["tags"] = o.tags
	}
	if len(o.parameters) > 0 {
		entry["parameters"] = o.parameters
	}
	if o.request != nil {
		entry["requestBody"] = object{"content": object{"application/json": object{"schema": o.request}}}
	}
	merge(d.paths, o.path, object{strings.ToLower(o.method): entry})
}

// common describes what every adapter has.
func (d *description) common(visible []string) {
	d.add(operation{method: "GET", path: "/openapi.json", id: "openapi", summary: "This document", answer: object{"type": "object"}})
	d.add(operation{method: "GET", path: "/v1/adapters", id: "adapters", summary: "Adapters that the caller may use", answer: listOf("adapters", "Adapter")})
	if len(visible) == 0 {
		return
	}
	one := []any{object{"name": "adapter", "in": "path", "required": true, "schema": object{"type": "string", "enum": texts(visible)}}}
	for _, o := range []operation{
		{method: "GET", path: pathAdapter, id: "adapter", summary: "One adapter", answer: ref("AdapterDetails")},
		{method: "GET", path: pathAdapter + "/actions", id: "actions", summary: "Its declared actions that the caller may call, with their schemas", answer: listOf("actions", "Action")},
		{method: "GET", path: pathAdapter + "/health", id: "health", summary: "What the last check found", answer: ref("Health")},
		{method: "GET", path: pathAdapter + "/credential", id: "credential", summary: "What is known of its tokens; never their values", answer: arrayOf(ref("Token"))},
		{method: "DELETE", path: pathAdapter + "/credential", id: "dropCredential", summary: "Forget its token", status: "204"},
		{method: "POST", path: pathAdapter + "/credential:refresh", id: "refreshCredential", summary: "Ask for a new token now", answer: arrayOf(ref("Token"))},
	} {
		o.parameters = one
		d.add(o)
	}
	d.proxy(one)
}

// proxyMethods are those that OpenAPI has words for; the pass-through takes every other too.
var proxyMethods = []string{"GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH"}

// proxy describes the pass-through: what it takes and gives is the system's to say.
func (d *description) proxy(one []any) {
	anything := object{"content": object{"*/*": object{}}}
	for _, method := range proxyMethods {
		path := object{"name": "path", "in": "path", "required": true, "schema": object{"type": "string"},
			"description": "Path and further segments of the system; slashes stand as they are."}
		entry := object{"operationId": "proxy" + method, "summary": "Pass a request through, with the credential added", "parameters": append(slices.Clone(one), path),
			"responses": object{"default": object{"description": "What the system answers, or a problem of the gateway.",
				"content": object{"*/*": object{}, "application/problem+json": object{"schema": ref("Problem")}}}}}
		if method == "PUT" || method == "POST" || method == "PATCH" {
			entry["requestBody"] = anything
		}
		merge(d.paths, "/proxy/{adapter}/{path}", object{strings.ToLower(method): entry})
	}
}

// action describes a declared action. One that cannot be called, because its schemas are broken,
// is left out; the catalogue says why.
func (d *description) action(x *exchange, name string, act *entities.Action) {
	if compiles(act) != nil {
		return
	}
	d.add(operation{method: "POST", path: href(name, act), id: strings.Join([]string{name, act.Entity, act.Name}, "."),
		summary: strings.TrimSpace(act.Method + " " + strings.Join(act.Paths(), " or ")), tags: []any{name},
		parameters: []any{object{"name": "dry_run", "in": "query", "description": "Say what would be sent, and send nothing.",
			"schema": object{"type": "boolean", "default": false}}},
		request: requestSchema(x, d.schema(name, act, (*entities.Action).RequestFiles)),
		answer:  object{"anyOf": []any{answerSchema(d.schema(name, act, (*entities.Action).ResponseFiles)), ref("Plan")}}})
}

// schema puts the files of a schema among the components and returns a reference to it.
func (d *description) schema(name string, act *entities.Action, of func(*entities.Action, func(string) string) (string, map[string]entities.Object)) object {
	component := func(file string) string { return componentName(name) + "." + componentName(file) }
	at := func(file string) string { return "#/components/schemas/" + component(file) }
	root, files := of(act, at)
	for file, tree := range files {
		if _, known := d.schemas[component(file)]; !known {
			d.schemas[component(file)] = d.drafts.modern(tree)
		}
	}
	return object{"$ref": at(root)}
}
