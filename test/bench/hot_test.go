package bench

import (
	"context"
	"errors"
	"math"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// calls is how often a cheap thing is done in one round.
const calls = 20_000

type stub struct{ res *http.Response }

// RoundTrip answers at once.
func (s stub) RoundTrip(*http.Request) (*http.Response, error) { return s.res, nil }

func answer() stub {
	return stub{&http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}}
}

func request(t testing.TB) *http.Request {
	req, err := http.NewRequest(http.MethodGet, "https://a.example/v1/things?x=1", nil)
	must(t, err)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "bench")
	return req
}

// fixed is a token endpoint that costs nothing.
func fixed(context.Context) (string, time.Duration, error) { return bearer("1", 0), time.Hour, nil }

// cost is what one run costs: nanoseconds, allocations, bytes.
func cost(run func()) []float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	for range calls {
		run()
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	// Whole ones, as the testing package counts: the runtime itself allocates a little now and then.
	return []float64{float64(took) / calls, float64((after.Mallocs - before.Mallocs) / calls), float64((after.TotalAlloc - before.TotalAlloc) / calls)}
}

func costing(name string, base bool, run func()) contender {
	return contender{name: name, base: base, round: func(testing.TB) []float64 { return cost(run) }}
}

// sending is a call through rt, after one that shows that the credential went out.
func sending(t testing.TB, rt http.RoundTripper, sent *http.Request) func() {
	t.Helper()
	_, err := rt.RoundTrip(sent)
	must(t, err)
	return func() { _, _ = rt.RoundTrip(sent) }
}

// seen fails a test whose requests do not carry the credential.
type seen struct {
	stub
	t    testing.TB
	want string
}

// RoundTrip looks, and answers.
func (s seen) RoundTrip(req *http.Request) (*http.Response, error) {
	if got := req.Header.Get("Authorization"); got != s.want {
		s.t.Errorf("the call carries %q, want %q", got, s.want)
	}
	return s.res, nil
}

// looking expects the fixed token.
func looking(t testing.TB) seen { return seen{answer(), t, "Bearer " + bearer("1", 0)} }

// proven calls once through a base that looks, then returns the transport over one that does not.
func proven(t testing.TB, e engine) http.RoundTripper {
	req := request(t)
	_, err := e.wrap(looking(t), req.URL).RoundTrip(req)
	must(t, err)
	return e.wrap(answer(), req.URL)
}

func peerHeaders(t testing.TB) []contender {
	return []contender{
		costing("x/oauth2", true, sending(t, proven(t, xoauth2(fixed)), request(t))),
		costing("azcore", false, sending(t, proven(t, azure(fixed)), request(t))),
	}
}

func ownRequest(t testing.TB, _ *lab) []contender {
	own := proven(t, keyhitch(fixed)).(*auth.Transport)
	req := request(t)
	_ = sending(t, own, request(t)) // the first call shows what the placement writes
	return append([]contender{costing("keyhitch", false, sending(t, own.Own(), req))}, peerHeaders(t)...)
}

func copiedRequest(t testing.TB, _ *lab) []contender {
	return append([]contender{costing("keyhitch", false, sending(t, proven(t, keyhitch(fixed)), request(t)))}, peerHeaders(t)...)
}

// tokenReads has 64 goroutines read one cached token.
func tokenReads(t testing.TB, _ *lab) []contender {
	var list []contender
	var told sync.Once
	for _, e := range []engine{keyhitch(fixed), xoauth2(fixed), awsCredentials(fixed), google(fixed), smithy(fixed)} {
		list = append(list, contender{name: e.name, base: e.name == "x/oauth2", round: func(t testing.TB) []float64 { return readers(t, e, &told) }})
	}
	return list
}

// readers has two cores to itself, or tries again: a mutex costs little where nobody else runs.
// It is short, because the cores are seldom free for long.
func readers(t testing.TB, e engine, told *sync.Once) []float64 {
	const goroutines, reads, tries = 64, calls / 16, 5
	var took time.Duration
	for range tries {
		before := processor()
		h := release(goroutines, time.Time{}, func() error { return read(e, reads) })
		h.allServed(t)
		took = h.quantile(1)
		if used := processor() - before; used > took*9/10*time.Duration(min(2, runtime.NumCPU())) {
			return []float64{float64(took) / (goroutines * reads)}
		}
	}
	told.Do(func() { t.Log("the cores were busy with something else, which makes a mutex look cheap") })
	return []float64{float64(took) / (goroutines * reads)}
}

