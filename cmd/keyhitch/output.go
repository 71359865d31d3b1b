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
	if f, failed := v.(*adapter.Failure); failed {
		v = a.scrubbed(f)
	}
	data, err := compact(v)
	if err != nil {
		return err
	}
	switch a.format() {
	case "yaml":
		return printYAML(a.out, data)
	case "table":
		return a.printTable(data)
	}
	_, err = a.out.Write(data)
	return err
}

// scrubbed takes secrets out of a failure, which may hold what a system repeated. It looks at the
// texts themselves: once they are JSON in JSON nobody knows a secret again.
func (a *app) scrubbed(f *adapter.Failure) *adapter.Failure {
	out := *f
	out.IAPError.Display = a.redact.Scrub(f.IAPError.Display)
	if raw, ok := f.IAPError.RawResponse.(adapter.RawResponse); ok {
		raw.Message, raw.Body = a.redact.Scrub(raw.Message), a.redact.Scrub(raw.Body)
		raw.Headers = maps.Clone(raw.Headers)
		for name, value := range raw.Headers {
			raw.Headers[name] = a.redact.Scrub(value)
		}
		out.IAPError.RawResponse = raw
	}
	out.Response = a.scrubbedTree(f.Response)
	return &out
}

func (a *app) scrubbedTree(v any) any {
	switch v := v.(type) {
	case string:
		return a.redact.Scrub(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = a.scrubbedTree(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, value := range v {
			out[a.redact.Scrub(name)] = a.scrubbedTree(value)
		}
		return out
	}
	return v
}

func writeYAML(out io.Writer, v any) error {
	data, err := compact(v)
	if err != nil {
		return err
	}
	return printYAML(out, data)
}

func printYAML(out io.Writer, data []byte) error {
	var node yaml.Node // JSON is YAML: order and digits stay as they are
	if err := yaml.Unmarshal(data, &node); err != nil {
		return err
	}
	blockStyle(&node)
	enc := yaml.NewEncoder(out)
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
