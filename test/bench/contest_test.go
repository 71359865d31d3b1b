package bench

import (
	"cmp"
	"math"
	"runtime"
	"slices"
	"testing"
)

// contender is one way to do the same thing. A round brings one value for each figure of the goal.
type contender struct {
	name  string
	base  bool // the others are counted as a share of this one
	floor bool // there to compare with, nothing that people would use instead
	round func(t testing.TB) []float64
}

// goal is a promise of speed: what is measured, by whom, and what it must be.
type goal struct {
	id, what string
	rounds   int
	contend  func(t testing.TB, l *lab) []contender // ours first
	figures  []figure
}

// row is one figure of a goal as it came out.
type row struct {
	goal   goal
	figure figure
	ours   value
	peer   value // the best of them
	by     string
}

// value is what the rounds say together; whole is it before it was made a share.
type value struct{ of, whole float64 }

// measure lets the contenders take turns in short rounds, each time from another one on: what
// else the machine does hits all, and nobody is always the first.
func (g goal) measure(t testing.TB, l *lab) []row {
	list := g.contend(t, l)
	rounds := make([][][]float64, len(list))
	for turn := range g.rounds {
		for i := range list {
			i = (i + turn) % len(list)
			runtime.GC() // nobody pays for what another left behind
			rounds[i] = append(rounds[i], list[i].round(t))
		}
	}
	var rows []row
	for i, f := range g.figures {
		rows = append(rows, f.row(g, list, column(rounds, i)))
	}
	return rows
}

// column is one figure: of each contender the values of its rounds.
func column(rounds [][][]float64, figure int) [][]float64 {
	list := make([][]float64, len(rounds))
	for i, of := range rounds {
		for _, values := range of {
			list[i] = append(list[i], values[figure])
		}
	}
	return list
}

func (f figure) row(g goal, list []contender, rounds [][]float64) row {
	r := row{goal: g, figure: f, ours: f.value(rounds[0], f.base(list, rounds))}
	for i, c := range list {
		if i == 0 || c.floor {
			continue
		}
		v := f.value(rounds[i], f.base(list, rounds))
		if math.IsNaN(v.of) { // the peer has nothing of the kind
			continue
		}
		if r.by == "" || f.order().distance(v.of) < f.order().distance(r.peer.of) {
			r.peer, r.by = v, c.name
		}
	}
	return r
}

// base is the rounds of the contender that the others are a share of.
func (f figure) base(list []contender, rounds [][]float64) []float64 {
	isBase := func(c contender) bool { return c.name == f.beside || f.beside == "" && c.base }
	if i := slices.IndexFunc(list, isBase); i >= 0 {
		return rounds[i]
	}
	return nil
}

func (f figure) value(rounds, base []float64) value {
	whole := f.together(rounds)
	if !f.share {
		return value{whole, whole}
	}
	shares := slices.Clone(rounds)
	for i := range shares { // round by round, because neighbours in time met the same noise
		shares[i] /= base[i]
	}
	return value{f.together(shares), whole}
}

// together makes one value of all rounds, as the figure says.
func (f figure) together(rounds []float64) float64 {
	sorted := slices.Clone(rounds)
	slices.SortFunc(sorted, func(a, b float64) int { return cmp.Compare(f.order().distance(a), f.order().distance(b)) })
	switch f.over {
	case best:
		return sorted[0]
	case worst:
		return sorted[len(sorted)-1]
	}
	return sorted[len(sorted)/2]
}
