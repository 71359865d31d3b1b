package gateway

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func newTape(body string, limit int) *tape {
	return &tape{source: strings.NewReader(body), limit: limit, whence: &http.Request{}}
}

func TestTapeIsReadAgainWhileAllOfItIsKept(t *testing.T) {
	for _, tt := range []struct {
		read, limit int
		again       bool
	}{{0, 0, true}, {3, 10, true}, {10, 10, true}, {11, 11, true}, {10, 9, false}, {1, 0, false}} {
		tape := newTape("hello world", tt.limit)
		first := tape.first()
		_, _ = io.ReadFull(first, make([]byte, tt.read))
		second, err := tape.again()
		if (err == nil) != tt.again || tape.lost.Load() == tt.again {
			t.Errorf("%+v: got %v, want another take: %t", tt, err, tt.again)
			continue
		}
		if err != nil {
			continue
		}
		if got, err := io.ReadAll(second); string(got) != "hello world" || err != nil {
			t.Errorf("%+v: got %q %v, want it whole", tt, got, err)
		}
		if _, err := first.Read(make([]byte, 1)); tt.read > 0 && !errors.Is(err, errOver) {
			t.Errorf("%+v: the first take goes on with %v, want its end", tt, err)
		}
	}
}

func TestTapeServesAProbeAndThenTheRequest(t *testing.T) {
	tape := newTape("hello", 10)
	first := tape.first()
	probe, err := tape.again()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(probe)
	_ = probe.Close()
	if got, err := io.ReadAll(first); string(got) != "hello" || err != nil {
		t.Errorf("got %q %v, want hello", got, err)
	}
}

func TestTapeKeepsNoMoreThanItsLimit(t *testing.T) {
	tape := newTape(strings.Repeat("x", 1000), 10)
	if n, err := io.Copy(io.Discard, tape.first()); n != 1000 || err != nil {
		t.Errorf("got %d bytes %v, want 1000", n, err)
	}
	if len(tape.kept) > 10 {
		t.Errorf("%d bytes are kept, want 10 at most", len(tape.kept))
	}
}

func TestTapeDoesNotWaitForAReadUnderWay(t *testing.T) {
	source := slow{make(chan bool), make(chan bool)}
	tape := &tape{source: source, limit: 10, whence: &http.Request{}}
	first := tape.first()
	go func() { _, _ = first.Read(make([]byte, 10)) }()
	<-source.begun
	if _, err := tape.again(); !errors.Is(err, errNotKept) {
		t.Errorf("got %v, want that it cannot be had now", err)
	}
	close(source.end)
}

// slow is a body that says when it is read, and ends when it is told.
type slow struct{ begun, end chan bool }

func (s slow) Read([]byte) (int, error) {
	s.begun <- true
	<-s.end
	return 0, io.EOF
}

func TestTapeEndsWithTheRequest(t *testing.T) {
	tape := newTape("hello", 10)
	first := tape.first()
	tape.stop()
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, errOver) {
		t.Errorf("got %v, want the end", err)
	}
}
