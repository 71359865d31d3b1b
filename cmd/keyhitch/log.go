package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch/auth"
)

// newLog returns a logger on standard error whose every line passes the redactor.
func (a *app) newLog() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(a.err)
	log.SetFormatter(a.textLines())
	return log
}

// textLines are for people.
func (a *app) textLines() logrus.Formatter {
	return scrubbing{&logrus.TextFormatter{DisableColors: true, FullTimestamp: true}, a.redact}
}

// scrubbing is a formatter whose output holds no secret: by name, then by value.
type scrubbing struct {
	inner  logrus.Formatter
	redact *auth.Redactor
}

// Format hides fields whose names say secret, and every known secret in the finished line.
func (s scrubbing) Format(entry *logrus.Entry) ([]byte, error) {
	for name := range entry.Data {
		if auth.SensitiveName(name) {
			copied := make(logrus.Fields, len(entry.Data))
			for n, v := range entry.Data {
				copied[n] = v
				if auth.SensitiveName(n) {
					copied[n] = "[redacted]"
				}
			}
			changed := *entry
			changed.Data = copied
			entry = &changed
			break
		}
	}
	line, err := s.inner.Format(entry)
	return []byte(s.redact.Scrub(string(line))), err
}

// observer returns who listens to what the engine does: --explain prints it, -v logs it.
func (a *app) observer() func(auth.Event) {
	if !a.explain && !a.log.IsLevelEnabled(logrus.DebugLevel) {
		return nil
	}
	return func(e auth.Event) {
		if !a.explain {
			a.log.WithField("step", e.Step).Debug(e.Detail)
			return
		}
		a.explained(e)
	}
}

// explained prints one step on one line; several may come from parallel calls.
func (a *app) explained(e auth.Event) {
	took := ""
	if e.Took > 0 {
		took = fmt.Sprintf("  (%s)", e.Took.Round(100*time.Microsecond))
	}
	line := fmt.Sprintf("  %-14s %s%s\n", e.Step, e.Detail, took)
	if colored(a.err) {
		line = "\x1b[2m" + strings.TrimSuffix(line, "\n") + "\x1b[0m\n"
	}
	_, _ = fmt.Fprint(a.err, a.redact.Scrub(line))
}
