package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// switchProtocols joins the caller's connection to the system's after 101, until both sides have
// said all, one fails, nothing is said for too long, or the caller is shut out.
func (x *exchange) switchProtocols(d *door, out *http.Request, res *http.Response) {
	defer func() { _ = res.Body.Close() }()
	system, ok := res.Body.(io.ReadWriteCloser)
	if !ok || out.Header.Get("Upgrade") == "" || !strings.EqualFold(res.Header.Get("Upgrade"), "websocket") {
		x.fail(faultUpgrade, "the system switched to another protocol than was asked for")
		return
	}
	conn, buffered, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.fail(faultUpgrade, "this connection cannot be handed over; HTTP/1.1 can")
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Time{}) // those for headers are over
	x.w.status = http.StatusSwitchingProtocols
	header := x.w.Header()
	d.answerHeaders(header, res, x.SetCookie[d.name])
	header["Connection"], header["Upgrade"] = upgrade, websocket
	switched := http.Response{StatusCode: res.StatusCode, ProtoMajor: 1, ProtoMinor: 1, Header: header}
	if switched.Write(buffered) != nil || buffered.Flush() != nil {
		return
	}
	both := func() { _ = conn.Close(); _ = system.Close() }
	defer context.AfterFunc(out.Context(), both)()
	s := x.follow(both)
	defer s.end()
	x.w.bytes += s.join(conn, buffered.Reader, system)
}

// join copies both ways and returns how many bytes the caller got. What the caller sent already
// is in early.
func (s *stream) join(caller io.ReadWriteCloser, early io.Reader, system io.ReadWriteCloser) int64 {
	var got int64
	ended := make(chan error, 2)
	go func() {
		_, err := io.Copy(s.writer(system), early)
		ended <- closeWrite(system, err)
	}()
	go func() {
		n, err := io.Copy(s.writer(caller), system)
		got = n
		ended <- closeWrite(caller, err)
	}()
	if err := <-ended; err != nil { // else the other side may still have something to say
		_ = caller.Close()
		_ = system.Close()
	}
	<-ended
	return got
}

// closeWrite passes the end of one direction on; where that cannot be told, both end.
func closeWrite(to io.Writer, err error) error {
	if err != nil {
		return err
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return io.EOF
}
