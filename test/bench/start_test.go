package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// BenchmarkStart is goal P18: from exec to a finished plan of one call of a home with 1,000
// actions, beside an empty script of the reference's runtime. Must: 0.3 of it.
func BenchmarkStart(b *testing.B) {
	node, err := exec.LookPath("node")
	if err != nil {
		b.Skip("node is not installed; it is what P18 compares with")
	}
	binary := filepath.Join(b.TempDir(), "keyhitch")
	if out, err := exec.Command("go", "build", "-C", "../..", "-trimpath", "-ldflags=-s -w", "-o", binary, "./cmd/keyhitch").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	home := bigHome(b)
	contenders := [][]string{
		{binary, "call", home, "device", "getDevice7", "--path", "a", "--path", "b", "--path", "c", "--path", "d", "--dry-run"},
		{node, "-e", ""},
	}
	var times [2][]float64
	for b.Loop() {
		for i, argv := range contenders {
			start := time.Now()
			if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
			times[i] = append(times[i], float64(time.Since(start).Microseconds())/1000)
		}
	}
	ours, theirs := middle(times[0]), middle(times[1])
	b.ReportMetric(ours, "ms")
	b.ReportMetric(theirs, "node-ms")
	b.ReportMetric(ours/theirs, "P18-ratio(must<=0.3)")
}

func middle(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// bigHome writes an adapter home with 1,000 actions.
func bigHome(b *testing.B) string {
	b.Helper()
	home := b.TempDir()
	var actions []any
	for i := range 1000 {
		actions = append(actions, map[string]any{"name": fmt.Sprintf("getDevice%d", i), "protocol": "REST", "method": "GET",
			"entitypath": fmt.Sprintf("{base_path}/{version}/devices/{pathv%d}/interfaces?{query}", i%4+1),
			"schema":     "schema.json", "requestDatatype": "JSON", "responseDatatype": "JSON", "timeout": i, "sendEmpty": false,
			"headers":         map[string]string{"Accept": "application/json", "X-Request-Source": fmt.Sprintf("adapter %d", i)},
			"responseObjects": []any{map[string]string{"type": "default", "key": "data", "mockFile": ""}}})
	}
	files := map[string]any{
		"entities/device/action.json": map[string]any{"actions": actions},
		"entities/device/schema.json": map[string]any{"type": "object", "translate": true, "dynamicfields": true, "properties": map[string]any{}},
		"service-instance.json": map[string]any{"host": "127.0.0.1", "port": 9, "protocol": "http", "authentication": map[string]any{
			"auth_method": "static_token", "token": "bench-token", "auth_field": "header.headers.Authorization", "auth_field_format": "Bearer {token}"}},
	}
	for name, content := range files {
		data, err := json.Marshal(content)
		if err != nil {
			b.Fatal(err)
		}
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return home
}
