package entities_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/entities"
)

const corpus = "../../shared/corpus"

type vector struct {
	Home, Entity, Action, Variant string
	Input                         struct {
		Payload     json.RawMessage
		UriPathVars []any
		UriQuery    entities.Object
		UriOptions  entities.Object
	}
	Wire *struct {
		Method, Path, Body string
		Headers            map[string]string
	}
	Result *struct{ Response any }
	Error  *struct{ Icode string }
}

type sample struct {
	Properties struct {
		BasePath   string `json:"base_path"`
		Version    string `json:"version"`
		ChoosePath string `json:"choosepath"`
	}
}

// TestCorpus replays what the reference sent and returned for every action of three real homes.
func TestCorpus(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(corpus, "vectors", "*.jsonl"))
	if len(files) == 0 {
		t.Skip("no corpus in " + corpus + ": it is not part of the repository")
	}
	lines, failedAnswers, warnings := 0, 0, 0
	for _, file := range files {
		home := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		set, err := entities.Load(os.DirFS(filepath.Join(corpus, "homes", home)))
		if err != nil {
			t.Fatal(err)
		}
		problems := set.Check()
		if errs := problems.Errors(); len(errs) > 0 {
			t.Error(errs)
		}
		warnings += len(problems)
		var props sample
		readJSON(t, filepath.Join(corpus, "homes", home, "sampleProperties.json"), &props)
		for _, v := range readVectors(t, file) {
			lines++
			t.Run(strings.Join([]string{v.Home, v.Entity, v.Action, v.Variant}, "/"), func(t *testing.T) {
				replay(t, set, props, v)
			})
			if v.Error != nil && v.Wire != nil {
				failedAnswers++
			}
		}
	}
	if warnings != 13 {
		t.Errorf("got %d warnings, want 13: 11 mock files that the corpus leaves out, 2 tokens without placement", warnings)
	}
	if lines != 444 || failedAnswers != 80 {
		t.Errorf("replayed %d lines, %d with an answer that fails; want 444 and 80", lines, failedAnswers)
	}
}

func readVectors(t *testing.T, file string) []vector {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []vector
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var v vector
		if err := json.Unmarshal(scanner.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func readJSON(t *testing.T, file string, v any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// replay makes the request of one line, and reads the answer that the recorder gave.
func replay(t *testing.T, set *entities.Set, props sample, v vector) {
	a, err := set.Action(v.Entity, v.Action)
	if err != nil {
		t.Fatal(err)
	}
	path, query, body, err := compose(a, props, v)
	if v.Wire == nil {
		var invalid *entities.ValidationError
		if !errors.As(err, &invalid) {
			t.Fatalf("error %v, want a validation error", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	wantPath, wantQuery, _ := strings.Cut(v.Wire.Path, "?")
	if a.Method != v.Wire.Method || path != wantPath || decoded(t, query) != decoded(t, wantQuery) {
		t.Errorf("got %s %s?%s, want %s %s", a.Method, path, query, v.Wire.Method, v.Wire.Path)
	}
	if !sameJSON(body, v.Wire.Body) {
		t.Errorf("got body %s, want %s", body, v.Wire.Body)
	}
	response, err := answer(a, v)
	switch {
	case v.Error != nil:
		var invalid *entities.ValidationError
		if !errors.As(err, &invalid) {
			t.Errorf("answer: error %v, want a validation error", err)
		}
	case err != nil:
		t.Errorf("answer: %v", err)
	case !reflect.DeepEqual(generic(t, response), v.Result.Response):
		t.Errorf("got response %v, want %v", response, v.Result.Response)
	}
}

func compose(a *entities.Action, props sample, v vector) (path, query string, body []byte, err error) {
	schema, err := a.Request()
	if err != nil {
		return "", "", nil, err
	}
	target := entities.Target{
		BasePath: props.Properties.BasePath, Version: props.Properties.Version, ChoosePath: props.Properties.ChoosePath,
		PathVars: v.Input.UriPathVars, Options: v.Input.UriOptions,
	}
	if a.TakesQuery(target) && len(v.Input.UriQuery) > 0 {
		mapped, err := schema.MapRequest(a.Name, v.Input.UriQuery)
		if err != nil {
			return "", "", nil, err
		}
		target.Query = mapped.(entities.Object)
	}
	path, query, err = a.Target(target)
	if err != nil {
		return "", "", nil, err
	}
	if v.Input.Payload == nil {
		return path, query, nil, nil
	}
	payload := entities.Object{}
	if err := json.Unmarshal(v.Input.Payload, &payload); err != nil {
		return "", "", nil, err
	}
	mapped, err := schema.MapRequest(a.Name, payload)
	if err != nil {
		return "", "", nil, err
	}
	if o, ok := mapped.(entities.Object); ok && len(o) == 0 && !a.SendEmpty {
		return path, query, nil, nil
	}
	body, err = entities.Encode(a.RequestType, mapped)
	return path, query, body, err
}

// answer is what the recorder's {"id":7,"label":"w"} becomes.
func answer(a *entities.Action, v vector) (any, error) {
	body := `{"id":7,"label":"w"}`
	if len(a.Responses) > 0 && a.Responses[0].Key != "" {
		body = `{"` + a.Responses[0].Key + `":` + body + `}`
	}
	decoded, err := entities.Decode(a.ResponseType, []byte(body))
	if err != nil {
		return nil, err
	}
	selector, _ := a.ResponseKey(entities.CallShape{PathVars: v.Input.UriPathVars, Query: v.Input.UriQuery})
	if a.ResponseType == entities.PLAIN {
		return decoded, nil
	}
	part, _ := selector.Select(decoded)
	schema, err := a.Response()
	if err != nil {
		return nil, err
	}
	return schema.MapResponse(a.Name, part)
}

func decoded(t *testing.T, query string) string {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Error(err)
	}
	return values.Encode()
}

func sameJSON(got []byte, want string) bool {
	var a, b any
	if json.Unmarshal(got, &a) != nil || json.Unmarshal([]byte(want), &b) != nil {
		return string(got) == want
	}
	return reflect.DeepEqual(a, b)
}

func generic(t *testing.T, v any) any {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
