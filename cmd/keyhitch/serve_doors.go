package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch/internal/gateway"
	"github.com/keyhitch/keyhitch/internal/project"
)

// doors are the two listeners, and who serves them.
type doors struct {
	public, admin *http.Server // admin may be nil
	address       string       // of the public listener, as it came to be
	adminAddress  string
	failed        chan error // a server ended that nobody had ended
	quiet         func()     // ends the checks of adapters
	end           func()     // ends what else runs beside the servers
}

// checkEvery is how often an adapter that is not ready is looked at.
const checkEvery = 30 * time.Second

// openDoors begins to serve.
func (s *server) openDoors(ctx context.Context) (*doors, error) {
	g := s.good.settings.Gateway
	d := &doors{failed: make(chan error, 2)}
	handler, stopTraces, err := gateway.Traced(s.gateway, gateway.Tracing{Redact: s.redact, Log: s.log, Version: versionInfo()["version"]})
	if err != nil {
		return nil, err
	}
	public, err := listenOn(s.where(s.good), "--listen")
	if err != nil {
		return nil, err
	}
	if public.Addr().Network() == "tcp" { // a name may lead elsewhere than it says
		s.bound = public.Addr().String()
	}
	if err := s.reachable(s.good); err != nil {
		return nil, errors.Join(err, public.Close())
	}
	admin, err := s.openAdmin()
	if err != nil {
		return nil, errors.Join(err, public.Close())
	}
	checks, stopChecks := context.WithCancel(context.WithoutCancel(ctx))
	d.end = func() { stopTracing(s.log, stopTraces) }
	d.public, d.address = bounded(g, handler), s.shown(public)
	if s.began.tls {
		d.public.TLSConfig = s.current.config()
		public = tls.NewListener(public, d.public.TLSConfig)
	}
	d.run(d.public, public)
	if admin != nil {
		d.admin, d.adminAddress = bounded(g, s.gateway.Admin()), shownAddress("http", admin.Addr())
		d.run(d.admin, admin)
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.gateway.Watch(checks, checkEvery)
	}()
	d.quiet = func() { stopChecks(); <-watched }
	return d, nil
}

// tracesTime is how long the last spans may take to be sent.
const tracesTime = 5 * time.Second

func stopTracing(log logrus.FieldLogger, stop func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), tracesTime)
	defer cancel()
	if err := stop(ctx); err != nil {
		log.WithError(err).Warn("the last traces were not sent")
	}
}

func (s *server) openAdmin() (net.Listener, error) {
	address := s.whereAdmin(s.good)
	if address == "" {
		return nil, nil
	}
	return listenOn(address, "--admin")
}

// bounded is a server that a slow or talkative caller cannot hold for ever. Bodies have no limit
// of time: they are streams.
func bounded(g project.Gateway, h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: time.Duration(g.HeaderSeconds) * time.Second,
		MaxHeaderBytes:    g.HeaderBytes,
		IdleTimeout:       time.Duration(g.IdleSeconds) * time.Second,
	}
}

func (d *doors) run(server *http.Server, l net.Listener) {
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			d.failed <- fmt.Errorf("listening on %s ended: %w", l.Addr(), err)
		}
	}()
}

// close ends what drain has left.
func (d *doors) close() {
	d.end()
	_ = d.public.Close() // cuts off what is still under way
	if d.admin != nil {
		_ = d.admin.Close()
	}
}

// shown is the public address as a caller writes it.
func (s *server) shown(l net.Listener) string {
	scheme := "http"
	if s.began.tls {
		scheme = "https"
	}
	return shownAddress(scheme, l.Addr())
}

func shownAddress(scheme string, a net.Addr) string {
	if a.Network() == "unix" {
		return unixPrefix + a.String()
	}
	return scheme + "://" + a.String()
}

// announce says where it listens, and what is dangerous about it.
func (s *server) announce(d *doors) {
	line := s.log.WithField("listen", d.address).WithField("adapters", len(s.good.config.Adapters))
	if d.admin != nil {
		line = line.WithField("admin", d.adminAddress)
	}
	line.Infof("serving %s on %s", count(len(s.good.config.Adapters), "adapter"), d.address)
	s.tellWarnings()
	notify("READY=1\nSTATUS=serving " + count(len(s.good.config.Adapters), "adapter"))
}

// tellWarnings logs what is odd about what was loaded.
func (s *server) tellWarnings() {
	if s.good.config.Callers == nil {
		s.log.Warn("no callers are listed: whoever reaches the listener may call everything")
	}
	for _, w := range s.good.warnings {
		if w.harmless {
			s.log.Info(w.text)
		} else {
			s.log.Warn(w.text)
		}
	}
}

func lines(err error) []string { return strings.Split(strings.TrimSpace(err.Error()), "\n") }

// fixed is what a reload cannot change.
type fixed struct {
	listen, admin                           string
	tls                                     bool
	headerSeconds, headerBytes, idleSeconds int
}

func (l *load) fixed() fixed {
	g := l.settings.Gateway
	return fixed{g.Listen, g.Admin, l.tls != nil, g.HeaderSeconds, g.HeaderBytes, g.IdleSeconds}
}
