package gateway

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/entities"
)

// api leads requests below /v1 to what serves them. The zero value is ready.
type api struct {
	once sync.Once
	mux  *http.ServeMux
}

// route is what serves one path, by method.
type route map[string]func(x *exchange, r *http.Request)

// turn carries an exchange through the mux, which passes on nothing but a ResponseWriter.
type turn struct {
	http.ResponseWriter
	x *exchange
}

// pathAdapter is the path of everything that belongs to one adapter.
const pathAdapter = "/v1/adapters/{adapter}"

// routes are all paths below /v1.
func routes() map[string]route {
	return map[string]route{
		"/v1/adapters":           {http.MethodGet: (*exchange).listAdapters},
		pathAdapter:              {http.MethodGet: ofAdapter((*exchange).showAdapter)},
		pathAdapter + "/actions": {http.MethodGet: ofAdapter((*exchange).listActions)},
		pathAdapter + "/actions/{entity}/{action}": {http.MethodPost: ofAdapter((*exchange).callAction)},
		pathAdapter + "/health":                    {http.MethodGet: ofAdapter((*exchange).showHealth)},
		pathAdapter + "/credential":                {http.MethodGet: ofAdapter((*exchange).showCredential), http.MethodDelete: ofAdapter((*exchange).dropCredential)},
		pathAdapter + "/credential:refresh":        {http.MethodPost: ofAdapter((*exchange).refreshCredential)},
	}
}

func (a *api) serve(t turn, r *http.Request) {
	a.once.Do(func() {
		a.mux = http.NewServeMux()
		a.mux.Handle("/", route(nil))
		for pattern, served := range routes() {
			a.mux.Handle(pattern, served)
		}
	})
	a.mux.ServeHTTP(t, r)
}

// ServeHTTP serves the request if the path takes its method. The empty route is where no path leads.
func (t route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := w.(turn).x
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // the server leaves the body out
	}
	serve, ok := t[method]
	switch {
	case ok:
		serve(x, r)
	case t == nil:
		x.fail(faultNoRoute, "")
	default:
		x.failMethod(slices.Sorted(maps.Keys(t))...)
	}
}

// failMethod says which methods the path takes.
func (x *exchange) failMethod(takes ...string) {
	if slices.Contains(takes, http.MethodGet) {
		takes = append(takes, http.MethodHead)
	}
	x.w.Header().Set("Allow", strings.Join(takes, ", "))
	x.fail(faultBadMethod, "it takes "+strings.Join(takes, ", "))
}

// serveAPI serves everything below /v1.
func (x *exchange) serveAPI(r *http.Request) {
	switch escaped := r.URL.EscapedPath(); {
	case path.Clean(escaped) != escaped:
		x.fail(faultNoRoute, "the path has empty or dot segments") // the mux would redirect
	default:
		x.gateway.api.serve(turn{x.w, x}, r)
	}
}

// ofAdapter finds the adapter that a path names. Who may use nothing of it is not told whether
// there is one.
func ofAdapter(serve func(*exchange, *http.Request, *adapter.Adapter)) func(*exchange, *http.Request) {
	return func(x *exchange, r *http.Request) {
		name := r.PathValue("adapter")
		if !x.caller.maySee(name) {
			x.fail(faultForbidden, "no allow rule covers this adapter")
			return
		}
		a := x.Adapters[name]
		if a == nil {
			x.fail(faultNoAdapter, "the project file names no such adapter")
			return
		}
		x.adapter = name
		serve(x, r, a)
	}
}

// answer writes a value as JSON.
func (x *exchange) answer(value any) {
	body, err := compact(value)
	if err != nil {
		x.failWith(err)
		return
	}
	header := x.w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	_, _ = x.w.Write(body) // a caller who has left hears nothing
}

// compact writes JSON with < and > as they are.
func compact(value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	return b.Bytes(), err
}

// summary is one adapter in the list.
type summary struct {
	Name   string `json:"name"`
	Method string `json:"method"`
	State  string `json:"state"`
}

