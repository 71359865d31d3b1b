package promises

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/cache"
	"github.com/keyhitch/keyhitch/cache/backends/memory"
	"github.com/keyhitch/keyhitch/cache/backends/redis/redistest"
	"github.com/keyhitch/keyhitch/cache/sealed"
)

// evil is the token of poisoned records. Nobody issued it.
var evil = authtest.Marker()

// plain is a record as it lies under the seal, with the evil token.
func plain(obtained, expiry int64, generation uint64) []byte {
	return fmt.Appendf(nil, `{"values":{"token":%q},"obtained":%d,"expiry":%d,"generation":%d}`, b64(evil), obtained, expiry, generation)
}

func b64(text string) string {
	data, _ := json.Marshal([]byte(text)) // as the codec writes bytes
	return strings.Trim(string(data), `"`)
}

// sealedAs returns value as the store of these keys keeps it under name.
func sealedAs(t testing.TB, keys sealed.Keys, name string, value []byte) []byte {
	t.Helper()
	inner := &memory.Store{Now: time.Now}
	if err := sealed.New(inner, keys).Set(t.Context(), name, value, time.Hour); err != nil {
		t.Fatal(err)
	}
	record, err := inner.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// TestR17PoisonedRecordIsIgnoredAndHealedByOneRequest writes into a real Redis what an intruder
// could write there, who has no seal key.
func TestR17PoisonedRecordIsIgnoredAndHealedByOneRequest(t *testing.T) {
	chance := seed(t)
	now := time.Now().UnixMilli()
	marked := func(record []byte) string { return "1" + string(record) }
	other := newSeal(t)
	for name, poison := range map[string]func(s *sharing, key string) string{
		"random bytes":             func(*sharing, string) string { return string(random(chance, 300)) },
		"random bytes as a record": func(*sharing, string) string { return marked(random(chance, 300)) },
		"nothing as a record":      func(*sharing, string) string { return marked(nil) },
		"10 MB":                    func(*sharing, string) string { return marked(random(chance, 10<<20)) },
		"2 MB, the most that fits": func(*sharing, string) string { return marked(random(chance, 2<<20)) },
		"a record without a seal":  func(*sharing, string) string { return marked(plain(now, now+3_600_000, 1)) },
		"an endless one":           func(*sharing, string) string { return marked(plain(now, 1<<63-1, 1<<62)) },
		"of another fleet's key": func(_ *sharing, key string) string {
			return marked(sealedAs(t, other.keys, key, plain(now, now+3_600_000, 1)))
		},
		"another credential's value": func(s *sharing, _ string) string {
			return marked(sealedAs(t, s.seal.keys, "other", plain(now, now+3_600_000, 1)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			s := newSharing(t, "redis://"+server.Addr())
			s.process(t, options{}).want(t)
			key := tokenKey(t, server)
			server.Do("SET", inRedis(key, "token"), poison(s, key))
			wantHealed(t, s)
			measured(t, "R17", "%s: never sent, logged, and healed by 1 request", name)
		})
	}
}

// wantHealed wants the poison to cost one request and a line in the log, and never to be sent.
func wantHealed(t *testing.T, s *sharing) {
	t.Helper()
	before := s.Requests()
	p := s.process(t, options{})
	p.want(t)
	p.settle(t)
	s.process(t, options{}).want(t) // finds what the other has stored
	if n := s.Requests() - before; n != 1 {
		t.Errorf("%d token requests, want 1", n)
	}
	issued := strings.Join(s.Issued(), " ")
	for _, call := range s.calls() {
		if !strings.Contains(issued, call.token) {
			t.Error("a token was sent that nobody issued")
		}
	}
	if !strings.Contains(p.log.String(), "level=warning") {
		t.Errorf("the process says nothing of the poison: %s", p.log)
	}
}

// TestR17ForeignTypeInTheCacheIsNoToken: somebody else's list in the place of our record.
func TestR17ForeignTypeInTheCacheIsNoToken(t *testing.T) {
	server := redistest.Start(t)
	s := newSharing(t, "redis://"+server.Addr())
	s.process(t, options{}).want(t)
	key := tokenKey(t, server)
	for _, thing := range []string{"token", "state", "lease"} {
		server.Do("DEL", inRedis(key, thing))
		server.Do("RPUSH", inRedis(key, thing), "a", "b")
	}
	wantHealed(t, s)
}

// TestR17OlderGenerationIsNotSentAgain: a Redis that came back older than what a process has
// seen brings no token that was replaced.
func TestR17OlderGenerationIsNotSentAgain(t *testing.T) {
	server := redistest.Start(t)
	s := newSharing(t, "redis://"+server.Addr())
	p := s.process(t, options{})
	p.want(t)
	record := inRedis(tokenKey(t, server), "token")
	old := server.Do("GET", record)
	s.Revoke()
	p.want(t)
	p.settle(t)
	server.Do("SET", record, old)
	s.Revoke()
	calls, refused := len(s.calls()), len(s.refused())
	p.want(t)
	if n := s.Requests(); n != 3 {
		t.Errorf("%d token requests, want 3: one for each revocation", n)
	}
	if n := len(s.refused()) - refused; n != 1 {
		t.Errorf("%d of %d requests were refused, want 1: the old token must not be sent again", n, len(s.calls())-calls)
	}
}

// TestR17RecordThatIsNoUsableTokenIsHealed is about what lies under the seal: a fleet's faulty
// member, or, where tokens are kept plain, an intruder.
func TestR17RecordThatIsNoUsableTokenIsHealed(t *testing.T) {
	now := time.Now().UnixMilli()
	with := func(values string) []byte {
		return fmt.Appendf(nil, `{"values":{%s},"obtained":%d,"expiry":%d,"generation":1}`, values, now, now+3_600_000)
	}
	for name, record := range map[string][]byte{
		"no JSON":                      []byte("token"),
		"no values":                    with(""),
		"an empty token":               with(`"token":""`),
		"only other values":            with(`"other":` + `"` + b64("x") + `"`),
		"a line break":                 with(`"token":"` + b64(evil+"\r\nX-Evil: 1") + `"`),
		"a control character":          with(`"token":"` + b64(evil+"\x01") + `"`),
		"DEL":                          with(`"token":"` + b64(evil+"\x7f") + `"`),
		"expired":                      plain(now-7_200_000, now-3_600_000, 1),
		"of the future":                plain(now+7_200_000, now-1, 1),
		"no end before the Big Crunch": plain(now, 1<<63-1, 1),
	} {
		t.Run(name, func(t *testing.T) {
			s, store := newSystem(t), &poisoned{record: record}
			p := s.process(t, options{Cache: store})
			p.want(t)
			if n := s.Requests(); n != 1 {
				t.Errorf("%d token requests, want 1", n)
			}
			for _, call := range s.calls() {
				if strings.Contains(call.token, evil) {
					t.Error("the record's token was sent")
				}
			}
		})
	}
}

// poisoned is a store that holds one record under every name, until something is stored.
type poisoned struct {
	cache.Store // nil: nothing else is asked
	record      []byte
	set         bool
}

func (p *poisoned) Get(context.Context, string) ([]byte, error) {
	if p.set {
		return nil, cache.ErrNotFound
	}
	return bytes.Clone(p.record), nil
}

func (p *poisoned) Set(context.Context, string, []byte, time.Duration) error {
	p.set = true
	return nil
}

func (p *poisoned) Delete(context.Context, string) error { return nil }

func random(chance *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(chance.Uint32())
	}
	return b
}

// FuzzR17PoisonedRecord stores any bytes: as the record, and as what is found under its seal.
// Either way the calls succeed after one token request, and no token goes out of a record that
// the seal does not vouch for.
func FuzzR17PoisonedRecord(f *testing.F) {
	fleet, now := newSeal(f), time.Now().UnixMilli()
	for _, record := range [][]byte{nil, {1}, []byte("null"), []byte(`{"values":null}`), plain(now, now+3_600_000, 1), plain(now, 0, 0), plain(0, -1, 1<<63),
		plain(1<<62, 1<<62+1, 1), plain(now, 1<<63-1, 1), sealedAs(f, fleet.keys, "other", plain(now, now+3_600_000, 1)),
		fmt.Appendf(nil, `{"values":{"token":"Cg==","tokenp2":"AA=="},"obtained":%d}`, now),
		fmt.Appendf(nil, `{"values":{"tokenp2":"YQ=="},"obtained":%d,"expiry":%d}`, now, now+3_600_000)} {
		f.Add(record, false)
		f.Add(record, true)
	}
	f.Fuzz(func(t *testing.T, record []byte, underSeal bool) {
		s, store := newBubbled(t), cache.Store(&poisoned{record: record})
		if !underSeal {
			store = sealed.New(store, fleet.keys)
		}
		p := s.process(t, options{Cache: store})
		p.want(t)
		p.want(t)
		if n := s.Requests(); n != 1 {
			t.Errorf("%d token requests, want 1", n)
		}
		if n := len(s.refused()); n > 0 && !underSeal {
			t.Error("a token was sent that nobody issued")
		}
	})
}
