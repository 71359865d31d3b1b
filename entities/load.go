package entities

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
)

// A Set is the entities of one adapter home. It does not change and is safe for concurrent use.
type Set struct {
	library  *library
	entities map[string]*actionFile
	schemas  map[string]*schemaFile
	problems Problems // of folders
}

// An actionFile is one action.json.
type actionFile struct {
	entity, path string
	raw          []byte
	actions      []Action // in file order
	byName       map[string]*Action
	schemas      map[string]*schemaFile // by the names that actions use
	broken       Problems               // the file cannot be used at all
	review       func() *review
}

const (
	folder        = "entities"
	fileName      = "action.json"
	systemEntity  = ".system"  // token requests and the health check
	genericEntity = ".generic" // may be called with fewer path variables than its paths have
)

// Load reads entities/*/action.json of the adapter home. The error is for a home that cannot
// be read or has none. What is wrong inside a file breaks its own actions only: Set.Action
// returns it for them, Set.Check for all.
func Load(home fs.FS) (*Set, error) {
	entries, err := fs.ReadDir(home, folder)
	if err != nil {
		return nil, fmt.Errorf("no %s folder in the adapter home: %w", folder, err)
	}
	s := &Set{
		library:  &library{home: home},
		entities: make(map[string]*actionFile),
		schemas:  make(map[string]*schemaFile),
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			continue
		}
		s.loadEntity(e.Name())
	}
	if len(s.entities) == 0 {
		return nil, fmt.Errorf("no %s in any folder of %s: %w", fileName, folder, fs.ErrNotExist)
	}
	return s, nil
}

func (s *Set) loadEntity(name string) {
	f := &actionFile{entity: name, path: path.Join(folder, name, fileName), schemas: make(map[string]*schemaFile)}
	raw, err := readFile(s.library.home, f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.problems = append(s.problems, &Problem{File: f.path, Reason: "there is no such file", Warning: true})
		return
	case err != nil:
		f.broken = Problems{fileProblem(s.library.home, f.path, err)}
	default:
		f.raw = raw
		s.loadActions(f)
	}
	f.review = sync.OnceValue(func() *review { return s.reviewFile(f) })
	s.entities[name] = f
}

// loadActions decodes and checks the actions of f, and places what it found.
func (s *Set) loadActions(f *actionFile) {
	decoded, problems := decodeActions(f)
	f.actions = make([]Action, len(decoded))
	f.byName = make(map[string]*Action, len(decoded))
	for i := range decoded {
		a := &f.actions[i]
		s.fill(a, f, i, &decoded[i])
		problems = append(problems, a.broken...)
		if a.Name != "" {
			f.byName[a.Name] = a
		}
	}
	for _, p := range problems {
		p.File = f.path
		if p.Pointer == "" || p.Pointer == "/actions" {
			f.broken = append(f.broken, p)
		}
	}
	locate(f.raw, problems)
}

//go:embed .system/*.json
var system embed.FS

var loadSystem = sync.OnceValue(func() *Set {
	s, err := Load(moduleRoot{})
	if err != nil {
		panic("entities: embedded system entity: " + err.Error())
	}
	return s
})

// System returns the built-in system entity, for homes that have none.
func System() *Set { return loadSystem() }

// moduleRoot shows the embedded files as the home they lie in.
type moduleRoot struct{}

func (moduleRoot) Open(name string) (fs.File, error) {
	inner, ok := strings.CutPrefix(name, folder+"/")
	if !ok && name != folder {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if name == folder {
		inner = "."
	}
	return system.Open(inner)
}

// HasEntity reports whether the home has an action file for the entity, a broken one too.
func (s *Set) HasEntity(name string) bool { return s.entities[name] != nil }

// Entities returns the names of all entities, sorted.
func (s *Set) Entities() []string { return slices.Sorted(maps.Keys(s.entities)) }

// Actions returns all actions of an entity in file order, broken ones too.
func (s *Set) Actions(entity string) []*Action {
	f := s.entities[entity]
	if f == nil {
		return nil
	}
	out := make([]*Action, len(f.actions))
	for i := range f.actions {
		out[i] = &f.actions[i]
	}
	return out
}

// Action returns an action. The error is a *NotFoundError, or the Problems of a broken action.
func (s *Set) Action(entity, action string) (*Action, error) {
	f := s.entities[entity]
	if f == nil {
		return nil, &NotFoundError{What: "entity", Name: entity, Near: near(entity, s.Entities())}
	}
	a := f.byName[action]
	switch {
	case a == nil && f.broken != nil:
		return nil, f.broken
	case a == nil:
		names := slices.Sorted(maps.Keys(f.byName))
		return nil, &NotFoundError{What: "action", Name: action, Entity: entity, Near: near(action, names)}
	case a.broken != nil:
		return nil, a.broken
	}
	return a, nil
}
