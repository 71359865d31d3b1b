package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

const roleVariable = "KEYHITCH_BENCH_ROLE"

// roles are what a child process may be.
var roles = map[string]func(){"upstream": serveUpstream, "worker": work, "system": serveSystem, "bare": serveBare}

// child is this program again, in a role. It ends when its standard input closes.
type child struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func start(t testing.TB, role string) *child {
	t.Helper()
	c := &child{Cmd: exec.Command(os.Args[0])}
	c.Env = append(os.Environ(), roleVariable+"="+role)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	must(t, err)
	c.in, err = c.StdinPipe()
	must(t, err)
	c.out = bufio.NewReaderSize(out, 1<<20)
	must(t, c.Start())
	t.Cleanup(c.end)
	return c
}

func (c *child) end() {
	_ = c.in.Close()
	late := time.AfterFunc(5*time.Second, func() { _ = c.Process.Kill() })
	defer late.Stop()
	_ = c.Wait()
}

func (c *child) line(t testing.TB) string {
	t.Helper()
	text, err := c.out.ReadString('\n')
	must(t, err)
	return strings.TrimSpace(text)
}

func (c *child) tell(t testing.TB, v any) {
	t.Helper()
	must(t, json.NewEncoder(c.in).Encode(v))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lab is what the goals share.
type lab struct {
	url    string // of the upstream
	guests atomic.Int64
}

func newLab(t testing.TB) *lab { return &lab{url: start(t, "upstream").line(t)} }

// guest is one contender's round at the upstream.
type guest string

func (l *lab) guest() guest { return guest(l.url + "/" + strconv.FormatInt(l.guests.Add(1), 10)) }

// name is what the upstream calls the guest.
func (g guest) name() string { return path.Base(string(g)) }

// url is where the guest's calls go.
func (g guest) url(t testing.TB) *url.URL {
	t.Helper()
	u, err := url.Parse(string(g))
	must(t, err)
	return u
}

var endpointClient = &http.Client{Transport: tuned()}

// tuned is the transport under every contender: no call has to dial because another is under way.
func tuned() *http.Transport {
	tr := auth.NewBase()
	tr.MaxIdleConns, tr.MaxIdleConnsPerHost = 0, 2048
	tr.DisableCompression = true
	return tr
}

// fetch asks a token endpoint for a token and says how much of its life is left.
type fetch func(ctx context.Context) (token string, left time.Duration, err error)

// token asks the guest's token endpoint, which counts.
func (g guest) token(query string) fetch {
	return func(ctx context.Context) (string, time.Duration, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, string(g)+"/token?"+query, nil)
		if err != nil {
			return "", 0, err
		}
		res, err := endpointClient.Do(req)
		if err != nil {
			return "", 0, err
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode != http.StatusOK {
			err = &auth.TokenError{Status: res.StatusCode}
		}
		return string(text), time.Hour, err
	}
}

func (g guest) counts(t testing.TB) (c counts) {
	t.Helper()
	res, err := http.Get(string(g) + "/counts")
	must(t, err)
	defer res.Body.Close()
	must(t, json.NewDecoder(res.Body).Decode(&c))
	return c
}

func (g guest) revoke(t testing.TB) {
	t.Helper()
	res, err := http.Post(string(g)+"/revoke", "", nil)
	must(t, err)
	_ = res.Body.Close()
}

var errStatus = errors.New("the call was refused")

// call calls the guest's API. The upstream answers 200 to the newest token only.
func (g guest) call(rt http.RoundTripper, query string) error {
	req, err := http.NewRequest(http.MethodGet, string(g)+"/api?"+query, nil)
	if err != nil {
		return err
	}
	res, err := (&http.Client{Transport: rt}).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err = io.Copy(io.Discard, res.Body); err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%w: %s", errStatus, res.Status)
	}
	return err
}

// herd is what became of callers who were let go together.
type herd struct {
	start time.Time
	took  []time.Duration // sorted
	errs  []error         // as the callers came
}

// release lets n callers go at once; their time counts from the opening of the gate, at start or,
// if that is zero, when all are there.
func release(n int, start time.Time, call func() error) *herd {
	h := &herd{start: start, took: make([]time.Duration, n), errs: make([]error, n)}
	var callers, there sync.WaitGroup
	gate := make(chan struct{})
	there.Add(n)
	for i := range n {
		callers.Go(func() {
			there.Done()
			<-gate
			h.errs[i] = call()
			h.took[i] = time.Since(h.start)
		})
	}
	there.Wait()
	time.Sleep(max(20*time.Millisecond, time.Until(start))) // and asleep
	if start.IsZero() {
		h.start = time.Now()
	}
	close(gate)
	callers.Wait()
	slices.Sort(h.took)
	return h
}

// quantile is nearest-rank: of 1,000 callers, q = 0.99 is the 990th.
func (h *herd) quantile(q float64) time.Duration {
	return h.took[max(0, int(q*float64(len(h.took))+0.5)-1)]
}

func (h *herd) failed() (n int) {
	for _, err := range h.errs {
		if err != nil {
			n++
		}
	}
	return n
}

// allServed ends the test if a caller got nothing.
func (h *herd) allServed(t testing.TB) {
	t.Helper()
	if err := errors.Join(h.errs...); err != nil {
		t.Fatalf("%d of %d callers failed, the first with %v", h.failed(), len(h.errs), h.errs[slices.IndexFunc(h.errs, func(e error) bool { return e != nil })])
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
