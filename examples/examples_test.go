package examples_test

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth/dialects/iap"
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

func TestEveryFileOfEveryFolderIsEmbedded(t *testing.T) {
	onDisk := os.DirFS(".")
	err := fs.WalkDir(onDisk, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "/") {
			return err
		}
		if _, err := fs.Stat(examples.FS, path); err != nil {
			t.Errorf("%s is not embedded", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
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
