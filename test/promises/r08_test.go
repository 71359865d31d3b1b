package promises

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

const outage = time.Minute // how long the endpoint of R8 is down

func TestR8AnEndpointThatIsDownIsAskedLessAndLessAndNotInStep(t *testing.T) {
	r := seed(t)
	const instances = 50
	var tries [][]time.Duration
	most, slowest := 0, time.Duration(0)
	for range instances {
		synctest.Test(t, func(t *testing.T) {
			at, recovered := sitOut(t, r)
			tries = append(tries, at)
			most, slowest = max(most, len(at)), max(slowest, recovered)
		})
	}
	spread := widest(tries)
	if spread < 0.2 {
		t.Errorf("the pauses of %d instances spread by %.0f %%, want 20 %% or more", instances, 100*spread)
	}
	measured(t, "R8", "endpoint down for 60 s, %d instances: %d tries at most, growing gaps, jitter spread %.0f %%, back within %s of its return",
		instances, most, 100*spread, slowest)
}

// sitOut is one instance in the outage: when it tried, and how long after the end it had a token.
func sitOut(t *testing.T, r *rand.Rand) (tries []time.Duration, recovered time.Duration) {
	s := newBubbled(t)
	s.Set(down())
	p := s.process(t, options{Jitter: r.Float64})
	start := time.Now()
	for time.Since(start) < outage {
		_, _ = p.call(t.Context())
		time.Sleep(100 * time.Millisecond)
	}
	for _, e := range s.tokenRequests() {
		tries = append(tries, e.at.Sub(start))
	}
	s.Set(lives(time.Hour))
	for status := 0; status != http.StatusOK && time.Since(start) < 5*outage; {
		status, _ = p.call(t.Context())
		time.Sleep(100 * time.Millisecond)
	}
	answered := s.tokenRequests()
	recovered = answered[len(answered)-1].at.Sub(start) - outage
	checkPace(t, tries, recovered)
	return tries, recovered
}

func checkPace(t *testing.T, tries []time.Duration, recovered time.Duration) {
	t.Helper()
	gaps := gapsOf(tries)
	if len(tries) > 12 || !slices.IsSorted(gaps) || len(gaps) < 5 {
		t.Fatalf("tried at %s, want 12 times at most, and after growing gaps", tries)
	}
	// The gap that was under way when the endpoint came back: twice the last one, with jitter and a call's distance.
	if limit := gaps[len(gaps)-1]*5/2 + 200*time.Millisecond; recovered > limit {
		t.Errorf("a token %s after the endpoint was back, want one gap (%s) at most", recovered, limit)
	}
}

func gapsOf(tries []time.Duration) []time.Duration {
	var gaps []time.Duration
	for i := range tries[1:] {
		gaps = append(gaps, tries[i+1]-tries[i])
	}
	return gaps
}

// widest is how far the instances lie apart in the gap where they do most, as a share of the shortest.
func widest(tries [][]time.Duration) float64 {
	most := 0.0
	for n := 3; n < 6; n++ { // the long ones: calls are 100 ms apart
		var gaps []time.Duration
		for _, at := range tries {
			if all := gapsOf(at); n < len(all) {
				gaps = append(gaps, all[n])
			}
		}
		if len(gaps) > 0 {
			most = max(most, float64(slices.Max(gaps)-slices.Min(gaps))/float64(slices.Min(gaps)))
		}
	}
	return most
}

func TestR8ThePauseStartsOverAfterASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBubbled(t)
		p := s.process(t, options{})
		for range 3 {
			s.Set(down())
			before, start := s.Requests(), time.Now()
			for s.Requests() < before+5 {
				_, _ = p.call(t.Context())
				time.Sleep(50 * time.Millisecond)
			}
			if took := time.Since(start); took < 7*time.Second || took > 8*time.Second {
				t.Errorf("five tries took %s, want the 7 s (0, 1, 2 and 4) of a first outage", took)
			}
			s.Set(lives(time.Minute))
			time.Sleep(10 * time.Second)
			p.want(t)
			time.Sleep(time.Minute)
		}
	})
}
