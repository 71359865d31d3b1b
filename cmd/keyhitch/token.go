package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
)

// tokenLine is one cached token as `token show` prints it; never the value.
type tokenLine struct {
	Adapter     string            `json:"adapter"`
	User        string            `json:"user"`
	Fingerprint string            `json:"fingerprint"`
	Obtained    string            `json:"obtained"`
	Expires     string            `json:"expires,omitempty"`
	Source      string            `json:"source"`
	Tokens      []string          `json:"tokens"`
	Values      map[string]string `json:"values,omitempty"` // --reveal, on a terminal
}

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token ADAPTER [show|refresh|drop]",
		Short: "What is known of a token, a new one, or none",
		Long: "show tells what is cached, refresh asks for a new token now, drop forgets it. The value is\n" +
			"never printed, except by refresh --reveal on a terminal.",
		Example: "  keyhitch token ./acme refresh\n  keyhitch token ./acme show -o json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usage("token takes ADAPTER and one of show, refresh, drop")
			}
			return nil
		},
		ValidArgs: []string{"show", "refresh", "drop"},
		RunE: func(cmd *cobra.Command, args []string) error {
			verb := "show"
			if len(args) == 2 {
				verb = args[1]
			}
			return a.token(cmd.Context(), args[0], verb)
		},
	}
	a.adapterFlags(cmd)
	a.planFlags(cmd)
	cmd.Flags().Lookup("reveal").Usage = "with refresh: print the token too, on a terminal only; with --dry-run: show secrets"
	return cmd
}

func (a *app) token(ctx context.Context, name, verb string) error {
	if a.reveal && !a.dryRun && !isTerminal(a.out) {
		return usage("--reveal prints a token on a terminal only, not into a file or pipe")
	}
	if verb != "show" && verb != "refresh" && verb != "drop" {
		return usage("token %s is unknown; use show, refresh or drop", verb)
	}
	ad, err := a.open(name)
	if err != nil {
		return a.fail(name, err)
	}
	ctx, cancel := a.deadline(ctx)
	defer cancel()
	switch {
	case a.dryRun && verb == "refresh":
		return a.planRefresh(ctx, ad)
	case a.dryRun:
		return a.printPlan(nil) // show and drop send nothing
	case verb == "refresh":
		return a.refresh(ctx, ad)
	case verb == "drop":
		return a.drop(ctx, ad)
	}
	return a.show(ctx, ad)
}

func (a *app) drop(ctx context.Context, ad *adapter.Adapter) error {
	told := "forgotten"
	err := ad.DropToken(ctx)
	if errors.Is(err, adapter.ErrNoToken) {
		told, err = fmt.Sprintf("%s: %v: nothing to forget", ad.Name(), err), nil
	}
	if err != nil {
		return a.failWith(ad, err)
	}
	_, _ = fmt.Fprintln(a.err, told)
	return nil
}

func (a *app) show(ctx context.Context, ad *adapter.Adapter) error {
	lines := []tokenLine{}
	for _, info := range ad.Tokens(ctx) {
		lines = append(lines, lineOf(info))
	}
	if len(lines) == 0 {
		_, _ = fmt.Fprintln(a.err, "no token is cached: with token_cache local each process keeps its own; `keyhitch token ADAPTER refresh` asks for one")
	}
	return a.print(lines)
}

func (a *app) refresh(ctx context.Context, ad *adapter.Adapter) error {
	token, info, err := ad.RefreshToken(ctx)
	if err != nil {
		return a.failWith(ad, err)
	}
	line := lineOf(info)
	if a.reveal {
		line.Values = map[string]string{}
		for name, value := range token.Values {
			line.Values[name] = value.Reveal()
		}
	}
	return a.print([]tokenLine{line})
}

func lineOf(info auth.TokenInfo) tokenLine {
	line := tokenLine{Adapter: info.Owner, User: info.User, Fingerprint: info.Fingerprint,
		Obtained: info.Obtained.UTC().Format(time.RFC3339), Source: info.Where, Tokens: info.Names}
	if !info.Expires.IsZero() {
		line.Expires = info.Expires.UTC().Format(time.RFC3339)
	}
	return line
}

func (a *app) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "check ADAPTER",
		Short:   "Authenticate once, and send nothing else",
		Long:    "Logs in once, evaluates everything that depends on the answer, and says whether it worked.",
		Example: "  keyhitch check ./acme && echo ready",
		Args:    exactly(1, "check takes ADAPTER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.check(cmd.Context(), args[0])
		},
	}
	a.adapterFlags(cmd)
	a.planFlags(cmd)
	return cmd
}

// checked is what check prints with -o.
type checked struct {
	Adapter string `json:"adapter"`
	Method  string `json:"method"`
	Login   bool   `json:"login"` // false: nothing was sent, the first call will tell
	OK      bool   `json:"ok"`
}

func (a *app) check(ctx context.Context, name string) error {
	ad, err := a.open(name)
	if err != nil {
		return a.fail(name, err)
	}
	ctx, cancel := a.deadline(ctx)
	defer cancel()
	if a.dryRun {
		return a.planLogin(ctx, ad)
	}
	if err := ad.Check(ctx); err != nil {
		return a.failWith(ad, err)
	}
	method, login := ad.Login()
	told := "authentication works"
	if !login {
		told = method + " needs no login; its credentials are ready, the first call will tell"
	}
	_, _ = fmt.Fprintf(a.err, "%s: %s\n", ad.Name(), told)
	if a.output == "" {
		return nil
	}
	return a.print(checked{ad.Name(), method, login, true})
}

// planRefresh prints the token request of a method that has one.
func (a *app) planRefresh(ctx context.Context, ad *adapter.Adapter) error {
	if _, login := ad.Login(); !login {
		return a.failWith(ad, adapter.ErrNoToken)
	}
	return a.planLogin(ctx, ad)
}

// planLogin prints the token requests alone.
func (a *app) planLogin(ctx context.Context, ad *adapter.Adapter) error {
	const some = "/path" // which one does not matter: it is left out; only a baseUrl needs one at all
	plan, err := ad.PlanRequest(ctx, http.MethodGet, some, nil, nil, a.reveal)
	if err != nil {
		return a.failWith(ad, err)
	}
	return a.printPlan(plan[:len(plan)-1])
}
