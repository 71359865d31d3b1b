package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/internal/gateway"
)

func (a *app) serveCommand() *cobra.Command {
	s := newServer(a)
	var ready bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "A plain HTTP door to every adapter of the project file",
		Long: "Serves all adapters of the project file over HTTP: /proxy/ADAPTER/PATH passes a request on with the\n" +
			"credential added, /v1/adapters makes declared calls, /openapi.json describes it all. Health, metrics\n" +
			"and profiles are on the admin address.\n\n" +
			"SIGHUP, or a changed file, loads the project file and the homes again: what is wrong changes nothing\n" +
			"and is logged with its place. SIGTERM or Ctrl-C lets requests under way end; a second one does not.",
		Example: "  keyhitch serve\n" +
			"  keyhitch serve --project /etc/keyhitch/keyhitch.yaml\n" +
			"  keyhitch serve --listen unix:/run/keyhitch/gateway.sock --admin 127.0.0.1:9000\n" +
			"  curl http://127.0.0.1:8733/proxy/acme/api/v1/devices",
		Args: exactly(0, "serve takes no arguments; the project file names the adapters"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ready {
				return s.askReady(cmd.Context())
			}
			s.cmd = cmd
			return s.serve(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&a.project, "project", "", "project `FILE` (default: ./keyhitch.yaml)")
	f.StringVar(&s.listen, "listen", "", "`ADDRESS` for callers, host:port or unix:/path (default: gateway.listen)")
	f.StringVar(&s.admin, "admin", "", "`ADDRESS` for operators, or none (default: gateway.admin)")
	f.BoolVar(&ready, "ready", false, "ask the gateway that runs with this project file whether it is ready, and exit")
	return cmd
}

// server is one run of `keyhitch serve`. What adapters share outlives each load of them.
type server struct {
	*app
	cmd           *cobra.Command
	listen, admin string // flags

	tokens  auth.Tokens
	keys    *auth.Keyer
	shared  caches
	links   links
	metrics *gateway.Metrics
	gateway *gateway.Gateway
	lines   *gateway.Gatherer // of the access log as JSON

	began   fixed  // what a reload cannot change
	bound   string // address of the public listener; empty before it is open
	latest  *load  // good or bad: its files are watched
	good    *load  // what is served
	current certificates
}

func newServer(a *app) *server {
	return &server{app: a, shared: caches{close: closeShared}, links: links{close: closeLink}}
}

// serve runs until it is told to end.
func (s *server) serve(ctx context.Context) error {
	if err := s.open(); err != nil {
		return err
	}
	doors, err := s.openDoors(ctx)
	if err != nil {
		return errors.Join(err, s.gateway.Close(ctx))
	}
	files := newWatcher(s.log)
	defer files.close()
	files.follow(s.latest.reading)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	s.announce(doors)
	for {
		select {
		case <-ctx.Done():
			failed := s.fadeOut(doors)
			return errors.Join(failed, s.drain(doors))
		case err := <-doors.failed:
			return errors.Join(err, s.drain(doors))
		case <-hangups:
			s.reload("SIGHUP")
		case <-files.changed:
			s.reload("a file has changed")
		}
		files.follow(s.latest.reading)
	}
}

// open loads the project for the first time.
func (s *server) open() error {
	keys, err := auth.NewKeyer(nil)
	if err != nil {
		return err
	}
	s.keys, s.metrics = keys, gateway.NewMetrics()
	s.lines = gateway.Gather(s.err)
	s.gateway, err = gateway.New(gateway.Options{Load: s.load, Log: s.log, AccessLog: s.lines, Redact: s.redact, Metrics: s.metrics,
		Version: versionInfo()["version"]})
	if err != nil {
		return err
	}
	s.gateway.LogPlainly(!s.jsonLog)
	s.good = s.latest
	s.began = s.good.fixed()
	s.current.set(s.good.tls)
	debug.FreeOSMemory() // a sidecar need not keep what loading took
	tuneCollector()
	return nil
}

// reload serves what the files say now. What is wrong with them changes nothing.
func (s *server) reload(why string) {
	start := time.Now()
	notify("RELOADING=1")
	defer notify("READY=1")
	err := s.gateway.Reload()
	if err != nil {
		for _, line := range lines(err) {
			s.log.WithField("reason", why).Error("not reloaded, everything is as before: " + line)
		}
		return
	}
	s.good = s.latest
	s.current.set(s.good.tls)
	if err := s.setLog(s.cmd); err != nil {
		s.log.WithError(err).Warn("the log stays as it was")
	}
	s.gateway.LogPlainly(!s.jsonLog)
	if now := s.good.fixed(); now != s.began {
		s.log.Warn("listen, admin, tls (on or off), header_seconds, header_bytes and idle_seconds count from the next start on")
	}
	s.tellWarnings()
	s.log.WithField("reason", why).WithField("ms", time.Since(start).Milliseconds()).Infof("reloaded: %s", count(len(s.good.config.Adapters), "adapter"))
}

// fadeOut gives load balancers time to notice that the gateway ends: everything is served as before,
// but /readyz says no.
func (s *server) fadeOut(d *doors) error {
	delay := seconds(s.good.settings.Gateway.DrainDelaySeconds)
	if delay == 0 {
		return nil
	}
	notify("STOPPING=1")
	s.gateway.Drain()
	s.log.Infof("not ready any more; requests are taken for another %s", delay)
	select {
	case <-time.After(delay):
		return nil
	case err := <-d.failed:
		return err
	}
}

// drain ends the server: nothing new is taken, what is under way may end.
func (s *server) drain(d *doors) error {
	notify("STOPPING=1")
	limit := seconds(s.good.settings.Gateway.DrainSeconds)
	s.log.Infof("ending: requests under way have %s", limit)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	s.gateway.Drain()
	d.quiet()
	err := errors.Join(d.public.Shutdown(ctx), s.gateway.Close(ctx))
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warnf("requests that were still under way after %s are cut off", limit)
	}
	d.close()
	s.flushLog()
	return nil
}

// flushTime is how long the end waits for a log that nobody reads.
const flushTime = 2 * time.Second

func (s *server) flushLog() {
	done := make(chan struct{})
	go func() { defer close(done); s.lines.Flush() }()
	select {
	case <-done:
	case <-time.After(flushTime):
	}
}
