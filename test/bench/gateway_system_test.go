package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/valyala/fasthttp"
)

// What the system behind the gateways wants to see, and how long its answers are.
const (
	systemToken    = "token.token.token.token.token.token.token.token.token.token.token.token.1"
	systemPassword = "correct-horse-battery"
	smallBody      = 1 << 10
	bigBody        = 10 << 20
)

// serveSystem is the pretend system behind the gateways, a process of its own. It is cheap on
// purpose, so that it is the gateways that are measured.
//
//	POST /login   the token, for the password
//	GET  /small   1 KiB, for the token; else 401
//	GET  /big     10 MiB, for the token
//	POST /sink    the number of bytes that came, for the token
func serveSystem() {
	server := fasthttp.Server{Handler: answerCall, StreamRequestBody: true, MaxRequestBodySize: 1 << 30, NoDefaultServerHeader: true}
	listen(os.Stdin, server.Serve)
}

var small = []byte(strings.Repeat("sixteen letters.", smallBody/16))

func answerCall(c *fasthttp.RequestCtx) {
	if string(c.Path()) == "/login" {
		login(c)
		return
	}
	if string(c.Request.Header.Peek("Authorization")) != "Bearer "+systemToken {
		c.SetStatusCode(fasthttp.StatusUnauthorized)
		return
	}
	switch string(c.Path()) {
	case "/small":
		c.SetBody(small)
	case "/big":
		c.SetBodyStream(zeros(bigBody), bigBody)
	case "/sink":
		n, _ := io.Copy(io.Discard, c.RequestBodyStream()) // a cut body is a short number
		_, _ = fmt.Fprint(c, n)
	default:
		c.SetStatusCode(fasthttp.StatusNotFound)
	}
}

func login(c *fasthttp.RequestCtx) {
	var in struct{ Username, Password string }
	text, _ := io.ReadAll(c.RequestBodyStream())
	if json.Unmarshal(text, &in) != nil || in.Username != "ann" || in.Password != systemPassword {
		c.SetStatusCode(fasthttp.StatusUnauthorized)
		return
	}
	_, _ = fmt.Fprintf(c, `{"sid":%q}`, systemToken)
}

// nothing reads as zeros without end.
type nothing struct{}

// Read leaves p as it is: nobody looks.
func (nothing) Read(p []byte) (int, error) { return len(p), nil }

func zeros(n int64) io.Reader { return io.LimitReader(nothing{}, n) }
