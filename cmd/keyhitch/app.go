package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
)

// app is one run of the command: where it reads and writes, and the flags that all commands share.
type app struct {
	in       io.Reader
	out, err io.Writer
	redact   *auth.Redactor
	log      *logrus.Logger
	jsonLog  bool

	instance string
	dialect  string
	project  string
	set      []string
	output   string
	timeout  time.Duration
	verbose  bool
	explain  bool
	dryRun   bool
	curl     bool
	reveal   bool

	ctx    context.Context  // of the whole run; canceled: it was interrupted
	opened *adapter.Adapter // nil: the command needs none, or it could not be opened
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{in: in, out: out, err: &lockedWriter{Writer: errOut}, redact: new(auth.Redactor)}
	a.log = a.newLog()
	a.ctx = ctx
	defer stdLog.join(a)()
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(a.err)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !errors.As(err, new(exitCode)) {
		a.complain(ctx, cmd, err)
	}
	a.settle(ctx)
	return code(ctx, err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "keyhitch",
		Short: "Declared credentials on the wire, safely",
		Long: "keyhitch calls systems that are described as data: it logs in as they want it, keeps the\n" +
			"token, renews it in time, and adds it to every call.\n\n" + exitCodes,
		Example: "  keyhitch demo\n" +
			"  keyhitch validate ./adapters/acme\n" +
			"  keyhitch call ./adapters/acme device getDevice --path 7\n" +
			"  keyhitch request ./adapters/acme GET /api/v1/devices\n" +
			"  keyhitch serve --project keyhitch.yaml",
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.setUp(cmd) },
		Args:              knownCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(flagError)
	f := root.PersistentFlags()
	f.BoolVarP(&a.verbose, "verbose", "v", false, "log at level debug, on standard error")
	f.StringVarP(&a.output, "output", "o", "", "json, yaml, table or raw (default: table on a terminal, else json)")
	root.AddCommand(a.callCommand(), a.requestCommand(), a.tokenCommand(), a.checkCommand(), a.validateCommand(),
		a.serveCommand(), a.schemaCommand(), a.secretCommand(), a.demoCommand(), a.versionCommand(), completionCommand())
	root.SetHelpCommand(helpCommand())
	return root
}

// outputFlag is -o of a command with a default of its own.
func (a *app) outputFlag(cmd *cobra.Command, about string) {
	cmd.Flags().StringVarP(&a.output, "output", "o", "", about)
}

// adapterFlags are on every command that opens an adapter.
func (a *app) adapterFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&a.instance, "instance", "", "service-instance `FILE` (default: service-instance.json of the home)")
	f.StringVar(&a.dialect, "dialect", "", "how the configuration is spelt, if its content does not say: iap or port")
	f.StringVar(&a.project, "project", "", "project `FILE` with named adapters (default: ./keyhitch.yaml)")
	f.StringArrayVar(&a.set, "set", nil, "override one property for this run: `a.b.c=VALUE`")
	f.BoolVar(&a.explain, "explain", false, "tell what happens, step by step, on standard error")
	f.DurationVar(&a.timeout, "timeout", 0, "give up after this long, such as 30s (default: as the properties say)")
}

// planFlags are on commands that can show what they would send.
func (a *app) planFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&a.dryRun, "dry-run", false, "print what would be sent, and send nothing")
	f.BoolVar(&a.curl, "curl", false, "with --dry-run: print curl commands")
	f.BoolVar(&a.reveal, "reveal", false, "with --dry-run: show secrets")
}

// setUp checks the flags that all commands share, and sets up the log.
func (a *app) setUp(cmd *cobra.Command) error {
	switch a.output {
	case "", "json", "yaml", "table", "raw":
	default:
		return usage("-o %s is unknown; use json, yaml, table or raw", a.output)
	}
	switch {
	case a.curl && !a.dryRun:
		return usage("--curl goes with --dry-run")
	case a.reveal && !a.dryRun && cmd.Name() != "token":
		return usage("--reveal goes with --dry-run")
	case a.timeout < 0, a.timeout == 0 && cmd.Flags().Changed("timeout"):
		return usage("--timeout must be more than 0, such as 30s")
	}
	return a.setLog(cmd)
}

// deadline bounds the whole run where --timeout says so.
func (a *app) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if a.timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, a.timeout, lateError(a.timeout))
}

// lateError says that --timeout has passed.
type lateError time.Duration

// Error tells how long that was.
func (e lateError) Error() string { return fmt.Sprintf("no answer in %s", time.Duration(e)) }

// Unwrap makes it a passed deadline.
func (lateError) Unwrap() error { return context.DeadlineExceeded }

// format is the output format, after looking where output goes.
func (a *app) format() string {
	switch {
	case a.output != "":
		return a.output
	case isTerminal(a.out):
		return "table"
	}
	return "json"
}

// lockedWriter lets parallel calls write whole lines.
type lockedWriter struct {
	mu sync.Mutex
	io.Writer
}

// Write writes p undivided.
func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Writer.Write(p)
}

func isTerminal(w any) bool {
	if locked, ok := w.(*lockedWriter); ok {
		w = locked.Writer
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" && os.Getenv("CI") == ""
}

// colored reports whether w may be painted.
func colored(w io.Writer) bool { return isTerminal(w) && os.Getenv("NO_COLOR") == "" }

func firstOf(texts ...string) string {
	for _, t := range texts {
		if strings.TrimSpace(t) != "" {
			return t
		}
	}
	return ""
}
