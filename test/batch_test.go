package test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestFiftyParallelCallsLogInOnce(t *testing.T) {
	s := newSystem(t)
	var in strings.Builder
	for n := 1; n <= 50; n++ {
		in.WriteString(line(n))
	}
	got, code, _ := batch(t, strings.NewReader(in.String()), "call", s.home(t), "--batch", "-", "--parallel", "50")
	inOrder(t, got, 50)
	if code != 0 || s.logins.Load() != 1 || s.calls.Load() != 50 {
		t.Errorf("got exit code %d, %d logins and %d calls, want 0, 1 and 50", code, s.logins.Load(), s.calls.Load())
	}
}

// The first call is answered before the token is revoked under the next fifty.
func TestRevokedTokenLosesNoCall(t *testing.T) {
	s := newSystem(t)
	stdin, lines := io.Pipe()
	cmd, stderr := program(t, stdin, "call", s.home(t), "--batch", "-", "--parallel", "50")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(stdout)
	_, _ = io.WriteString(lines, line(1))
	first, err := answers.ReadString('\n')
	if err != nil || !strings.Contains(first, `"number":1`) {
		t.Fatalf("got %q and %v, want the first answer while the batch goes on", first, err)
	}
	s.revoke()
	for n := 2; n <= 51; n++ {
		_, _ = io.WriteString(lines, line(n))
	}
	_ = lines.Close()
	rest, err := io.ReadAll(answers)
	if werr := cmd.Wait(); err != nil || werr != nil {
		t.Errorf("got %v and %v: %s", err, werr, stderr)
	}
	if n := strings.Count(string(rest), `"icode":"AD.200"`); n != 50 || s.logins.Load() != 2 {
		t.Errorf("got %d answers and %d logins, want 50 and 2", n, s.logins.Load())
	}
}

// bigBatch is how many lines the big batch has. Line 1500 is nonsense, line 2000 is answered with
// 503, every other 500th with 404, and every 97th so slowly that later ones overtake it.
const bigBatch = 5000

func failing(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
	switch {
	case n == 2000:
		w.WriteHeader(http.StatusServiceUnavailable)
	case n%500 == 0:
		w.WriteHeader(http.StatusNotFound)
	default:
		if n%97 == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		_, _ = fmt.Fprintf(w, `{"id":%d,"padding":"%40000d"}`, n, n)
	}
}

func (a answered) check(t *testing.T, n int) {
	t.Helper()
	code := 0
	switch {
	case n == 2000:
		code = http.StatusServiceUnavailable
	case n%500 == 0 && n != 1500:
		code = http.StatusNotFound
	}
	wellAnswered := a.Result.Response.Number == n || code != 0 || n == 1500 && a.Error.ICode == "AD.300"
	if a.Line != n || a.Error.IAPError.Code != code || !wellAnswered {
		t.Fatalf("answer %d: got %+v, want code %d", n, a, code)
	}
}

func TestBigBatchStreams(t *testing.T) {
	s := newSystem(t)
	s.serve = failing
	stdin, lines := io.Pipe()
	go func() {
		for n := 1; n <= bigBatch; n++ {
			text := line(n)
			if n == 1500 {
				text = "nonsense\n"
			}
			_, _ = io.WriteString(lines, text)
		}
		_ = lines.Close()
	}()
	got, code, memory := batch(t, stdin, "call", s.home(t), "--batch", "-", "--parallel", "16")
	if len(got) != bigBatch {
		t.Fatalf("got %d answers, want %d", len(got), bigBatch)
	}
	for i, a := range got {
		a.check(t, i+1)
	}
	t.Logf("%d KiB of memory", memory)
	if memory > 100<<10 { // a busy machine collects garbage late; all of it would be more than 200 MiB
		t.Errorf("took %d KiB of memory for answers of 200 MiB in all", memory)
	}
	if code != 4 || s.logins.Load() != 1 {
		t.Errorf("got exit code %d and %d logins, want 4, as line 500 has it, and 1", code, s.logins.Load())
	}
}

// With a reader that waits, the program waits too: it takes in no more lines than its window.
func TestBatchWaitsForItsReader(t *testing.T) {
	s := newSystem(t)
	padding := strings.Repeat("x", 1<<20)
	s.serve = func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"id":1,"padding":%q}`, padding)
	}
	home := s.home(t)
	write(t, home, "entities/thing/thing.json", `{"type": "object", "translate": true, "dynamicfields": true, "properties": {}}`)
	const most = 60
	var in strings.Builder
	for n := 1; n <= most; n++ {
		in.WriteString(line(n))
	}
	cmd, stderr := program(t, strings.NewReader(in.String()), "call", home, "--batch", "-", "--parallel", "4")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := int64(-1)
	for now := s.calls.Load(); now != last || now == 0; now = s.calls.Load() {
		last = now
		time.Sleep(300 * time.Millisecond)
	}
	if last > most/2 {
		t.Errorf("got %d calls although nobody reads the answers, want about 4 × 5", last)
	}
	if n, _ := io.Copy(io.Discard, stdout); n < most<<20 {
		t.Errorf("got %d bytes, want all %d answers", n, most)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, stderr)
	}
}

func inOrder(t *testing.T, got []answered, want int) {
	t.Helper()
	if len(got) != want {
		t.Fatalf("got %d answers, want %d", len(got), want)
	}
	for i, a := range got {
		if a.Line != i+1 || a.Result.Response.Number != i+1 {
			t.Fatalf("answer %d: got %+v", i+1, a)
		}
	}
}
