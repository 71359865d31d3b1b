package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/entities"
)

// requestTimeout bounds a request where --timeout does not.
const requestTimeout = 5 * time.Minute

type requestFlags struct {
	header, query []string
	data          string
	include       bool
}

func (a *app) requestCommand() *cobra.Command {
	var f requestFlags
	cmd := &cobra.Command{
		Use:   "request ADAPTER METHOD PATH",
		Short: "Call any path of a system, authenticated",
		Long:  "Calls PATH at the system's origin with the credentials added. The answer is printed as it came.",
		Example: "  keyhitch request ./acme GET /api/v1/devices\n" +
			"  keyhitch request ./acme POST /api/v1/devices -d @device.json\n" +
			"  keyhitch request ./acme GET /api/v1/devices -q site=muc -i",
		Args: exactly(3, "request takes ADAPTER METHOD PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.request(cmd.Context(), args[0], strings.ToUpper(args[1]), args[2], f)
		},
	}
	a.adapterFlags(cmd)
	a.planFlags(cmd)
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.header, "header", "H", nil, "request header `'K: V'`")
	flags.StringArrayVarP(&f.query, "query", "q", nil, "query parameter `K=V`")
	flags.StringVarP(&f.data, "data", "d", "", "body: text, `@FILE` or - for standard input")
	a.outputFlag(cmd, "json, yaml, table or raw (default: raw, the body as it came)")
	flags.BoolVarP(&f.include, "include", "i", false, "print status and headers too")
	return cmd
}

func (a *app) request(ctx context.Context, name, method, path string, f requestFlags) error {
	if method == "" {
		return usage("METHOD is empty; write GET, POST or the like")
	}
	header, path, body, err := a.requestParts(path, f)
	if err != nil {
		return a.failRaw(adapter.FailureOf(filepath.Base(name), &adapter.CallError{Err: err}), err)
	}
	ad, err := a.open(name)
	if err != nil {
		return a.failRaw(adapter.FailureOf(filepath.Base(name), err), err)
	}
	if a.timeout <= 0 {
		a.timeout = requestTimeout
	}
	ctx, cancel := a.deadline(ctx)
	defer cancel()
	if a.dryRun {
		plan, err := ad.PlanRequest(ctx, method, path, header, body, a.reveal)
		if err != nil {
			return a.failRaw(ad.Failure(err), err)
		}
		return a.printPlan(plan)
	}
	res, err := ad.Request(ctx, method, path, header, body)
	if err != nil {
		return a.failRaw(ad.Failure(err), fmt.Errorf("%s: %w", ad.Name(), err))
	}
	defer func() { _ = res.Body.Close() }()
	if err := a.printAnswer(res, f.include); err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s: %w", ad.Name(), &adapter.StatusError{Status: res.StatusCode, Header: res.Header})
	}
	return nil
}

func (a *app) requestParts(path string, f requestFlags) (http.Header, string, io.Reader, error) {
	header := http.Header{}
	for _, text := range f.header {
		k, v, ok := strings.Cut(text, ":")
		if !ok || k == "" {
			return nil, "", nil, usage("-H %s: write it as 'NAME: VALUE'", k)
		}
		header.Add(strings.TrimSpace(k), strings.TrimSpace(v))
	}
	for _, text := range f.query {
		k, v, ok := strings.Cut(text, "=")
		if !ok || k == "" {
			return nil, "", nil, usage("-q %s: write it as NAME=VALUE", k)
		}
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		path += sep + url.QueryEscape(k) + "=" + url.QueryEscape(v)
	}
	if f.data == "" {
		return header, path, nil, nil
	}
	data, err := a.readArgument(f.data)
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", contentType(data))
	}
	return header, path, bytes.NewReader(data), err
}

// contentType guesses as a person would: JSON where it is JSON, a form where it looks like one.
func contentType(data []byte) string {
	if _, err := entities.Decode(entities.JSON, data); err == nil {
		return "application/json"
	}
	if utf8.Valid(data) && bytes.Contains(data, []byte("=")) && !bytes.ContainsAny(data, " \n{<") {
		return "application/x-www-form-urlencoded"
	}
	return "application/octet-stream"
}

// printAnswer streams the body, or with -o json puts it into an object.
func (a *app) printAnswer(res *http.Response, include bool) error {
	if a.output == "" || a.output == "raw" || a.output == "table" {
		if include {
			if _, err := fmt.Fprintf(a.out, "%s %s\n%s\n", res.Proto, res.Status, headerText(res.Header)); err != nil {
				return err
			}
		}
		_, err := io.Copy(a.out, res.Body)
		return err
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxInput+1))
	if err != nil {
		return err
	}
	if len(data) > maxInput {
		return &adapter.AnswerError{Status: res.StatusCode, Reason: fmt.Sprintf("the answer is larger than %d MiB; without -o it is streamed", maxInput>>20)}
	}
	var body any = string(data)
	if value, err := entities.Decode(entities.JSON, data); err == nil {
		body = value
	}
	return a.print(map[string]any{"status": res.StatusCode, "headers": res.Header, "body": body})
}

func headerText(h http.Header) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			b.WriteString(name + ": " + value + "\n")
		}
	}
	return b.String()
}

// failRaw prints the failure object only where -o asks for one: raw output is the answer's own.
func (a *app) failRaw(f *adapter.Failure, err error) error {
	if a.output == "json" || a.output == "yaml" {
		return a.told(f, err)
	}
	return err
}
