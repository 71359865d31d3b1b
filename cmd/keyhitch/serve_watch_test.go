package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
)

// watching starts a watcher for what read reads.
func watching(t *testing.T, read func(*reading)) *watcher {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	w := newWatcher(log)
	t.Cleanup(w.close)
	r := newReading()
	read(r)
	w.follow(r)
	return w
}

func (w *watcher) tells(t *testing.T) {
	t.Helper()
	select {
	case <-w.changed:
	case <-time.After(20 * time.Second):
		t.Error("nothing was told, want a change")
	}
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWatcherSeesWhatPeopleDoToFiles(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, dir string)
	}{
		{"written", func(t *testing.T, dir string) { put(t, filepath.Join(dir, "file"), "two words") }},
		{"replaced, as editors do", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "new"), "other")
			if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "file")); err != nil {
				t.Fatal(err)
			}
		}},
		{"removed", func(t *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, "file")) }},
		{"new in a home", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "home", "entities", "thing", "action.json"), "{}")
		}},
		{"a mounted secret, whose folder's link moves", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "data2", "secret"), "second")
			_ = os.Symlink(filepath.Join("..", "data2"), filepath.Join(dir, "mount", "..tmp"))
			if err := os.Rename(filepath.Join(dir, "mount", "..tmp"), filepath.Join(dir, "mount", "..data")); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put(t, filepath.Join(dir, "file"), "one")
			put(t, filepath.Join(dir, "home", "entities", "thing", "thing.json"), "{}")
			put(t, filepath.Join(dir, "data1", "secret"), "1")
			_ = os.Mkdir(filepath.Join(dir, "mount"), 0o755)
			_ = os.Symlink(filepath.Join("..", "data1"), filepath.Join(dir, "mount", "..data"))
			_ = os.Symlink(filepath.Join("..data", "secret"), filepath.Join(dir, "mount", "secret"))
			w := watching(t, func(r *reading) {
				r.note(filepath.Join(dir, "file"))
				r.note(filepath.Join(dir, "mount", "secret"))
				r.home(filepath.Join(dir, "home"))
			})
			tt.change(t, dir)
			w.tells(t)
		})
	}
}

func TestWatcherSeesWhatChangedWhileItWasRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	put(t, file, "one")
	w := watching(t, func(r *reading) {
		r.note(file)
		put(t, file, "two words") // after it was read, before anybody watches
	})
	w.tells(t)
}

func TestWatcherIsSilentAboutOtherFiles(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "file"), "one")
	w := watching(t, func(r *reading) { r.note(filepath.Join(dir, "file")) })
	put(t, filepath.Join(dir, "a.log"), "a line")
	select {
	case <-w.changed:
		t.Error("a change was told, want none: no file that was read has changed")
	case <-time.After(4 * settleFiles):
	}
}
