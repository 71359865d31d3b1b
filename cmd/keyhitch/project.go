package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/keyhitch/keyhitch/internal/settings"
)

const projectFile = "keyhitch.yaml"

// projectAdapter is one named adapter of the project file.
type projectAdapter struct {
	// Directory of the adapter home.
	Home string `json:"home"`
	// Service-instance file of the home.
	Instance string `json:"instance"`
	// Configuration file, for adapters without a home.
	Config string `json:"config"`
}

// projectEntry finds a named adapter; nil: the project file does not know it, or there is none.
func (a *app) projectEntry(name string) (*projectAdapter, string, error) {
	file := firstOf(a.project, os.Getenv("KEYHITCH_PROJECT"))
	asked := file != ""
	if !asked {
		file = projectFile
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && !asked {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", &configError{fmt.Errorf("project file %s: %w", file, plainPath(err))}
	}
	doc, err := settings.Parse(data)
	if err != nil {
		return nil, "", &configError{fmt.Errorf("%s:%w", file, err)}
	}
	root, _ := doc.Root().(map[string]any)
	adapters, _ := root["adapters"].(map[string]any)
	raw, ok := adapters[name]
	if !ok {
		return nil, "", nil
	}
	entry, err := projectAdapterOf(doc, raw, "/adapters/"+name)
	if err != nil {
		return nil, "", &configError{fmt.Errorf("%s:%w", file, err)}
	}
	return entry, filepath.Dir(file), nil
}

func projectAdapterOf(doc *settings.Document, raw any, at string) (*projectAdapter, error) {
	var entry projectAdapter
	found := settings.Decode(raw, at, &entry)
	for _, p := range found {
		p.Line, p.Column = doc.Position(p.Pointer)
		return nil, p // strict: an unknown member is an error in the project file
	}
	if (entry.Home == "") == (entry.Config == "") {
		line, column := doc.Position(at)
		return nil, &settings.Problem{Line: line, Column: column, Pointer: at, Reason: "needs either home or config"}
	}
	return &entry, nil
}
