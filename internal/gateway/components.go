package gateway

import (
	"maps"
	"slices"
)

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func arrayOf(items any) object { return object{"type": "array", "items": items} }

func listOf(member, name string) object {
	return shape(object{member: arrayOf(ref(name))})
}

// shape is an object that has all these members, but for those that are listed as optional.
func shape(properties object, optional ...string) object {
	required := slices.DeleteFunc(slices.Sorted(maps.Keys(properties)), func(name string) bool { return slices.Contains(optional, name) })
	out := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = texts(required)
	}
	return out
}

func kind(name string) object { return object{"type": name} }

func moment() object { return object{"type": "string", "format": "date-time"} }

// ownResponses are the answers that several operations share.
func ownResponses() object {
	return object{"Problem": object{"description": "What went wrong (RFC 9457).",
		"content": object{"application/problem+json": object{"schema": ref("Problem")}}}}
}

// ownSchemas are those of the gateway itself.
func ownSchemas() object {
	adapterOf := func(more object) object {
		base := object{"name": kind("string"), "method": kind("string"), "state": stateSchema()}
		maps.Copy(base, more)
		return shape(base)
	}
	return object{
		"Problem":        problemSchema(),
		"Adapter":        adapterOf(nil),
		"AdapterDetails": adapterOf(object{"base_url": object{"type": "string", "format": "uri"}, "entities": arrayOf(kind("string"))}),
		"Action": shape(object{"entity": kind("string"), "action": kind("string"), "method": kind("string"), "href": kind("string"),
			"path": arrayOf(kind("string")), "request": kind("object"), "response": kind("object"), "broken": kind("string")},
			"path", "request", "response", "broken"),
		"Health": shape(object{"adapter": kind("string"), "method": kind("string"), "login": kind("boolean"), "ok": kind("boolean"),
			"state": stateSchema(), "checked_at": moment(), "code": kind("string"), "detail": kind("string")}, "checked_at", "code", "detail"),
		"Token": shape(object{"adapter": kind("string"), "user": kind("string"), "fingerprint": kind("string"), "obtained": moment(),
			"expires": moment(), "source": object{"type": "string", "enum": []any{"memory", "redis", "request"}},
			"tokens": object{"type": []any{"array", "null"}, "items": kind("string")}}, "expires"),
		"Metrics": shape(object{"code": kind("integer"), "retries": kind("integer"), "redirects": kind("integer"),
			"timeouts": kind("integer"), "tripTime": object{"type": "number", "description": "Milliseconds, login included."}}),
		"Plan": shape(object{"requests": arrayOf(shape(object{"purpose": kind("string"), "method": kind("string"), "url": kind("string"),
			"headers": headersSchema(arrayOf(kind("string"))), "body": kind("string")}))}),
	}
}

func headersSchema(value any) object {
	return object{"type": "object", "additionalProperties": value}
}

func stateSchema() object {
	return object{"type": "string", "enum": []any{stateUnknown, stateReady, stateNotReady}}
}

// problemSchema has the codes of the catalogue.
func problemSchema() object {
	codes := make([]any, len(catalogue))
	for i, f := range catalogue {
		codes[i] = f.Code
	}
	return shape(object{"type": object{"type": "string", "format": "uri"}, "title": kind("string"), "status": kind("integer"),
		"detail": kind("string"), "code": object{"type": "string", "enum": codes}, "adapter": kind("string"), "step": kind("string"),
		"retryable": kind("boolean"), "request_id": kind("string"), "failure": object{"type": "object",
			"description": "What the system answered, as the adapter tells it."}}, "detail", "adapter", "failure")
}

// requestSchema is the request object of an action whose data fit schema. What the caller may not
// set is not in it.
func requestSchema(x *exchange, schema object) object {
	properties := object{
		"payload":     object{"description": "The body before translation.", "anyOf": oneOrMany(schema, kind("string"))},
		"uriPathVars": object{"type": "array", "description": "For the variables of the path, in order; an empty text leaves one out."},
		"uriQuery":    schema,
		"uriOptions":  object{"type": "object", "description": "Query parameters that are sent as they are."},
		"addlHeaders": headersSchema(object{"type": []any{"string", "number", "boolean"}}),
		"filter":      object{"type": "string", "description": "Takes a part out of the translated answer."},
		"priority":    kind("number"),
		"event":       object{"description": "Comes back with the answer."},
		"retReqHdr":   kind("boolean"),
		"datatype":    object{"type": "object", "additionalProperties": false, "properties": object{"request": datatype(), "response": datatype()}},
	}
	for name, privilege := range map[string]string{"callProperties": mayProperties, "authData": mayAuthData} {
		if x.privileged(privilege) {
			properties[name] = kind("object")
		}
	}
	return object{"type": "object", "properties": properties, "additionalProperties": false}
}

func datatype() object {
	return object{"type": "string", "enum": []any{"", "JSON", "URLENCODE", "PLAIN"}}
}

// oneOrMany is the schema, an array of what fits it, or something else.
func oneOrMany(schema object, other object) []any {
	return []any{schema, arrayOf(schema), other}
}

// answerSchema is the result of an action whose data fit schema.
func answerSchema(schema object) object {
	return shape(object{
		"icode": object{"type": "string", "description": "AD. and the system's status."},
		"response": object{"description": "The translated answer; with a filter, the part that it takes.",
			"anyOf": oneOrMany(schema, object{"type": []any{"string", "number", "boolean", "null"}})},
		"headers": headersSchema(kind("string")), "reqHdr": headersSchema(kind("string")), "raw": kind("string"),
		"request": kind("object"), "event": object{}, "metrics": ref("Metrics"),
	}, "headers", "reqHdr", "raw", "request", "event")
}
