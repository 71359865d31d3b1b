package main

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/internal/settings"
)

const projectFile = "keyhitch.yaml"

// projectMembers are the members of the project file. Only adapters counts so far.
var projectMembers = []string{"adapters", "cache", "log", "gateway"}

// project is the project file.
type project struct {
	file     string
	doc      *settings.Document
	adapters map[string]any
}

// projectAdapter is one named adapter of the project file.
type projectAdapter struct {
	// Directory of the adapter home.
	Home string `json:"home"`
	// Service-instance file of the home.
	Instance string `json:"instance"`
	// Configuration file, for adapters without a home.
	Config string `json:"config"`
}

// readProject reads --project, else KEYHITCH_PROJECT, else ./keyhitch.yaml; nil: there is none.
func (a *app) readProject() (*project, error) {
	file := firstOf(a.project, os.Getenv("KEYHITCH_PROJECT"), projectFile)
	asked := a.project != "" || os.Getenv("KEYHITCH_PROJECT") != ""
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && !asked {
		return nil, nil
	}
	if err != nil {
		return nil, unusable(file, "the project file cannot be read: %v", plainPath(err))
	}
	p := &project{file: file}
	if p.doc, err = settings.Parse(data); err != nil {
		return nil, p.wrong(err)
	}
	root, ok := p.doc.Root().(map[string]any)
	if !ok {
		return nil, p.problem("", "is no project file: it must be an object with adapters")
	}
	for _, name := range slices.Sorted(maps.Keys(root)) {
		if !slices.Contains(projectMembers, name) {
			return nil, p.problem("/"+name, "is not a known member"+didYouMean(name, projectMembers))
		}
	}
	if p.adapters, ok = root["adapters"].(map[string]any); !ok && root["adapters"] != nil {
		return nil, p.problem("/adapters", "must be an object: a name, and what it stands for")
	}
	return p, nil
}

// adapter finds a named adapter; nil: the project file does not know it. It is strict: an
// unknown member is an error.
func (p *project) adapter(name string) (*projectAdapter, error) {
	raw, ok := p.adapters[name]
	if !ok {
		return nil, nil
	}
	at := "/adapters/" + name
	raw, found := settings.Expand(raw, at, settings.Lookup{Env: os.LookupEnv, File: os.ReadFile})
	var entry projectAdapter
	found = append(found, settings.Decode(raw, at, &entry)...)
	if len(found) > 0 {
		return nil, p.problem(found[0].Pointer, found[0].Reason)
	}
	if (entry.Home == "") == (entry.Config == "") {
		return nil, p.problem(at, "needs either home or config")
	}
	return &entry, nil
}

func (p *project) names() []string { return slices.Sorted(maps.Keys(p.adapters)) }

// below makes a path of the project file relative to that file.
func (p *project) below(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(p.file), path)
}

func (p *project) problem(pointer, reason string) error {
	line, column := p.doc.Position(pointer)
	return p.wrong(&settings.Problem{Line: line, Column: column, Pointer: pointer, Reason: reason})
}

func (p *project) wrong(err error) error {
	var found *settings.Problem
	if !errors.As(err, &found) {
		return unusable(p.file, "%v", err)
	}
	return &adapter.ConfigError{Problems: adapter.Problems{{File: p.file, Line: found.Line, Column: found.Column,
		Pointer: found.Pointer, Reason: found.Reason}}}
}
