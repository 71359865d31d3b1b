package main

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test binary a worker when the fleet starts it as one.
func TestMain(m *testing.M) {
	if isWorker(os.Args) {
		os.Exit(work(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestFleetLosesNoCallAndLogsInNoMoreThanItMust(t *testing.T) {
	p, err := run(t.Context(), settings{Processes: 2, Callers: 20, For: 2500 * time.Millisecond, Life: 1500 * time.Millisecond, Seed: 2}, io.Discard)
	if errors.Is(err, errNoRedis) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", p)
	if len(p.broken()) > 0 || !strings.Contains(p.String(), "PROVED") {
		t.Error("a promise is broken")
	}
	if p.calls < 100 || p.needed < 2 {
		t.Errorf("%d calls and %d logins needed: this run proves nothing", p.calls, p.needed)
	}
}

func TestTheoryTellsNeededLoginsFromDoubleOnes(t *testing.T) {
	const life = 10 * time.Second
	start := time.Now()
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	issued := func(arrived, end float64, why string) *token {
		return &token{arrived: at(arrived), issued: at(arrived + 0.5), end: at(end), why: why}
	}
	for _, tt := range []struct {
		name   string
		second *token
		want   int
	}{
		{"renewed in the last part of its life", issued(9.5, 20, endOfLife), 2},
		{"renewed too early", issued(9, 20, endOfLife), 1},
		{"under way beside the first", issued(0.1, 10.6, endOfLife), 1},
	} {
		if got, _ := theory([]*token{issued(0, 10.5, endOfLife), tt.second}, life); got != tt.want {
			t.Errorf("%s: %d logins needed, want %d", tt.name, got, tt.want)
		}
	}
	revoked := []*token{issued(0, 3, "revocation"), issued(3.1, 13.6, endOfLife), issued(3.2, 13.7, endOfLife)}
	if got, why := theory(revoked, life); got != 2 || why["revocation"] != 1 {
		t.Errorf("after a revocation %d logins needed for %v, want 2, one of them for it", got, why)
	}
}

func TestSeedMakesTheSchedule(t *testing.T) {
	s := settings{For: time.Minute, Life: 3 * time.Second, Seed: 7}
	if one, two := deal(s), deal(s); len(one) < 20 || !slices.Equal(one, two) {
		t.Errorf("got %d and %d events, want the same 20 or more", len(one), len(two))
	}
}
