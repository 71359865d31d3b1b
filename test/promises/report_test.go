package promises

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/keyhitch/keyhitch/internal/figures"
)

var write = flag.String("write", "", "the Markdown `file` whose section «promises» is replaced by what was measured")

// promised says in a few words what each line of the table is about, in its order.
var promised = []struct{ id, what string }{
	{"R1", "callers share one token request; a cancelled one ends only its own wait"},
	{"R2", "renewal runs behind the calls, and a failing one is tried again until it succeeds"},
	{"R3", "whatever fails at the token endpoint, the next call tries again and nobody hangs"},
	{"R4", "one failed renewal is made good before anybody waits"},
	{"R5", "failures, hangs and refusals of many callers cost one request"},
	{"R6", "a revoked token is renewed once, and no call sees the refusal"},
	{"R7", "`Retry-After` is obeyed, and callers are told the wait"},
	{"R8", "an endpoint that is down is asked less and less, and not in step"},
	{"R9", "a good token is used while the endpoint is away; after it, calls fail at once with the cause"},
	{"R10", "an expired token is never sent; an empty or broken answer is a failure"},
	{"R11", "a Redis that fails over costs no call"},
	{"R14", "a Redis that is away or slow costs no call"},
	{"R15", "errors of the API start no logins; an open breaker lets one through"},
	{"R16", "clocks that differ or jump send no expired token"},
	{"R17", "a poisoned cache is harmless"},
	{"R18", "a cut answer is never a short success"},
	{"R19", "nothing leaks"},
	{"R20", "secrets stay out of sight"},
}

// results holds what was measured: per promise, per test, one line.
var results = struct {
	sync.Mutex
	of map[string]map[string]string
}{of: map[string]map[string]string{}}

// measured notes a line of what was measured for a promise that was kept.
func measured(t *testing.T, promise, format string, args ...any) {
	t.Helper()
	if !slices.ContainsFunc(promised, func(p struct{ id, what string }) bool { return p.id == promise }) {
		t.Fatalf("no promise is called %s", promise)
	}
	if t.Failed() {
		return // then it was not so
	}
	line := fmt.Sprintf(format, args...)
	t.Logf("%s: %s", promise, line)
	results.Lock()
	defer results.Unlock()
	if results.of[promise] == nil {
		results.of[promise] = map[string]string{}
	}
	results.of[promise][t.Name()] = line
}

// table is the Markdown of what was measured, in the order of the promises. The figures are those
// of the whole table, or none: a part of them, or the short runs, would pass for it.
func table() (string, error) {
	results.Lock()
	defer results.Unlock()
	var b strings.Builder
	b.WriteString("| promise | what is promised | measured |\n| --- | --- | --- |\n")
	for _, p := range promised {
		tests := results.of[p.id]
		if len(tests) == 0 || !*full {
			return "", fmt.Errorf("nothing is written: %s was not measured at full length", p.id)
		}
		var cells []string
		for _, name := range slices.Sorted(maps.Keys(tests)) { // -shuffle must not change the text
			cells = append(cells, strings.ReplaceAll(tests[name], "|", "\\|"))
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", p.id, p.what, strings.Join(cells, "; "))
	}
	fmt.Fprintf(&b, "\nMeasured on %s by `make promises`: %d cores, %s, %s/%s.\n",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return b.String(), nil
}

func TestMain(m *testing.M) {
	if code, ok := childMain(os.Args); ok {
		os.Exit(code)
	}
	flag.Parse()
	code := m.Run()
	if code == 0 {
		code = finish()
	}
	os.Exit(code)
}

// finish looks for what the tests left running, and writes the figures.
func finish() int {
	if err := goleak.Find(leftByOthers()...); err != nil {
		fmt.Fprintln(os.Stderr, "left running:", err)
		return 1
	}
	if *write == "" {
		return 0
	}
	text, err := table()
	if err == nil {
		err = figures.Write(*write, "promises", text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
