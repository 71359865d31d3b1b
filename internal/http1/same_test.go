package http1_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/internal/http1"
)

func dump(r *http.Request) string {
	return fmt.Sprint(r.Method, r.URL, r.Host, r.Header, r.ContentLength, r.Close, r.Trailer, r.TransferEncoding)
}

// both runs a request through net/http's Transport and through the one under test, each with a
// server of its own that answers raw and ends; it returns what each saw.
func both(t *testing.T, raw string, req func(url string) *http.Request, see func(*http.Response, error) string) (got, want string) {
	t.Helper()
	for _, mine := range []bool{true, false} {
		o := serve(t, func(p *peer) { p.next(); p.say(raw) })
		base := &http.Transport{DisableCompression: true}
		var rt interface {
			http.RoundTripper
			CloseIdleConnections()
		} = base
		if mine {
			rt = http1.Over(base)
		}
		saw := see(rt.RoundTrip(req(o.url())))
		rt.CloseIdleConnections()
		if mine {
			got = saw
		} else {
			want = saw
		}
	}
	return got, want
}

// head reads the lines of a request, as they are; none says that the client ended the connection.
func (p *peer) head() string {
	var b strings.Builder
	for {
		line, err := p.br.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String()
		}
	}
}

func seeAll(res *http.Response, err error) string {
	if err != nil {
		return "error" // the texts may differ
	}
	before := fmt.Sprint(sorted(res.Trailer))
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	return fmt.Sprintf("%s %q %s\nlength %d, encoding %q, close %t, uncompressed %t\ntrailer %v, then %v\nbody %d %.200q error %t",
		res.Proto, res.Status, sorted(res.Header), res.ContentLength, res.TransferEncoding, res.Close, res.Uncompressed,
		before, sorted(res.Trailer), len(b), b, err != nil)
}

