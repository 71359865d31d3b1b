package adapter

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/entities"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// Problem is something wrong with a definition or instance, and where.
type Problem = entities.Problem

// Problems are all that was found.
type Problems = entities.Problems

// systemEntity holds getToken and healthcheck.
const systemEntity = ".system"

// instanceFiles are looked for in a home, in this order.
var instanceFiles = [...]string{"service-instance.json", "sampleProperties.json"}

// Definition is a loaded adapter: its actions and its instance, checked. It does not change.
type Definition struct {
	options  Options
	name     string
	set      *entities.Set // never nil
	system   *entities.Set // has getToken and healthcheck: the home's set or the default one
	catalog  catalog
	file     string             // the instance's name in messages
	at       string             // JSON Pointer of the properties in it
	doc      *settings.Document // the instance; nil where there is none
	main     settled
	problems Problems
}

// Load reads and checks everything once. Its error is a *ConfigError with every problem of the
// instance, or says what could not be read. Problems of single actions are no error here: the
// others work.
func Load(o Options) (*Definition, error) {
	d, err := load(o)
	if err == nil && len(d.problems.Errors()) > 0 {
		err = &ConfigError{d.problems}
	}
	return d, err
}

// Validate reads and checks everything, every schema included, and returns all problems.
func Validate(o Options) (Problems, error) {
	d, err := load(o)
	if err != nil {
		return nil, err
	}
	problems := slices.Clone(d.problems)
	var config *ConfigError
	if len(problems.Errors()) == 0 {
		if _, err := d.Open(); errors.As(err, &config) {
			problems = append(problems, config.Problems...)
		}
	}
	return append(problems, d.set.Check()...), nil
}

func load(o Options) (*Definition, error) {
	d := &Definition{options: o, set: entities.System(), system: entities.System(), catalog: defaultCatalog}
	if o.Home != nil {
		set, err := entities.Load(o.Home)
		if err != nil {
			return nil, &ConfigError{Problems{{File: "entities", Reason: homeReason(err)}}}
		}
		d.set = set
		if set.HasEntity(systemEntity) {
			d.system = set
		}
		d.loadCatalog(o.Home)
	}
	if err := d.loadInstance(); err != nil {
		return nil, err
	}
	return d, nil
}

func homeReason(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "there is no action.json in any of its folders"
	}
	return "cannot be read: " + bareFile(err).Error()
}

// Problems returns what was found by Load, warnings included.
func (d *Definition) Problems() Problems { return d.problems }

// Entities returns the names of the declared entities, sorted.
func (d *Definition) Entities() []string { return d.set.Entities() }

// Actions returns the actions of an entity in file order.
func (d *Definition) Actions(entity string) []*entities.Action { return d.set.Actions(entity) }

// action finds an action; the system entity falls back to the default one.
func (d *Definition) action(entity, name string) (*entities.Action, error) {
	act, err := d.set.Action(entity, name)
	var missing *entities.NotFoundError
	if errors.As(err, &missing) && entity == systemEntity {
		return d.system.Action(entity, name)
	}
	return act, err
}

func (d *Definition) instanceFile() (File, error) {
	if d.options.Instance.Data != nil || d.options.Home == nil {
		return d.options.Instance, nil
	}
	for _, name := range instanceFiles {
		data, err := fs.ReadFile(d.options.Home, name)
		if err == nil {
			return File{Name: name, Data: data}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return File{}, &ConfigError{Problems{{File: name, Reason: "cannot be read: " + bareFile(err).Error()}}}
		}
	}
	return File{}, nil
}

