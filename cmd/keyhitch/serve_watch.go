package main

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/sirupsen/logrus"
)

// reading notes what a configuration was read from, and how that looked just before.
type reading struct {
	seen  map[string]stamp
	files map[string]bool
	homes map[string]bool
}

// stamp tells a file from a later version of it.
type stamp struct {
	size int64
	mode fs.FileMode
	at   time.Time
}

func newReading() *reading {
	return &reading{map[string]stamp{}, map[string]bool{}, map[string]bool{}}
}

// also notes what another reading read and this one did not, as it is now.
func (r *reading) also(other *reading) {
	for path := range other.homes {
		if !r.homes[path] {
			r.home(path)
		}
	}
	for path := range other.files {
		if !r.files[path] {
			r.note(path)
		}
	}
}

// file is os.ReadFile that is noted.
func (r *reading) file(path string) ([]byte, error) {
	r.note(path)
	return os.ReadFile(path)
}

// noting is read that is noted.
func (r *reading) noting(read func(string) ([]byte, error)) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		r.note(path)
		return read(path)
	}
}

func (r *reading) note(path string) {
	r.files[path] = true
	r.seen[path] = stampOf(os.Stat(path))
}

// home notes a directory with all that is in it.
func (r *reading) home(path string) {
	r.homes[path] = true
	_ = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			r.seen[name] = stampOf(os.Stat(name))
		}
		return nil // what cannot be read is somebody else's to report
	})
}

func stampOf(info fs.FileInfo, err error) stamp {
	if err != nil {
		return stamp{}
	}
	return stamp{info.Size(), info.Mode(), info.ModTime()}
}

// again notes the same files and homes as they are now.
func (r *reading) again() *reading {
	now := newReading()
	now.also(r)
	return now
}

// folders are the directories to watch: editors and secret mounts replace a file, they do not
// write into it.
func (r *reading) folders() map[string]bool {
	out := map[string]bool{}
	for path := range r.seen {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			out[path] = true
		}
		out[filepath.Dir(path)] = true
	}
	for path := range r.files { // a link is replaced where it leads, too
		if real, err := filepath.EvalSymlinks(path); err == nil {
			out[filepath.Dir(real)] = true
		}
	}
	return out
}

// settleFiles is how long files may go on changing before they are looked at: one change of a
// person is often several of the file system.
const settleFiles = 250 * time.Millisecond

// watcher tells when followed files have changed.
type watcher struct {
	changed chan struct{}
	next    chan *reading
	events  *fsnotify.Watcher
	log     logrus.FieldLogger
	done    chan struct{}
}

func newWatcher(log logrus.FieldLogger) *watcher {
	w := &watcher{changed: make(chan struct{}), next: make(chan *reading), log: log, done: make(chan struct{})}
	var err error
	if w.events, err = fsnotify.NewWatcher(); err != nil {
		log.WithError(err).Warn("changed files are not noticed; send SIGHUP instead")
		return w
	}
	go w.run()
	return w
}

func (w *watcher) close() {
	if w.events != nil {
		close(w.done)
		_ = w.events.Close()
	}
}

// follow makes r what is watched from now on.
func (w *watcher) follow(r *reading) {
	if w.events == nil {
		return
	}
	folders := r.folders()
	for _, old := range w.events.WatchList() {
		if !folders[old] {
			_ = w.events.Remove(old)
		}
	}
	for folder := range folders {
		if err := w.events.Add(folder); err != nil {
			w.log.WithError(err).WithField("folder", folder).Warn("changes there are not noticed; send SIGHUP instead")
		}
	}
	w.next <- r
}

// run looks at the files a moment after something happened near them.
func (w *watcher) run() {
	var current *reading
	var look <-chan time.Time
	var tell chan struct{}
	soon := func() {
		if look == nil {
			look = time.After(settleFiles)
		}
	}
	for {
		select {
		case <-w.done:
			return
		case current = <-w.next:
			tell = nil
			soon() // what changed while it was read
		case _, ok := <-w.events.Events:
			if ok {
				soon()
			}
		case <-w.events.Errors: // events were lost
			soon()
		case <-look:
			look, tell = nil, nil
			if current != nil && !maps.Equal(current.seen, current.again().seen) {
				tell = w.changed
			}
		case tell <- struct{}{}:
			tell = nil
		}
	}
}
