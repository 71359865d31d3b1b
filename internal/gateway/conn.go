package gateway

import (
	"io"
	"net"
)

// wireConn is a connection to a system. net/http hands request bodies to a connection's ReadFrom,
// and that of net.TCPConn allocates a buffer for each.
type wireConn struct{ *net.TCPConn }

// ReadFrom sends what r has.
func (c wireConn) ReadFrom(r io.Reader) (int64, error) {
	buffer := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buffer)
	return io.CopyBuffer(struct{ io.Writer }{c.TCPConn}, struct{ io.Reader }{r}, buffer[:])
}
