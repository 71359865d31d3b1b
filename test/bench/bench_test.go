package bench

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"golang.org/x/oauth2"

	"github.com/keyhitch/keyhitch/auth"
)

// contender is one way to do the same thing.
type contender struct {
	name string
	run  func()
}

// goal is a row of the table of goals: what ours may cost as a share of the peer's.
type goal struct {
	name       string
	ours, peer contender
	must       float64 // share of the peer's time
	allocs     float64 // of ours
	bytes      float64 // share of the peer's; 0: not looked at
}

func goals(t testing.TB) []goal {
	own, copied, peer := keyhitch(t)
	return []goal{
		{name: "P1  header on a request of ours", ours: contender{"Transport.Own", own}, peer: contender{"x/oauth2 Transport", peer}, must: 0.10, allocs: 0},
		{name: "P2  header on a copied request", ours: contender{"Transport", copied}, peer: contender{"x/oauth2 Transport", peer}, must: 0.75, allocs: 3, bytes: 0.75},
		{name: "P16 format on a new token", ours: contender{"Format.Render", format(t)}, peer: contender{"text/template", textTemplate(t)}, must: 0.20, allocs: 1},
	}
}

type stub struct{ res *http.Response }

func (s stub) RoundTrip(*http.Request) (*http.Response, error) { return s.res, nil }

func answer() stub {
	return stub{&http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}}
}

func request(t testing.TB) *http.Request {
	req, err := http.NewRequest(http.MethodGet, "https://a.example/v1/things?x=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "bench")
	return req
}

// accessToken is as long as those of the peer measurements, 78 bytes.
var accessToken = strings.Repeat("token.", 13)

// keyhitch returns the same call in our two ways, and in that of x/oauth2.
func keyhitch(t testing.TB) (own, copied, peer func()) {
	source := auth.TokenSourceFunc(func(context.Context) (auth.Token, error) {
		now := time.Now()
		return auth.Token{Values: map[string]auth.Secret{"token": auth.NewSecret(accessToken)}, Obtained: now, Expiry: now.Add(time.Hour)}, nil
	})
	place, problems := auth.CompileFields([]auth.Field{{Path: "header.headers.Authorization", Format: "Bearer {token}"}}, nil, "token")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	ours := request(t)
	tr := &auth.Transport{Base: answer(), Origin: auth.OriginOf(ours.URL),
		Auth: &auth.Placed{Source: auth.Cached(auth.Credential{Source: source}, auth.Env{Now: time.Now}), Placement: place}}
	if _, err := tr.RoundTrip(ours); err != nil {
		t.Fatal(err)
	}
	inPlace, plain, theirs := tr.Own(), request(t), request(t)
	token := &oauth2.Token{AccessToken: accessToken, TokenType: "Bearer", Expiry: time.Now().Add(time.Hour)}
	peers := &oauth2.Transport{Base: answer(), Source: oauth2.ReuseTokenSource(token, nil)}
	return func() { _, _ = inPlace.RoundTrip(ours) }, func() { _, _ = tr.RoundTrip(plain) }, func() { _, _ = peers.RoundTrip(theirs) }
}

func format(t testing.TB) func() {
	f, err := auth.CompileFormat("Bearer {token}; user={username}", "token", "username")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]auth.Secret{"token": auth.NewSecret("T1"), "username": auth.NewSecret("ann")}
	return func() { _, _ = f.Render(values) }
}

func textTemplate(t testing.TB) func() {
	parsed, err := template.New("").Parse("Bearer {{.token}}; user={{.username}}")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{"token": "T1", "username": "ann"}
	return func() {
		var b strings.Builder
		_ = parsed.Execute(&b, values)
	}
}

// Contenders take turns in short rounds, and the median counts: what else the machine does hits both.
const (
	rounds = 21
	calls  = 20_000
)

func nanoseconds(c contender) float64 {
	start := time.Now()
	for range calls {
		c.run()
	}
	return float64(time.Since(start)) / calls
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func TestGoals(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, g := range goals(t) {
		var ours, peer, ratio []float64
		for range rounds {
			a, b := nanoseconds(g.ours), nanoseconds(g.peer)
			ours, peer, ratio = append(ours, a), append(peer, b), append(ratio, a/b)
		}
		ourAllocs, ourBytes := memory(g.ours)
		peerAllocs, peerBytes := memory(g.peer)
		line := fmt.Sprintf("%-32s %-14s %6.1f ns %2.0f allocs %4.0f B   %-18s %7.1f ns %2.0f allocs %4.0f B   ratio %.3f, must be ≤ %.2f",
			g.name, g.ours.name, median(ours), ourAllocs, ourBytes, g.peer.name, median(peer), peerAllocs, peerBytes, median(ratio), g.must)
		t.Log(line)
		if median(ratio) > g.must || ourAllocs > g.allocs || g.bytes > 0 && ourBytes > g.bytes*peerBytes {
			t.Errorf("%s: the goal is missed", g.name)
		}
	}
}

func memory(c contender) (allocs, bytes float64) {
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.run()
		}
	})
	return float64(r.AllocsPerOp()), float64(r.AllocedBytesPerOp())
}

func Benchmark(b *testing.B) {
	for _, g := range goals(b) {
		for _, c := range []contender{g.ours, g.peer} {
			b.Run(g.name[:3]+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c.run()
				}
			})
		}
	}
}
