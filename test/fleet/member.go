package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"
)

const readyWithin = 10 * time.Second

// member is one worker process, seen from outside.
type member struct {
	number int
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr bytes.Buffer // read after ended
	ready  chan struct{}
	ended  chan struct{}
	err    error // after ended
}

// enlist starts a process and collects its reports.
func (f *fleet) enlist(number int) (*member, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	m := &member{number: number, ready: make(chan struct{}), ended: make(chan struct{})}
	m.cmd = exec.Command(program, workerFlag, strconv.Itoa(number), "--home", f.home, "--callers", strconv.Itoa(f.Callers))
	m.cmd.Env, m.cmd.Stderr, m.cmd.SysProcAttr = f.env, &m.stderr, ownGroup
	if m.stdin, err = m.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	go m.listen(json.NewDecoder(stdout), f.add)
	return m, nil
}

// listen ends with the process. The last line of a killed one may be cut short.
func (m *member) listen(lines *json.Decoder, add func(report)) {
	defer close(m.ended)
	for {
		var r report
		if lines.Decode(&r) != nil {
			m.err = m.cmd.Wait()
			return
		}
		if r.Ready {
			close(m.ready)
			continue
		}
		add(r)
	}
}

func (m *member) waitReady(ctx context.Context) error {
	timer := time.NewTimer(readyWithin)
	defer timer.Stop()
	select {
	case <-m.ready:
		return nil
	case <-m.ended:
		return fmt.Errorf("process %d: %v %s", m.number, m.err, m.stderr.String())
	case <-timer.C:
		return fmt.Errorf("process %d is not ready after %s", m.number, readyWithin)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *member) goOn() { _, _ = io.WriteString(m.stdin, "go\n") }

func (m *member) kill() {
	_ = m.cmd.Process.Kill()
	<-m.ended
}

// play lets everything happen in its time, and tells how it goes.
func (f *fleet) play(ctx context.Context, progress io.Writer) error {
	defer func() { _, _ = fmt.Fprint(progress, "\r\x1b[K") }()
	list := f.steps(ctx)
	list = append(list, step{f.For, func() error { return nil }})
	slices.SortStableFunc(list, func(a, b step) int { return int(a.at - b.at) })
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for len(list) > 0 {
		timer := time.NewTimer(time.Until(f.began.Add(list[0].at)))
		select {
		case <-timer.C:
			err := list[0].do()
			if ctx.Err() != nil {
				return nil // interrupted: the proof covers what was
			}
			if err != nil {
				return err
			}
			list = list[1:]
		case <-tick.C:
			timer.Stop()
			calls, logins := f.system.counts()
			_, _ = fmt.Fprintf(progress, "\r\x1b[K%s of %s: %d calls, %d logins", time.Since(f.began).Round(time.Second), f.For, calls, logins)
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
	return nil
}
