package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyhitch/keyhitch"
	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
)

const (
	workerFlag  = "--worker"
	reportEvery = 100 * time.Millisecond
	thinkTime   = 40 * time.Millisecond // of a caller between two calls, on average
	callLongest = 20 * time.Second
	failuresTop = 200_000 // kept in one report
)

// report is one line that a worker prints: what happened since the line before.
type report struct {
	Ready    bool          `json:"ready,omitempty"`
	Calls    int           `json:"calls"`
	Longest  time.Duration `json:"longest"`
	Failures []failure     `json:"failures,omitempty"`
}

// failure is one call that brought no answer.
type failure struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Login bool      `json:"login"` // for want of a token
	Text  string    `json:"text"`
}

// worker is one process of the fleet: callers that share an adapter.
type worker struct {
	number  int
	adapter *adapter.Adapter
	calls   atomic.Int64

	mu   sync.Mutex
	next report
}

func isWorker(args []string) bool { return len(args) > 1 && args[1] == workerFlag }

// work is a worker's life: ready; calls from the first line on stdin to its end.
func work(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("worker", flag.ContinueOnError)
	number := flags.Int(workerFlag[2:], 0, "")
	home := flags.String("home", "", "")
	callers := flags.Int("callers", 1, "")
	if err := flags.Parse(args); err != nil {
		return exitWrong
	}
	a, err := keyhitch.Open(*home, adapter.Options{})
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return exitWrong
	}
	w := &worker{number: *number, adapter: a}
	out := json.NewEncoder(stdout)
	_ = out.Encode(report{Ready: true})
	in := bufio.NewReader(stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return 0
	}
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in)
		close(stop)
	}()
	w.run(*callers, stop, out)
	ctx, cancel := context.WithTimeout(context.Background(), callLongest)
	defer cancel()
	_ = a.Close(ctx)
	return 0
}

// run calls until stop, and reports as it goes.
func (w *worker) run(callers int, stop <-chan struct{}, out *json.Encoder) {
	var all sync.WaitGroup
	for range callers {
		all.Go(func() { w.caller(stop) })
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for tick := time.NewTicker(reportEvery); ; {
		select {
		case <-tick.C:
			_ = out.Encode(w.take())
		case <-done:
			tick.Stop()
			_ = out.Encode(w.take())
			return
		}
	}
}

func (w *worker) caller(stop <-chan struct{}) {
	for {
		w.call()
		select {
		case <-stop:
			return
		case <-time.After(thinkTime/2 + rand.N(thinkTime)):
		}
	}
}

// call makes one call and checks that the answer is its own.
func (w *worker) call() {
	ctx, cancel := context.WithTimeout(context.Background(), callLongest)
	defer cancel()
	id := fmt.Sprintf("%d-%d", w.number, w.calls.Add(1))
	from := time.Now()
	res, err := w.adapter.Call(ctx, "thing", "get", adapter.Input{PathVars: []any{id}})
	to := time.Now()
	if err == nil && fmt.Sprint(res.Response) != fmt.Sprint(map[string]any{"name": id}) {
		err = fmt.Errorf("call %s got the answer %v", id, res.Response)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next.Calls++
	w.next.Longest = max(w.next.Longest, to.Sub(from))
	if err != nil && len(w.next.Failures) < failuresTop {
		var login *auth.TokenError
		w.next.Failures = append(w.next.Failures, failure{From: from, To: to, Login: errors.As(err, &login), Text: err.Error()})
	}
}

func (w *worker) take() report {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.next
	w.next = report{}
	return r
}
