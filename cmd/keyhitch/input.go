package main

import (
	"io"
	"os"
	"slices"
	"strings"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/entities"
)

// maxInput bounds what is read as a payload or request object.
const maxInput = 64 << 20

// callInput builds the request object: --input first, single flags over it.
func (a *app) callInput(ad *adapter.Adapter, entity, action string, f callFlags) (adapter.Input, error) {
	var in adapter.Input
	if f.input != "" {
		data, err := a.readArgument("@" + strings.TrimPrefix(f.input, "@"))
		if f.input == "-" {
			data, err = a.readArgument("-")
		}
		if err != nil {
			return in, err
		}
		if in, err = adapter.ParseInput(data); err != nil {
			return in, err
		}
	}
	if len(f.path) > 0 {
		in.PathVars = nil
	}
	for _, v := range f.path {
		in.PathVars = append(in.PathVars, v)
	}
	if err := a.addFields(ad, entity, action, f, &in); err != nil {
		return in, err
	}
	if f.data != "" {
		data, err := a.readArgument(f.data)
		if err != nil {
			return in, err
		}
		in.Payload = payloadOf(data)
	}
	if f.authData != "" {
		value, err := entities.Decode(entities.JSON, []byte(f.authData))
		object, ok := value.(map[string]any)
		if err != nil || !ok {
			return in, usage("--auth-data must be a JSON object")
		}
		in.AuthData = object
	}
	return in, nil
}

// payloadOf is JSON where the text is JSON, and the text itself otherwise.
func payloadOf(data []byte) any {
	if value, err := entities.Decode(entities.JSON, data); err == nil {
		return value
	}
	return string(data)
}

func (a *app) addFields(ad *adapter.Adapter, entity, action string, f callFlags, in *adapter.Input) error {
	types := queryTypes(ad, entity, action)
	for _, text := range f.query {
		k, v, ok := strings.Cut(text, "=")
		if !ok || k == "" {
			return usage("--query %s: write it as NAME=VALUE", k)
		}
		in.Query = addField(in.Query, k, typed(v, types[k]))
	}
	for _, text := range f.option {
		k, v, ok := strings.Cut(text, "=")
		if !ok || k == "" {
			return usage("--option %s: write it as NAME=VALUE", k)
		}
		in.Options = addField(in.Options, k, v)
	}
	for _, text := range f.header {
		k, v, ok := strings.Cut(text, ":")
		if !ok || k == "" {
			return usage("--header %s: write it as 'NAME: VALUE'", k)
		}
		if in.Headers == nil {
			in.Headers = adapter.HeaderTexts{}
		}
		in.Headers[strings.TrimSpace(k)] = strings.TrimSpace(v)
	}
	return nil
}

// addField adds a value; a name given twice makes a list.
func addField(o entities.Object, name string, value any) entities.Object {
	i := slices.IndexFunc(o, func(f entities.Field) bool { return f.Name == name })
	if i < 0 {
		return append(o, entities.Field{Name: name, Value: value})
	}
	if list, ok := o[i].Value.([]any); ok {
		o[i].Value = append(list, value)
	} else {
		o[i].Value = []any{o[i].Value, value}
	}
	return o
}

// queryTypes are the types that the action's request schema gives to query names.
func queryTypes(ad *adapter.Adapter, entity, action string) map[string]string {
	types := map[string]string{}
	for _, act := range ad.Definition().Actions(entity) {
		if act.Name != action {
			continue
		}
		if schema, err := act.Request(); err == nil {
			for _, p := range schema.Properties() {
				types[p.Name] = p.Type
			}
		}
	}
	return types
}

// typed turns a flag's text into what the schema wants, where it can be that.
func typed(text, kind string) any {
	switch kind {
	case "integer", "number", "boolean":
		value, err := entities.Decode(entities.JSON, []byte(text))
		if _, isText := value.(string); err == nil && !isText {
			return value
		}
	}
	return text
}

// readArgument reads @FILE, - (standard input) or the text itself.
func (a *app) readArgument(text string) ([]byte, error) {
	switch {
	case text == "-":
		return readAll(a.in, "standard input")
	case strings.HasPrefix(text, "@"):
		file, err := os.Open(text[1:])
		if err != nil {
			return nil, usage("%s: %w", text[1:], plainPath(err))
		}
		defer func() { _ = file.Close() }()
		return readAll(file, text[1:])
	}
	return []byte(text), nil
}

func readAll(r io.Reader, name string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return nil, usage("%s: %w", name, err)
	}
	if len(data) > maxInput {
		return nil, usage("%s is larger than %d MiB", name, maxInput>>20)
	}
	return data, nil
}
