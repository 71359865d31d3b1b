package redis

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// URL says where Redis is and how to sign in there. It holds a password: it prints, and
// encodes, as its scheme, hosts and database only. The zero URL is none.
//
//	redis://[user:password@]host[:6379][/DB]
//	redis+sentinel://[user:password@]host[:26379][,host…]/MASTER[/DB]
//	redis+cluster://[user:password@]host[:6379][,host…]
//
// rediss, rediss+sentinel and rediss+cluster are the same over TLS. In a user or password,
// special characters are percent-encoded. Settings may follow as ?timeout=250ms (to read or
// write), ?dial_timeout=500ms, and, where the Sentinels themselves ask for a password,
// ?sentinel_user=…&sentinel_password=….
type URL struct{ text *string } // a pointer: reflection shows an address

// NewURL returns the URL of text. Config.Validate says whether it is one.
func NewURL(text string) URL {
	if text == "" {
		return URL{}
	}
	return URL{&text}
}

// IsZero reports whether there is no URL.
func (u URL) IsZero() bool { return u.text == nil }

// String returns the URL without user, password and settings.
func (u URL) String() string {
	if u.IsZero() {
		return ""
	}
	t, err := u.parse()
	if err != nil {
		return "[not a Redis URL]"
	}
	return t.String()
}

// Format prints String under every verb.
func (u URL) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(u.String())) }

// MarshalText returns String: a URL does not survive being encoded.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText makes the URL of text. Config.Validate says whether it is one.
func (u *URL) UnmarshalText(text []byte) error {
	*u = NewURL(string(text))
	return nil
}

// target is a URL taken apart.
type target struct {
	scheme         string
	tls            bool
	cluster        bool
	user, password string
	addrs          []string
	master         string // of the Sentinels; empty without them
	db             int

	sentinelUser, sentinelPassword string
	timeout, dialTimeout           time.Duration
}

func (t target) String() string {
	s := t.scheme + "://" + strings.Join(t.addrs, ",")
	if t.master != "" {
		s += "/" + url.PathEscape(t.master)
	}
	if t.db != 0 {
		s += "/" + strconv.Itoa(t.db)
	}
	return s
}

// parse takes the URL apart by hand: net/url knows no lists of hosts, and its errors quote
// what they could not read.
func (u URL) parse() (target, error) {
	scheme, rest, ok := strings.Cut(*u.text, "://")
	kind, known := strings.CutPrefix(scheme, "redis")
	secure, tls := strings.CutPrefix(kind, "s")
	if tls {
		kind = secure
	}
	if !ok || !known || kind != "" && kind != "+sentinel" && kind != "+cluster" {
		return target{}, errors.New("want redis://, redis+sentinel:// or redis+cluster://, with rediss for TLS")
	}
	t := target{scheme: scheme, tls: tls, cluster: kind == "+cluster", timeout: defaultTimeout, dialTimeout: defaultDialTimeout}
	end := strings.IndexAny(rest+"/", "/?#")
	authority, rest := rest[:end], rest[end:]
	if strings.Contains(rest, "@") {
		return target{}, errors.New("special characters of a user or password are percent-encoded: / is %2F, ? is %3F, # is %23, @ is %40")
	}
	path, settings, _ := strings.Cut(rest, "?")
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		if err := t.signIn(authority[:i]); err != nil {
			return target{}, err
		}
		authority = authority[i+1:]
	}
	err := errors.Join(t.hosts(authority, kind), t.path(strings.Trim(path, "/"), kind), t.settings(settings))
	return t, err
}

func (t *target) signIn(info string) error {
	user, password, _ := strings.Cut(info, ":")
	var errUser, errPassword error
	t.user, errUser = url.PathUnescape(user)
	t.password, errPassword = url.PathUnescape(password)
	switch {
	case errUser != nil || errPassword != nil:
		return errors.New("user or password is not percent-encoded (% itself is %25)") // what url says quotes it
	case t.password == "":
		return errors.New("a user without a password; a password without a user is :password@")
	}
	return nil
}

func (t *target) hosts(list, kind string) error {
	port := "6379"
	if kind == "+sentinel" {
		port = "26379"
	}
	for host := range strings.SplitSeq(list, ",") {
		name, given, err := net.SplitHostPort(host)
		if err != nil { // no port
			name, given = strings.Trim(host, "[]"), port
		}
		if n, err := strconv.ParseUint(given, 10, 16); err != nil || n == 0 || !isHost(name) {
			return errors.New("want host:port after the user and password") // quoting it could quote a password
		}
		t.addrs = append(t.addrs, net.JoinHostPort(name, given))
	}
	if kind == "" && len(t.addrs) > 1 {
		return errors.New("several hosts need redis+sentinel:// or redis+cluster://")
	}
	return nil
}

func isHost(name string) bool {
	if strings.Contains(name, ":") {
		return net.ParseIP(name) != nil
	}
	return name != "" && !strings.ContainsAny(name, " %[]{}")
}

func (t *target) path(path, kind string) error {
	db := path
	switch kind {
	case "+cluster":
		if path != "" {
			return errors.New("a cluster has no database number")
		}
	case "+sentinel":
		t.master, db, _ = strings.Cut(path, "/")
		var err error
		if t.master, err = url.PathUnescape(t.master); err != nil || t.master == "" {
			return errors.New("the path of redis+sentinel:// is /MASTER or /MASTER/DB")
		}
	}
	if db == "" {
		return nil
	}
	n, err := strconv.ParseUint(db, 10, 16)
	if err != nil {
		return errors.New("the database is a number")
	}
	t.db = int(n)
	return nil
}

func (t *target) settings(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the settings after ? are not readable")
	}
	for name := range values {
		value := values.Get(name)
		switch name {
		case "timeout":
			err = duration(name, value, &t.timeout)
		case "dial_timeout":
			err = duration(name, value, &t.dialTimeout)
		case "sentinel_user":
			t.sentinelUser = value
		case "sentinel_password":
			t.sentinelPassword = value
		default:
			err = fmt.Errorf("unknown setting %s; there are timeout, dial_timeout, sentinel_user, sentinel_password", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func duration(name, value string, to *time.Duration) error {
	d, err := time.ParseDuration(value)
	if err != nil || d < time.Millisecond || d > time.Minute {
		return fmt.Errorf("%s: want a duration from 1ms to 1m, such as 250ms", name)
	}
	*to = d
	return nil
}
