package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/examples"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// clock is time that passes only when somebody waits.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return ctx.Err()
}

// quick returns options under which nobody really waits.
func quick(out io.Writer) Options {
	c := &clock{now: time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)}
	return Options{Out: out, Now: c.Now, Wait: c.Wait}
}

// printed returns what a run with these options prints.
func printed(t *testing.T, change func(*Options)) string {
	t.Helper()
	var out bytes.Buffer
	o := quick(&out)
	change(&o)
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestOutput(t *testing.T) {
	const golden = "testdata/demo.golden"
	got := normal(printed(t, func(*Options) {}))
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s\n(-update rewrites %s)", got, want, golden)
	}
}

var (
	port = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	mark = regexp.MustCompile(`#[0-9a-f]{8}\b`)
	ansi = regexp.MustCompile(`\x1b\[[0-9]*m`)
)

// normal replaces what differs from run to run: ports, and fingerprints, which are numbered.
func normal(text string) string {
	seen := map[string]string{"#1a2b3c4d": "#1a2b3c4d"} // the page's own example
	text = port.ReplaceAllString(text, "127.0.0.1:PORT")
	return mark.ReplaceAllStringFunc(text, func(found string) string {
		if seen[found] == "" {
			seen[found] = fmt.Sprintf("#%08d", len(seen))
		}
		return seen[found]
	})
}

func TestColorChangesNoWord(t *testing.T) {
	plain := normal(printed(t, func(*Options) {}))
	colored := printed(t, func(o *Options) { o.Color = true })
	if !ansi.MatchString(colored) {
		t.Error("got no colour, want some")
	}
	if got := normal(ansi.ReplaceAllString(colored, "")); got != plain {
		t.Errorf("got\n%s\nwithout its colours, want\n%s", got, plain)
	}
	if strings.ContainsAny(plain, "\r\x1b") {
		t.Error("got control characters without colour and terminal, want plain text")
	}
}

func TestTerminalShowsTheWaitAndCleansUp(t *testing.T) {
	out := printed(t, func(o *Options) { o.Terminal = true })
	if !strings.Contains(out, erase+"      waiting for the token to expire: 3.1 s"+erase) {
		t.Errorf("got %q, want a line that counts down from 3.1 s", out)
	}
	_, after, _ := strings.Cut(out, "waiting for the token to expire: 0.1 s")
	if !strings.HasPrefix(after, erase+"  ✓") {
		t.Errorf("got %.40q after the wait, want the line erased and the next step", after)
	}
}

// The story with real time, as a user sees it.
func TestRunInRealTime(t *testing.T) {
	t.Parallel()
	start := time.Now()
	if err := Run(t.Context(), Options{Out: io.Discard}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < sessionLife {
		t.Errorf("took %s, want at least %s: the token really expires", took, sessionLife)
	}
}

func TestNoSecretIsPrinted(t *testing.T) {
	var mu sync.Mutex
	secrets := append(instanceSecrets(t), wrong)
	out := printed(t, func(o *Options) {
		o.tamper = func(_ *system, rep reply) reply {
			mu.Lock()
			defer mu.Unlock()
			secrets = append(secrets, rep.shows...)
			return rep
		}
	})
	if len(secrets) < 10 {
		t.Fatalf("got %d secrets, want those of four homes and of every token given out", len(secrets))
	}
	for _, secret := range secrets {
		if strings.Contains(out, secret) {
			t.Errorf("the output holds the secret %q", secret)
		}
	}
}

// instanceSecrets returns the passwords and client secrets of the homes.
func instanceSecrets(t *testing.T) []string {
	t.Helper()
	files, err := fs.Glob(examples.FS, "*/service-instance.json")
	if err != nil || len(files) != 4 {
		t.Fatalf("got service instances %q and error %v, want 4", files, err)
	}
	var secrets []string
	for _, file := range files {
		data, err := fs.ReadFile(examples.FS, file)
		if err != nil {
			t.Fatal(err)
		}
		var instance struct {
			Authentication struct {
				Password     string `json:"password"`
				ClientSecret string `json:"client_secret"`
			} `json:"authentication"`
		}
		if err := json.Unmarshal(data, &instance); err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, instance.Authentication.Password+instance.Authentication.ClientSecret)
	}
	return secrets
}

