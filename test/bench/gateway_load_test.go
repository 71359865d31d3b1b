package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// tally is what wrk says of its calls.
type tally struct {
	Requests, Bytes, Failed int
	Micros                  float64 // that it took
	P99                     float64 // microseconds
}

// tell has wrk say it in JSON. A script with nothing else costs no call anything.
const tell = `done = function(s, latency)
	local e = s.errors
	io.stderr:write(string.format('{"Requests":%d,"Bytes":%d,"Micros":%d,"P99":%d,"Failed":%d}', s.requests, s.bytes, s.duration,
		latency:percentile(99), e.connect + e.read + e.write + e.timeout + e.status))
end`

// wrk calls for 1 KiB from 64 connections, for so long.
func (p *gateway) wrk(t testing.TB, d time.Duration) (l tally) {
	t.Helper()
	script := put(t, filepath.Join(t.TempDir(), "tell.lua"), tell)
	cmd := exec.Command("wrk", "-t2", "-c64", fmt.Sprintf("-d%ds", int(d.Seconds())), "-s", script, "-H", "Authorization: Bearer "+callerKey, p.url+"/small")
	var told bytes.Buffer
	cmd.Stderr = &told
	out, err := cmd.Output()
	must(t, err)
	if err := json.Unmarshal(told.Bytes(), &l); err != nil {
		t.Fatalf("wrk: %v: %s%s", err, told.String(), out)
	}
	if l.Failed == 0 && (l.Requests == 0 || l.Bytes < l.Requests*smallBody) {
		t.Fatalf("%d bytes are no answers to %d requests", l.Bytes, l.Requests)
	}
	return l
}

// served is wrk where nobody may fail.
func (p *gateway) served(t testing.TB, d time.Duration) tally {
	t.Helper()
	l := p.wrk(t, d)
	if l.Failed > 0 {
		t.Fatalf("%d of %d calls through %s failed", l.Failed, l.Requests, p.url)
	}
	return l
}

// smallCalls is the round of P13 and P14: requests a second, p99 in ms, CPU of the gateway in µs a request.
func (p *gateway) smallCalls(t testing.TB) []float64 {
	time.Sleep(200 * time.Millisecond) // the gateway that was called before has closed its connections by then
	before := p.cpu(t)
	l := p.served(t, 2*time.Second)
	perSecond := float64(l.Requests) / l.Micros * 1e6
	return []float64{perSecond, perSecond, l.P99 / 1000, float64((p.cpu(t) - before).Microseconds()) / float64(l.Requests)}
}

// Bodies go 16 at a time, 64 in all each way.
const (
	atATime  = 16
	bodyTurn = 4
)

// bodies makes the calls for big bodies, and says how many MiB a second came through.
func bodies(t testing.TB, one func(*http.Client) error) float64 {
	t.Helper()
	client := &http.Client{Transport: tuned()}
	defer client.CloseIdleConnections()
	h := release(atATime, time.Time{}, func() error {
		for range bodyTurn {
			if err := one(client); err != nil {
				return err
			}
		}
		return nil
	})
	h.allServed(t)
	return atATime * bodyTurn * bigBody / (1 << 20) / h.quantile(1).Seconds()
}

func (p *gateway) down(client *http.Client) error {
	res, err := p.send(client, http.MethodGet, "/big", nil, 0)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	n, err := io.Copy(io.Discard, res.Body)
	return whole(n, err)
}

func (p *gateway) up(client *http.Client) error {
	res, err := p.send(client, http.MethodPost, "/sink", zeros(bigBody), bigBody)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	return whole(n, err)
}

// whole is what is wrong with a body of so many bytes.
func whole(n int64, err error) error {
	if err == nil && n != bigBody {
		err = fmt.Errorf("%d bytes came through, want %d", n, bigBody)
	}
	return err
}

// send makes a call as the gateway's caller.
func (p *gateway) send(client *http.Client, method, path string, body io.Reader, length int64) (*http.Response, error) {
	req, err := http.NewRequest(method, p.url+path, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = length
	req.Header.Set("Authorization", "Bearer "+callerKey)
	res, err := client.Do(req)
	if err == nil && res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		err = fmt.Errorf("%w: %s", errStatus, res.Status)
	}
	return res, err
}

// bigCalls is the round of P15, on a gateway of its own: the most that was resident, twice, because
// it counts as a share too; MiB a second down, and up.
func bigCalls(t testing.TB, p *gateway) []float64 {
	down, up := bodies(t, p.down), bodies(t, p.up)
	peak := p.memory(t, "VmHWM")
	return []float64{peak, peak, down, up}
}
