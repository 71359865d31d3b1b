package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch"
	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/dialects"
	"github.com/keyhitch/keyhitch/internal/project"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// unusable is a configuration that cannot be used because of what file is.
func unusable(file, format string, args ...any) error {
	return &adapter.ConfigError{Problems: adapter.Problems{{File: file, Reason: fmt.Sprintf(format, args...)}}}
}

// source is an ADAPTER argument, found: what opens it, and its directory or file.
type source struct {
	adapter.Options
	path string
}

// open makes the adapter that an ADAPTER argument names, and tells what is odd about it but works.
func (a *app) open(name string) (*adapter.Adapter, error) {
	src, err := a.source(name)
	if err != nil {
		return nil, err
	}
	ad, err := adapter.Open(src.Options)
	if err != nil {
		return nil, src.placed(err)
	}
	a.opened = ad
	for _, p := range ad.Definition().Problems() {
		a.warn(src.file(p.File)+strings.TrimPrefix(p.Error(), p.File), isHarmless(p.Reason))
	}
	return ad, nil
}

// platformOnly begins the warning about a property that means nothing here: a home made for its
// platform is full of them.
const platformOnly = "belongs to the platform"

// offYet begins the warning about a setting that stops calls, which then say so themselves.
const offYet = "is on but not built yet"

func isHarmless(reason string) bool {
	return strings.HasPrefix(reason, platformOnly) || strings.HasPrefix(reason, offYet)
}

// warn prints a warning, or logs what is only good to know.
func (a *app) warn(text string, harmless bool) {
	switch {
	case harmless:
		a.log.Info(text)
	case a.log.IsLevelEnabled(logrus.WarnLevel):
		_, _ = fmt.Fprintln(a.err, "warning: "+a.redact.Scrub(text))
	}
}

// settleTime is how long the end of a command waits for what is under way.
const settleTime = 10 * time.Second

// settle waits for token requests under way, so that what they bring is not lost to the next
// command, and for what goes to a shared cache.
func (a *app) settle(ctx context.Context) {
	if a.opened == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	if err := a.opened.Close(ctx); err != nil {
		a.log.Info("a token request was still under way at the end")
	}
}

// placed names files of the home so that they can be opened from here.
func (s *source) placed(err error) error {
	var config *adapter.ConfigError
	if !errors.As(err, &config) {
		return err
	}
	out := new(adapter.ConfigError)
	for _, p := range config.Problems {
		copied := *p
		copied.File = s.file(p.File)
		out.Problems = append(out.Problems, &copied)
	}
	return out
}

func (s *source) file(name string) string {
	if s.Home == nil || name == s.Instance.Name || name == s.path || strings.HasPrefix(name, "--set ") {
		return name
	}
	return filepath.Join(s.path, filepath.FromSlash(name))
}

// source completes what is needed to open or validate an ADAPTER.
func (a *app) source(name string) (*source, error) {
	s := &source{Options: adapter.Options{Redact: a.redact, Log: a.log, Observe: a.observer(), SharedCache: a.sharedCache}}
	if err := a.locate(name, s); err != nil {
		return nil, err
	}
	if err := a.applyFlags(s); err != nil {
		return nil, err
	}
	if err := s.complete(os.ReadFile); err != nil {
		return nil, err
	}
	if a.instance != "" && s.Home == nil {
		return nil, usage("--instance goes with an adapter home; %s is a service instance itself", s.path)
	}
	return s, a.knownDialect(s)
}

// complete reads the instance, and takes the rest of the options from what path is.
func (s *source) complete(read func(string) ([]byte, error)) error {
	if s.Instance.Name != "" {
		data, err := read(s.Instance.Name)
		if err != nil {
			return unusable(s.Instance.Name, "the service instance cannot be read: %v", plainPath(err))
		}
		s.Instance.Data = data
	}
	o, err := keyhitch.Options(s.path, s.Options)
	if err == nil {
		s.Options = o
	}
	return err
}

// applyFlags lays --dialect, --set and --instance over what the project file says.
func (a *app) applyFlags(s *source) error {
	if a.dialect != "" {
		if s.Dialect = dialects.All[a.dialect]; s.Dialect == nil {
			return unknownDialect(a.dialect)
		}
	}
	for _, text := range a.set {
		path, value, ok := strings.Cut(text, "=")
		if !ok || path == "" {
			return usage("--set %s: write it as a.b.c=VALUE", path)
		}
		s.Set = append(s.Set, adapter.Assignment{Path: path, Value: value})
	}
	if a.instance != "" {
		s.Instance.Name = a.instance
	}
	return nil
}

// locate finds the path of an ADAPTER: a name of the project file wins over a path that holds no
// separator.
func (a *app) locate(name string, s *source) error {
	s.path = name
	if name == "" {
		return usage("ADAPTER is empty; name an adapter home, a service-instance file, or an entry of the project file")
	}
	if name == keyhitch.Environment || strings.ContainsAny(name, `/\`) {
		return nil
	}
	p, err := a.readProject()
	if err != nil || p == nil {
		return err
	}
	entry, err := p.Adapter(name)
	if err != nil {
		return err
	}
	if entry == nil {
		if _, err := os.Stat(name); err != nil {
			return unusable(name, "is neither in %s nor a directory or file here%s", p.Name(), didYouMean(name, p.Names()))
		}
		return nil
	}
	s.named(name, *entry)
	return nil
}

// named makes s what the project file says of an adapter.
func (s *source) named(name string, entry project.Adapter) {
	s.Name, s.path, s.Instance.Name = name, firstOf(entry.Config, entry.Home), entry.Instance
}

// planned are dialects that CONTRACT names and that are not built yet.
var planned = []string{"forge", "authnsh"}

func unknownDialect(name string) error {
	known := strings.Join(slices.Sorted(maps.Keys(dialects.All)), ", ")
	if slices.Contains(planned, name) {
		return unusable("--dialect "+name, "is not built yet; use one of %s", known)
	}
	return usage("there is no dialect %q; use one of %s", name, known)
}

// marks are members by which other dialects are told.
var marks = []struct{ member, inside, dialect string }{
	{"providers", "auth", "forge"}, {"provider_kind", "", "authnsh"},
}

// knownDialect refuses a configuration that is clearly in a dialect that is not built yet.
func (a *app) knownDialect(s *source) error {
	if _, whole := s.Dialect.(auth.SystemDialect); whole || s.Home != nil || a.dialect != "" {
		return nil
	}
	doc, err := settings.Parse(s.Instance.Data)
	if err != nil {
		return nil // Load says it with file, line and column
	}
	root, _ := doc.Root().(map[string]any)
	if root["authentication"] != nil || root["properties"] != nil {
		return nil
	}
	for _, m := range marks {
		value, ok := root[m.member]
		if ok && m.inside != "" {
			inner, _ := value.(map[string]any)
			_, ok = inner[m.inside]
		}
		if ok {
			return unusable(s.Instance.Name, "is in the %s dialect, which is not built yet", m.dialect)
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
