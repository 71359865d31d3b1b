package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/dialects/iap"
	portdialect "github.com/keyhitch/keyhitch/auth/dialects/port"
	"github.com/keyhitch/keyhitch/examples"
)

// role is one home with the system that it is for.
type role struct {
	system   *system
	sessions *sessions
	adapter  *adapter.Adapter
}

// stage holds all that the story needs, and takes it down again.
type stage struct {
	o      Options
	page   *page
	ledger *ledger
	keys   *auth.Keyer // the engine's and the systems': both show the same fingerprints
	wire   *http.Transport

	session, tokens, plain, cookie, places role
	elsewhere                              *system

	systems  []*system
	adapters []*adapter.Adapter
}

// raise starts the systems and opens the homes.
func raise(o Options) (*stage, error) {
	keys, err := auth.NewKeyer(nil)
	if err != nil {
		return nil, err
	}
	s := &stage{o: o, keys: keys, wire: auth.NewBase(),
		page: &page{out: o.Out, color: o.Color, terminal: o.Terminal}, ledger: &ledger{keys: keys}}
	if err := errors.Join(s.start(), s.openAll()); err != nil {
		s.strike()
		return nil, err
	}
	return s, nil
}

func (s *stage) start() error {
	for _, r := range []*role{&s.session, &s.tokens, &s.plain, &s.cookie} {
		r.sessions = &sessions{now: s.o.Now}
	}
	s.session.sessions.life = sessionLife
	s.tokens.sessions.life = bearerLife
	s.cookie.sessions.life = cookieLife
	s.elsewhere = s.system("other server", elsewhere)
	s.elsewhere.where = s.elsewhere.name + ": "
	s.session.system = s.system("session-token", sessionToken(s.session.sessions))
	s.tokens.system = s.system("oauth-client-credentials", clientCredentials(s.tokens.sessions, s.slowly))
	s.plain.system = s.system("basic", basic)
	s.cookie.system = s.system("cookie-csrf", cookieCSRF(s.cookie.sessions, s.elsewhere))
	s.places.system = s.system("port/three-places.yaml", portSystems(s.o.Now))
	for _, sys := range s.systems {
		if err := sys.listen(); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) system(name string, answer handler) *system {
	sys := &system{name: name, answer: answer, ledger: s.ledger, tamper: s.o.tamper}
	s.systems = append(s.systems, sys)
	return sys
}

// slowly makes the token endpoint take its time, so that everybody in a crowd finds it busy.
func (s *stage) slowly(ctx context.Context) { _ = s.o.Wait(ctx, 100*time.Millisecond) }

func (s *stage) openAll() error {
	for _, r := range []*role{&s.session, &s.tokens, &s.plain, &s.cookie} {
		var err error
		if r.adapter, err = s.open(r.system); err != nil {
			return err
		}
	}
	var err error
	s.places.adapter, err = s.openPort(s.places.system)
	return err
}

// openPort opens the configuration of a system's name.
func (s *stage) openPort(sys *system) (*adapter.Adapter, error) {
	data, err := fs.ReadFile(examples.FS, sys.name)
	if err != nil {
		return nil, err
	}
	return s.kept(adapter.Open(adapter.Options{
		Dialect: portdialect.Dialect{}, Instance: adapter.File{Name: sys.name, Data: data}, Base: s.wire, Keys: s.keys, Now: s.o.Now,
		LookupEnv: func(string) (string, bool) { return portSecret, true },
		Set:       []adapter.Assignment{{Path: "baseUrl", Value: fmt.Sprintf("http://%s:%d/three-places", loopback, sys.port)}},
	}))
}

// kept remembers an adapter that strike is to close.
func (s *stage) kept(a *adapter.Adapter, err error) (*adapter.Adapter, error) {
	if err == nil {
		s.adapters = append(s.adapters, a)
	}
	return a, err
}

// open opens the home of a system's name, as it is but for the address.
func (s *stage) open(sys *system, more ...adapter.Assignment) (*adapter.Adapter, error) {
	home, err := fs.Sub(examples.FS, sys.name)
	if err != nil {
		return nil, err
	}
	return s.kept(adapter.Open(adapter.Options{
		Home: home, HomeName: sys.name, Dialect: iap.Dialect{}, Base: s.wire, Keys: s.keys, Now: s.o.Now,
		Set: append([]adapter.Assignment{
			{Path: "protocol", Value: "http"}, {Path: "host", Value: loopback}, {Path: "port", Value: strconv.Itoa(sys.port)},
		}, more...),
	}))
}

// strike ends everything that raise and the story started.
func (s *stage) strike() {
	for _, sys := range s.systems {
		sys.close() // first: whoever still waits for an answer is told that there will be none
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, a := range s.adapters {
		_ = a.Close(ctx)
	}
	s.wire.CloseIdleConnections()
}
