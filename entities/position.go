package entities

import (
	"bytes"
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// locate gives each problem of one file its line and column. The file is read once for all of
// them. A pointer to nothing is placed where the nearest value around it starts.
func locate(data []byte, problems []*Problem) {
	if len(problems) == 0 {
		return
	}
	body := bytes.TrimPrefix(data, byteOrderMark)
	wanted := make(map[string]int64) // pointer and its parents → offset
	for _, p := range problems {
		for at := p.Pointer; ; at = at[:strings.LastIndexByte(at, '/')] {
			wanted[at] = -1
			if !strings.Contains(at, "/") {
				break
			}
		}
	}
	findOffsets(body, wanted)
	lines := newLineIndex(body)
	for _, p := range problems {
		at := p.Pointer
		for wanted[at] < 0 && strings.Contains(at, "/") {
			at = at[:strings.LastIndexByte(at, '/')]
		}
		p.Line, p.Column = lines.place(max(wanted[at], 0))
	}
}

// findOffsets fills in where the value of each wanted pointer starts; of a name that stands
// twice it is the last value, which counts.
func findOffsets(body []byte, wanted map[string]int64) {
	dec := jsontext.NewDecoder(bytes.NewReader(body), lenient)
	for {
		if kind := dec.PeekKind(); kind == '}' || kind == ']' {
			if _, err := dec.ReadToken(); err != nil {
				return
			}
			continue
		}
		offset := dec.InputOffset()
		token, err := dec.ReadToken()
		if err != nil {
			return
		}
		if inName(dec, token) {
			continue
		}
		pointer := string(dec.StackPointer())
		if _, ok := wanted[pointer]; ok {
			wanted[pointer] = skipToValue(body, offset)
		}
	}
}

// inName reports whether the token just read is a member name.
func inName(dec *jsontext.Decoder, token jsontext.Token) bool {
	kind, length := dec.StackIndex(dec.StackDepth())
	return token.Kind() == '"' && kind == '{' && length%2 == 1
}

func skipToValue(body []byte, offset int64) int64 {
	for offset < int64(len(body)) && strings.IndexByte(" \t\r\n:,", body[offset]) >= 0 {
		offset++
	}
	return offset
}

// A lineIndex turns offsets into lines and columns.
type lineIndex struct {
	body   []byte
	starts []int64
}

func newLineIndex(body []byte) lineIndex {
	starts := []int64{0}
	for i, c := range body {
		if c == '\n' {
			starts = append(starts, int64(i)+1)
		}
	}
	return lineIndex{body, starts}
}

func (x lineIndex) place(offset int64) (line, column int) {
	offset = min(offset, int64(len(x.body)))
	line, _ = searchInt64(x.starts, offset)
	start := x.starts[line-1]
	return line, utf8.RuneCount(x.body[start:offset]) + 1
}

// searchInt64 returns how many of the sorted starts are not above offset.
func searchInt64(starts []int64, offset int64) (int, bool) {
	low, high := 0, len(starts)
	for low < high {
		middle := (low + high) / 2
		if starts[middle] <= offset {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, low > 0
}

// fileProblem says why the file at p cannot be used at all.
func fileProblem(home fs.FS, p string, err error) *Problem {
	out := &Problem{File: p, Reason: reasonOf(err)}
	var bad *DecodeError
	if errors.As(err, &bad) {
		out.Reason = bad.Reason
		if data, err := readFile(home, p); err == nil {
			body := bytes.TrimPrefix(data, byteOrderMark)
			out.Line, out.Column = newLineIndex(body).place(bad.Offset - int64(len(data)-len(body)))
		}
	}
	return out
}

// reasonOf is the text of a file system's error without the path, which the problem has.
func reasonOf(err error) string {
	var at *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file"
	case errors.As(err, &at):
		return at.Err.Error()
	}
	return err.Error()
}

// pointerTo appends a name or an index to a JSON Pointer.
func pointerTo(pointer, name string) string {
	if strings.ContainsAny(name, "~/") {
		name = strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	}
	return pointer + "/" + name
}

func pointerAt(pointer string, index int) string { return pointer + "/" + strconv.Itoa(index) }