func (x *exchange) listAdapters(*http.Request) {
	list := []summary{}
	for _, name := range x.visible() {
		method, _ := x.Adapters[name].Login()
		list = append(list, summary{name, method, x.health.of(name).state()})
	}
	x.answer(map[string]any{"adapters": list})
}

// visible names the adapters that the caller may use something of.
func (x *exchange) visible() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(x.Adapters)), func(name string) bool { return !x.caller.maySee(name) })
}

// details is what is told of one adapter.
type details struct {
	summary
	BaseURL  string   `json:"base_url"`
	Entities []string `json:"entities"`
}

func (x *exchange) showAdapter(_ *http.Request, a *adapter.Adapter) {
	method, _ := a.Login()
	base := a.BaseURL()
	base.User = nil
	out := details{summary{x.adapter, method, x.health.of(x.adapter).state()}, base.String(), []string{}}
	for _, act := range x.callable(a, x.adapter) {
		if !slices.Contains(out.Entities, act.Entity) {
			out.Entities = append(out.Entities, act.Entity)
		}
	}
	x.answer(out)
}

// listed is a declared action in the catalogue.
type listed struct {
	Entity string   `json:"entity"`
	Action string   `json:"action"`
	Method string   `json:"method"`
	Path   []string `json:"path,omitempty"` // as declared, one for each version
	Href   string   `json:"href"`           // where to call it
	schemas
}

// schemas are what an action takes and gives, as JSON Schemas, or why it cannot be called.
type schemas struct {
	Request  json.RawMessage `json:"request,omitempty"`
	Response json.RawMessage `json:"response,omitempty"`
	Broken   string          `json:"broken,omitempty"`
}

func (x *exchange) listActions(_ *http.Request, a *adapter.Adapter) {
	list := []listed{}
	for _, act := range x.callable(a, x.adapter) {
		list = append(list, listed{act.Entity, act.Name, act.Method, act.Paths(), href(x.adapter, act), x.documents.schemasOf(act, x.gateway.options.Redact)})
	}
	x.answer(map[string]any{"actions": list})
}

// schemasOf returns the schemas of an action, which are written once for all requests.
func (d *documents) schemasOf(act *entities.Action, redact *auth.Redactor) schemas {
	made, ok := d.byAction.Load(act)
	if !ok {
		made, _ = d.byAction.LoadOrStore(act, sync.OnceValue(func() schemas { return newSchemas(act, redact) }))
	}
	return made.(func() schemas)()
}

func newSchemas(act *entities.Action, redact *auth.Redactor) schemas {
	request, response, err := drafts{redact}.standalone(act)
	var out schemas
	if err == nil {
		out.Request, err = compact(request)
	}
	if err == nil {
		out.Response, err = compact(response)
	}
	if err != nil {
		return schemas{Broken: redact.Scrub(err.Error())}
	}
	return out
}

// href is the path of a declared action.
func href(adapter string, act *entities.Action) string {
	return "/v1/adapters/" + url.PathEscape(adapter) + "/actions/" + url.PathEscape(act.Entity) + "/" + url.PathEscape(act.Name)
}

// callable lists the declared actions that the caller may call. Of the system entity that is the
// health check alone: its other actions are the engine's.
func (x *exchange) callable(a *adapter.Adapter, name string) []*entities.Action {
	var list []*entities.Action
	for _, entity := range a.Definition().Entities() {
		for _, act := range a.Definition().Actions(entity) {
			own := entity == ".system" && act.Name != "healthcheck"
			if !own && act.Name != "" && x.caller.mayCall(name, entity, act.Name) {
				list = append(list, act)
			}
		}
	}
	return list
}

// showHealth tells why an adapter is not ready; the whole of it hear those alone who look after it.
func (x *exchange) showHealth(_ *http.Request, a *adapter.Adapter) {
	method, login := a.Login()
	told := func(err error) string {
		if x.operates() {
			return x.gateway.options.Redact.Scrub(err.Error())
		}
		return x.gateway.options.Redact.Scrub(outside(faultOf(err), err))
	}
	x.answer(x.health.of(x.adapter).report(x.adapter, method, login, told))
}
