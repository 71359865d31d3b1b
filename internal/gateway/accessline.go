package gateway

import (
	"encoding/json"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// accessMessage is the msg of every line of the access log.
const accessMessage = "request"

// accessLine is one line of the access log. Its JSON is what logrus would write, members sorted
// and all, at a twentieth of the price: a line for every request is on the path of every request.
// No member has a name that loggers hide for its sound, such as token or code.
type accessLine struct {
	level    logrus.Level
	time     time.Time
	took     time.Duration
	login    time.Duration // waited for the credential; less than a millisecond is not told
	upstream time.Duration // until the system's answer began; 0: it was not asked
	status   int
	in       int64
	out      int64

	aborted                                  bool // the answer was cut off
	id, caller, adapter, entity, action      string
	fault, fingerprint, method, path, remote string
}

// ms is a duration in milliseconds, to the microsecond.
func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// texts are the members that may be absent.
func (l *accessLine) texts() [6]struct{ name, value string } {
	return [6]struct{ name, value string }{{"action", l.action}, {"adapter", l.adapter}, {"caller", l.caller},
		{"entity", l.entity}, {"fault", l.fault}, {"fingerprint", l.fingerprint}}
}

// fields is the line for logrus.
func (l *accessLine) fields() logrus.Fields {
	fields := logrus.Fields{"bytes_in": l.in, "bytes_out": l.out, "method": l.method, "ms": ms(l.took),
		"path": l.path, "remote": l.remote, "request_id": l.id, "status": l.status}
	for _, text := range l.texts() {
		if text.value != "" {
			fields[text.name] = text.value
		}
	}
	if l.aborted {
		fields["aborted"] = true
	}
	if l.login >= time.Millisecond {
		fields["login_ms"] = ms(l.login)
	}
	if l.upstream > 0 {
		fields["upstream_ms"] = ms(l.upstream)
	}
	return fields
}

var lines = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// writeTo writes the line in one piece, so that lines of several requests do not mix.
func (l *accessLine) writeTo(w io.Writer) {
	b := lines.Get().(*[]byte)
	*b = append(l.appendJSON((*b)[:0]), '\n')
	_, _ = w.Write(*b) // a full disk must not stop the requests
	lines.Put(b)
}

// appendJSON writes the members in the order of their names.
func (l *accessLine) appendJSON(b []byte) []byte {
	b = append(b, '{')
	if l.aborted {
		b = append(b, `"aborted":true,`...)
	}
	b = member(b, "action", l.action)
	b = member(b, "adapter", l.adapter)
	b = strconv.AppendInt(append(b, `"bytes_in":`...), l.in, 10)
	b = strconv.AppendInt(append(b, `,"bytes_out":`...), l.out, 10)
	b = append(b, ',')
	b = member(b, "caller", l.caller)
	b = member(b, "entity", l.entity)
	b = member(b, "fault", l.fault)
	b = member(b, "fingerprint", l.fingerprint)
	b = member(b, "level", l.level.String())
	if l.login >= time.Millisecond {
		b = append(strconv.AppendFloat(append(b, `"login_ms":`...), ms(l.login), 'f', -1, 64), ',')
	}
	b = member(b, "method", l.method)
	b = strconv.AppendFloat(append(b, `"ms":`...), ms(l.took), 'f', -1, 64)
	b = append(b, `,"msg":"`+accessMessage+`","path":`...)
	b = appendText(b, l.path)
	b = appendText(append(b, `,"remote":`...), l.remote)
	b = appendText(append(b, `,"request_id":`...), l.id)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(l.status), 10)
	b = append(b, `,"time":"`...)
	b = append(l.time.AppendFormat(b, time.RFC3339), '"')
	if l.upstream > 0 {
		b = strconv.AppendFloat(append(b, `,"upstream_ms":`...), ms(l.upstream), 'f', -1, 64)
	}
	return append(b, '}')
}

// member writes a member and a comma, unless the text is empty.
func member(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(append(b, '"'), name...), `":`...)
	return append(appendText(b, value), ',')
}

// appendText writes a JSON string. What is plain, as nearly everything is, is copied.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(text) // a string always can be
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}
