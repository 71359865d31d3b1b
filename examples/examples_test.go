package examples_test

import (
	"context"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth/dialects/iap"
	"github.com/keyhitch/keyhitch/auth/dialects/port"
	"github.com/keyhitch/keyhitch/examples"
)

// homes returns the embedded homes by name.
func homes(t *testing.T) map[string]fs.FS {
	t.Helper()
	entries, err := fs.ReadDir(examples.FS, ".")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]fs.FS{}
	for _, e := range entries {
		if e.Name() == "port" {
			continue // no home: TestEveryPortConfigurationIsClean
		}
		if all[e.Name()], err = fs.Sub(examples.FS, e.Name()); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestEveryHomeIsCleanAndExplained(t *testing.T) {
	for name, home := range homes(t) {
		t.Run(name, func(t *testing.T) {
			problems, err := adapter.Validate(adapter.Options{Home: home, HomeName: name, Dialect: iap.Dialect{}})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range problems {
				t.Errorf("got %v, want no problem", p)
			}
			readme, err := fs.ReadFile(home, "README.md")
			if want := "keyhitch validate examples/" + name; err != nil || !strings.Contains(string(readme), want) {
				t.Errorf("README.md: error %v, or it does not say %q", err, want)
			}
		})
	}
}

func TestEveryPortConfigurationIsClean(t *testing.T) {
	files, err := fs.Glob(examples.FS, "port/*[ln]") // .yaml and .json, not the password
	if err != nil || len(files) != 7 {
		t.Fatalf("got %q and error %v, want 7 files", files, err)
	}
	known := func(name string) (string, bool) { return "pretend", name == "DEMO_SECRET" }
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			data, err := fs.ReadFile(examples.FS, file)
			if err != nil {
				t.Fatal(err)
			}
			problems, err := adapter.Validate(adapter.Options{Dialect: port.Dialect{}, Instance: adapter.File{Name: file, Data: data},
				LookupEnv: known, ReadFile: fromRoot})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range problems {
				t.Errorf("got %v, want no problem", p)
			}
		})
	}
}

// fromRoot reads a file by its path from where the examples are run.
func fromRoot(path string) ([]byte, error) {
	return fs.ReadFile(examples.FS, strings.TrimPrefix(path, "examples/"))
}

// Folders that are neither a home nor port hold programs, which nobody opens as a home.
func TestEveryFileOfEveryHomeIsEmbedded(t *testing.T) {
	onDisk := os.DirFS(".")
	folders, err := fs.Glob(onDisk, "*/entities")
	if err != nil || len(folders) == 0 {
		t.Fatalf("got %q and error %v, want homes", folders, err)
	}
	for _, folder := range append(folders, "port/configurations") {
		err := fs.WalkDir(onDisk, path.Dir(folder), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if _, err := fs.Stat(examples.FS, file); err != nil {
				t.Errorf("%s is not embedded", file)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// The README of the OAuth home says that its system entity can go.
func TestOAuthHomeWorksWithTheBuiltInGetToken(t *testing.T) {
	home := homes(t)["oauth-client-credentials"]
	plan := func(home fs.FS, set ...adapter.Assignment) adapter.Planned {
		t.Helper()
		a, err := adapter.Open(adapter.Options{Home: home, HomeName: "oauth", Dialect: iap.Dialect{}, Set: set})
		if err != nil {
			t.Fatal(err)
		}
		requests, err := a.Plan(context.Background(), "order", "list", adapter.Input{}, false)
		if err != nil || len(requests) != 2 {
			t.Fatalf("got %d requests and error %v, want a token request and the call", len(requests), err)
		}
		return requests[0]
	}
	own := plan(home)
	builtIn := plan(without(t, home, "entities/.system/"),
		adapter.Assignment{Path: "authentication.token_URI_path", Value: "/oauth/token"})
	if own.URL != builtIn.URL || own.Body != builtIn.Body {
		t.Errorf("got %s %s without the system entity, want %s %s", builtIn.URL, builtIn.Body, own.URL, own.Body)
	}
}

// without copies a home, less what is below folder.
func without(t *testing.T, home fs.FS, folder string) fs.FS {
	t.Helper()
	less := fstest.MapFS{}
	err := fs.WalkDir(home, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, folder) {
			return err
		}
		data, err := fs.ReadFile(home, path)
		less[path] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return less
}
