package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/keyhitch/keyhitch/auth"
)

// serveProxy passes a request through.
func (x *exchange) serveProxy(r *http.Request, _ string) {
	name, rest := cutTarget(sentPath(r.URL))
	d := x.doors[name]
	if d != nil {
		x.adapter = name
	}
	if f, detail := x.admit(d, r, name, rest); f != nil {
		x.fail(f, detail)
		return
	}
	if d.unsent != nil {
		x.failWith(d.unsent)
		return
	}
	out, tape := d.request(r, rest, x.w.Header()[requestID])
	if tape != nil {
		defer tape.stop()
		// Over HTTP/1 the server would else swallow what is left of the body when the answer begins.
		_ = http.NewResponseController(x.w).EnableFullDuplex()
	}
	res, err := x.send(d, out)
	if err != nil {
		x.unanswered(r, tape, err)
		return
	}
	x.token = d.fingerprint(out)
	switch {
	case res.StatusCode == http.StatusSwitchingProtocols:
		x.switchProtocols(d, out, res)
	case d.refuses(res.StatusCode):
		_ = res.Body.Close()
		x.refused(d, tape, res.StatusCode)
	default:
		x.wentWell(r.Context(), d.adapter)
		x.pass(d, res)
	}
}

// admit decides whether a request may go out. Who may not reach an adapter does not hear whether
// there is one.
func (x *exchange) admit(d *door, r *http.Request, name, rest string) (*fault, string) {
	switch {
	case d == nil && x.caller.maySee(name):
		return faultNoAdapter, "the project file names no such adapter"
	case d == nil:
		return faultForbidden, ""
	case r.Method == http.MethodTrace, r.Method == http.MethodConnect:
		// TRACE would have the system repeat the credential to the caller.
		x.w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		return faultBadMethod, r.Method + " is not passed on"
	case strays(rest):
		return faultBadPath, ""
	case !x.mayReach(r.Method, rest):
		return faultForbidden, ""
	}
	for _, method := range otherMethods(r) {
		if !x.mayReach(strings.ToUpper(strings.TrimSpace(method)), rest) {
			return faultForbidden, "a header or parameter names a method that the caller may not use"
		}
	}
	return nil, ""
}

// methodOverrides are headers that some systems take the method from.
var methodOverrides = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Method"}

// otherMethods lists the methods that a system may take the request for.
func otherMethods(r *http.Request) []string {
	var list []string
	for name, values := range r.Header {
		if overridesMethod(name) {
			list = append(list, values...)
		}
	}
	if r.URL.RawQuery != "" {
		list = append(list, methodParameters(r.URL.RawQuery)...)
	}
	return list
}

// methodParameter is a parameter that some systems take the method from.
var methodParameter = []string{"_method"}

func methodParameters(query string) (list []string) {
	for pair := range parameters(query) {
		name, value, _ := strings.Cut(pair, "=")
		if len(name) >= len(methodParameter[0]) && isReadAs(methodParameter, unescapeName(name)) {
			list = append(list, unescape(strings.ReplaceAll(value, "+", " ")))
		}
	}
	return list
}

func overridesMethod(header string) bool {
	return len(header) > 7 && slices.ContainsFunc(methodOverrides, func(known string) bool { return sameHeader(known, header) })
}

// unanswered tells why there is no answer.
func (x *exchange) unanswered(r *http.Request, t *tape, err error) {
	var (
		token *auth.TokenError
		large *http.MaxBytesError
	)
	switch {
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // nobody is there to hear
	case errors.As(err, &large), errors.As(err, &token):
		x.loginFailed(err)
		x.failWith(err)
	case t != nil && t.broken.Load():
		x.w.Header().Set("Connection", "close")
		x.fail(faultBadCall, "the request's body ended too early or is not well-formed")
	default:
		x.failWith(err)
	}
}

// faultAuthUnsent is faultAuthRefused of a body that could not be sent twice: the token is renewed
// already, so the caller can do it.
var faultAuthUnsent = func() *fault {
	f := *faultAuthRefused
	f.Retryable = true
	return &f
}()

// refused answers instead of a system that refuses the credential: its own answer would ask the
// caller for credentials, and may quote ours.
func (x *exchange) refused(d *door, t *tape, status int) {
	_, renewed := d.adapter.Login()
	switch {
	case t != nil && renewed && (t.lost.Load() || d.inBody && t.limit == 0):
		x.fail(faultAuthUnsent, fmt.Sprintf("the system answered %d, and the body is larger than the %d bytes that are kept to send it again; the next request goes out with a new token", status, max(0, d.replay)))
	case renewed && d.adapter.Transport().Resubmits > 0:
		x.fail(faultAuthRefused, fmt.Sprintf("the system answered %d, and no newer token helps", status))
	default:
		x.fail(faultAuthRefused, fmt.Sprintf("the system answered %d", status))
	}
}

// pass passes an answer on while it comes. When it breaks, the caller's connection breaks too:
// that is the only way left to tell.
func (x *exchange) pass(d *door, res *http.Response) {
	header := x.w.Header()
	d.answerHeaders(header, res, x.SetCookie[d.name])
	for name := range res.Trailer {
		if passes(name, false) {
			header.Add("Trailer", name)
			delete(header, "Content-Length") // HTTP/2 has both, HTTP/1 only one of them
		}
	}
	x.w.WriteHeader(res.StatusCode)
	var err error
	if events(res) {
		err = x.passEvents(res)
	} else {
		err = x.stream(res)
	}
	_ = res.Body.Close() // before the trailers are read
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if len(res.Trailer) > 0 {
		x.passTrailers(res.Trailer)
	}
}

// passTrailers passes the trailers on, also those that were not announced.
func (x *exchange) passTrailers(trailer http.Header) {
	_ = http.NewResponseController(x.w).Flush() // a short answer would get a length, and no trailers
	header := x.w.Header()
	for name, values := range trailer {
		if passes(name, false) {
			header[http.TrailerPrefix+name] = values
		}
	}
}

// buffers are for bodies on their way.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// stream copies the body to the caller. What may be a stream of events is not held back.
func (x *exchange) stream(res *http.Response) error {
	if res.Body == http.NoBody {
		return nil
	}
	flush := func() error { return nil }
	if res.ContentLength < 0 || x.w.stream != nil {
		flush = http.NewResponseController(x.w).Flush
		if err := flush(); err != nil {
			return err
		}
	}
	buffer := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buffer)
	for {
		n, err := res.Body.Read(buffer[:])
		if n > 0 {
			if _, err := x.w.Write(buffer[:n]); err != nil {
				return err
			}
			if err := flush(); err != nil {
				return err
			}
		}
		if err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}
