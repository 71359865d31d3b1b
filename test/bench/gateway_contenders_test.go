package bench

import (
	"bufio"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// gateways are built once, and have one system behind them.
type gateways struct {
	keyhitch, caddy string // programs
	system          string // URL
}

func newGateways(t testing.TB) *gateways {
	return &gateways{keyhitch: build(t, "../..", "./cmd/keyhitch"), caddy: build(t, "caddy", "."), system: start(t, "system").line(t)}
}

// build makes a program as its users would. What the go command has built before costs seconds
// only; the first time, Caddy takes minutes, and gives way to whoever else works here.
func build(t testing.TB, module, what string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("nice", "-n", "15", "go", "build", "-C", module, "-trimpath", "-o", file, what)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s in %s is not built: %v\n%s", what, module, err, out)
	}
	return file
}

// ours is `keyhitch serve` with so many adapters, a caller with a key, metrics, and an access log.
func (g *gateways) ours(t testing.TB, adapters int) *gateway {
	t.Helper()
	dir, address, admin := t.TempDir(), free(t), free(t)
	out, err := os.Create(filepath.Join(dir, "log"))
	must(t, err)
	t.Cleanup(func() { _ = out.Close() })
	cmd := exec.Command(g.keyhitch, "serve", "--project", g.project(t, dir, address, admin, adapters))
	cmd.Stdout, cmd.Stderr = out, out
	p := launch(t, cmd, address)
	p.url, p.admin = p.url+"/proxy/system0", "http://"+admin
	return p
}

// bare is httputil.ReverseProxy as somebody would write it who knows it well, and nothing else.
func (g *gateways) bare(t testing.TB) *gateway {
	c := start(t, "bare")
	c.tell(t, g.system)
	return &gateway{pid: c.Process.Pid, url: c.line(t)}
}

// serveBare is the main of that process.
func serveBare() {
	in := bufio.NewReader(os.Stdin)
	var system string
	if err := json.NewDecoder(in).Decode(&system); err != nil {
		panic(err)
	}
	to, err := url.Parse(system)
	if err != nil {
		panic(err)
	}
	credential := []string{"Bearer " + systemToken}
	listen(in, (&http.Server{Handler: &httputil.ReverseProxy{Transport: tuned(), BufferPool: buffers{},
		ErrorLog: log.New(io.Discard, "", 0), // wrk leaves in the middle of a call when its time is over
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Header["Authorization"] = credential
		}}}).Serve)
}

// buffers keeps the buffers that bodies are copied through.
type buffers struct{}

var kept = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// Get returns one that nobody uses.
func (buffers) Get() []byte { return kept.Get().(*[32 << 10]byte)[:] }

// Put takes it back.
func (buffers) Put(b []byte) { kept.Put((*[32 << 10]byte)(b)) }

// caddyfile has Caddy do the same, without an access log; its metrics are off by default.
const caddyfile = `{
	admin off
	auto_https off
	persist_config off
	log {
		level ERROR
	}
}
http://LISTEN {
	reverse_proxy SYSTEM {
		header_up Authorization "Bearer TOKEN"
		transport http {
			keepalive_idle_conns_per_host 256
			compression off
		}
	}
}`

func (g *gateways) caddyServer(t testing.TB) *gateway {
	listen := free(t)
	cmd := exec.Command(g.caddy, "run", "--adapter", "caddyfile", "--config", "-")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	cmd.Stdin = strings.NewReader(strings.NewReplacer("LISTEN", listen, "SYSTEM", strings.TrimPrefix(g.system, "http://"), "TOKEN", systemToken).Replace(caddyfile))
	return launch(t, cmd, listen)
}
