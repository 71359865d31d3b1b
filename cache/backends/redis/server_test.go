package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/cache"
	"github.com/keyhitch/keyhitch/cache/backends/redis"
	"github.com/keyhitch/keyhitch/cache/backends/redis/redistest"
)

// bound is beyond what one question to a lost Redis may take, on a busy machine too.
const bound = 5 * time.Second

func goroutines() int { return runtime.NumGoroutine() }

// settle waits until it is so.
func settle(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not so after 20 s", what)
		}
	}
}

// works does everything once.
func works(t *testing.T, s cache.Store) {
	t.Helper()
	shared := s.(cache.Shared)
	signals, err := shared.Watch(t.Context(), "works")
	if err != nil {
		t.Fatalf("Watch: %v", err)
	}
	l, err := shared.Lease(t.Context(), "works", time.Minute)
	if err != nil {
		t.Fatalf("Lease: %v", err)
	}
	if err := l.Publish(t.Context(), []byte("v"), l.Generation()+1, time.Minute); err != nil {
		t.Fatalf("Publish: %v", err)
	}
	select {
	case <-signals:
	case <-time.After(20 * time.Second):
		t.Error("no signal")
	}
	if v, err := s.Get(t.Context(), "works"); err != nil || string(v) != "v" {
		t.Errorf("Get: got %q, %v, want v", v, err)
	}
	if err := s.Delete(t.Context(), "works"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if _, err := shared.Now(t.Context()); err != nil {
		t.Errorf("Now: %v", err)
	}
}

// wantDown asks, and wants ErrDown soon, with this text and without that.
func wantDown(t *testing.T, s cache.Store, text, secret string) {
	t.Helper()
	began := time.Now()
	_, err := s.Get(t.Context(), "k")
	if !errors.Is(err, cache.ErrDown) || !strings.Contains(err.Error(), text) || secret != "" && strings.Contains(err.Error(), secret) {
		t.Errorf("Get: got %v, want ErrDown: %s", err, text)
	}
	if took := time.Since(began); took > bound {
		t.Errorf("ErrDown took %v", took)
	}
}

func TestServerIsKilledAndComesBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, "redis://"+server.Addr())
	signals, err := s.Watch(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	works(t, s)
	before, err := s.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server.Kill()
	wantDown(t, s, server.Addr(), "")
	if now, err := s.Now(t.Context()); err != nil || now.Before(before) {
		t.Errorf("Now: got %v, %v, want the clock to go on", now, err)
	}
	began := time.Now()
	for range 10_000 { // the breaker keeps it off the path
		if _, err := s.Get(t.Context(), "k"); !errors.Is(err, cache.ErrDown) {
			t.Fatalf("Get: got %v, want ErrDown", err)
		}
	}
	if took := time.Since(began); took > bound {
		t.Errorf("10,000 questions without Redis took %v", took)
	}
	server.Restart()
	settle(t, "Redis is used again", func() bool {
		_, err := s.Get(t.Context(), "k")
		return errors.Is(err, cache.ErrNotFound)
	})
	select { // the watch was made again, and says so
	case _, open := <-signals:
		if !open {
			t.Error("the watch has ended, want it made again")
		}
	case <-time.After(20 * time.Second):
		t.Error("no signal after the connection was made again")
	}
	works(t, s)
}

// TestStateLostWithTheServer: after Redis lost its memory, the highest generation wins.
func TestStateLostWithTheServer(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, "redis://"+server.Addr())
	if err := s.Delete(t.Context(), "k"); err != nil { // an epoch that will be lost
		t.Fatal(err)
	}
	l, err := s.Lease(t.Context(), "k", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	server.Restart()
	settle(t, "a lease from before may publish", func() bool {
		return l.Publish(t.Context(), []byte("v"), 8, time.Minute) == nil
	})
	next, err := s.Lease(t.Context(), "k", time.Minute)
	if err != nil || next.Generation() != 8 {
		t.Fatalf("Lease: got %v, %v, want generation 8", next, err)
	}
}

// TestHangingServer: one that takes connections and says nothing costs one bounded wait.
func TestHangingServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := open(t, "redis://:secret-canary@"+l.Addr().String()+"?timeout=100ms&dial_timeout=100ms")
	began := time.Now()
	wantDown(t, s, l.Addr().String(), "secret-canary")
	if _, err := s.Watch(t.Context(), "k"); !errors.Is(err, cache.ErrDown) {
		t.Errorf("Watch: got %v, want ErrDown", err)
	}
	if took := time.Since(began); took > bound {
		t.Errorf("took %v", took)
	}
	// A caller with less patience than ours is told of his own deadline, and it counts.
	s = open(t, "redis://"+l.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	if _, err := s.Get(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Get: got %v, want the caller's deadline", err)
	}
	wantDown(t, s, "", "")
}

func TestWrongPasswordAndACL(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "right-canary",
		"--user", "keyhitch", "on", ">of-keyhitch", "~keyhitch:*", "&keyhitch:*",
		"+@read", "+@write", "+@scripting", "+@pubsub", "+@connection", "+time")
	works(t, open(t, "redis://:right-canary@"+server.Addr()))
	works(t, open(t, "redis://keyhitch:of-keyhitch@"+server.Addr()))
	wantDown(t, open(t, "redis://:wrong-canary@"+server.Addr()), "refuses the user or password", "wrong-canary")
	wantDown(t, open(t, "redis://keyhitch:wrong-canary@"+server.Addr()), "refuses the user or password", "wrong-canary")
	wantDown(t, open(t, "redis://"+server.Addr()), "refuses the user or password", "")

	other := openConfig(t, &redis.Config{URL: redis.NewURL("redis://keyhitch:of-keyhitch@" + server.Addr()), Prefix: "other"})
	err := other.Set(t.Context(), "k", []byte("value-canary"), time.Minute)
	if !errors.Is(err, cache.ErrDown) || strings.Contains(err.Error(), "canary") {
		t.Errorf("Set under a prefix that the user may not use: got %v, want ErrDown and no value", err)
	}
}

