package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/entities"
)

// exitCodes is the table below, for `keyhitch help`.
const exitCodes = `Exit codes:
  0  fine                               5    the system answered 5xx
  1  our fault                          6    DNS, TCP or TLS failed
  2  wrong usage                        7    login refused, or no token in the answer
  3  definition or configuration wrong  9    timed out
  4  the system answered 4xx            130  interrupted`

const (
	exitFine        = 0
	exitOurs        = 1
	exitUsage       = 2
	exitConfig      = 3
	exitClient      = 4
	exitServer      = 5
	exitNetwork     = 6
	exitLogin       = 7
	exitTimeout     = 9
	exitInterrupted = 130
)

// exitCode is an error that is told already; only the code is left to return.
type exitCode int

// Error is never printed.
func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// code finds the exit code of a run that ended with err.
func code(ctx context.Context, err error) int {
	var told exitCode
	switch {
	case err == nil:
		return exitFine
	case interrupted(ctx):
		return exitInterrupted
	case errors.As(err, &told):
		return int(told)
	}
	return codeOf(err)
}

func interrupted(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

func codeOf(err error) int {
	var (
		token   *auth.TokenError
		status  *adapter.StatusError
		answer  *adapter.AnswerError
		config  *adapter.ConfigError
		off     *adapter.NotBuiltError
		call    *adapter.CallError
		missing *entities.NotFoundError
		broken  entities.Problems
		schema  *entities.ValidationError
		version *entities.VersionError
		wrong   *usageError
	)
	switch {
	case errors.As(err, &version): // it is wrapped in a CallError, but choosepath is a setting
		return exitConfig
	case errors.As(err, &wrong), errors.As(err, &call), errors.As(err, &missing):
		return exitUsage
	case errors.As(err, &config), errors.As(err, &off), errors.As(err, &broken):
		return exitConfig
	case errors.As(err, &token):
		return tokenCode(token)
	case errors.As(err, &status):
		return statusCode(status.Status)
	case errors.As(err, &answer), errors.As(err, &schema):
		return exitConfig
	case errors.Is(err, adapter.ErrNoToken):
		return exitUsage
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	case adapter.Unreachable(err):
		return exitNetwork
	case errors.As(err, new(*auth.RedirectError)):
		return exitClient
	}
	return exitOurs
}

// tokenCode: 6 no connection, 9 too slow, else 7.
func tokenCode(err *auth.TokenError) int {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	case err.Status == 0 && adapter.Unreachable(err):
		return exitNetwork
	}
	return exitLogin
}

func statusCode(status int) int {
	if status >= 500 {
		return exitServer
	}
	return exitClient
}

// complain prints an error and what to try.
func (a *app) complain(ctx context.Context, cmd *cobra.Command, err error) {
	var wrong *usageError
	if interrupted(ctx) {
		_, _ = fmt.Fprintln(a.err, "keyhitch: interrupted")
		return
	}
	for line := range strings.SplitSeq(strings.TrimSpace(err.Error()), "\n") {
		_, _ = fmt.Fprintln(a.err, "keyhitch: "+a.redact.Scrub(line))
	}
	if errors.As(err, &wrong) {
		_, _ = fmt.Fprintf(a.err, "hint: %s --help shows the flags and examples\n", cmd.CommandPath())
		return
	}
	if hint := a.hintFor(err); hint != "" && cmd.Name() != "serve" { // which has listed everything
		_, _ = fmt.Fprintln(a.err, "hint: "+hint)
	}
}

// hintFor says what to try, where the error does not say it itself.
func (a *app) hintFor(err error) string {
	var token *auth.TokenError
	var status *adapter.StatusError
	var answer *adapter.AnswerError
	var redirect *auth.RedirectError
	switch code := codeOf(err); {
	case errors.As(err, &token) && code == exitLogin:
		return loginHint(token)
	case errors.As(err, &status) && status.Status == 401:
		return "the system refused the credentials; --dry-run shows where they go"
	case errors.As(err, &answer) && answer.Err != nil:
		return "compare the action's datatype and response schema with what the system sends; keyhitch request shows it as it is"
	case errors.As(err, &redirect):
		return "configure the address where the system really is, if you trust the redirect"
	case code == exitConfig && hasPlace(err):
		return "keyhitch validate lists everything that is wrong"
	case code == exitNetwork && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)):
		return "the log of the system, or of a proxy before it, may say why"
	case code == exitNetwork:
		return "check the host, port and protocol (or baseUrl) of the configuration"
	case code == exitTimeout && a.timeout > 0:
		return "raise --timeout, or look whether the system is busy"
	case code == exitTimeout:
		return "raise request.attempt_timeout (timeout in a port file), or look whether the system is busy"
	}
	return ""
}

// hasPlace reports whether err is about a line of a file; there may be more of that kind.
func hasPlace(err error) bool {
	var config *adapter.ConfigError
	var broken entities.Problems
	switch {
	case errors.As(err, &config):
		broken = config.Problems
	case !errors.As(err, &broken):
		return false
	}
	return slices.ContainsFunc(broken, func(p *entities.Problem) bool { return p.Line > 0 })
}

func loginHint(err *auth.TokenError) string {
	switch {
	case err.Refused():
		return "check username, password and client secret; --explain shows where the token request went"
	case err.Status >= 500:
		return "the authorization server is in trouble; try again later, or ask who runs it"
	}
	return "compare what reads the answer (getToken's response schema, or the template) with what --explain and --dry-run show"
}
