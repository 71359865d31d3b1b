package gateway

import (
	"bytes"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// writes notes each Write.
type writes struct {
	mu   sync.Mutex
	list []string
}

// Write notes a copy.
func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, string(p))
	return len(p), nil
}

// taken returns what was written since it was called last.
func (w *writes) taken() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.list
	w.list = nil
	return list
}

func TestGatheredLinesAreWrittenTogetherAfterAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w writes
		g := Gather(&w)
		for range 2 { // the second time after a rest
			_, _ = g.Write([]byte("a\n"))
			time.Sleep(gatherTime - time.Millisecond)
			_, _ = g.Write([]byte("b\n"))
			if early := w.taken(); early != nil {
				t.Fatalf("%q was written at once", early)
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			if got := w.taken(); len(got) != 1 || got[0] != "a\nb\n" {
				t.Fatalf("after %v: got %q, want both lines in one piece", gatherTime, got)
			}
			time.Sleep(time.Hour)
		}
	})
}

func TestGatheredLinesAreWrittenWhenThereAreMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w writes
		g := Gather(&w)
		line := strings.Repeat("x", 1023) + "\n"
		for range gatherBytes / len(line) {
			_, _ = g.Write([]byte(line))
		}
		synctest.Wait() // no time goes by
		if got := w.taken(); len(got) != 1 || len(got[0]) != gatherBytes {
			t.Fatalf("got %d writes, want one of %d bytes", len(got), gatherBytes)
		}
		_, _ = g.Write([]byte(line))
		g.Flush()
		if got := w.taken(); len(got) != 1 || got[0] != line {
			t.Errorf("Flush left the last line behind")
		}
	})
}

// stuck is a disk or pipe that stands still until it is let go.
type stuck struct {
	writes
	goOn chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.goOn
	return s.writes.Write(p)
}

func TestRequestsGoOnWhileTheLogStandsStillUntilMuchWaits(t *testing.T) {
	w := &stuck{goOn: make(chan struct{})}
	g := Gather(w)
	line := strings.Repeat("x", 1023) + "\n"
	const lines = 4 * gatherMost / 1024
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range lines {
			_, _ = g.Write([]byte(line))
		}
	}()
	for held := 0; held < gatherMost; runtime.Gosched() { // else nothing comes to an end
		g.mu.Lock()
		held = len(g.lines)
		g.mu.Unlock()
	}
	select {
	case <-ended:
		t.Errorf("%d lines were taken while none could be written", lines)
	default:
	}
	close(w.goOn)
	<-ended
	g.Flush()
	got := w.taken()
	if all := strings.Join(got, ""); all != strings.Repeat(line, lines) {
		t.Errorf("%d bytes were written, want all %d", len(all), lines*len(line))
	}
	for _, piece := range got {
		if len(piece) > gatherMost {
			t.Errorf("%d bytes were held, want at most %d", len(piece), gatherMost)
		}
	}
}

func TestGatheredLinesOfManyRequestsStayWhole(t *testing.T) {
	var b bytes.Buffer
	g := Gather(&b)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 1000 {
				_, _ = g.Write([]byte("one line of the access log\n"))
			}
		})
	}
	callers.Wait()
	g.Flush()
	if want := strings.Repeat("one line of the access log\n", 8000); b.String() != want {
		t.Errorf("lines were torn or lost: got %d bytes, want %d", b.Len(), len(want))
	}
}
