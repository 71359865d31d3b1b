package demo

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/adapter"
	portdialect "github.com/keyhitch/keyhitch/auth/dialects/port"
	"github.com/keyhitch/keyhitch/examples"
)

// screen is what Stay prints, for who reads it meanwhile.
type screen struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// staying runs Stay on a free port until the test ends, and returns its address.
func staying(t *testing.T, out *screen) (address string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Stay(ctx, Options{Out: out, Listen: "127.0.0.1:0"}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Stay ended with %v, want no error", err)
		}
	})
	for !strings.Contains(out.String(), "What reaches them") {
		time.Sleep(time.Millisecond)
	}
	return regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(out.String())
}

// example opens a file of examples/port for the systems at address.
func example(t *testing.T, file, address, secret string) *adapter.Adapter {
	t.Helper()
	data, err := fs.ReadFile(examples.FS, file)
	if err != nil {
		t.Fatal(err)
	}
	a, err := adapter.Open(adapter.Options{Dialect: portdialect.Dialect{},
		Instance:  adapter.File{Name: file, Data: bytes.ReplaceAll(data, []byte(Listen), []byte(address))},
		LookupEnv: func(string) (string, bool) { return secret, true },
		ReadFile:  func(string) ([]byte, error) { return []byte(secret), nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(context.Background()) })
	return a
}

func TestEveryPortExampleWorksAndAWrongSecretDoesNot(t *testing.T) {
	out := new(screen)
	address := staying(t, out)
	files, err := fs.Glob(examples.FS, "port/*[ln]")
	if err != nil || len(files) != 7 {
		t.Fatalf("got %q and error %v, want 7 files", files, err)
	}
	for _, file := range files {
		method, path := http.MethodGet, "/v1/devices"
		if strings.Contains(file, "three") {
			method, path = http.MethodPost, "/v1/search"
		}
		res, err := example(t, file, address, portSecret).Request(t.Context(), method, path, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK || !strings.Contains(string(body), `"hostname":"r1"`) {
			t.Errorf("%s: got %d %s, want the devices", file, res.StatusCode, body)
		}
		if err := example(t, file, address, "wrong").Check(t.Context()); err == nil {
			t.Errorf("%s with a wrong secret: got no error, want a refused login", file)
		}
		if res, err := http.Get("http://" + address + strings.TrimSuffix(strings.TrimPrefix(file, "port"), file[strings.LastIndex(file, "."):]) + path); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				t.Errorf("%s: without any credential the answer is 200, want a refusal", file)
			}
		}
	}
	text := out.String()
	if !strings.Contains(text, "POST /session/sessions → 200 #") || strings.Contains(strings.ReplaceAll(text, "DEMO_SECRET="+portSecret, ""), portSecret) {
		t.Errorf("got\n%s\nwant each request, and the secret in the export alone", text)
	}
}

func TestStayPrintsCommandsForItsAddress(t *testing.T) {
	var out bytes.Buffer
	(&page{out: &out}).staying(Listen)
	if text := out.String(); strings.Contains(text, "--set") || !strings.Contains(text, "keyhitch request examples/port/jwt.yaml GET /v1/devices") {
		t.Errorf("got %s, want plain commands", text)
	}
	out.Reset()
	(&page{out: &out}).staying("127.0.0.1:9")
	if text := out.String(); !strings.Contains(text, "keyhitch check examples/port/session.yaml --explain --set baseUrl=http://127.0.0.1:9/session\n") {
		t.Errorf("got %s, want commands that say the address", text)
	}
}

func TestStayListensOnLoopbackOnly(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1:0": true, "[::1]:80": true, "localhost:1": true, "127.8.8.8:1": true,
		"0.0.0.0:1": false, ":1": false, "192.0.2.1:1": false, "example.com:1": false, "127.0.0.1": false, "": false} {
		if got := OnLoopback(address); got != want {
			t.Errorf("%q: got %t, want %t", address, got, want)
		}
	}
	if err := Stay(t.Context(), Options{Out: io.Discard, Listen: "0.0.0.0:0"}); err == nil {
		t.Error("got no error, want one")
	}
}

func TestPathsOfOthersCannotMoveTheCursor(t *testing.T) {
	out := new(screen)
	address := staying(t, out)
	res, err := http.Get("http://" + address + "/%1b%5b2J%0a")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if text := out.String(); strings.Contains(text, "\x1b") || !strings.Contains(text, "GET /?[2J? → 404") {
		t.Errorf("got %q, want no control characters", text)
	}
}
