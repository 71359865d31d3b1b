package bench

import "testing"

func TestFiguresAreHeldToAtLeast(t *testing.T) {
	list := []contender{{name: "ours"}, {name: "bare", base: true, floor: true}, {name: "slow peer"}, {name: "fast peer"}}
	rounds := [][][]float64{{{90}, {80}, {99}}, {{100}, {100}, {100}}, {{50}, {50}, {50}}, {{60}, {60}, {60}}}
	g := goal{id: "P", rounds: 3}
	for _, test := range []struct {
		name         string
		figure       figure
		ours, theirs float64
		by, verdict  string
	}{
		{"of the base", figure{share: true, over: median, must: atLeast(0.9), stretch: atLeast(1)}, 0.9, 0.6, "fast peer", "met"},
		{"of a peer", figure{share: true, beside: "slow peer", over: median, must: atLeast(2)}, 1.8, 1.2, "fast peer", "**missed**"},
		{"the best round is the highest", figure{over: best, stretch: atLeast(99)}, 99, 60, "fast peer", "stretch"},
	} {
		r := test.figure.row(g, list, column(rounds, 0))
		if r.ours.of != test.ours || r.peer.of != test.theirs || r.by != test.by || r.verdict() != test.verdict {
			t.Errorf("%s: got %v, peer %v (%s), %s; want %v, peer %v (%s), %s", test.name, r.ours.of, r.peer.of, r.by, r.verdict(),
				test.ours, test.theirs, test.by, test.verdict)
		}
	}
}