// TestOneRefusedCommandIsNoOutage fills a Redis that may not evict: it still reads.
func TestOneRefusedCommandIsNoOutage(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, "redis://"+server.Addr())
	if err := s.Set(t.Context(), "k", []byte("v"), time.Minute); err != nil {
		t.Fatal(err)
	}
	server.Do("CONFIG", "SET", "maxmemory", "1")
	for range 3 {
		if err := s.Set(t.Context(), "k", []byte("w"), time.Minute); !errors.Is(err, cache.ErrDown) {
			t.Errorf("Set: got %v, want ErrDown", err)
		}
		if v, err := s.Get(t.Context(), "k"); err != nil || string(v) != "v" {
			t.Errorf("Get: got %q, %v, want v", v, err)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate, key, pool := issue(t, dir)
	server := redistest.StartTLS(t, certificate, key, certificate)
	works(t, openConfig(t, &redis.Config{URL: redis.NewURL("rediss://" + server.Addr() + patient), TLS: &tls.Config{RootCAs: pool}}))
	wantDown(t, open(t, "rediss://"+server.Addr()+patient), "certificate", "")
	wantDown(t, open(t, "redis://"+server.Addr()), "", "")
	plain := redistest.Start(t)
	wantDown(t, open(t, "rediss://"+plain.Addr()), "", "")
}

// issue writes a certificate for 127.0.0.1 that is its own authority.
func issue(t *testing.T, dir string) (certificate, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", privateDER), pool
}

func TestClusterKeepsAKeysNamesTogether(t *testing.T) {
	t.Parallel()
	bus := strconv.Itoa(redistest.FreePort(t)) // the usual one, 10,000 higher, may be anybody's
	server := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", bus)
	server.Do("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
	settle(t, "the cluster is up", func() bool {
		return strings.Contains(server.Do("CLUSTER", "INFO").(string), "cluster_state:ok")
	})
	s := open(t, "redis+cluster://"+server.Addr())
	works(t, s)
	for _, key := range []string{"", "}", "}k", "{}", "{k", "k}k", "a:b"} {
		l, err := s.Lease(t.Context(), key, time.Minute)
		if err != nil {
			t.Fatalf("Lease(%q): %v", key, err)
		}
		if err := l.Publish(t.Context(), []byte("v"), 1, time.Minute); err != nil {
			t.Errorf("Publish(%q): %v", key, err)
		}
		if v, err := s.Get(t.Context(), key); err != nil || string(v) != "v" {
			t.Errorf("Get(%q): got %q, %v", key, v, err)
		}
	}
	for _, odd := range []string{"keyhitch:!{odd}}k", "keyhitch:{a:b}"} {
		slot := server.Do("CLUSTER", "KEYSLOT", odd+":token")
		if got := server.Do("CLUSTER", "KEYSLOT", odd+":lease"); got != slot {
			t.Errorf("%s: lease in slot %v, token in %v", odd, got, slot)
		}
	}
}

// TestSentinelFailover kills the master under load. Until another one is there, questions end
// soon with ErrDown; then they are answered again, by the store that was there all the time.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof", fmt.Sprintf("127.0.0.1 %d", master.Port))
	settle(t, "the replica is in step", func() bool {
		return strings.Contains(replica.Do("INFO", "replication").(string), "master_link_status:up")
	})
	sentinel := redistest.StartSentinel(t, "tokens", master)
	settle(t, "the Sentinel knows the replica", func() bool {
		return len(sentinel.Do("SENTINEL", "REPLICAS", "tokens").([]any)) == 1
	})
	s := open(t, "redis+sentinel://"+sentinel.Addr()+"/tokens")
	works(t, s)

	var answered, down atomic.Int64
	var slowest atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for i := range 8 {
		load.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				began := time.Now()
				err := s.Set(t.Context(), fmt.Sprint("load ", i), fmt.Append(nil, n), time.Minute)
				slowest.Store(max(slowest.Load(), int64(time.Since(began))))
				switch {
				case err == nil:
					answered.Add(1)
				case errors.Is(err, cache.ErrDown):
					down.Add(1)
				default:
					t.Errorf("Set: got %v, want nil or ErrDown", err)
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	settle(t, "load", func() bool { return answered.Load() > 100 })
	master.Kill()
	killed := time.Now()
	settle(t, "questions are refused", func() bool { return down.Load() > 0 })
	settle(t, "the replica is the master", func() bool {
		return strings.Contains(replica.Do("INFO", "replication").(string), "role:master")
	})
	failedOver := time.Now()
	settle(t, "questions are answered again", func() bool {
		before := answered.Load()
		time.Sleep(50 * time.Millisecond)
		return answered.Load() > before
	})
	t.Logf("failover %v, answers again %v later; slowest question %v, %d refused",
		failedOver.Sub(killed), time.Since(failedOver), time.Duration(slowest.Load()), down.Load())
	stop()
	load.Wait()
	if d := time.Duration(slowest.Load()); d > bound {
		t.Errorf("one question took %v, want %v at most", d, bound)
	}
	settle(t, "the breaker is closed", func() bool { return s.Set(t.Context(), "k", nil, time.Minute) == nil })
	works(t, s)
}
