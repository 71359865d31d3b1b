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

// Bounds: of --parallel, of one line, and of answers that wait for an earlier line, for each
// parallel call.
const (
	maxParallel = 1000
	maxLine     = 16 << 20
	window      = 4
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
	lines, closeLines, err := a.batchSource(f.batch)
	if err != nil {
		return err
	}
	defer closeLines()
	ad, err := a.open(name)
	if err != nil {
		return a.fail(name, err)
	}
	ctx, cancel := a.deadline(ctx)
	defer cancel()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	b := &batchRun{app: a, adapter: ad, slots: make(chan chan batchAnswer, window*f.parallel), end: make(chan error, 1)}
	go b.read(ctx, lines, f.parallel)
	first, err := b.write(ctx)
	switch {
	case err != nil:
		return err
	case first != nil:
		return exitCode(codeOf(first)) // the answers tell why
	}
	return nil
}

// batchRun is one batch on its way.
type batchRun struct {
	*app
	adapter *adapter.Adapter
	slots   chan chan batchAnswer // one for each line, in order
	end     chan error            // how reading ended; nil: all lines were read
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

// read starts one call per line, at most parallel at a time; the room of slots bounds how many
// answers wait for an earlier one.
func (b *batchRun) read(ctx context.Context, source io.Reader, parallel int) {
	defer close(b.slots)
	running := make(chan struct{}, parallel)
	lines := bufio.NewScanner(source)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for n := 1; ctx.Err() == nil && lines.Scan(); n++ {
		text := bytes.Clone(bytes.TrimSpace(lines.Bytes()))
		if len(text) == 0 {
			continue
		}
		slot := make(chan batchAnswer, 1)
		running <- struct{}{}
		select {
		case b.slots <- slot:
		case <-ctx.Done():
			return
		}
		go func() {
			slot <- b.batchCall(ctx, b.adapter, n, text)
			<-running
		}()
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		b.end <- usage("--batch: a line is longer than %d MiB; the lines before it are answered", maxLine>>20)
	} else if err != nil {
		b.end <- usage("--batch: the lines cannot be read: %w", plainPath(err))
	}
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

// write prints the answers in order and returns the first failure.
func (b *batchRun) write(ctx context.Context) (first, err error) {
	out := bufio.NewWriter(b.out)
	bar := b.newProgress()
	defer bar.end()
	for {
		slot, more := b.next(ctx)
		if !more {
			break
		}
		answer := <-slot
		if answer.err != nil && first == nil {
			first = answer.err
		}
		if err := b.writeLine(out, answer); err != nil {
			return first, fmt.Errorf("standard output: %w", plainPath(err))
		}
		bar.step(answer.err)
	}
	if err := out.Flush(); err != nil {
		return first, fmt.Errorf("standard output: %w", plainPath(err))
	}
	if ctx.Err() != nil {
		return first, context.Cause(ctx)
	}
	return first, b.readError()
}

// next returns the next line's slot; false: there are no more. When the run is interrupted, lines
// that were begun are still answered, but a reader that waits for input is not waited for.
func (b *batchRun) next(ctx context.Context) (chan batchAnswer, bool) {
	select {
	case slot, more := <-b.slots:
		return slot, more
	case <-ctx.Done():
	}
	select {
	case slot, more := <-b.slots:
		return slot, more
	default:
		return nil, false
	}
}

func (b *batchRun) readError() error {
	select {
	case err := <-b.end:
		return err
	default:
		return nil
	}
}

// writeLine writes one answer; what is written is on its way before the next answer is waited for.
func (b *batchRun) writeLine(out *bufio.Writer, answer batchAnswer) error {
	if answer.Error != nil {
		answer.Error = b.scrubbed(b.unlessInterrupted(answer.Error))
	}
	line, err := compact(answer)
	if err != nil {
		return err
	}
	if _, err := out.Write(line); err != nil {
		return err
	}
	if len(b.slots) == 0 {
		return out.Flush()
	}
	return nil
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
