package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestSchemaFilesAreFresh(t *testing.T) {
	t.Chdir("../..")
	for name := range files {
		want, err := generate(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got = bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")) // a checkout on Windows
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run \"go generate .\" at the module root", name)
		}
	}
}

func TestEveryPropertyIsDescribed(t *testing.T) {
	for name := range files {
		described(t, name, readJSON(t, "../../"+name))
	}
}

func described(t *testing.T, at string, schema any) {
	s, _ := schema.(map[string]any)
	properties, _ := s["properties"].(map[string]any)
	for name, property := range properties {
		p, _ := property.(map[string]any)
		if text, _ := p["description"].(string); text == "" {
			t.Errorf("%s/%s has no comment in its Go struct", at, name)
		}
		described(t, at+"/"+name, property)
	}
	if s["items"] != nil {
		described(t, at+"/items", s["items"])
	}
	list, _ := s["anyOf"].([]any)
	for i, item := range list {
		described(t, fmt.Sprintf("%s/anyOf/%d", at, i), item)
	}
}

// TestPublishedSamplesFit holds the schema against instances that other people published.
func TestPublishedSamplesFit(t *testing.T) {
	samples, _ := filepath.Glob("../../../shared/corpus/homes/*/sampleProperties.json")
	if len(samples) == 0 {
		t.Skip("no ../shared/corpus/homes here")
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(file, readJSON(t, "../../"+file)); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range samples {
		instance, _ := readJSON(t, sample).(map[string]any)
		if err := schema.Validate(instance["properties"]); err != nil {
			t.Errorf("%s: %v", sample, err)
		}
	}
}

func readJSON(t *testing.T, name string) any {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}
