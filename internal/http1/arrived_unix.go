//go:build unix && !aix

package http1

import "syscall"

// peeks says that this system can look at what has arrived without taking it.
const peeks = true

// arrived reports whether something has arrived on the socket of an idle connection, be it its end.
func (c *conn) arrived() bool {
	arrived := true
	err := c.raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		arrived = err != syscall.EAGAIN && err != syscall.EWOULDBLOCK
		return true
	})
	return err != nil || arrived
}
