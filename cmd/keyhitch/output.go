package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"go.yaml.in/yaml/v3"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/entities"
)

// print writes v in the output format. Failures are scrubbed; results are the caller's data.
func (a *app) print(v any) error {
	data, err := compact(v)
	if err != nil {
		return err
	}
	if _, failed := v.(*adapter.Failure); failed {
		data = []byte(a.redact.Scrub(string(data)))
	}
	switch a.format() {
	case "yaml":
		return a.printYAML(data)
	case "table":
		return a.printTable(data)
	}
	_, err = a.out.Write(data)
	return err
}

func (a *app) printYAML(data []byte) error {
	var node yaml.Node // JSON is YAML: order and digits stay as they are
	if err := yaml.Unmarshal(data, &node); err != nil {
		return err
	}
	blockStyle(&node)
	enc := yaml.NewEncoder(a.out)
	enc.SetIndent(2)
	if err := enc.Encode(&node); err != nil {
		return err
	}
	return enc.Close()
}

func blockStyle(n *yaml.Node) {
	n.Style = 0
	for _, inner := range n.Content {
		blockStyle(inner)
	}
}

// printRaw writes a text as it is, anything else as JSON.
func (a *app) printRaw(v any) error {
	if text, ok := v.(string); ok {
		_, err := io.WriteString(a.out, text)
		return err
	}
	data, err := compact(v)
	if err == nil {
		_, err = a.out.Write(data)
	}
	return err
}

// printTable shows lists of objects as rows and everything else as indented JSON.
func (a *app) printTable(data []byte) error {
	value, err := entities.Decode(entities.JSON, data)
	if err != nil {
		return err
	}
	if object, ok := value.(map[string]any); ok && object["icode"] != nil && object["IAPerror"] == nil {
		value = object["response"]
	}
	if rows := objects(value); len(rows) > 0 {
		return writeRows(a.out, rows)
	}
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, string(text))
	return err
}

func objects(v any) []map[string]any {
	list, _ := v.([]any)
	rows := make([]map[string]any, 0, len(list))
	for _, item := range list {
		row, ok := item.(map[string]any)
		if !ok {
			return nil
		}
		rows = append(rows, row)
	}
	return rows
}

// maxColumns and maxCell keep a table readable; -o json has everything.
const (
	maxColumns = 8
	maxCell    = 40
)

func writeRows(out io.Writer, rows []map[string]any) error {
	seen := map[string]bool{}
	for _, row := range rows {
		for name := range row {
			seen[name] = true
		}
	}
	names := slices.Sorted(maps.Keys(seen))
	names = names[:min(len(names), maxColumns)]
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, strings.ToUpper(strings.Join(names, "\t")))
	for _, row := range rows {
		cells := make([]string, len(names))
		for i, name := range names {
			cells[i] = cell(row[name])
		}
		_, _ = fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// cell is a value on one short line, without control characters that could steer a terminal.
func cell(v any) string {
	text, ok := v.(string)
	if !ok && v != nil {
		data, err := compact(v)
		if err != nil {
			return "?"
		}
		text = strings.TrimSpace(string(data))
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > maxCell {
		return string(runes[:maxCell-1]) + "…"
	}
	return text
}

// printPlan prints what would be sent: JSON, or requests as text, or curl commands.
func (a *app) printPlan(plan []adapter.Planned) error {
	switch {
	case a.curl:
		return printCurl(a.out, plan)
	case a.output == "json" || a.output == "yaml" || a.output == "" && a.format() == "json":
		return a.print(map[string]any{"requests": plan})
	}
	for i, p := range plan {
		if i > 0 {
			_, _ = fmt.Fprintln(a.out)
		}
		_, _ = fmt.Fprintf(a.out, "# %s\n%s %s\n", p.Purpose, p.Method, p.URL)
		for _, name := range slices.Sorted(maps.Keys(p.Headers)) {
			_, _ = fmt.Fprintf(a.out, "%s: %s\n", name, strings.Join(p.Headers[name], ", "))
		}
		if p.Body != "" {
			_, _ = fmt.Fprintf(a.out, "\n%s\n", p.Body)
		}
	}
	return nil
}

// printCurl prints commands that a POSIX shell takes as they are.
func printCurl(out io.Writer, plan []adapter.Planned) error {
	for _, p := range plan {
		words := []string{"curl", "-X", p.Method, quote(p.URL)}
		for _, name := range slices.Sorted(maps.Keys(p.Headers)) {
			for _, value := range p.Headers[name] {
				words = append(words, "-H", quote(name+": "+value))
			}
		}
		if p.Body != "" {
			words = append(words, "--data-raw", quote(p.Body))
		}
		if _, err := fmt.Fprintf(out, "# %s\n%s\n", p.Purpose, strings.Join(words, " ")); err != nil {
			return err
		}
	}
	return nil
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
