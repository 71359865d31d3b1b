package entities

import (
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// An Action is one declared call of an entity. It does not change after Load and is safe for
// concurrent use.
type Action struct {
	Entity, Name, Method      string
	RequestType, ResponseType Datatype
	Timeout                   time.Duration // 0: the instance's own
	SendEmpty, SendGetBody    bool
	Headers                   []Header // in file order
	SSO                       SSO
	Responses                 []ResponseObject

	file              *actionFile
	index             int // in its file
	paths             []entityPath
	start, end        string // startVersion, endVersion
	queryKey          string
	request, response *schemaFile
	broken            Problems // errors found by Load
}

// A Header is one static header of an action.
type Header struct{ Name, Value string }

// SSO is where a token request goes if not to the instance's host.
type SSO struct {
	Protocol string `json:"protocol"`
	Host     string `json:"host"`
	Port     int    `json:"port"`
}

// A ResponseObject says which part of an answer is the result of which kind of call.
type ResponseObject struct {
	Type     string `json:"type"`
	Key      string `json:"key"`
	MockFile string `json:"mockFile"`

	selector Selector
}

// Selector returns what Key selects.
func (r ResponseObject) Selector() Selector { return r.selector }

// An entityPath is one entitypath, parsed when it is first used.
type entityPath struct {
	version, text string

	once   sync.Once
	parsed *template
}

func (p *entityPath) template() *template {
	p.once.Do(func() { p.parsed = parseTemplate(p.text) })
	return p.parsed
}

// Problems returns what is wrong with the action itself, warnings included. Its schemas are
// checked by Request, Response and Set.Check.
func (a *Action) Problems() Problems { return a.file.review().of[a.index] }

// Request returns the schema that requests are mapped by, compiled on first use. The error
// is made of its Problems.
func (a *Action) Request() (*Schema, error) { return a.schema(a.request) }

// Response returns the schema that answers are mapped by, compiled on first use. The error
// is made of its Problems.
func (a *Action) Response() (*Schema, error) { return a.schema(a.response) }

func (a *Action) schema(f *schemaFile) (*Schema, error) {
	if f == nil {
		return nil, a.broken
	}
	return f.compile()
}

func (a *Action) pointer() string { return pointerAt("/actions", a.index) }

// fault notes an error at a member of the action, if none is noted there yet.
func (a *Action) fault(name, reason string) {
	at := a.pointer() + name
	for _, p := range a.broken {
		if p.Pointer == at || strings.HasPrefix(at, p.Pointer+"/") {
			return
		}
	}
	a.broken = append(a.broken, &Problem{Pointer: at, Reason: reason})
}

// fill makes an Action of what the file says and notes what is wrong with it.
func (s *Set) fill(a *Action, f *actionFile, index int, raw *rawAction) {
	*a = Action{
		Entity: f.entity, Name: raw.Name, Method: strings.ToUpper(raw.Method),
		Timeout: milliseconds(raw.Timeout), SendEmpty: raw.SendEmpty, SendGetBody: raw.SendGetBody,
		Headers: raw.Headers, SSO: raw.SSO, Responses: raw.ResponseObjects,
		file: f, index: index, paths: raw.EntityPath,
		start: raw.StartVersion, end: raw.EndVersion, queryKey: raw.QueryKey, broken: raw.problems,
	}
	if a.queryKey == "" {
		a.queryKey = "?"
	}
	if raw.Name == "" {
		a.fault("/name", "is required")
	}
	a.checkProtocol(raw.Protocol)
	a.checkPaths()
	a.RequestType = a.datatype("requestDatatype", raw.RequestDatatype, raw.Datatype)
	a.ResponseType = a.datatype("responseDatatype", raw.ResponseDatatype, raw.Datatype)
	a.request = s.schemaFile(a, "requestSchema", raw.RequestSchema, raw.Schema)
	a.response = s.schemaFile(a, "responseSchema", raw.ResponseSchema, raw.Schema)
	for i := range a.Responses {
		r := &a.Responses[i]
		selector, err := ParseSelector(r.Key)
		if err != nil {
			a.fault(pointerAt("/responseObjects", i)+"/key", err.Error())
		}
		r.selector = selector
	}
}

func milliseconds(n int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(max(n, 0), most)) * time.Millisecond
}

func (a *Action) checkProtocol(protocol string) {
	switch {
	case protocol == "":
		a.fault("/protocol", "is required")
	case !strings.EqualFold(protocol, "REST"):
		a.fault("/protocol", "unsupported protocol "+quote(protocol)+", want REST")
	}
	switch a.Method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch,
		http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodConnect:
	case "":
		a.fault("/method", "is required")
	default:
		a.fault("/method", "unknown method "+quote(a.Method))
	}
}

func (a *Action) checkPaths() {
	if len(a.paths) == 0 || a.paths[0].text == "" && len(a.paths) == 1 {
		a.fault("/entitypath", "is required")
	}
}

// datatype returns the datatype called by the specific name, else by the general one.
func (a *Action) datatype(member, specific, general string) Datatype {
	text := specific
	if text == "" {
		member, text = "datatype", general
	}
	d, _ := ParseDatatype(text)
	if !d.Supported() {
		a.fault("/"+member, "datatype "+string(d)+" is not supported yet")
	}
	return d
}

// schemaFile returns the file called by the specific name, else by the general one.
func (s *Set) schemaFile(a *Action, member, specific, general string) *schemaFile {
	name := specific
	if name == "" {
		member, name = "schema", general
	}
	if name == "" {
		a.fault("/schema", "is required, or requestSchema and responseSchema")
		return nil
	}
	if known := a.file.schemas[name]; known != nil {
		return known
	}
	p := path.Join(folder, a.Entity, name)
	switch {
	case strings.HasPrefix(name, "/") || !fs.ValidPath(p):
		a.fault("/"+member, "leaves the adapter home")
		return nil
	case !s.library.has(p):
		a.fault("/"+member, "there is no file "+p)
		return nil
	case s.schemas[p] == nil:
		s.schemas[p] = &schemaFile{library: s.library, path: p}
	}
	a.file.schemas[name] = s.schemas[p]
	return s.schemas[p]
}
