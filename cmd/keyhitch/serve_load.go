package main

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/internal/gateway"
	"github.com/keyhitch/keyhitch/internal/project"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// load is one reading of the project file and of all that it names.
type load struct {
	reading  *reading
	settings project.Settings
	config   gateway.Config
	tls      *certificate
	warnings []warning
	problems []error
	giveBack []func() // what was taken from who shares it with other loads
}

// warning is odd but works.
type warning struct {
	text     string
	harmless bool
}

func (l *load) problem(err error) {
	if err != nil {
		l.problems = append(l.problems, err)
	}
}

// load reads everything anew. Its error has all that is wrong, in all files.
func (s *server) load() (gateway.Config, error) {
	l := &load{reading: newReading()}
	s.latest = l
	config, err := s.loadInto(l)
	if err != nil {
		l.release()
	}
	if err != nil && s.good != nil {
		l.reading.also(s.good.reading) // what was not read this time may be what is mended
	}
	return config, err
}

// release is called when nobody uses what was loaded any more.
func (l *load) release() {
	for _, back := range l.giveBack {
		back()
	}
}

func (s *server) loadInto(l *load) (gateway.Config, error) {
	file, err := s.readProjectWith(l.reading.file)
	if err == nil && file == nil {
		err = unusable(project.Name, "there is no such file here; write one, or name another with --project")
	}
	if err != nil {
		return gateway.Config{}, err
	}
	l.settings, err = file.Settings()
	l.problem(err)
	l.config = gateway.Config{Adapters: map[string]*adapter.Adapter{}, SetCookie: map[string]bool{}, Limits: limits(l.settings.Gateway), Release: l.release}
	s.loadAdapters(l, file)
	s.loadCallers(l, file)
	l.problem(s.reachable(l))
	l.tls, err = readCertificate(l.settings.Gateway.TLS, l.reading.file)
	l.problem(err)
	return l.config, errors.Join(l.problems...) // adapters that nobody used hold nothing to close
}

// limits are those of the project file. There, 0 is none and not the default.
func limits(g project.Gateway) gateway.Limits {
	l := gateway.Limits{ReplayBytes: g.ReplayBytes, CallBytes: g.CallBytes, CallTime: seconds(g.CallSeconds), StreamIdle: seconds(g.StreamIdleSeconds)}
	if l.ReplayBytes == 0 {
		l.ReplayBytes = -1
	}
	if l.StreamIdle == 0 {
		l.StreamIdle = -1
	}
	return l
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func (s *server) loadAdapters(l *load, file *project.File) {
	if len(l.settings.Adapters) == 0 {
		l.problem(file.Problem("/adapters", "has no adapter to serve"))
	}
	link := s.link(l)
	options := adapter.Options{Redact: s.redact, Log: s.log, Observe: s.observer(), Tokens: &s.tokens, Keys: s.keys,
		Measure: s.metrics.Measure, Base: link.base, Wire: link.wire}
	redis := s.redis(l.settings.Cache)
	options.SharedCache = sync.OnceValues(func() (adapter.SharedCache, error) { return s.sharedCacheOf(l, redis) })
	for _, name := range slices.Sorted(maps.Keys(l.settings.Adapters)) {
		entry := l.settings.Adapters[name]
		if (entry.Home == "") == (entry.Config == "") {
			continue // Settings has said so
		}
		a, err := l.adapter(name, entry, options)
		l.problem(err)
		if err == nil {
			l.config.Adapters[name], l.config.SetCookie[name] = a, entry.SetCookie
		}
	}
}

func (l *load) adapter(name string, entry project.Adapter, options adapter.Options) (*adapter.Adapter, error) {
	src := &source{Options: options}
	src.named(name, entry)
	if entry.Home != "" {
		l.reading.home(entry.Home)
	} else {
		l.reading.note(entry.Config)
	}
	if err := src.complete(l.reading.file); err != nil {
		return nil, named(name, err)
	}
	src.ReadFile = l.reading.noting(src.ReadFile)
	a, err := adapter.Open(src.Options)
	if err != nil {
		return nil, named(name, src.placed(err))
	}
	for _, p := range a.Definition().Problems() {
		l.warnings = append(l.warnings, warning{src.file(p.File) + strings.TrimPrefix(p.Error(), p.File), isHarmless(p.Reason)})
	}
	return a, nil
}

// named says whose error it is, where no file does.
func named(name string, err error) error {
	if errors.As(err, new(*adapter.ConfigError)) {
		return err
	}
	return fmt.Errorf("adapter %s: %w", name, err)
}

func (s *server) loadCallers(l *load, file *project.File) {
	g := l.settings.Gateway
	callers, err := gateway.NewCallers(g.Callers, g.OIDC, gateway.Targets{Allow: prefixes(g.AllowTargets), Deny: prefixes(g.DenyTargets)})
	var found settings.Problems
	if errors.As(err, &found) {
		err = file.Locate(found)
	}
	callers.LogTo(s.log)
	l.config.Callers = callers
	l.problem(err)
}

// prefixes leaves out what is none, which Settings has complained of.
func prefixes(list []string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range list {
		if p, err := project.Prefix(text); err == nil {
			out = append(out, p)
		}
	}
	return out
}
