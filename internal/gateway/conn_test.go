package gateway

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
)

func TestBodiesOnTheirWayShareBuffers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	read := make(chan int64)
	go func() {
		system, err := l.Accept()
		if err != nil {
			close(read)
			return
		}
		n, _ := io.Copy(io.Discard, system)
		read <- n
	}()
	conn, err := newGuard(nil, nil).dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	const bodies, size = 100, 40 << 10
	body := strings.Repeat("x", size)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range bodies {
		if n, err := conn.(io.ReaderFrom).ReadFrom(io.LimitReader(strings.NewReader(body), size)); n != size || err != nil {
			t.Fatalf("sent %d bytes, %v, want %d", n, err, size)
		}
	}
	runtime.ReadMemStats(&after)
	_ = conn.Close()
	if n := <-read; n != bodies*size {
		t.Errorf("the system got %d bytes, want %d", n, bodies*size)
	}
	// Under -race a sync.Pool forgets every fourth of what it is given.
	if got := (after.TotalAlloc - before.TotalAlloc) / bodies; got > 16<<10 {
		t.Errorf("got %d bytes allocated for each body, want no buffer of its own", got)
	}
}
