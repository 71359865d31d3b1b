package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/keyhitch/keyhitch"
	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth/dialects"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// open makes the adapter that an ADAPTER argument names.
func (a *app) open(name string) (*adapter.Adapter, error) {
	o, err := a.options(name)
	if err != nil {
		return nil, err
	}
	return adapter.Open(o)
}

// options completes what is needed to open or validate an ADAPTER.
func (a *app) options(name string) (adapter.Options, error) {
	o := adapter.Options{Redact: a.redact, Log: a.log, Observe: a.observer()}
	path, err := a.locate(name, &o)
	if err != nil {
		return o, err
	}
	if a.dialect != "" {
		if o.Dialect = dialects.All[a.dialect]; o.Dialect == nil {
			return o, usage("dialect %q is unknown; iap is the one that is built", a.dialect)
		}
	}
	for _, text := range a.set {
		path, value, ok := strings.Cut(text, "=")
		if !ok || path == "" {
			return o, usage("--set %s: write it as a.b.c=VALUE", path)
		}
		o.Set = append(o.Set, adapter.Assignment{Path: path, Value: value})
	}
	if a.instance != "" {
		o.Instance.Name = a.instance
	}
	if o.Instance.Name != "" && o.Instance.Data == nil {
		data, err := os.ReadFile(o.Instance.Name)
		if err != nil {
			return o, &configError{fmt.Errorf("service instance %s: %w", o.Instance.Name, plainPath(err))}
		}
		o.Instance.Data = data
	}
	o, err = keyhitch.Options(path, o)
	if err != nil {
		return o, &configError{err}
	}
	if err := a.knownDialect(o); err != nil {
		return o, err
	}
	return o, nil
}

// locate turns an ADAPTER into a path: a name of the project file wins over a path that holds no
// separator.
func (a *app) locate(name string, o *adapter.Options) (string, error) {
	if name == "env:" {
		return "", &configError{errors.New("env: is configuration in the port dialect, which is not built yet; name an adapter home or a service-instance file")}
	}
	if strings.ContainsAny(name, `/\`) {
		return name, nil
	}
	entry, dir, err := a.projectEntry(name)
	if err != nil || entry == nil {
		return name, err
	}
	o.Name = name
	if entry.Instance != "" {
		o.Instance.Name = below(dir, entry.Instance)
	}
	if entry.Config != "" {
		return below(dir, entry.Config), nil
	}
	return below(dir, entry.Home), nil
}

// below makes a path of the project file relative to that file.
func below(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// marks are members by which other dialects are told; none of them is built yet.
var marks = map[string]string{"customAuthRequest": "port", "authType": "port", "integration": "port", "providers": "forge", "provider_kind": "authnsh"}

// knownDialect refuses a configuration that is clearly in a dialect that is not built yet.
func (a *app) knownDialect(o adapter.Options) error {
	if o.Home != nil || a.dialect != "" {
		return nil
	}
	doc, err := settings.Parse(o.Instance.Data)
	if err != nil {
		return nil // Load says it with file, line and column
	}
	root, _ := doc.Root().(map[string]any)
	for mark, dialect := range marks {
		if _, ok := root[mark]; ok && root["authentication"] == nil {
			return &configError{fmt.Errorf("%s is in the %s dialect, which is not built yet", o.Instance.Name, dialect)}
		}
	}
	return nil
}

func plainPath(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
