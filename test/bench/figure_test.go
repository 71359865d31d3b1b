package bench

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// How the rounds are made one value. Counts must hold in the worst round; a time that one
// interruption by a neighbour spoils is the median or the best.
const (
	median = "median"
	best   = "best"
	worst  = "worst"
)

// figure is one thing that is measured, and its limits.
type figure struct {
	what, unit string
	share      bool   // of the base contender's, round by round
	beside     string // whose share it is, if not the base contender's
	must       limit
	stretch    limit
	over       string // median, best or worst of the rounds
}

// limit is what a figure is held to; the zero value is none.
type limit struct {
	sign  string
	value float64
}

func atMost(v float64) limit  { return limit{"≤", v} }
func atLeast(v float64) limit { return limit{"≥", v} }
func exactly(v float64) limit { return limit{"=", v} }

func (l limit) holds(v float64) bool {
	switch l.sign {
	case "≤":
		return v <= l.value
	case "≥":
		return v >= l.value
	case "=":
		return v == l.value
	}
	return true
}

// distance is the less the better v is.
func (l limit) distance(v float64) float64 {
	switch l.sign {
	case "≥":
		return -v
	case "=":
		return math.Abs(v - l.value)
	}
	return v
}

// order is the limit that says which values are better.
func (f figure) order() limit {
	if f.must.sign != "" {
		return f.must
	}
	return f.stretch
}

func (f figure) limit(l limit) string {
	if l.sign == "" {
		return "–"
	}
	return strings.TrimSpace(l.sign + " " + number(l.value) + " " + f.ending())
}

func (f figure) ending() string {
	if f.share {
		return "×"
	}
	return f.unit
}

func (f figure) text(v value) string {
	if math.IsInf(v.of, 0) {
		return "never"
	}
	text := strings.TrimSpace(number(v.of) + " " + f.ending())
	if f.share {
		text += fmt.Sprintf(" (%s %s)", number(v.whole), f.unit)
	}
	return text
}

// number writes what can be told apart and no more.
func number(v float64) string {
	digits := 3
	switch abs := math.Abs(v); {
	case abs >= 100:
		digits = 0
	case abs >= 10:
		digits = 1
	}
	scale := math.Pow10(digits)
	return strconv.FormatFloat(math.Round(v*scale)/scale, 'f', -1, 64)
}

func (r row) verdict() string {
	switch f := r.figure; {
	case !f.must.holds(r.ours.of):
		return "**missed**"
	case f.stretch.sign != "" && f.stretch.holds(r.ours.of):
		return "stretch"
	case f.must.sign == "":
		return "short of the stretch"
	}
	return "met"
}

// String is the row in Markdown.
func (r row) String() string {
	f, peer := r.figure, "–"
	if r.by != "" {
		peer = f.text(r.peer) + ", " + r.by
	}
	how := fmt.Sprintf("%s of %d rounds", f.over, r.goal.rounds)
	if r.goal.rounds == 1 {
		how = "once"
	}
	cells := []string{r.goal.id, r.goal.what + ": " + f.what, f.limit(f.must), f.limit(f.stretch), f.text(r.ours), peer, how, r.verdict()}
	return "| " + strings.Join(cells, " | ") + " |"
}

func table(rows []row) string {
	lines := []string{"| goal | what | must | stretch | ours | best peer | counted | verdict |", "|---|---|---|---|---|---|---|---|"}
	for _, r := range rows {
		lines = append(lines, r.String())
	}
	return strings.Join(lines, "\n")
}
