package entities

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
)

// maxFile is the largest file that is read from a home.
const maxFile = 16 << 20

// A library reads the JSON files of one home, each at most once.
type library struct {
	home  fs.FS
	docs  sync.Map // path → func() (*document, error)
	names sync.Map // folder → map of the names in it
}

// A document is a schema file as it was written.
type document struct {
	path string
	tree any    // Objects in file order
	id   string // $id of the root: files share them, so it does not decide where the file is
}

// document reads the file at p. The error is a *DecodeError or one of the file system.
func (l *library) document(p string) (*document, error) {
	load, _ := l.docs.LoadOrStore(p, sync.OnceValues(func() (*document, error) {
		data, err := readFile(l.home, p)
		if err != nil {
			return nil, err
		}
		tree, err := parseJSON(data, true)
		if err != nil {
			return nil, err
		}
		return newDocument(p, tree), nil
	}))
	return load.(func() (*document, error))()
}

func newDocument(p string, tree any) *document {
	d := &document{path: p, tree: tree}
	if root, ok := tree.(Object); ok {
		for _, name := range []string{"$id", "id"} {
			if id, _ := root.Get(name); id != nil && d.id == "" {
				text, _ := id.(string)
				d.id = strings.TrimSuffix(text, "#")
			}
		}
	}
	return d
}

// has reports whether the home has a file at p; it asks each folder once.
func (l *library) has(p string) bool {
	dir := path.Dir(p)
	known, ok := l.names.Load(dir)
	if !ok {
		names := make(map[string]bool)
		entries, _ := fs.ReadDir(l.home, dir)
		for _, e := range entries {
			names[e.Name()] = !e.IsDir()
		}
		known, _ = l.names.LoadOrStore(dir, names)
	}
	return known.(map[string]bool)[path.Base(p)]
}

func readFile(home fs.FS, p string) ([]byte, error) {
	f, err := home.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("is a folder, want a file")
	case info.Size() > maxFile:
		return nil, fmt.Errorf("is larger than %d MiB", maxFile>>20)
	}
	buf := bytes.NewBuffer(make([]byte, 0, max(info.Size(), 0)+bytes.MinRead))
	if _, err := buf.ReadFrom(io.LimitReader(f, maxFile+1)); err != nil {
		return nil, err
	}
	if buf.Len() > maxFile {
		return nil, fmt.Errorf("is larger than %d MiB", maxFile>>20)
	}
	return buf.Bytes(), nil
}
