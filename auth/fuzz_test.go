package auth_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

func FuzzFormat(f *testing.F) {
	for _, seed := range [][2]string{{"Basic {b64}{username}:{token}{/b64}", "p:w"}, {"{b64}a{b64}{token}{/b64}{/b64}", "{/b64}"},
		{"<b64>{token}</b64>{unknown}", "$&"}, {"{token}{token", "{username}"}, {"{{token}}", ""}, {"{/b64}", "x"}, {"ü{b64}ü", "é"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, format, token string) {
		compiled, err := auth.CompileFormat(format, names...)
		if err != nil {
			if !strings.Contains(err.Error(), " character ") {
				t.Errorf("the error %q names no place", err)
			}
			return
		}
		with := map[string]auth.Secret{"token": auth.NewSecret(token), "tokenp2": {}, "username": {}, "password": {}}
		got, err := compiled.Render(with)
		if err != nil {
			t.Fatalf("got %v, want no error", err)
		}
		if !strings.Contains(format, "b64>") && !strings.Contains(format, "b64}") {
			want := strings.NewReplacer("{token}", token, "{tokenp2}", "", "{username}", "", "{password}", "").Replace(format)
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		for _, word := range compiled.Unknown() {
			if !strings.Contains(format, word) || slices.Contains(names, strings.Trim(word, "{}")) {
				t.Errorf("the unknown name %s is none of %q", word, format)
			}
		}
		masked, err := compiled.Render(map[string]auth.Secret{"token": auth.NewSecret(token).Masked(), "tokenp2": {}, "username": {}, "password": {}})
		if len(token) > 8 && !strings.Contains(format+"[redacted]", token) && strings.Contains(masked, token) || err != nil {
			t.Errorf("got %q, %v, which shows the token", masked, err)
		}
	})
}

// rawRequest is a request as an independent reader understands its bytes.
type rawRequest struct {
	line   string
	header map[string][]string
	body   string
}

// readRaw reads HTTP/1.1 (RFC 9112) strictly, and without net/http.
func readRaw(data []byte) (rawRequest, error) {
	head, body, found := bytes.Cut(data, []byte("\r\n\r\n"))
	if !found {
		return rawRequest{}, errors.New("no end of the header")
	}
	lines := strings.Split(string(head), "\r\n")
	r := rawRequest{line: lines[0], header: map[string][]string{}, body: string(body)}
	for _, line := range lines {
		if strings.ContainsAny(line, "\r\n\x00") {
			return r, fmt.Errorf("a line break or NUL in %q", line)
		}
	}
	for _, line := range lines[1:] {
		name, value, found := strings.Cut(line, ": ")
		if !found || strings.ContainsAny(name, " \t:") {
			return r, fmt.Errorf("no header: %q", line)
		}
		r.header[name] = append(r.header[name], value)
	}
	for i := range len(r.line) {
		if c := r.line[i]; c < ' ' || c >= 0x7f {
			return r, fmt.Errorf("byte %#x in the request line %q", c, r.line)
		}
	}
	if parts := strings.Split(r.line, " "); len(parts) != 3 || parts[0] != "POST" || parts[2] != "HTTP/1.1" {
		return r, fmt.Errorf("no request line: %q", r.line)
	}
	return r, nil
}

// Whatever the settings and values are: either there is an error, or the request has exactly the
// planned headers, one request line, and a body that is JSON.
func FuzzPlacement(f *testing.F) {
	for _, path := range []string{"header.headers.X.Key", "header.auth", "query.k", "query.a=b&c", "body.k", "body.a.k", "url", "urlpath", "header.headers.Host", "header.headers.Cookie"} {
		for _, value := range []string{"SEK", "a\r\nX-Evil: 1", "a b?c#d&e=%zz\"", "\x00\xff", "é"} {
			f.Add(path, "k={token}", value)
		}
	}
	f.Add("urlpath", "../{token}/..", "..%2f..")
	f.Add("url", "{b64}{token}{/b64}", "?>?>")
	f.Fuzz(func(t *testing.T, path, format, value string) {
		place, problems := auth.CompileFields([]auth.Field{{Path: path, Format: format}, {Path: "header.headers.X-Fixed", Format: "1"}}, values(value), names...)
		if slices.ContainsFunc(problems, func(p auth.FieldProblem) bool { return !p.Warning }) {
			return
		}
		in, err := place.Render(auth.Token{})
		if err != nil {
			return
		}
		req := post(t, "application/json", `{"own":1}`)
		req.URL = parse(t, "https://a.example/w/x%2Fy?own=1")
		if err := in.Apply(req); err != nil {
			return
		}
		var wire bytes.Buffer
		if err := req.Write(&wire); err != nil {
			t.Fatalf("writing: %v", err)
		}
		raw, err := readRaw(wire.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		planned := []string{"Content-Length", "Content-Type", "Host", "User-Agent", "X-Fixed"}
		if name, found := strings.CutPrefix(path, "header.headers."); found {
			planned = append(planned, textproto.CanonicalMIMEHeaderKey(name))
		} else if path == "header.auth" {
			planned = append(planned, "Authorization")
		}
		for name, lines := range raw.header {
			if !slices.Contains(planned, name) || len(lines) != 1 {
				t.Errorf("the header %s: %q was not planned", name, lines)
			}
		}
		if raw.header["Host"][0] != "a.example" {
			t.Errorf("the host is %q", raw.header["Host"])
		}
		if length := fmt.Sprint(len(raw.body)); raw.header["Content-Length"][0] != length || !json.Valid([]byte(raw.body)) {
			t.Errorf("got the body %q with Content-Length %s", raw.body, raw.header["Content-Length"])
		}
		checkTarget(t, strings.Split(raw.line, " ")[1], path)
	})
}

// checkTarget fails unless the caller's own path and query are still there.
func checkTarget(t *testing.T, target, path string) {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatalf("the target %q: %v", target, err)
	}
	if !strings.HasPrefix(u.EscapedPath(), "/w/x%2Fy") {
		t.Errorf("the path is %s, want the caller's own in front", u.EscapedPath())
	}
	root, _, _ := strings.Cut(path, ".")
	if root != "urlpath" && u.EscapedPath() != "/w/x%2Fy" {
		t.Errorf("the path is %s, want the caller's own", u.EscapedPath())
	}
	if name, _ := strings.CutPrefix(path, "query."); name != "own" && !slices.Contains(strings.Split(u.RawQuery, "&"), "own=1") {
		t.Errorf("the query is %s, want own=1 in it", u.RawQuery)
	}
}

func FuzzTokenRecord(f *testing.F) {
	good, _ := auth.EncodeToken(auth.Token{Values: map[string]auth.Secret{"token": auth.NewSecret("T1")}, Obtained: time.Unix(1, 0), Expiry: time.Unix(2, 0), Generation: 3})
	for _, seed := range []string{string(good), "", "{}", "null", `{"values":null}`, `{"values":{"token":""}}`, `{"values":{"token":"DQo="}}`,
		`{"values":{"token":"VDE="},"obtained":9223372036854775807,"expiry":-9223372036854775808}`, `{"values":{"token":"VDE="},"expiry":1e400}`, `{"values":{"\u0000":"VDE="}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		token, err := auth.DecodeToken(data)
		if err != nil {
			if len(token.Values) > 0 && strings.Contains(err.Error(), "\n") {
				t.Errorf("the error %q has two lines", err)
			}
			return
		}
		if len(token.Values) == 0 {
			t.Fatal("got a token without values")
		}
		for name, value := range token.Values {
			if value.IsZero() || strings.ContainsAny(value.Reveal(), "\r\n\x00") {
				t.Errorf("%q cannot be sent", name)
			}
		}
		again, err := auth.EncodeToken(token)
		if err != nil {
			t.Fatal(err)
		}
		second, err := auth.DecodeToken(again)
		if err != nil && len(again) <= 256<<10 || err == nil && (!second.Expiry.Equal(token.Expiry) || len(second.Values) != len(token.Values)) {
			t.Errorf("encoded and decoded: %+v, %v, want %+v", second, err, token)
		}
	})
}

func FuzzParseExpiry(f *testing.F) {
	for _, seed := range []string{"3600", "1e400", "-1", "NaN", "0x1p-2", "1_000", "253402300800000", "2026-10-21T07:28:00Z", "Wed, 21 Oct 2026 07:28:00 PDT",
		"Wed Oct 21 2026 09:28:00 GMT+0200 (CEST)", "0001-01-01T00:00:00", "10/21/2026, 9:28:00 AM", "2026-10-21", "9999-12-31T23:59:60Z"} {
		f.Add(seed)
	}
	obtained := time.Date(2026, 10, 21, 9, 0, 0, 0, time.FixedZone("here", 7200))
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := auth.ParseExpiry(text, obtained)
		if !ok {
			return
		}
		if got.IsZero() || got.Year() < 0 || got.Year() > 10_000 {
			t.Errorf("%q: got %s", text, got)
		}
		if again, _ := auth.ParseExpiry(text, obtained); !again.Equal(got) {
			t.Errorf("%q: got %s and %s", text, got, again)
		}
	})
}

// Every member but our own survives, and ours is there once.
func FuzzPatchBody(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1}`, `{"k":1,"k":2}`, `{"a":{"k":[1,{"k":2}]}}`, ` { "\u006b" : 1e400 } `, `[]`, `{"a":1}{}`, `{"a":`, "{\"\xff\":1}", `{"n":12345678901234567890.0}`} {
		f.Add(seed, "k", "v")
	}
	f.Add(`{"k":{"x":1}}`, "k.l", "\"\\\u2028")
	f.Fuzz(func(t *testing.T, text, path, value string) {
		req := post(t, "application/json", text)
		if err := auth.PatchBody(req, strings.Split(path, "."), value); err != nil {
			return
		}
		data, _ := io.ReadAll(req.Body)
		if req.ContentLength != int64(len(data)) {
			t.Errorf("Content-Length is %d, want %d", req.ContentLength, len(data))
		}
		var before, after map[string]json.RawMessage
		if strings.TrimSpace(text) == "" {
			text = "{}"
		}
		if err := json.Unmarshal([]byte(text), &before); err != nil {
			return // jsontext is not as strict about depth as encoding/json
		}
		if err := json.Unmarshal(data, &after); err != nil {
			t.Fatalf("got %q, which is no JSON: %v", data, err)
		}
		head, _, nested := strings.Cut(path, ".")
		for name, member := range before {
			if name != head && !bytes.Equal(after[name], member) {
				t.Errorf("the member %q became %s, want %s", name, after[name], member)
			}
		}
		var got string
		if !nested && (json.Unmarshal(after[head], &got) != nil || got != value) {
			t.Errorf("got %s, want %q", after[head], value)
		}
	})
}

func TestRawReaderIsStrict(t *testing.T) {
	for name, data := range map[string]string{"no end": "POST / HTTP/1.1\r\n", "line feed": "POST / HTTP/1.1\nA: b\r\n\r\n", "no colon": "POST / HTTP/1.1\r\nA b\r\n\r\n",
		"blank in the target": "POST /a b HTTP/1.1\r\n\r\n", "control character": "POST /\x01 HTTP/1.1\r\n\r\n", "byte above ASCII": "POST /é HTTP/1.1\r\n\r\n"} {
		if _, err := readRaw([]byte(data)); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
	if raw, err := readRaw([]byte("POST / HTTP/1.1\r\nA: b: c\r\n\r\nbody")); err != nil || raw.header["A"][0] != "b: c" || raw.body != "body" {
		t.Errorf("got %+v, %v", raw, err)
	}
}