func bareFile(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func (d *Definition) loadInstance() error {
	d.name = cmp.Or(d.options.Name, d.options.HomeName)
	file, err := d.instanceFile()
	if err != nil {
		return err
	}
	d.file = file.Name
	if file.Data == nil {
		d.problems = append(d.problems, &Problem{File: instanceFiles[0],
			Reason: "is missing; write the service instance there, or name another file with --instance"})
		return nil
	}
	doc, err := settings.Parse(file.Data)
	if err != nil {
		var p *settings.Problem
		if errors.As(err, &p) {
			d.problems = append(d.problems, d.problem(nil, p))
			return nil
		}
		return err
	}
	d.doc = doc
	d.report(doc, doc.Warnings())
	if dialect, ok := d.options.Dialect.(auth.SystemDialect); ok {
		return d.loadDocument(dialect, doc)
	}
	return d.loadProperties(doc)
}

// loadProperties reads the properties of a service instance.
func (d *Definition) loadProperties(doc *settings.Document) error {
	tree, ok := d.properties(doc)
	if !ok {
		d.report(doc, settings.Problems{{Reason: noInstance(doc.Root())}})
		return nil
	}
	shape := settings.ShapeOf(Properties{})
	if auth, ok := d.options.Dialect.(interface{ Shape() any }); ok {
		shape = shape.With("authentication", auth.Shape())
	}
	tree, err := d.assign(shape, tree)
	if err != nil {
		return err
	}
	expanded, found := d.expand(tree)
	d.report(doc, found)
	if found.Fatal() {
		return nil
	}
	d.main, found = d.settle(expanded.(map[string]any), nil)
	d.report(doc, found)
	return nil
}

// assign returns the tree with what --set says.
func (d *Definition) assign(shape *settings.Shape, tree any) (any, error) {
	for _, a := range d.options.Set {
		var err error
		if tree, err = shape.Assign(tree, a.Path, a.Value); err != nil {
			return nil, &CallError{Reason: "--set", Err: err}
		}
	}
	return tree, nil
}

// properties finds the properties object: the whole document, or its member of that name.
func (d *Definition) properties(doc *settings.Document) (any, bool) {
	root, ok := doc.Root().(map[string]any)
	if !ok {
		return nil, false
	}
	if id, ok := root["id"].(string); ok && d.options.Name == "" && id != "" {
		d.name = id
	}
	if inner, ok := root["properties"].(map[string]any); ok {
		d.at = "/properties"
		return inner, true
	}
	_, hasHost := root["host"]
	_, hasAuth := root["authentication"]
	bare := maps.Clone(root) // what names the instance stands beside its properties here
	delete(bare, "id")
	delete(bare, "type")
	return bare, hasHost || hasAuth
}

func (d *Definition) report(doc *settings.Document, found settings.Problems) {
	for _, p := range found {
		d.problems = append(d.problems, d.problem(doc, p))
	}
}

func (d *Definition) problem(doc *settings.Document, p *settings.Problem) *Problem {
	for _, a := range d.options.Set {
		at := d.at + "/" + strings.ReplaceAll(a.Path, ".", "/")
		if p.Pointer == at || strings.HasPrefix(p.Pointer, at+"/") {
			return &Problem{File: "--set " + a.Path, Reason: p.Reason, Warning: p.Warning} // not the file's fault
		}
	}
	line, column := p.Line, p.Column
	if doc != nil && line == 0 && !d.options.Instance.Made {
		line, column = doc.Position(p.Pointer)
	}
	return &Problem{File: d.file, Line: line, Column: column, Pointer: p.Pointer, Reason: p.Reason, Warning: p.Warning}
}

// settled is one set of properties, checked, with its authentication.
type settled struct {
	tree   map[string]any // what it was made from; overrides are laid over it
	props  Properties
	spec   auth.Spec
	prefix string         // path before that of a request; escaped
	data   map[string]any // authData of the call
	login  time.Duration  // how long a token request may take; 0: there is none
}

// settle checks the properties and compiles the authentication. authData is the call's own.
func (d *Definition) settle(tree map[string]any, authData map[string]any) (settled, settings.Problems) {
	s := settled{tree: tree, data: authData}
	tree, found := decodeSecrets(tree, d.at, d.name)
	found = append(found, settings.Decode(tree, d.at, &s.props)...)
	s.props.Authentication = nil // it holds secrets; from here on they are in the spec
	if found.Fatal() {
		return s, found
	}
	found = append(found, d.checkProperties(&s.props)...)
	declared := d.declared(&s.props, authData)
	spec, err := d.options.Dialect.Parse(auth.Source{
		Raw: tree["authentication"], At: d.at + "/authentication", Owner: d.name,
		Declared: func(login auth.Login) (auth.TokenRequest, error) {
			request, err := declared(login)
			if err == nil {
				s.login = request.Timeout()
			}
			return request, err
		},
	})
	found = append(found, problemsOf(err, d.at+"/authentication")...)
	for _, n := range spec.Notes {
		found = append(found, &settings.Problem{Pointer: n.Pointer, Reason: n.Reason, Warning: true})
	}
	s.spec = spec
	return s, found
}