func TestAClaimThatDoesNotHoldEndsTheStory(t *testing.T) {
	for _, tt := range []struct {
		name   string
		system string
		tamper func(reply) reply
		want   string
	}{
		{"tokens that are not honoured", "session-token", func(rep reply) reply {
			if rep.login {
				rep.body = map[string]any{"sid": "made-up"}
			}
			return rep
		}, `session-token: "The first call logs in by itself.": device.get: the system answered 401`},
		{"a second login", "session-token", once(2, func(rep reply) reply { return guarded(false, rep) }),
			`session-token: "The second call has a token already.": on the wire was "GET /devices/r1 → 401 #1, POST /login`},
		{"a login that is not counted", "session-token", func(rep reply) reply { rep.login = false; return rep },
			"the system counted 0 logins, 0 refused, 2 calls, and the story says 1 logins, 0 refused, 1 calls"},
		{"a token endpoint that is down", "oauth-client-credentials", func(rep reply) reply { rep.status = 503; return rep },
			`oauth-client-credentials: "50 callers at once, and no token yet: one token request.": order.list: token endpoint`},
		{"a password that is not accepted", "basic", func(rep reply) reply { return guarded(false, rep) },
			`basic: "Nothing to ask for: the call carries them.": device.get: the system answered 401`},
		{"no redirect", "cookie-csrf", func(rep reply) reply {
			if rep.status == 302 {
				rep.status = 200
			}
			return rep
		}, `"GET /reports/latest → 200 #1+#2", and the story says`},
		{"a credential at the wrong server", "other server", func(rep reply) reply { rep.shows = []string{"leaked"}; return rep },
			"other server: GET /latest.txt → 200 #1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			o := quick(&out)
			o.tamper = func(s *system, rep reply) reply {
				if s.name == tt.system {
					return tt.tamper(rep)
				}
				return rep
			}
			err := Run(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one that says %q", err, tt.want)
			}
			if strings.Contains(out.String(), "calls answered") {
				t.Error("the story was told to its end")
			}
		})
	}
}

// once returns a tamper for the nth call that a system answers.
func once(n int, tamper func(reply) reply) func(reply) reply {
	var mu sync.Mutex
	return func(rep reply) reply {
		mu.Lock()
		defer mu.Unlock()
		if rep.login {
			return rep
		}
		if n--; n == 0 {
			return tamper(rep)
		}
		return rep
	}
}

func TestWrongPasswordThatIsAcceptedEndsTheStory(t *testing.T) {
	o := quick(io.Discard)
	o.tamper = func(_ *system, rep reply) reply {
		if rep.login && rep.status == 401 {
			rep.status, rep.body = 200, map[string]any{"sid": "anybody"}
		}
		return rep
	}
	if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "want a refused login") {
		t.Errorf("got error %v, want one that says that the login was not refused", err)
	}
}

func TestLeavingEndsTheStoryAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := Options{Out: io.Discard, Wait: func(ctx context.Context, d time.Duration) error {
		cancel()
		return sleep(ctx, time.Hour)
	}}
	if err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context canceled", err)
	}
}

func TestOutputThatCannotBeWrittenIsAnError(t *testing.T) {
	closed, w := io.Pipe()
	_ = closed.Close()
	if err := Run(t.Context(), quick(w)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got error %v, want %v", err, io.ErrClosedPipe)
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	printed(t, func(*Options) {})
	after := runtime.NumGoroutine()
	for deadline := time.Now().Add(5 * time.Second); after > before && time.Now().Before(deadline); after = runtime.NumGoroutine() {
		time.Sleep(time.Millisecond) // connections notice that they are closed
	}
	if after > before {
		stacks := make([]byte, 1<<20)
		t.Errorf("got %d goroutines, want %d as before:\n%s", after, before, stacks[:runtime.Stack(stacks, true)])
	}
}
