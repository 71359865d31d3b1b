package bench

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/internal/figures"
)

var write = flag.String("write", "", "also write the table into its section of this file")

// goals is the table: each row is checked against must, and told about stretch.
func goals() []goal {
	const endpoint = 200 // milliseconds
	return []goal{
		{id: "P1", what: "credential on a request of ours", rounds: 21, contend: ownRequest, figures: []figure{
			{what: "time", unit: "ns", share: true, over: median, must: atMost(0.10), stretch: atMost(0.04)},
			{what: "allocations", over: worst, must: exactly(0)},
			{what: "memory", unit: "B", over: worst, must: exactly(0)}}},
		{id: "P2", what: "credential on a copied request", rounds: 21, contend: copiedRequest, figures: []figure{
			{what: "time", unit: "ns", share: true, over: median, must: atMost(0.75), stretch: atMost(0.60)},
			{what: "allocations", over: worst, must: atMost(3)},
			{what: "memory", unit: "B", share: true, over: worst, must: atMost(0.75)}}},
		{id: "P3", what: "cached token read by 64 goroutines, two free cores", rounds: 21, contend: tokenReads, figures: []figure{
			{what: "time", unit: "ns", share: true, over: median, must: atMost(0.25), stretch: atMost(0.05)}}},
		{id: "P4", what: "call over loopback, 64 at once, beside bare net/http", rounds: 101, contend: loopback, figures: []figure{
			{what: "CPU a call", unit: "µs", share: true, over: median, must: atMost(1.05), stretch: atMost(0.70)}}},
		{id: "P5", what: "cold start, 1,000 callers, endpoint 200 ms", rounds: 5, contend: coldStart, figures: []figure{
			{what: "token requests", over: worst, must: exactly(1)},
			{what: "p99 as a share of the endpoint's time", unit: "×", over: median, must: atMost(1.03), stretch: atMost(1.015)}}},
		{id: "P6", what: "expiry under load, 64 callers, endpoint 200 ms", rounds: 3, contend: midLoad, figures: []figure{
			{what: "token requests", over: worst, must: exactly(1)},
			{what: "calls stalled over 50 ms", over: worst, must: exactly(0)},
			{what: "worst call", unit: "ms", over: median, must: atMost(5), stretch: atMost(1)}}},
		{id: "P7", what: "endpoint fails after 50 ms, 100 callers", rounds: 3, contend: failing, figures: []figure{
			{what: "token requests", over: worst, must: exactly(1)},
			{what: "last hears, as a share of the endpoint's time", unit: "×", over: median, must: atMost(1.1), stretch: atMost(1.03)}}},
		{id: "P8", what: "endpoint hangs, callers with 250 ms, whoever leads", rounds: 3, contend: hanging, figures: []figure{
			{what: "back within 10 ms of the deadline", unit: "%", over: median, must: exactly(100)},
			{what: "last back after the deadline", unit: "ms", over: median, must: atMost(10), stretch: atMost(2)}}},
		{id: "P9", what: "401 storm, 1,000 calls, refusals spread over 300 ms, endpoint 50 ms", rounds: 3, contend: storm, figures: []figure{
			{what: "token requests", over: worst, must: exactly(1)},
			{what: "failed calls", over: worst, must: exactly(0)},
			{what: "requests sent", over: worst, must: atMost(2000)},
			{what: "p99 after the slowest refusal", unit: "ms", over: median, stretch: atMost(50 + 10)}}},
		{id: "P10", what: "hot call with Redis configured, beside memory only", rounds: 21, contend: hotWithRedis, figures: []figure{
			{what: "Redis commands in 20,000 calls", over: worst, must: exactly(0)},
			{what: "time", unit: "ns", share: true, over: median, must: atMost(1.05)}}},
		{id: "P11", what: "4 processes of 250 callers, cold, one Redis, endpoint 200 ms", rounds: 9, contend: processes, figures: []figure{
			{what: "token requests", over: worst, must: exactly(1)},
			{what: "p99", unit: "ms", over: median, must: atMost(endpoint + 10), stretch: atMost(endpoint + 5)},
			{what: "Redis commands", over: worst, must: atMost(50), stretch: atMost(35)}}},
		{id: "P12", what: "lease holder killed in its token request, endpoint 200 ms", rounds: 1, contend: killedHolder, figures: []figure{
			{what: "next token after lease and endpoint, median of 5 at once", unit: "ms", over: median, must: atMost(20), stretch: atMost(5)}}},
		{id: "P16", what: "format of a header", rounds: 21, contend: formats, figures: []figure{
			{what: "renderings in 200,000 calls", over: worst, must: exactly(0)},
			{what: "added to a call by more parts", unit: "ns", over: median, must: atMost(3)},
			{what: "time on a new token", unit: "ns", share: true, over: median, must: atMost(0.2)},
			{what: "allocations on a new token", over: worst, must: atMost(1)}}},
		{id: "memory", what: "100,000 cached credentials", rounds: 1, contend: manyCredentials, figures: []figure{
			{what: "heap in use", unit: "MiB", over: median, must: atMost(120)}}},
	}
}

func TestGoals(t *testing.T) {
	if testing.Short() {
		t.Skip("takes two minutes")
	}
	measureAll(t, newLab(t), goals(), "goals", "make figures")
}

// measureAll tries every goal, and writes the table where it was asked to.
func measureAll(t *testing.T, l *lab, list []goal, section, command string) {
	var rows []row
	ran := 0
	for _, g := range list {
		t.Run(g.id, func(t *testing.T) {
			found := g.measure(t, l)
			check(t, found)
			rows = append(rows, found...)
			ran++
		})
	}
	text := table(rows) + "\n\n" + machine(command)
	t.Log("\n" + text)
	if *write == "" || t.Failed() {
		return
	}
	if ran != len(list) {
		t.Fatalf("%d of %d goals were measured: nothing is written", ran, len(list))
	}
	must(t, figures.Write(*write, section, text))
}

func check(t *testing.T, rows []row) {
	for _, r := range rows {
		t.Log(r)
		if !r.figure.must.holds(r.ours.of) {
			t.Errorf("%s, %s: got %s, must be %s", r.goal.id, r.figure.what, r.figure.text(r.ours), r.figure.limit(r.figure.must))
		}
	}
}

func machine(command string) string {
	return fmt.Sprintf("Measured on %s by `%s`: %d cores, %s, %s/%s.",
		time.Now().Format(time.DateOnly), command, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// Children are this program again: TestMain is their main.
func TestMain(m *testing.M) {
	if role := roles[os.Getenv(roleVariable)]; role != nil {
		role()
		return
	}
	os.Exit(m.Run())
}
