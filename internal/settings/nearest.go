package settings

import (
	"strconv"
	"strings"
)

// Nearest returns the known name that a misspelt one most likely stands for, and "" when
// nothing is near. Case, hyphens and underscores count little.
func Nearest(name string, known []string) string {
	const longest = 64 // nobody means a known name by a longer one
	if name == "" || len(name) > longest {
		return ""
	}
	best, least := "", 1+max(1, len(name)/3)
	for _, k := range known {
		d := distance([]rune(fold(name)), []rune(fold(k)))
		if d < least && d < len(k) || d == least && best != "" && k < best {
			best, least = k, d
		}
	}
	return best
}

// didYouMean returns the end of a sentence that offers the nearest name, if there is one.
func didYouMean(name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return "; did you mean " + strconv.Quote(near) + "?"
	}
	return ""
}

var separators = strings.NewReplacer("-", "", "_", "", ".", "", " ", "")

func fold(name string) string { return separators.Replace(strings.ToLower(name)) }

// distance is the Levenshtein distance where two swapped neighbours count once.
func distance(a, b []rune) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range a {
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(prev[j+1]+1, row[j]+1, prev[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
