// Package entities loads the entities of an adapter home and translates what goes to and
// comes from the system, as their action.json and schema files say.
//
//	home ─ Load ─▶ Set ─ Action ─▶ Action ─┬ Target ─▶ path and query
//	                                       ├ Request ─▶ Schema.MapRequest ─ Encode ─▶ body
//	              body ─ Decode ─ ResponseKey ─ Select ─ Response ─▶ Schema.MapResponse ─▶ result
//
// Files are read once, by Load and (schemas) when an action is first used; each schema file is
// compiled at most once. What is wrong in a file is a Problem with its place and breaks the
// actions it belongs to, no other. Translation is pure: no files, network, clock or state; only
// encrypt.key draws a salt. Everything is safe for concurrent use. Errors never hold the data
// of a call.
package entities
