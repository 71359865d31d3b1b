package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/entities"
)

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
		Args: func(cmd *cobra.Command, args []string) error {
			if want := 3; f.batch == "" && len(args) != want || f.batch != "" && len(args) != 1 {
				return usage("call takes ADAPTER ENTITY ACTION, or ADAPTER with --batch")
			}
			return a.checkCall(cmd.Flags(), f)
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
	f.declare(cmd.Flags())
	return cmd
}

func (f *callFlags) declare(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.path, "path", nil, "`VALUE` of a path variable; repeat for pathv1, pathv2 …")
	flags.StringArrayVar(&f.query, "query", nil, "query parameter `K=V`, translated by the request schema")
	flags.StringArrayVar(&f.option, "option", nil, "query parameter `K=V`, as it is")
	flags.StringArrayVar(&f.header, "header", nil, "request header `'K: V'`")
	flags.StringVarP(&f.data, "data", "d", "", "payload: `JSON`, @FILE or - for standard input")
	flags.StringVar(&f.authData, "auth-data", "", "extra data for the token request, as `JSON`")
	flags.StringVar(&f.input, "input", "", "the whole request object: `FILE` or - for standard input")
	flags.StringVar(&f.batch, "batch", "", "many calls: JSON lines from `FILE` or - for standard input")
	flags.IntVar(&f.parallel, "parallel", 1, "with --batch: how many calls at a time")
}

// checkCall refuses flags that would be ignored.
func (a *app) checkCall(flags *pflag.FlagSet, f callFlags) error {
	if f.batch == "" {
		switch {
		case flags.Changed("parallel"):
			return usage("--parallel goes with --batch")
		case f.input == "-" && f.data == "-":
			return usage("--input and --data cannot both read standard input")
		}
		return nil
	}
	for _, name := range []string{"path", "query", "option", "header", "data", "auth-data", "input", "curl"} {
		if flags.Changed(name) {
			return usage("--%s does not go with --batch: each line has its own request", name)
		}
	}
	switch {
	case f.parallel < 1 || f.parallel > maxParallel:
		return usage("--parallel must be from 1 to %d", maxParallel)
	case a.output != "" && a.output != "json":
		return usage("-o %s does not go with --batch, which prints JSON lines", a.output)
	}
	return nil
}

func (a *app) call(ctx context.Context, name, entity, action string, f callFlags) error {
	ad, err := a.open(name)
	if err != nil {
		return a.fail(name, err)
	}
	input, err := a.callInput(ad, entity, action, f)
	if err != nil {
		return a.told(ad.Failure(&adapter.CallError{Err: err}), err)
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

// fail reports an error of opening an adapter; with JSON output also as the failure object.
func (a *app) fail(name string, err error) error {
	if errors.As(err, new(*usageError)) {
		return err
	}
	return a.told(adapter.FailureOf(filepath.Base(name), err), err)
}

// failWith reports a failed call.
func (a *app) failWith(ad *adapter.Adapter, err error) error {
	err = located(ad, err)
	return a.told(ad.Failure(err), fmt.Errorf("%s: %w", ad.Name(), err))
}

// located tells what there is, where a name is not known and none is near.
func located(ad *adapter.Adapter, err error) error {
	var missing *entities.NotFoundError
	if !errors.As(err, &missing) || len(missing.Near) > 0 {
		return err
	}
	names := ad.Definition().Entities()
	if missing.What == "action" {
		names = nil
		for _, act := range ad.Definition().Actions(missing.Entity) {
			names = append(names, act.Name)
		}
	}
	const most = 12
	more := ""
	if len(names) > most {
		more = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	return fmt.Errorf("%w; there is %s%s", err, strings.Join(names, ", "), more)
}

// told prints the failure object on standard output, where JSON or YAML is wanted.
func (a *app) told(f *adapter.Failure, err error) error {
	if format := a.format(); format == "json" || format == "yaml" {
		if perr := a.print(a.unlessInterrupted(f)); perr != nil {
			return errors.Join(err, perr)
		}
	}
	return err
}

// unlessInterrupted is f, or says that the run was interrupted: what failed by that is no news.
func (a *app) unlessInterrupted(f *adapter.Failure) *adapter.Failure {
	if !interrupted(a.ctx) {
		return f
	}
	other := adapter.FailureOf("", context.Canceled)
	other.IAPError.Origin = f.IAPError.Origin
	return other
}

// compact writes v as one line of JSON with < and > as they are.
func compact(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return []byte(b.String()), err
}
