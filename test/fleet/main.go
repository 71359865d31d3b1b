// Program fleet lets several processes share one Redis and call a pretend system that misbehaves,
// and prints a proof: how many logins that took, how many it had to take, and that no call was lost.
//
//	seed ─ deal ─▶ schedule ─▶ system ◀─ calls ─ worker × N ⇄ redis-server
//	                             └ log ─ prove ─▶ proof ◀─ reports ─┘
//
// Workers are this program again. What theory demands is computed from the system's own log.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"time"

	"golang.org/x/term"
)

const (
	exitBroken      = 1
	exitWrong       = 2
	exitInterrupted = 130
)

// settings say how long which fleet runs, and what happens to it.
type settings struct {
	Processes, Callers int
	For, Life          time.Duration
	Seed               uint64
	Kill, RedisOutage  bool
}

func main() {
	if isWorker(os.Args) {
		os.Exit(work(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(lead(os.Args[1:], os.Stdout, os.Stderr))
}

// lead runs the fleet and prints the proof.
func lead(args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "fleet:", err)
		return exitWrong
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	progress := io.Discard
	if term.IsTerminal(int(os.Stderr.Fd())) {
		progress = stderr
	}
	p, err := run(ctx, s, progress)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "fleet:", err)
		return exitBroken
	}
	_, _ = fmt.Fprint(stdout, p)
	switch {
	case len(p.broken()) > 0:
		return exitBroken
	case ctx.Err() != nil:
		return exitInterrupted
	}
	return 0
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&s.Processes, "processes", 4, "how many processes share the Redis")
	flags.IntVar(&s.Callers, "callers", 50, "how many callers each process has")
	flags.DurationVar(&s.For, "for", 10*time.Second, "how long they call")
	flags.DurationVar(&s.Life, "life", 3*time.Second, "how long a token lives")
	flags.Uint64Var(&s.Seed, "seed", 0, "reproduces a schedule; 0: another one each time")
	flags.BoolVar(&s.Kill, "kill", false, "SIGKILL a process in mid-run and start it again")
	flags.BoolVar(&s.RedisOutage, "redis-outage", false, "kill Redis once and start it again, empty")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.Seed == 0 {
		s.Seed = uint64(rand.Uint32())
	}
	return s, s.check(flags.NArg())
}

func (s settings) check(more int) error {
	switch {
	case more > 0:
		return errors.New("takes flags only")
	case s.Processes < 1 || s.Processes > 64 || s.Callers < 1 || s.Callers > 1000:
		return errors.New("--processes is 1 to 64, --callers 1 to 1000")
	case s.Life < 500*time.Millisecond || s.Life > time.Hour:
		return errors.New("--life is 500ms to 1h")
	case s.For < time.Second || s.For > 24*time.Hour:
		return errors.New("--for is 1s to 24h")
	}
	return nil
}

// command is how to run the same again.
func (s settings) command() string {
	text := fmt.Sprintf("make fleet FLEET=\"--processes %d --callers %d --for %s --life %s --seed %d", s.Processes, s.Callers, s.For, s.Life, s.Seed)
	if s.Kill {
		text += " --kill"
	}
	if s.RedisOutage {
		text += " --redis-outage"
	}
	return text + `"`
}
