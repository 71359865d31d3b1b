// Package demo shows in a few seconds what the product does. It starts pretend systems on
// loopback, calls them through the adapter homes of examples/ and the real engine, and tells
// what happened.
//
//	step ── act ──▶ Adapter ──▶ system (checks, answers, counts) ──▶ ledger
//	  └─ wire, count: what the step claims ── compared with the ledger ──▶ page
//
// Stay keeps systems for the files of examples/port, so that others can try them.
//
// It promises that whatever it prints was counted by the pretend systems themselves: a claim
// that does not hold ends the story with an error. No secret is printed, only fingerprints.
package demo

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Options say where the story is told.
type Options struct {
	Out      io.Writer
	Color    bool // Out understands ANSI colours
	Terminal bool // Out is a terminal: a wait is shown on a line that goes away again

	Listen string // where Stay listens; empty: Listen

	Now  func() time.Time                           // nil: time.Now
	Wait func(context.Context, time.Duration) error // nil: real time passes

	tamper func(*system, reply) reply // tests make a system misbehave
}

// Run tells the story and ends by itself, after a little over three seconds. Its error says
// which claim did not hold, or what could not be started.
func Run(ctx context.Context, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = sleep
	}
	s, err := raise(o)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer s.strike()
	if err := s.tell(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// chapter is what happens with one home.
type chapter struct {
	system *system
	about  string
	steps  []step
}

// act does something. What it says is printed as it is; its error ends the story.
type act func(context.Context) (says string, err error)

// step is one thing that is done, and what it claims.
type step struct {
	title string
	act   act
	// wire is all that must have gone over the wire meanwhile; #1 is the first credential that
	// the system saw, #2 the second.
	wire  string
	count count // what the system must have counted since the beginning
}

func (s *stage) tell(ctx context.Context) error {
	start := s.o.Now()
	s.page.opening()
	var sum count
	for _, chapter := range s.story() {
		s.page.chapter(chapter.system.name, chapter.about)
		for _, step := range chapter.steps {
			if err := s.play(ctx, chapter.system, step); err != nil {
				return err
			}
		}
		sum = sum.plus(chapter.system.counted())
	}
	s.page.closing(sum, s.o.Now().Sub(start))
	return s.page.err
}

// play does one step, checks its claims and prints it.
func (s *stage) play(ctx context.Context, sys *system, step step) error {
	says, err := step.act(ctx)
	if err != nil {
		return fmt.Errorf("%s: %q: %w", sys.name, step.title, err)
	}
	hits, counted := s.ledger.take(), sys.counted()
	if got := wire(hits, hit.numbered); got != step.wire {
		return fmt.Errorf("%s: %q: on the wire was %q, and the story says %q", sys.name, step.title, got, step.wire)
	}
	if counted != step.count {
		return fmt.Errorf("%s: %q: the system counted %s, and the story says %s", sys.name, step.title, counted, step.count)
	}
	s.page.step(step.title, counted, wire(hits, hit.printed), says)
	return s.page.err
}
