package entities

import (
	"cmp"
	"fmt"
	"strings"
)

// A VersionError says that an action does not exist in the chosen version of the system.
type VersionError struct {
	Action, ChoosePath string
	Start, End         string // the versions that have the action; "" is open
}

// Error returns the action, the chosen version and the range.
func (e *VersionError) Error() string {
	text := fmt.Sprintf("action %s is not in version %s", e.Action, e.ChoosePath)
	if e.Start != "" {
		text += ", it starts with " + e.Start
	}
	if e.End != "" {
		text += ", it ends with " + e.End
	}
	return text
}

// choosePath returns the entitypath for a version: the one of the version itself, or else of
// the greatest version below, or else the first.
func (a *Action) choosePath(choose string) (*entityPath, error) {
	if len(a.paths) == 0 {
		return nil, &PathError{Template: a.Name, Reason: "has no entitypath"}
	}
	if choose == "" {
		return &a.paths[0], nil
	}
	if a.start != "" && compareVersions(choose, a.start) < 0 || a.end != "" && compareVersions(choose, a.end) > 0 {
		return nil, &VersionError{a.Name, choose, a.start, a.end}
	}
	best := -1
	for i := range a.paths {
		p := &a.paths[i]
		if p.version == choose {
			return p, nil
		}
		if compareVersions(p.version, choose) < 0 && (best < 0 || compareVersions(p.version, a.paths[best].version) > 0) {
			best = i
		}
	}
	return &a.paths[max(best, 0)], nil
}

// compareVersions orders versions such as v2.10 and v2.9: part by part, as text filled up
// with zeros from the left; what goes on is later.
func compareVersions(a, b string) int {
	as, bs := versionParts(a), versionParts(b)
	for i := range min(len(as), len(bs)) {
		if c := comparePadded(as[i], bs[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

func versionParts(v string) []string {
	lower := strings.ToLower(v)
	for _, prefix := range []string{"ver", "v"} {
		if rest, ok := strings.CutPrefix(lower, prefix); ok {
			v = v[len(v)-len(rest):]
			break
		}
	}
	return strings.Split(v, ".")
}

func comparePadded(a, b string) int {
	width := max(len(a), len(b))
	return strings.Compare(strings.Repeat("0", width-len(a))+a, strings.Repeat("0", width-len(b))+b)
}
