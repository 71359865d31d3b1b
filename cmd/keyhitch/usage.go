package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyhitch/keyhitch/internal/settings"
)

// usageError is a wrong command line.
type usageError struct{ err error }

// Error returns the reason.
func (e *usageError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *usageError) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// didYouMean offers the nearest of the known names, if one is near.
func didYouMean(name string, known []string) string {
	if near := settings.Nearest(name, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// exactly is cobra.ExactArgs with a sentence of ours.
func exactly(n int, sentence string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usage("%s", sentence)
		}
		return nil
	}
}

// knownCommand refuses what is no command; without arguments the help is printed.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usage("there is no command %q%s", args[0], didYouMean(args[0], commandNames(root)))
}

func commandNames(root *cobra.Command) []string {
	var names []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return names
}

// helpCommand is `keyhitch help COMMAND`.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about a command",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && !slices.Contains(commandNames(cmd.Root()), args[0]) {
				return knownCommand(cmd.Root(), args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			about, _, err := cmd.Root().Find(args)
			if err != nil {
				return err
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// flagError words what is wrong with a flag for people.
func flagError(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	var value *pflag.InvalidValueError
	var empty *pflag.ValueRequiredError
	switch {
	case errors.As(err, &missing):
		name := missing.GetSpecifiedName()
		if missing.GetSpecifiedShortnames() != "" {
			return usage("there is no flag -%s", name)
		}
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
		return usage("there is no flag --%s%s", name, didYouMean("--"+name, known))
	case errors.As(err, &value):
		return usage("--%s %s: is no %s", value.GetFlag().Name, value.GetValue(), kindOf(value.GetFlag()))
	case errors.As(err, &empty):
		return usage("%s needs a value", dashed(empty))
	}
	return &usageError{errors.New(strings.TrimPrefix(err.Error(), "pflag: "))}
}

func dashed(err *pflag.ValueRequiredError) string {
	if err.GetSpecifiedShortnames() != "" {
		return "-" + err.GetSpecifiedName()
	}
	return "--" + err.GetSpecifiedName()
}

// kindOf says what a flag wants.
func kindOf(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "duration":
		return "duration; write 500ms, 30s or 2m"
	case "int":
		return "whole number"
	case "bool":
		return "true or false"
	}
	return f.Value.Type()
}
