package adapter

import (
	"container/list"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// maxVariants bounds how many sets of per-call overrides stay open; the least recently used leaves.
const maxVariants = 1000

// overridable lists the properties that a single call may override, below callProperties.
var overridable = map[string][]string{
	"":      {"host", "port", "protocol", "base_path", "version", "choosepath", "stub", "encode_pathvars", "encode_queryvars", "query_keys"},
	"proxy": {"enabled", "host", "port", "protocol", "username", "password"},
	"ssl":   {"enabled", "accept_invalid_cert", "ca_file", "ciphers", "secure_protocol", "ecdhCurve"},
	"request": {"number_redirects", "number_retries", "limit_retry_error", "attempt_timeout", "return_raw",
		"healthcheck_on_timeout", "max_response_size"},
	"authentication": {"username", "password", "token", "auth_field", "auth_field_format",
		"client_id", "client_secret", "scope", "resource", "grant_type"},
}

// variants are the instances of calls that override properties or bring authData.
type variants struct {
	mu    sync.Mutex
	byKey map[string]*list.Element
	order list.List // of *variantEntry, most recently used first
}

type variantEntry struct {
	key string
	in  *instance
}

// variant returns the instance for one call: the main one, unless the call overrides something.
func (a *Adapter) variant(input Input) (*instance, error) {
	if len(input.CallProperties) == 0 && len(input.AuthData) == 0 {
		return a.main, nil
	}
	key := a.env.Keys.CacheKey(canonical(input.CallProperties), canonical(input.AuthData))
	if in := a.variants.get(key); in != nil {
		return in, nil
	}
	in, err := a.openVariant(input)
	if err != nil {
		return nil, err
	}
	return a.variants.put(key, in), nil
}

func (a *Adapter) openVariant(input Input) (*instance, error) {
	tree, err := override(a.def.main.tree, input.CallProperties)
	if err != nil {
		return nil, err
	}
	s, found := a.def.settle(tree, input.AuthData)
	for _, p := range found {
		if !p.Warning {
			return nil, &CallError{Reason: fmt.Sprintf("callProperties: %s: %s", strings.TrimPrefix(p.Pointer, a.def.at), p.Reason)}
		}
	}
	return a.def.instance(a.env, a.main.transport.Base, s) // variants share its connections
}

// override lays a call's properties over the instance's.
func override(tree, over map[string]any) (map[string]any, error) {
	out := maps.Clone(tree)
	for _, name := range slices.Sorted(maps.Keys(over)) {
		value := over[name]
		names, nested := overridable[name]
		inner, isObject := value.(map[string]any)
		switch {
		case nested && isObject:
			old, _ := tree[name].(map[string]any)
			merged := maps.Clone(old)
			if merged == nil {
				merged = map[string]any{}
			}
			for member, v := range inner {
				if !slices.Contains(names, member) {
					return nil, notOverridable(name+"."+member, names)
				}
				merged[member] = v
			}
			out[name] = merged
		case slices.Contains(overridable[""], name):
			out[name] = value
		default:
			return nil, notOverridable(name, overridable[""])
		}
	}
	return out, nil
}

func notOverridable(name string, names []string) error {
	return &CallError{Reason: fmt.Sprintf("callProperties: %s cannot be set for one call; these can: %s", name, strings.Join(names, ", "))}
}

// overrides reports whether the call sets a nested property.
func overrides(over map[string]any, object, member string) bool {
	inner, _ := over[object].(map[string]any)
	_, ok := inner[member]
	return ok
}

func (v *variants) get(key string) *instance {
	v.mu.Lock()
	defer v.mu.Unlock()
	e := v.byKey[key]
	if e == nil {
		return nil
	}
	v.order.MoveToFront(e)
	return e.Value.(*variantEntry).in
}

// put keeps in, unless another call was faster: then its instance is returned.
func (v *variants) put(key string, in *instance) *instance {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.byKey[key]; e != nil {
		return e.Value.(*variantEntry).in
	}
	if v.byKey == nil {
		v.byKey = map[string]*list.Element{}
	}
	if v.order.Len() >= maxVariants {
		last := v.order.Back()
		delete(v.byKey, last.Value.(*variantEntry).key)
		v.order.Remove(last)
	}
	v.byKey[key] = v.order.PushFront(&variantEntry{key, in})
	return in
}
