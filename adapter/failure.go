package adapter

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/entities"
)

// Failure is a failed call as the dialect shows it.
type Failure struct {
	ICode    string   `json:"icode"`
	IAPError IAPError `json:"IAPerror"`
	Response any      `json:"response,omitempty"`
	Event    any      `json:"event,omitempty"`
}

// IAPError explains a Failure.
type IAPError struct {
	Origin         string `json:"origin"`
	Display        string `json:"displayString"`
	Recommendation string `json:"recommendation"`
	Code           any    `json:"code"` // the HTTP status; -1 no connection, -2 no answer in time; null: nothing was sent
	RawResponse    any    `json:"raw_response,omitempty"`
}

// RawResponse is the answer behind a Failure, without cookies.
type RawResponse struct {
	Status  int               `json:"status,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"response,omitempty"`
	Message string            `json:"message,omitempty"`
}

const (
	codeDisconnect = -1
	codeTimeout    = -2
	maxRaw         = 64 << 10 // bytes of an answer in a Failure
)

// Failure describes err in the words of the adapter's error.json.
func (a *Adapter) Failure(err error) *Failure { return a.def.catalog.failure(a.def.name, err) }

// FailureOf describes an error of Load or Open, where there is no adapter yet.
func FailureOf(name string, err error) *Failure { return defaultCatalog.failure(name, err) }

func (c catalog) failure(name string, err error) *Failure {
	key, code, variables := classify(name, err)
	e, ok := c[key]
	if !ok {
		e = entry{Key: key, ICode: "AD.999", Display: key}
	}
	f := &Failure{ICode: e.ICode, IAPError: IAPError{Origin: name + "-keyhitch-" + step(err),
		Display: e.display(variables...), Recommendation: e.Recommendation, Code: code}}
	if key != keyRequest || code == nil {
		f.IAPError.RawResponse = RawResponse{Message: err.Error()}
	}
	f.attach(err)
	return f
}

// classify finds an error's key in the catalogue, its code, and the variables of its text.
func classify(name string, err error) (key string, code any, variables []string) {
	var (
		token   *auth.TokenError
		status  *StatusError
		answer  *AnswerError
		schema  *entities.ValidationError
		target  *entities.PathError
		version *entities.VersionError
		missing *entities.NotFoundError
		config  *ConfigError
		broken  entities.Problems
		call    *CallError
		off     *NotBuiltError
	)
	switch {
	case errors.Is(err, context.Canceled):
		return keyInterrupted, nil, nil
	case errors.As(err, &version): // wrapped in a CallError: first
		return keyNotAvailable, nil, []string{version.Error()}
	case errors.Is(err, ErrNoToken):
		return keyCall, nil, []string{err.Error()}
	case errors.As(err, &token):
		return tokenKey(name, token)
	case errors.As(err, &status):
		return keyRequest, status.Status, []string{strconv.Itoa(status.Status)}
	case errors.As(err, &schema):
		return keySchema, nil, []string{schema.Error()}
	case errors.As(err, new(*auth.RedirectError)):
		return keyRequest, nil, []string{"a redirect that is not followed"}
	case errors.As(err, &answer):
		return keyAnswer, answer.Status, []string{answer.Error()}
	case errors.As(err, &target) && target.Variable != "" && strings.HasPrefix(target.Reason, "is missing"):
		return keyMissingData, nil, []string{target.Variable}
	case errors.As(err, &missing) && missing.What == "entity":
		return keyMissingFile, nil, []string{fmt.Sprintf("entity %q", missing.Name)}
	case errors.As(err, &missing):
		return keyMissingAction, nil, []string{"There is " + missing.Error()}
	case errors.As(err, &config):
		return configKey(config)
	case errors.As(err, &broken):
		return brokenKey(broken), nil, []string{broken.Error()}
	case errors.As(err, &off):
		return keyProperties, nil, []string{off.Error()}
	case errors.As(err, &call), errors.As(err, &target):
		return keyCall, nil, []string{err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return keyTimeout, codeTimeout, []string{strconv.Itoa(codeTimeout)}
	case Unreachable(err):
		return keyDisconnect, codeDisconnect, []string{strconv.Itoa(codeDisconnect)}
	}
	return keyCaught, nil, nil
}

func tokenKey(name string, err *auth.TokenError) (string, any, []string) {
	switch {
	case err.Status == 0 && errors.Is(err, context.DeadlineExceeded):
		return keyTimeout, codeTimeout, []string{strconv.Itoa(codeTimeout)}
	case err.Status == 0 && Unreachable(err.Err):
		return keyDisconnect, codeDisconnect, []string{strconv.Itoa(codeDisconnect)}
	case err.Status != 0 && (err.Status < 200 || err.Status > 299):
		return keyAuthenticate, err.Status, []string{"Token", strconv.Itoa(err.Status)}
	}
	return keyToken, err.Status, []string{name}
}

// brokenKey tells what is wrong with the home. A problem of an action stands in its action.json,
// one of a schema in the schema's own file.
func brokenKey(broken entities.Problems) string {
	errs := broken.Errors()
	if len(errs) == 0 {
		return keyInvalidAction
	}
	switch first := errs[0]; {
	case strings.HasSuffix(first.Pointer, "/protocol") && strings.HasPrefix(first.Reason, "unsupported protocol"):
		return keyProtocol
	case strings.HasPrefix(first.Reason, "there is no file "):
		return keyMissingFile
	case path.Base(first.File) != "action.json":
		return keyInvalidSchema
	}
	return keyInvalidAction
}

// configKey tells a format that cannot be compiled from other wrong settings.
func configKey(err *ConfigError) (string, any, []string) {
	for _, p := range err.Problems.Errors() {
		if strings.Contains(p.Pointer, "/auth_field_format") && strings.Contains(p.Reason, "b64}") {
			return keyEncode, nil, []string{p.Error()}
		}
	}
	return keyProperties, nil, []string{err.Error()}
}

// step says which part failed, for origin.
func step(err error) string {
	var token *auth.TokenError
	var config *ConfigError
	switch {
	case errors.As(err, &token):
		return "login"
	case errors.As(err, &config):
		return "load"
	}
	return "call"
}

// attach adds what the system answered.
func (f *Failure) attach(err error) {
	var status *StatusError
	var answer *AnswerError
	raw := RawResponse{Message: err.Error()}
	var body []byte
	switch {
	case errors.As(err, &status):
		raw.Status, raw.Headers, body = status.Status, flat(status.Header), status.Body
	case errors.As(err, &answer):
		raw.Status, raw.Headers, body = answer.Status, flat(answer.Header), answer.Body
	default:
		return
	}
	delete(raw.Headers, "set-cookie")
	raw.Body = clip(body)
	f.IAPError.RawResponse = raw
	if value, err := entities.Decode(entities.JSON, body); err == nil {
		f.Response = value
	} else if len(body) > 0 {
		f.Response = raw.Body
	}
}

func clip(body []byte) string {
	if len(body) <= maxRaw {
		return strings.ToValidUTF8(string(body), string(utf8.RuneError))
	}
	return strings.ToValidUTF8(string(body[:maxRaw]), string(utf8.RuneError)) + fmt.Sprintf("… (%d bytes in all)", len(body))
}
