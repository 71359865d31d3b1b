package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/keyhitch/keyhitch"
	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/internal/project"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// readProject reads --project, else KEYHITCH_PROJECT, else ./keyhitch.yaml; nil: there is none.
func (a *app) readProject() (*project.File, error) {
	return a.readProjectWith(os.ReadFile)
}

// readProjectWith is readProject by a function that may note which files are read.
func (a *app) readProjectWith(read func(string) ([]byte, error)) (*project.File, error) {
	file := firstOf(a.project, os.Getenv("KEYHITCH_PROJECT"), project.Name)
	asked := a.project != "" || os.Getenv("KEYHITCH_PROJECT") != ""
	data, err := read(file)
	if errors.Is(err, fs.ErrNotExist) && !asked {
		return nil, nil
	}
	if err != nil {
		return nil, unusable(file, "the project file cannot be read: %v", plainPath(err))
	}
	return project.Read(file, data, settings.Lookup{Env: os.LookupEnv, File: read})
}

// sharedCache opens the Redis that the project file or the environment names.
func (a *app) sharedCache() (adapter.SharedCache, error) {
	p, err := a.readProject()
	if err != nil || p == nil {
		return openShared(keyhitch.Redis{}, err)
	}
	c, err := p.Cache()
	return openShared(a.redis(c), err)
}

func openShared(r keyhitch.Redis, err error) (adapter.SharedCache, error) {
	if err != nil {
		return adapter.SharedCache{}, err
	}
	return keyhitch.SharedCache(r)()
}

// redis is where a project file shares tokens. No message shows its secrets from here on.
func (a *app) redis(c project.Cache) keyhitch.Redis {
	a.redact.Learn(c.Redis.URL, c.Redis.SealKey)
	return keyhitch.Redis{URL: c.Redis.URL, SealKey: c.Redis.SealKey, Prefix: c.Redis.Prefix}
}

// setLog makes the log what flags, the environment and the project file say, in this order.
func (a *app) setLog(cmd *cobra.Command) error {
	var file project.Log
	if cmd.Flags().Lookup("project") != nil {
		p, err := a.readProject()
		if err == nil && p != nil {
			file, err = p.Log()
		}
		if err != nil {
			return err
		}
	}
	level, format := "warning", "text"
	if cmd.Name() == "serve" {
		level, format = "info", "json"
		if isTerminal(a.err) {
			format = "text"
		}
	}
	if err := a.setLevel(firstOf(os.Getenv("KEYHITCH_LOG_LEVEL"), file.Level, level)); err != nil {
		return err
	}
	return a.setFormat(firstOf(os.Getenv("KEYHITCH_LOG_FORMAT"), file.Format, format))
}

func (a *app) setLevel(name string) error {
	level, err := logrus.ParseLevel(name)
	if err != nil {
		return usage("KEYHITCH_LOG_LEVEL is unknown; use error, warning, info, debug or trace")
	}
	if a.verbose {
		level = max(level, logrus.DebugLevel)
	}
	a.log.SetLevel(level)
	return nil
}

func (a *app) setFormat(name string) error {
	switch name {
	case "text":
		a.log.SetFormatter(a.textLines())
	case "json":
		a.log.SetFormatter(scrubbing{new(logrus.JSONFormatter), a.redact})
	default:
		return usage("KEYHITCH_LOG_FORMAT is unknown; use text or json")
	}
	a.jsonLog = name == "json"
	return nil
}
