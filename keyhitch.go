// Package keyhitch opens adapters for Go programs: declared credentials on the wire, safely.
//
//	a, err := keyhitch.Open("./adapters/acme", adapter.Options{})
//	client := a.Client() // an *http.Client; requests to the system's origin are authenticated
//	res, err := a.Call(ctx, "device", "getDevice", adapter.Input{PathVars: []any{"7"}})
//
// The parts are in adapter (definitions and calls), auth (credentials), entities (action files)
// and cache (where tokens are kept); this package picks the dialect and the cache for them.
package keyhitch

import (
	"bytes"
	_ "embed" // the schema
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/cache/backends"
)

//go:generate go run ./internal/schemagen

//go:embed properties.schema.json
var propertiesSchema []byte

// PropertiesSchema returns the JSON Schema of a service instance.
func PropertiesSchema() []byte { return bytes.Clone(propertiesSchema) }

// Open opens an adapter: a home (a directory with entities/), a configuration file in any
// dialect, or env:, which is the port dialect's environment variables. What o leaves open is taken
// from the environment and the file system of the process.
func Open(path string, o adapter.Options) (*adapter.Adapter, error) {
	o, err := Options(path, o)
	if err != nil {
		return nil, err
	}
	return adapter.Open(o)
}

// Options completes o for the home or file at path, without reading the definition.
func Options(path string, o adapter.Options) (adapter.Options, error) {
	if err := place(path, &o); err != nil {
		return o, err
	}
	if o.Dialect == nil {
		o.Dialect = dialectOf(o.Instance.Data)
	}
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	if o.ReadFile == nil {
		o.ReadFile = readFile
	}
	if o.SharedCache == nil {
		o.SharedCache = sharedCache(&adapter.Options{LookupEnv: o.LookupEnv, ReadFile: o.ReadFile}, Redis{})
	}
	if o.Cache == nil {
		store, err := backends.All["local"]().Open()
		if err != nil {
			return o, err
		}
		o.Cache = store
	}
	return o, nil
}

// place tells a home from a file.
func place(path string, o *adapter.Options) error {
	wrong := func(reason string) error {
		return &adapter.ConfigError{Problems: adapter.Problems{{File: path, Reason: reason}}}
	}
	if path == Environment {
		return fromEnviron(o, os.Environ())
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return wrong("there is no such directory or file")
	case err != nil:
		return wrong("cannot be read: " + bare(err).Error())
	case !info.IsDir():
		data, err := readFile(path)
		if err != nil {
			return wrong("cannot be read: " + bare(err).Error())
		}
		o.Instance, o.HomeName = adapter.File{Name: path, Data: data}, baseName(path)
		return nil
	}
	if sub, err := os.Stat(filepath.Join(path, "entities")); err != nil || !sub.IsDir() {
		return wrong("is no adapter home: it has no directory entities")
	}
	o.Home, o.HomeName = os.DirFS(path), baseName(path)
	return nil
}

// maxFile bounds what is read of one configuration or secret file; /dev/zero is a file too.
const maxFile = 8 << 20

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("is larger than %d MiB", maxFile>>20)
	}
	return data, err
}

// bare is the cause without the path, which the reader knows.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func baseName(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	return filepath.Base(abs)
}
