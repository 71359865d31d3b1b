package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyhitch/keyhitch/adapter"
)

// finding is one problem as -o json prints it.
type finding struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Pointer string `json:"pointer,omitempty"`
	Reason  string `json:"reason"`
	Warning bool   `json:"warning"`
}

func (a *app) validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate PATH…",
		Short: "Every problem of adapter homes and configurations",
		Long: "Reads homes and service instances whole, every schema included, and prints each problem on a\n" +
			"line: file:line:col: /json/pointer: reason. Exit 3 when one is an error; warnings do not fail.",
		Example: "  keyhitch validate ./adapters/*\n  keyhitch validate ./acme --instance ./prod.json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("validate takes one PATH or more")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.validate(args) },
	}
	a.adapterFlags(cmd)
	a.outputFlag(cmd, "json, yaml, table or raw (default: one line for each problem)")
	return cmd
}

func (a *app) validate(paths []string) error {
	var all []finding
	failed := false
	for _, path := range paths {
		found, err := a.validateOne(path)
		if err != nil {
			return err
		}
		for _, f := range found {
			failed = failed || !f.Warning
		}
		all = append(all, found...)
	}
	if err := a.printFindings(all); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(a.err, "%s\n", summary(len(paths), all))
	if failed {
		return exitCode(exitConfig)
	}
	return nil
}

// validateOne returns what is wrong with one PATH; the error is a wrong command line.
func (a *app) validateOne(path string) ([]finding, error) {
	src, err := a.source(path)
	var problems adapter.Problems
	if err == nil {
		problems, err = adapter.Validate(src.Options)
	}
	var config *adapter.ConfigError
	switch {
	case errors.As(err, &config):
		problems = append(problems, config.Problems...)
	case err != nil && codeOf(err) == exitUsage:
		return nil, err
	case err != nil:
		problems = append(problems, &adapter.Problem{File: path, Reason: err.Error()})
	}
	var found []finding
	for _, p := range problems {
		file := p.File
		if src != nil {
			file = src.file(p.File)
		}
		found = append(found, finding{file, p.Line, p.Column, p.Pointer, a.redact.Scrub(p.Reason), p.Warning})
	}
	return found, nil
}

func (a *app) printFindings(all []finding) error {
	if a.output == "json" || a.output == "yaml" {
		if all == nil {
			all = []finding{}
		}
		return a.print(all)
	}
	for _, f := range all {
		p := adapter.Problem{File: f.File, Line: f.Line, Column: f.Column, Pointer: f.Pointer, Reason: f.Reason}
		text := p.Error()
		if f.Warning {
			p.Reason = "warning: " + p.Reason
			text = p.Error()
		}
		if _, err := fmt.Fprintln(a.out, text); err != nil {
			return err
		}
	}
	return nil
}

func summary(paths int, all []finding) string {
	errs := 0
	for _, f := range all {
		if !f.Warning {
			errs++
		}
	}
	return fmt.Sprintf("%s read: %s, %s", count(paths, "definition"), count(errs, "error"), count(len(all)-errs, "warning"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
