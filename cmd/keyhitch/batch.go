package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/keyhitch/keyhitch/adapter"
)

// Bounds: of --parallel, of answers that wait for an earlier line, of one line.
const (
	maxParallel = 1000
	maxPending  = 1000
	maxLine     = 16 << 20
)

// batchLine is one call of a batch; batchAnswer what comes of it.
type batchLine struct {
	Entity  string          `json:"entity"`
	Action  string          `json:"action"`
	Request json.RawMessage `json:"request"`
}

type batchAnswer struct {
	Line   int               `json:"line"`
	Result *adapter.Response `json:"result,omitempty"`
	Plan   []adapter.Planned `json:"requests,omitempty"`
	Error  *adapter.Failure  `json:"error,omitempty"`
	err    error
}

// batch runs calls line by line, parallel ones in a window, and answers every line in order.
func (a *app) batch(ctx context.Context, name string, f callFlags) error {
	if f.parallel < 1 || f.parallel > maxParallel {
		return usage("--parallel must be from 1 to %d", maxParallel)
	}
	source, closeSource, err := a.batchSource(f.batch)
	if err != nil {
		return err
	}
	defer closeSource()
	ad, err := a.open(name)
	if err != nil {
		return a.fail(name, err)
	}
	ctx, cancel := a.deadline(ctx)
	defer cancel()
	defer a.settle(ad)
	slots := make(chan chan batchAnswer, maxPending)
	var readErr error
	go func() {
		defer close(slots)
		readErr = a.readBatch(ctx, ad, source, slots, f.parallel)
	}()
	first, err := a.writeBatch(slots)
	return errors.Join(firstError(first, readErr), err)
}

func firstError(first, read error) error {
	if first != nil {
		return exitCode(codeOf(first))
	}
	return read
}

func (a *app) batchSource(name string) (io.Reader, func(), error) {
	if name == "-" {
		return a.in, func() {}, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, usage("--batch %s: %w", name, plainPath(err))
	}
	return file, func() { _ = file.Close() }, nil
}

// readBatch starts one call per line, at most parallel at a time; the channel's room bounds how
// many answers wait for an earlier one.
func (a *app) readBatch(ctx context.Context, ad *adapter.Adapter, source io.Reader, slots chan<- chan batchAnswer, parallel int) error {
	running := make(chan struct{}, parallel)
	lines := bufio.NewScanner(source)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for n := 1; lines.Scan(); n++ {
		text := bytes.Clone(bytes.TrimSpace(lines.Bytes()))
		if len(text) == 0 {
			continue
		}
		slot := make(chan batchAnswer, 1)
		slots <- slot
		running <- struct{}{}
		go func() {
			slot <- a.batchCall(ctx, ad, n, text)
			<-running
		}()
	}
	if err := lines.Err(); err != nil {
		return usage("--batch: a line is longer than %d MiB, or cannot be read: %w", maxLine>>20, err)
	}
	return nil
}

func (a *app) batchCall(ctx context.Context, ad *adapter.Adapter, n int, text []byte) batchAnswer {
	answer := batchAnswer{Line: n}
	answer.err = func() error {
		line, input, err := parseBatchLine(text)
		if err != nil {
			return err
		}
		if a.dryRun {
			answer.Plan, err = ad.Plan(ctx, line.Entity, line.Action, input, a.reveal)
			return err
		}
		answer.Result, err = ad.Call(ctx, line.Entity, line.Action, input)
		return err
	}()
	if answer.err != nil {
		answer.Error = ad.Failure(answer.err)
	}
	return answer
}

func parseBatchLine(text []byte) (batchLine, adapter.Input, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var line batchLine
	if err := dec.Decode(&line); err != nil || line.Entity == "" || line.Action == "" {
		return line, adapter.Input{}, &adapter.CallError{Reason: `the line must be {"entity":…,"action":…,"request":{…}}`}
	}
	if len(line.Request) == 0 {
		return line, adapter.Input{}, nil
	}
	input, err := adapter.ParseInput(line.Request)
	return line, input, err
}

// writeBatch prints the answers in order and returns the first failure.
func (a *app) writeBatch(slots <-chan chan batchAnswer) (first, err error) {
	out := bufio.NewWriter(a.out)
	bar := a.newProgress()
	for slot := range slots {
		answer := <-slot
		if answer.err != nil && first == nil {
			first = answer.err
		}
		line, encErr := compact(answer)
		if answer.err != nil {
			line = []byte(a.redact.Scrub(string(line)))
		}
		if encErr == nil {
			_, encErr = out.Write(line)
		}
		if encErr == nil && len(slots) == 0 {
			encErr = out.Flush()
		}
		if err == nil {
			err = encErr
		}
		bar.step(answer.err)
	}
	bar.end()
	if err == nil {
		err = out.Flush()
	}
	return first, err
}

// settle waits a moment for token requests under way, so that what they bring is not lost.
func (a *app) settle(ad *adapter.Adapter) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := ad.Close(ctx); err != nil {
		a.log.Warn("a token request was still under way at the end")
	}
}

// progress is a counter on a terminal; elsewhere it is silent.
type progress struct {
	out          io.Writer
	done, failed int
	shown        time.Time
	begun        time.Time
}

func (a *app) newProgress() *progress {
	p := &progress{begun: time.Now()}
	if isTerminal(a.err) && !isTerminal(a.out) {
		p.out = a.err
	}
	return p
}

func (p *progress) step(err error) {
	p.done++
	if err != nil {
		p.failed++
	}
	if p.out != nil && time.Since(p.shown) > 100*time.Millisecond {
		p.shown = time.Now()
		p.show()
	}
}

func (p *progress) show() {
	rate := float64(p.done) / max(time.Since(p.begun).Seconds(), 0.001)
	_, _ = fmt.Fprintf(p.out, "\r%d calls, %d failed, %.0f a second ", p.done, p.failed, rate)
}

func (p *progress) end() {
	if p.out != nil {
		p.show()
		_, _ = fmt.Fprintln(p.out)
	}
}
