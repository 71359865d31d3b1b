package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/entities"
)

// maxInput bounds what is read as a payload or request object.
const maxInput = 64 << 20

// callFlags are the parts of a request object on the command line.
type callFlags struct {
	path, query, option, header []string
	data, authData, input       string
	batch                       string
	parallel                    int
}

func (a *app) callCommand() *cobra.Command {
	var f callFlags
	cmd := &cobra.Command{
		Use:   "call ADAPTER ENTITY ACTION",
		Short: "Run one declared action",
		Long: "Runs an action that the adapter home declares, with its translation in both directions.\n" +
			"With --batch, many: JSON lines {\"entity\",\"action\",\"request\"} in, JSON lines out, in order.",
		Example: "  keyhitch call ./acme device getDevice --path 7\n" +
			"  keyhitch call ./acme device createDevice -d '{\"name\":\"r1\"}'\n" +
			"  keyhitch call ./acme device getDevices --query site=muc --dry-run --curl\n" +
			"  keyhitch call ./acme --batch calls.jsonl --parallel 8",
		Args: func(_ *cobra.Command, args []string) error {
			if want := 3; f.batch == "" && len(args) != want || f.batch != "" && len(args) != 1 {
				return usage("call takes ADAPTER ENTITY ACTION, or ADAPTER with --batch")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.batch != "" {
				return a.batch(cmd.Context(), args[0], f)
			}
			return a.call(cmd.Context(), args[0], args[1], args[2], f)
		},
	}
	a.adapterFlags(cmd)
	a.planFlags(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.path, "path", nil, "`VALUE` of a path variable; repeat for pathv1, pathv2 …")
	flags.StringArrayVar(&f.query, "query", nil, "query parameter `K=V`, translated by the request schema")
	flags.StringArrayVar(&f.option, "option", nil, "query parameter `K=V`, as it is")
	flags.StringArrayVar(&f.header, "header", nil, "request header `'K: V'`")
	flags.StringVarP(&f.data, "data", "d", "", "payload: `JSON`, @FILE or - for standard input")
	flags.StringVar(&f.authData, "auth-data", "", "extra data for the token request, as `JSON`")
	flags.StringVar(&f.input, "input", "", "the whole request object: `FILE` or - for standard input")
	flags.StringVar(&f.batch, "batch", "", "many calls: JSON lines from `FILE` or - for standard input")
	flags.IntVar(&f.parallel, "parallel", 1, "with --batch: how many calls at a time")
	return cmd
}

func (a *app) call(ctx context.Context, name, entity, action string, f callFlags) error {
	ad, err := a.open(name)
	if err != nil {
		return a.fail(name, err)
	}
	input, err := a.callInput(ad, entity, action, f)
	if err != nil {
		return err
	}
	ctx, cancel := a.deadline(ctx)
	defer cancel()
	if a.dryRun {
		plan, err := ad.Plan(ctx, entity, action, input, a.reveal)
		if err != nil {
			return a.failWith(ad, err)
		}
		return a.printPlan(plan)
	}
	res, err := ad.Call(ctx, entity, action, input)
	if err != nil {
		return a.failWith(ad, err)
	}
	if a.format() == "raw" {
		return a.printRaw(res.Response)
	}
	return a.print(res)
}

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

// fail reports an error of opening an adapter; with JSON output also as the failure object.
func (a *app) fail(name string, err error) error {
	return a.told(adapter.FailureOf(name, err), err)
}

// failWith reports a failed call.
func (a *app) failWith(ad *adapter.Adapter, err error) error {
	return a.told(ad.Failure(err), fmt.Errorf("%s: %w", ad.Name(), err))
}

// told prints the failure object on standard output, where JSON or YAML is wanted.
func (a *app) told(f *adapter.Failure, err error) error {
	if format := a.format(); format == "json" || format == "yaml" {
		if perr := a.print(f); perr != nil {
			return errors.Join(err, perr)
		}
	}
	return err
}

// compact writes v as one line of JSON with < and > as they are.
func compact(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return []byte(b.String()), err
}
