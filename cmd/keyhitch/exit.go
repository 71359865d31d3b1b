package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/entities"
)

// Exit codes: the table is in CONTRACT; `keyhitch help` prints it too.
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

// usageError is a wrong command line.
type usageError struct{ err error }

// Error returns the reason.
func (e *usageError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *usageError) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// configError is a configuration that cannot be read at all.
type configError struct{ err error }

// Error returns the reason.
func (e *configError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *configError) Unwrap() error { return e.err }

// code finds the exit code of an error.
func (a *app) code(ctx context.Context, err error) int {
	var told exitCode
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &told):
		return int(told)
	case errors.Is(ctx.Err(), context.Canceled):
		return exitInterrupted
	}
	return codeOf(err)
}

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
		unread  *configError
	)
	switch {
	case errors.As(err, &wrong), errors.As(err, &call), errors.As(err, &missing):
		return exitUsage
	case errors.As(err, &config), errors.As(err, &unread), errors.As(err, &off), errors.As(err, &broken):
		return exitConfig
	case errors.As(err, &token):
		return tokenCode(token)
	case errors.As(err, &status):
		return statusCode(status.Status)
	case errors.As(err, &answer), errors.As(err, &schema), errors.As(err, &version):
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
func (a *app) complain(cmd *cobra.Command, err error) {
	text := err.Error()
	var wrong *usageError
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		_, _ = fmt.Fprintln(a.err, "keyhitch: "+a.redact.Scrub(line))
	}
	if errors.As(err, &wrong) || codeOf(err) == exitOurs && strings.HasPrefix(text, "unknown command") {
		_, _ = fmt.Fprintf(a.err, "hint: %s --help shows the flags and examples\n", cmd.CommandPath())
		return
	}
	if hint := hintFor(err); hint != "" {
		_, _ = fmt.Fprintln(a.err, "hint: "+hint)
	}
}

// hintFor says what to try, where the error does not say it itself.
func hintFor(err error) string {
	var token *auth.TokenError
	var status *adapter.StatusError
	switch code := codeOf(err); {
	case errors.As(err, &token) && code == exitLogin && token.Refused():
		return "check username, password and client secret; --explain shows where the token request went"
	case errors.As(err, &token) && code == exitLogin:
		return "compare getToken's response schema with what the system answers; --explain shows the steps"
	case errors.As(err, &status) && status.Status == 401:
		return "the system refused the credentials; --dry-run shows where they go"
	case code == exitNetwork:
		return "check host, port and protocol; --set host=… tries another one"
	case code == exitTimeout:
		return "raise request.attempt_timeout or --timeout, or look whether the system is busy"
	}
	return ""
}