func sorted(h http.Header) string {
	var b bytes.Buffer
	h.Write(&b)
	keys := make([]string, 0, len(h))
	for k := range h {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return fmt.Sprintf("%q %q nil:%t", keys, b.String(), h == nil)
}

func TestAnswersAreThoseOfNetHTTP(t *testing.T) {
	const ok, chunked = "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct{ name, raw string }{
		{"nothing", ""},
		{"length", hello},
		{"no length", ok + "\r\nhello"},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nhello"},
		{"HTTP/1.0 keep-alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"},
		{"HTTP/1.0 chunked", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"HTTP/0.9", "hello"},
		{"HTTP/0.9 page", "<html>hello</html>\n"},
		{"HTTP/1.2", "HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{"HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{"ICY", "ICY 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{"lower case proto", "http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{"missing reason", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello"},
		{"empty reason", "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello"},
		{"no status", "HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"},
		{"status of two digits", "HTTP/1.1 20 OK\r\n\r\n"},
		{"status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"},
		{"negative status", "HTTP/1.1 -20 OK\r\n\r\n"},
		{"status 000", "HTTP/1.1 000 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{"status 999", "HTTP/1.1 999 Odd\r\nContent-Length: 5\r\n\r\nhello"},
		{"status 099", "HTTP/1.1 099 Odd\r\nContent-Length: 5\r\n\r\nhello"},
		{"status 199, then 200", "HTTP/1.1 199 Odd\r\n\r\n" + hello},
		{"100 alone", "HTTP/1.1 100 Continue\r\n\r\n"},
		{"100 with length", "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello" + hello},
		{"100, then 200", "HTTP/1.1 100 Continue\r\n\r\n" + hello},
		{"103, then 200", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + hello},
		{"five informational", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 5) + hello},
		{"twelve informational", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 12) + hello},
		{"empty line first", "\r\n" + hello},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n"},
		{"204 with length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"},
		{"204 chunked", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"304 with length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"},
		{"304 chunked", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"205 with body", "HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello"},
		{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"},
		{"bare CR", "HTTP/1.1 200 OK\rContent-Length: 5\r\rhello"},
		{"obs-fold", ok + "X: a\r\n b\r\n\tc\r\nContent-Length: 5\r\n\r\nhello"},
		{"obs-fold first", ok + " X: a\r\nContent-Length: 5\r\n\r\nhello"},
		{"space before colon", ok + "Content-Length : 5\r\n\r\nhello"},
		{"no colon", ok + "Content-Length\r\n\r\nhello"},
		{"empty name", ok + ": x\r\nContent-Length: 5\r\n\r\nhello"},
		{"odd name", ok + "X(y): x\r\nContent-Length: 5\r\n\r\nhello"},
		{"NUL in value", ok + "X: a\x00b\r\nContent-Length: 5\r\n\r\nhello"},
		{"bytes over ASCII", ok + "X: \xff\xfe\r\nContent-Length: 5\r\n\r\nhello"},
		{"many values", ok + "Set-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 5\r\n\r\nhello"},
		{"header line of 1 MB", ok + "X: " + strings.Repeat("x", 1<<20) + "\r\nContent-Length: 5\r\n\r\nhello"},
		{"header of 11 MB", ok + "X: " + strings.Repeat("x", 11<<20) + "\r\nContent-Length: 5\r\n\r\nhello"},
		{"header of 9.5 MB", ok + "X: " + strings.Repeat("x", 19<<19) + "\r\nContent-Length: 5\r\n\r\nhello"},
		{"equal lengths", ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"},
		{"different lengths", ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"},
		{"list of lengths", ok + "Content-Length: 5, 5\r\n\r\nhello"},
		{"negative length", ok + "Content-Length: -5\r\n\r\nhello"},
		{"signed length", ok + "Content-Length: +5\r\n\r\nhello"},
		{"hex length", ok + "Content-Length: 0x5\r\n\r\nhello"},
		{"empty length", ok + "Content-Length: \r\n\r\nhello"},
		{"huge length", ok + "Content-Length: 99999999999999999999\r\n\r\nhello"},
		{"largest length", ok + "Content-Length: 9223372036854775807\r\n\r\nhello"},
		{"length and chunked", ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"bad length and chunked", ok + "Content-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"identity", ok + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello"},
		{"gzip, chunked", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"chunked twice", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"Chunked", ok + "Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"chunked with a tab", ok + "Transfer-Encoding:\x0bchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"chunks", chunked + "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"},
		{"chunk extension", chunked + "5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n"},
		{"long chunk extension", chunked + "5;" + strings.Repeat("x", 5000) + "\r\nhello\r\n0\r\n\r\n"},
		{"much chunk extension", chunked + strings.Repeat("1;"+strings.Repeat("x", 3000)+"\r\nh\r\n", 50) + "0\r\n\r\n"},
		{"chunk size with zeros", chunked + "000005\r\nhello\r\n0000\r\n\r\n"},
		{"chunk size with space", chunked + "5 \r\nhello\r\n0 \r\n\r\n"},
		{"chunk size with leading space", chunked + " 5\r\nhello\r\n0\r\n\r\n"},
		{"chunk size 0x", chunked + "0x5\r\nhello\r\n0\r\n\r\n"},
		{"chunk size empty", chunked + "\r\nhello\r\n0\r\n\r\n"},
		{"chunk size negative", chunked + "-5\r\nhello\r\n0\r\n\r\n"},
		{"chunk size huge", chunked + "ffffffffffffffffff\r\nhello\r\n0\r\n\r\n"},
		{"chunk size of 63 bits", chunked + "7fffffffffffffff\r\nhello\r\n0\r\n\r\n"},
		{"chunk size of 64 bits", chunked + "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"},
		{"chunk with bare LF", chunked + "5\nhello\n0\n\n"},
		{"chunk without line break", chunked + "5\r\nhello0\r\n\r\n"},
		{"chunk longer than its size", chunked + "4\r\nhello\r\n0\r\n\r\n"},
		{"chunks, no end", chunked + "5\r\nhello\r\n0\r\n"},
		{"chunks, truncated", chunked + "5\r\nhel"},
		{"chunks, no bytes", chunked},
		{"trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"},
		{"trailer not announced", chunked + "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"},
		{"trailer missing", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"trailer forbidden", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 1\r\n\r\n"},
		{"trailer bad", chunked + "5\r\nhello\r\n0\r\nno colon\r\n\r\n"},
		{"trailer of 3000 bytes", chunked + "5\r\nhello\r\n0\r\nX: " + strings.Repeat("x", 3000) + "\r\n\r\n"},
		{"trailer of 1 MB", chunked + "5\r\nhello\r\n0\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"},
		{"truncated", ok + "Content-Length: 5\r\n\r\nhel"},
		{"truncated header", ok + "Content-Length: 5\r\n"},
		{"truncated status", "HTTP/1.1 20"},
		{"body of 300 kB", ok + "Content-Length: 300000\r\n\r\n" + strings.Repeat("b", 300000)},
		{"body and more", hello + "more"},
		{"Connection: close", ok + "Connection: close\r\nContent-Length: 5\r\n\r\nhello"},
		{"gzip", ok + "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"},
		{"TLS alert", "\x15\x03\x01\x00\x02\x02\x16"},
	} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
			if len(c.raw) > 5<<20 && method != "GET" {
				continue // once is slow enough
			}
			t.Run(c.name+" "+method, func(t *testing.T) {
				req := func(url string) *http.Request { return request(t, method, url) }
				if got, want := both(t, c.raw, req, seeAll); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

func TestRequestsAreThoseOfNetHTTP(t *testing.T) {
	head := func(pairs ...string) func(*http.Request) {
		return func(r *http.Request) {
			for i := 0; i < len(pairs); i += 2 {
				r.Header[pairs[i]] = append(r.Header[pairs[i]], pairs[i+1])
			}
		}
	}
	for _, c := range []struct {
		name, method, url string // the path and query, or a whole URL
		edit              func(*http.Request)
	}{
		{name: "plain"},
		{name: "HEAD", method: "HEAD"},
		{name: "OPTIONS", method: "OPTIONS"},
		{name: "method empty", edit: func(r *http.Request) { r.Method = "" }},
		{name: "path", url: "/a/b"},
		{name: "query", url: "/a?b=c&d=%20e+f"},
		{name: "query only", url: "?b=c"},
		{name: "empty query", url: "/a?"},
		{name: "slash in path", url: "/a%2Fb"},
		{name: "odd path", url: "/a%20b;c=d/../e//f/%C3%BC/%7e"},
		{name: "path that is not ASCII", url: "/ü?ö"},
		{name: "fragment", url: "/a#b"},
		{name: "opaque", edit: func(r *http.Request) { r.URL.Opaque = "/%41/x" }},
		{name: "opaque with host", edit: func(r *http.Request) { r.URL.Opaque = "//other.test/%41" }},
		{name: "star", method: "OPTIONS", edit: func(r *http.Request) { r.URL.Path = "*" }},
		{name: "raw path", edit: func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a/b", "/a%2fb" }},
		{name: "path without slash", edit: func(r *http.Request) { r.URL.Path = "a" }},
		{name: "userinfo", edit: func(r *http.Request) { r.URL.User = nil; r.URL, _ = r.URL.Parse("//u:p@" + r.URL.Host + "/x") }},
		{name: "Host", edit: func(r *http.Request) { r.Host = "other.test:81" }},
		{name: "Host with zone", edit: func(r *http.Request) { r.Host = "[fe80::1%25lo]:81" }},
		{name: "Host with space", edit: func(r *http.Request) { r.Host = "a b" }},
		{name: "Host not ASCII", edit: func(r *http.Request) { r.Host = "bücher.test" }},
		{name: "Host empty", edit: func(r *http.Request) { r.Host = "" }},
		{name: "Host with path", edit: func(r *http.Request) { r.Host = "other.test/x" }},
		{name: "Host in header", edit: head("Host", "other.test")},
		{name: "User-Agent", edit: head("User-Agent", "me/1")},
		{name: "no User-Agent", edit: head("User-Agent", "")},
		{name: "two User-Agents", edit: head("User-Agent", "a", "User-Agent", "b")},
		{name: "nil User-Agent", edit: func(r *http.Request) { r.Header["User-Agent"] = nil }},
		{name: "Accept-Encoding", edit: head("Accept-Encoding", "gzip")},
		{name: "empty Accept-Encoding", edit: head("Accept-Encoding", "")},
		{name: "values", edit: head("X", "a", "X", "b", "Accept", "c", "Z", "", "A", " d ")},
		{name: "spelling", edit: head("x-lower", "a", "X-lower", "b", "ALL", "c")},
		{name: "no values", edit: func(r *http.Request) { r.Header["X"] = nil; r.Header["Y"] = []string{} }},
		{name: "bytes over ASCII", edit: head("X", "ü\xff")},
		{name: "tab", edit: head("X", "\ta\tb\t")},
		{name: "Content-Length", edit: head("Content-Length", "5")},
		{name: "Transfer-Encoding", edit: head("Transfer-Encoding", "chunked")},
		{name: "Trailer", edit: head("Trailer", "X")},
		{name: "TE", edit: head("Te", "trailers")},
		{name: "Keep-Alive", edit: head("Keep-Alive", "5")},
		{name: "Proxy-Connection", edit: head("Proxy-Connection", "close")},
		{name: "Connection", edit: head("Connection", "close")},
		{name: "connection", edit: head("connection", "close")},
		{name: "upgrade", edit: head("upgrade", "x", "connection", "upgrade")},
		{name: "expect", edit: head("expect", "100-continue")},
		{name: "transfer-encoding", edit: head("transfer-encoding", "chunked")},
		{name: "content-length", edit: head("content-length", "5")},
		{name: "accept-encoding", edit: head("accept-encoding", "br")},
		{name: "user-agent", edit: head("user-agent", "me")},
		{name: "host", edit: head("host", "other.test")},
		{name: "Close", edit: func(r *http.Request) { r.Close = true }},
		{name: "Trailer of request", edit: func(r *http.Request) { r.Trailer = http.Header{"X": {"y"}} }},
		{name: "TransferEncoding of request", edit: func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }},
		{name: "ContentLength of request", edit: func(r *http.Request) { r.ContentLength = 5 }},
		{name: "ContentLength unknown", edit: func(r *http.Request) { r.ContentLength = -1 }},
		{name: "NoBody of unknown length", edit: func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, -1 }},
		{name: "NoBody", edit: func(r *http.Request) { r.Body = http.NoBody }},
		{name: "long header", edit: head("X", strings.Repeat("x", 100_000))},
		{name: "basic", edit: func(r *http.Request) { r.SetBasicAuth("u", "p") }},
		{name: "Range", edit: head("Range", "bytes=0-1")},
	} {
		for _, gzip := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, " gzip ", gzip), func(t *testing.T) {
				var seen [2]string
				for i := range seen {
					raw := make(chan string, 9)
					o := serve(t, func(p *peer) {
						for {
							head := p.head()
							if head == "" {
								return
							}
							raw <- strings.ReplaceAll(head, p.addr, "ADDR")
							if sent := strings.ToLower(head); strings.Contains(sent, "\ntransfer-encoding:") || strings.Contains(sent, "\ncontent-length:") {
								p.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
								p.hold() // a body may follow, or not
								return
							}
							p.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
						}
					})
					base := &http.Transport{DisableCompression: !gzip}
					var rt interface {
						http.RoundTripper
						CloseIdleConnections()
					} = base
					if i == 0 {
						rt = http1.Over(base)
					}
					for range 2 { // fresh and reused
						req := request(t, cmp.Or(c.method, "GET"), o.url()+c.url)
						if c.edit != nil {
							c.edit(req)
						}
						if _, err := do(rt, req); err != nil {
							seen[i] += "error " + err.Error() + "\n"
							continue
						}
						seen[i] += wait(t, raw, "request")
					}
					rt.CloseIdleConnections()
				}
				if seen[0] != seen[1] {
					t.Errorf("sent\n%.2000s\nnet/http sends\n%.2000s", seen[0], seen[1])
				}
			})
		}
	}
}