var errToken = errors.New("another token, or none")

func read(e engine, times int) error {
	want := bearer("1", 0)
	for range times {
		if got, err := e.token(context.Background()); err != nil || got != want {
			return errors.Join(errToken, err)
		}
	}
	return nil
}

// loopback compares the CPU of this process for a call; the upstream has its own.
func loopback(t testing.TB, l *lab) []contender {
	g := l.guest()
	bare := func(base http.RoundTripper) http.RoundTripper { return byHand{base, "Bearer " + bearer(g.name(), 0)} }
	list := []contender{
		{name: "keyhitch", round: calling(g, keyhitch(g.token("")).wrap(tuned(), g.url(t)))},
		{name: "bare net/http", base: true, floor: true, round: calling(g, bare(tuned()))},
		{name: "x/oauth2", round: calling(g, xoauth2(g.token("")).wrap(tuned(), nil))},
	}
	for _, c := range list { // dials
		c.round(t)
	}
	return list
}

// byHand is what is left when nobody manages credentials.
type byHand struct {
	http.RoundTripper
	value string
}

// RoundTrip writes into the request, which belongs to the caller of this very test.
func (b byHand) RoundTrip(req *http.Request) (*http.Response, error) {
	req.Header["Authorization"] = []string{b.value}
	return b.RoundTripper.RoundTrip(req)
}

func calling(g guest, rt http.RoundTripper) func(testing.TB) []float64 {
	return func(t testing.TB) []float64 {
		var done atomic.Int64
		before, end := processor(), time.Now().Add(80*time.Millisecond)
		h := release(64, time.Time{}, func() error {
			for time.Now().Before(end) {
				if err := g.call(rt, ""); err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
		h.allServed(t)
		return []float64{float64((processor() - before).Microseconds()) / float64(done.Load())}
	}
}

// processor is the CPU time that this process has used.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// formats measures a format of some length: never made for a call, and cheap for a new token.
func formats(t testing.TB, _ *lab) []contender {
	f, err := auth.CompileFormat("Bearer {token}; user={username}", "token", "username")
	must(t, err)
	values := map[string]auth.Secret{"token": auth.NewSecret("T1"), "username": auth.NewSecret("ann")}
	parsed := template.Must(template.New("").Parse("Bearer {{.token}}; user={{.username}}"))
	plain := map[string]string{"token": "T1", "username": "ann"}
	atCall := addedToCall(t)
	return []contender{
		{name: "keyhitch", round: func(t testing.TB) []float64 {
			rendered := cost(func() { _, _ = f.Render(values) })
			return append(atCall(t), rendered[0], rendered[1])
		}},
		{name: "text/template", base: true, round: func(testing.TB) []float64 {
			rendered := cost(func() {
				var b strings.Builder
				_ = parsed.Execute(&b, plain)
			})
			return []float64{math.NaN(), math.NaN(), rendered[0], rendered[1]}
		}},
	}
}

// rendering counts how often a token is turned into text.
type rendering struct {
	auth.Placement
	times *atomic.Int64
}

// Render counts.
func (r rendering) Render(token auth.Token) (auth.Injection, error) {
	r.times.Add(1)
	return r.Placement.Render(token)
}

// addedToCall compares calls with a header of several parts to calls with the bare token. Its
// round brings the renderings in so many calls, and the nanoseconds that the parts add: the
// difference of the best of ten, because a difference of two noises is nothing.
func addedToCall(t testing.TB) func(testing.TB) []float64 {
	var times atomic.Int64
	call := func(format, want string) func() {
		a := &auth.Placed{Source: auth.Cached(auth.Credential{Source: tokens(fixed)}, auth.Env{Now: time.Now}),
			Placement: rendering{header(format), &times}}
		req := request(t)
		tr := &auth.Transport{Base: seen{answer(), t, want}, Origin: auth.OriginOf(req.URL), Auth: a}
		_ = sending(t, tr, request(t))
		tr.Base = answer()
		return sending(t, tr.Own(), req)
	}
	token := bearer("1", 0)
	parts, bare := call("Bearer {token}; again={token}", "Bearer "+token+"; again="+token), call("{token}", token)
	return func(testing.TB) []float64 {
		before, with, without := times.Load(), math.Inf(1), math.Inf(1)
		for range 10 {
			with, without = min(with, cost(parts)[0]), min(without, cost(bare)[0])
		}
		return []float64{float64(times.Load() - before), with - without}
	}
}
