package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/keyhitch/keyhitch/adapter"
)

// printPlan prints what would be sent: JSON, or requests as text, or curl commands. The
// plan has hidden its secrets itself: once it is written out, a name can no longer be told from a
// value.
func (a *app) printPlan(plan []adapter.Planned) error {
	if plan == nil {
		plan = []adapter.Planned{}
	}
	var out strings.Builder
	var err error
	switch {
	case a.curl:
		printCurl(&out, plan)
	case a.format() == "json":
		var data []byte
		data, err = compact(map[string]any{"requests": plan})
		out.Write(data)
	case a.format() == "yaml":
		err = writeYAML(&out, map[string]any{"requests": plan})
	default:
		printRequests(&out, plan)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.out, out.String())
	return err
}

// printRequests writes requests much as they go over the wire.
func printRequests(out *strings.Builder, plan []adapter.Planned) {
	for i, p := range plan {
		if i > 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(out, "# %s\n%s %s\n", p.Purpose, p.Method, p.URL)
		for _, name := range slices.Sorted(maps.Keys(p.Headers)) {
			fmt.Fprintf(out, "%s: %s\n", name, strings.Join(p.Headers[name], ", "))
		}
		if p.Body != "" {
			fmt.Fprintf(out, "\n%s\n", p.Body)
		}
	}
}

// printCurl writes commands that a POSIX shell takes as they are.
func printCurl(out *strings.Builder, plan []adapter.Planned) {
	for _, p := range plan {
		words := append([]string{"curl"}, curlFlags(p)...)
		words = append(words, quote(p.URL))
		for _, name := range slices.Sorted(maps.Keys(p.Headers)) {
			for _, value := range p.Headers[name] {
				words = append(words, "-H", quote(curlHeader(name, value)))
			}
		}
		if p.Body != "" {
			if _, ok := p.Headers["Content-Type"]; !ok {
				words = append(words, "-H", "'Content-Type:'") // curl would say that it is a form
			}
			words = append(words, "--data-raw", quote(p.Body))
		}
		fmt.Fprintf(out, "# %s\n%s\n", p.Purpose, strings.Join(words, " "))
	}
}

// curlFlags make curl send the method and the URL as they are.
func curlFlags(p adapter.Planned) []string {
	flags := []string{"-X", p.Method}
	if p.Method == http.MethodHead {
		flags = []string{"--head"} // with -X it would wait for a body
	}
	if strings.ContainsAny(p.URL, "[]{}") {
		flags = append(flags, "--globoff")
	}
	if strings.Contains(p.URL, "/.") {
		flags = append(flags, "--path-as-is")
	}
	return flags
}

func curlHeader(name, value string) string {
	if value == "" {
		return name + ";" // with a colon curl would leave the header out
	}
	return name + ": " + value
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
