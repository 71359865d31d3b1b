package gateway

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/keyhitch/keyhitch/auth"
)

// How a caller's path becomes the system's: /proxy/{adapter}{rest}, and rest follows the adapter's
// base. The rest is checked and sent in the spelling in which it came.

// sentPath is the path as the caller spelt it; only what no request line may hold is escaped.
func sentPath(u *url.URL) string {
	if u.RawPath == "" {
		return u.EscapedPath()
	}
	return auth.EscapeIllegal(u.RawPath, "/") // EscapedPath would turn %2F into a slash beside an illegal byte
}

// cutTarget splits /proxy/{adapter}/{path…}. The rest is empty or begins with exactly one slash:
// with two, some servers take what follows for a host.
func cutTarget(path string) (name, rest string) {
	name = strings.TrimPrefix(path, "/proxy/")
	if at := strings.IndexByte(name, '/'); at >= 0 {
		name, rest = name[:at], name[at:]
		for strings.HasPrefix(rest, "//") {
			rest = rest[1:]
		}
	}
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	return name, rest
}

// maxUnescape is how often a path may be percent-encoded over and over.
const maxUnescape = 4

// strays reports whether any server could read the path as one that leads elsewhere. Servers
// decode once, twice or not at all, some cut ;parameters off first (Tomcat), some take \ for /,
// and some decode what is not UTF-8.
func strays(path string) bool {
	for range maxUnescape {
		if hasStray(path) {
			return true
		}
		plain := unescape(path)
		if plain == path {
			return false
		}
		path = plain
	}
	return true
}

// hasStray looks at one reading of a path.
func hasStray(path string) bool {
	for i := 0; i < len(path); i++ {
		if c := path[i]; c < ' ' || c == 0x7f || c == '\\' {
			return true
		}
	}
	if strings.Contains(path, "/.") {
		for segment := range strings.SplitSeq(path, "/") {
			if dots(segment) {
				return true
			}
		}
	}
	return !utf8.ValidString(path) && overlong(path)
}

// dots reports whether a segment is . or .. once what servers overlook is taken off.
func dots(segment string) bool {
	if i := strings.IndexAny(segment, ";?#"); i >= 0 {
		segment = segment[:i]
	}
	segment = strings.TrimRight(segment, " ")
	return segment == "." || segment == ".."
}

// overlong reports whether the path holds . / or \ in more bytes than UTF-8 allows for them
// (RFC 3629, section 10).
func overlong(path string) bool {
	for _, head := range []string{"\xc0", "\xe0\x80", "\xf0\x80\x80"} {
		for _, tail := range []string{"\xae", "\xaf"} {
			if strings.Contains(path, head+tail) {
				return true
			}
		}
	}
	return strings.Contains(path, "\xc1\x9c") || strings.Contains(path, "\xe0\x81\x9c") || strings.Contains(path, "\xf0\x80\x81\x9c")
}

// unescape decodes every escape once; what is none stays.
func unescape(path string) string {
	at := strings.IndexByte(path, '%')
	if at < 0 {
		return path
	}
	out := append(make([]byte, 0, len(path)), path[:at]...)
	for i := at; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			high, low := unhex(path[i+1]), unhex(path[i+2])
			if high >= 0 && low >= 0 {
				out = append(out, byte(high<<4|low))
				i += 2
				continue
			}
		}
		out = append(out, path[i])
	}
	return string(out)
}

// unhex returns the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// mayReach reports whether the caller's rules cover what goes out, in every reading that a server
// may have of it: an encoded slash can be a slash or a byte of a name, and two slashes can be one.
func (x *exchange) mayReach(method, escaped string) bool {
	plain := unescape(escaped)
	if plain == "" {
		plain = "/"
	}
	if !x.caller.mayReach(x.adapter, method, plain) {
		return false
	}
	if strings.IndexByte(plain, ';') >= 0 && !x.caller.mayReach(x.adapter, method, withoutParameters(plain)) {
		return false // some servers drop what follows a semicolon
	}
	if strings.Contains(plain, "//") && !x.caller.mayReach(x.adapter, method, collapsed(plain)) {
		return false
	}
	if !strings.Contains(escaped, "%2F") && !strings.Contains(escaped, "%2f") {
		return true
	}
	kept := unescape(strings.NewReplacer("%2F", "%252F", "%2f", "%252F").Replace(escaped))
	return x.caller.mayReach(x.adapter, method, kept)
}

// withoutParameters cuts each segment at its first semicolon.
func withoutParameters(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segments[i], _, _ = strings.Cut(segment, ";")
	}
	return strings.Join(segments, "/")
}

// collapsed writes every run of slashes as one.
func collapsed(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}
