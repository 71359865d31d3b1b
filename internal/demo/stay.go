package demo

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/keyhitch/keyhitch/auth"
)

// Listen is where Stay listens if nobody says otherwise, and where the files of examples/port go.
const Listen = loopback + ":8790"

// Stay keeps the pretend systems of examples/port until ctx ends. It prints what to try, and then
// each request that reaches them.
func Stay(ctx context.Context, o Options) error {
	address := cmp.Or(o.Listen, Listen)
	if !OnLoopback(address) {
		return fmt.Errorf("demo: %s is not on loopback", address)
	}
	keys, err := auth.NewKeyer(nil)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	page, ledger := &page{out: o.Out, color: o.Color, terminal: o.Terminal}, &ledger{keys: keys}
	var mu sync.Mutex
	sys := &system{name: "port", address: address, answer: portSystems(o.Now), ledger: ledger, tamper: o.tamper}
	sys.heard = func() {
		mu.Lock()
		defer mu.Unlock()
		for _, h := range ledger.take() {
			page.printf("%s%s\n", indent, page.styled(dim, printable(h.printed())))
		}
	}
	mu.Lock()
	if err := sys.listen(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer sys.close()
	host, _, _ := net.SplitHostPort(address)
	page.staying(net.JoinHostPort(host, fmt.Sprint(sys.port)))
	mu.Unlock()
	<-ctx.Done()
	mu.Lock()
	defer mu.Unlock()
	return page.err
}

// OnLoopback reports whether an address is one that only this machine can reach.
func OnLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

// printable keeps what others send from moving the cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// tries are commands for the files of examples/port.
var tries = []struct{ file, command, args string }{
	{"client-credentials.yaml", "request", "GET /v1/devices"},
	{"query-key.json", "request", "GET /v1/devices"},
	{"jwt.yaml", "request", "GET /v1/devices --explain"},
	{"nested.json", "request", "GET /v1/devices"},
	{"three-places.yaml", "request", `POST /v1/search -d '{"name":"r1"}'`},
	{"session.yaml", "check", "--explain"},
}

func (p *page) staying(address string) {
	p.printf("%s\n", p.styled(bold, "Pretend systems for the files in examples/port listen on http://"+address+" until Ctrl-C."))
	p.printf("They check what they are sent, and answer 401 to what is wrong. In another terminal:\n\n")
	p.printf("  %s\n", p.styled(green, "export DEMO_SECRET="+portSecret))
	for _, t := range tries {
		command := fmt.Sprintf("keyhitch %s examples/port/%s %s", t.command, t.file, t.args)
		if name, _, _ := strings.Cut(t.file, "."); address != Listen {
			command += fmt.Sprintf(" --set baseUrl=http://%s/%s", address, name)
		}
		p.printf("  %s\n", p.styled(green, command))
	}
	p.printf("\nWhat reaches them; %s\n", "#1a2b3c4d is the fingerprint of a credential:")
}
