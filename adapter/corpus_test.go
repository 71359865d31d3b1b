package adapter_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/adapter"
)

const corpus = "../../shared/corpus"

// vector is one recorded call of the corpus.
type vector struct {
	Home, Entity, Action, Variant string
	Input                         json.RawMessage
	Wire                          *wire
	Result                        *struct {
		ICode    string
		Response any
	}
	Error *struct {
		ICode         string
		DisplayString string
	}
	Quirks []string
}

type wire struct {
	Method, Path, Body string
	Headers            map[string]string
}

// TestCorpusVectors sends every recorded call of three published homes and compares what arrives
// with what was recorded.
func TestCorpusVectors(t *testing.T) {
	files, _ := filepath.Glob(corpus + "/vectors/*.jsonl")
	if len(files) == 0 {
		t.Skip("the corpus of recorded calls is not beside this checkout")
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		t.Run(name, func(t *testing.T) {
			recorder := &recorder{}
			server := httptest.NewServer(recorder)
			defer server.Close()
			a := openCorpusHome(t, name, server.URL)
			for _, v := range readVectors(t, file) {
				t.Run(fmt.Sprintf("%s/%s/%s", v.Entity, v.Action, v.Variant), func(t *testing.T) {
					runVector(t, a, recorder, v)
				})
			}
		})
	}
}

func readVectors(t *testing.T, file string) []vector {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	return list
}

// openCorpusHome opens a home as the recording did: its own properties, the rest replaced.
func openCorpusHome(t *testing.T, name, server string) *adapter.Adapter {
	t.Helper()
	home := filepath.Join(corpus, "homes", name)
	data, err := os.ReadFile(filepath.Join(home, "sampleProperties.json"))
	if err != nil {
		t.Fatal(err)
	}
	var sample map[string]any
	if err := json.Unmarshal(data, &sample); err != nil {
		t.Fatal(err)
	}
	p := sample["properties"].(map[string]any)
	u, _ := url.Parse(server)
	for _, name := range []string{"throttle", "proxy", "ssl", "cache", "mongo", "devicebroker"} {
		delete(p, name)
	}
	request := p["request"].(map[string]any)
	request["number_redirects"], request["number_retries"], request["limit_retry_error"] = 0, 0, 0
	p["host"], p["port"], p["protocol"], p["stub"] = u.Hostname(), json.Number(u.Port()), "http", false
	p["authentication"] = map[string]any{"auth_method": "static_token", "token": "T-static",
		"auth_field": "header.headers.Authorization", "auth_field_format": "Bearer {token}"}
	instance, err := json.Marshal(sample)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, adapter.Options{Home: os.DirFS(home), HomeName: name, Instance: adapter.File{Name: "instance.json", Data: instance}})
}

// recorder remembers the last request and answers as the recording server did.
type recorder struct {
	key  string
	last *wire
}

// ServeHTTP records the request.
func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.last = &wire{Method: req.Method, Path: req.RequestURI, Body: string(body), Headers: map[string]string{}}
	for name, values := range req.Header {
		r.last.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	w.Header().Set("Content-Type", "application/json")
	answer := `{"id":7,"label":"w"}`
	if r.key != "" {
		answer = `{"` + r.key + `":` + answer + `}`
	}
	_, _ = io.WriteString(w, answer)
}

func runVector(t *testing.T, a *adapter.Adapter, r *recorder, v vector) {
	r.last, r.key = nil, responseKey(a, v)
	input, err := adapter.ParseInput(v.Input)
	if err != nil {
		t.Fatal(err)
	}
	res, err := a.Call(t.Context(), v.Entity, v.Action, input)
	compareWire(t, r.last, v)
	switch {
	case v.Error != nil && err == nil:
		t.Errorf("no error, want %s", v.Error.ICode)
	case v.Error != nil:
		if got := a.Failure(err); got.ICode != v.Error.ICode {
			t.Errorf("icode %s (%v), want %s", got.ICode, err, v.Error.ICode)
		}
	case err != nil:
		t.Errorf("error %v, want %s", err, v.Result.ICode)
	default:
		compareResult(t, res, v)
	}
}

// responseKey is where the recording server put its answer.
func responseKey(a *adapter.Adapter, v vector) string {
	for _, act := range a.Definition().Actions(v.Entity) {
		if act.Name == v.Action && len(act.Responses) > 0 && !strings.ContainsAny(act.Responses[0].Key, ".[]*") {
			return act.Responses[0].Key
		}
	}
	return ""
}

// compareWire compares what arrived with what was recorded; see «Comparing» in the corpus's README.
func compareWire(t *testing.T, got *wire, v vector) {
	t.Helper()
	if got == nil || v.Wire == nil {
		if (got == nil) != (v.Wire == nil) {
			t.Errorf("sent %v, want %v", got, v.Wire)
		}
		return
	}
	if got.Method != v.Wire.Method || !samePath(got.Path, v.Wire.Path) || !sameBody(got.Body, v.Wire.Body) {
		t.Errorf("sent %s %s %s\nwant %s %s %s", got.Method, got.Path, got.Body, v.Wire.Method, v.Wire.Path, v.Wire.Body)
	}
	for name, want := range v.Wire.Headers {
		name = strings.ToLower(name)
		if framing := []string{"content-length", "transfer-encoding"}; slices.Contains(framing, name) {
			continue
		}
		if got.Headers[name] != want {
			t.Errorf("header %s: %q, want %q", name, got.Headers[name], want)
		}
	}
}

func samePath(got, want string) bool {
	gotPath, gotQuery, _ := strings.Cut(got, "?")
	wantPath, wantQuery, _ := strings.Cut(want, "?")
	g, err1 := url.ParseQuery(gotQuery)
	w, err2 := url.ParseQuery(wantQuery)
	return gotPath == wantPath && err1 == nil && err2 == nil && reflect.DeepEqual(g, w) && (gotQuery == "") == (wantQuery == "")
}

func sameBody(got, want string) bool {
	var g, w any
	if json.Unmarshal([]byte(got), &g) == nil && json.Unmarshal([]byte(want), &w) == nil {
		return reflect.DeepEqual(g, w)
	}
	return got == want
}

func compareResult(t *testing.T, res *adapter.Response, v vector) {
	t.Helper()
	data, err := json.Marshal(res.Response)
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if res.ICode != v.Result.ICode || !reflect.DeepEqual(got, v.Result.Response) {
		t.Errorf("result %s %v, want %s %v", res.ICode, got, v.Result.ICode, v.Result.Response)
	}
}
