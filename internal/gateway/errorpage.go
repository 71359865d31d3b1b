package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

//go:generate go test -run ^TestTheErrorPageIsWhatTheCatalogueSays$ . -update

// steps are the headings of the error page, in its order.
var steps = []struct{ name, title, text string }{
	{"caller", "Who calls", "The gateway does not know the caller, or the project file does not let him do this. Nothing was sent."},
	{"request", "The request", "The request itself is at fault, or nobody is there to answer it. Nothing was sent to the system, with the exception of `caller-left`."},
	{"config", "The configuration", "The adapter cannot be used as it is configured. Nothing was sent."},
	{"token", "The login", "There is no token to send. The call itself was not sent."},
	{"call", "The call", "The call went out, or tried to, with the credential on it."},
}

// errorPageIntro is what stands above the catalogue.
const errorPageIntro = `# Errors of the gateway

<!-- Generated from internal/gateway/catalogue.go by go generate ./internal/gateway; do not edit. -->

Every answer that the gateway itself makes has the media type ` + "`application/problem+json`" + ` (RFC 9457). Compare
` + "`code`" + `, which never changes its meaning; ` + "`title`" + ` and ` + "`detail`" + ` are for people.

` + "```json" + `
{"type": "` + errorPage + `no-adapter", "title": "There is no such adapter", "status": 404,
 "detail": "…", "code": "no-adapter", "step": "request", "retryable": false, "request_id": "…"}
` + "```" + `

` + "`retryable`" + ` says that the same request may work later; ` + "`Retry-After`" + `, where the gateway knows it, says when. Beside
` + "`retryable: false`" + ` it says how long nothing is asked: before, trying again is of no use at all.
The ` + "`request_id`" + ` stands in the access log, with the code as ` + "`fault`" + `. What names addresses within stands in the log alone,
under the same id (of many that fail at once, not of each). 401 is for the gateway's own callers alone: where a
system refuses the gateway's credential, the status is 502.

| code | status | retryable |
| --- | --- | --- |
`

// errorPageText is docs/errors.md: the catalogue for people.
func errorPageText() string {
	var b strings.Builder
	b.WriteString(errorPageIntro)
	for _, f := range catalogue {
		status, again := strconv.Itoa(f.Status), yesNo(f.Retryable)
		if f == faultUpstreamStatus {
			status, again = "the system's own", "by its status"
		}
		fmt.Fprintf(&b, "| [%s](#%[1]s) | %s | %s |\n", f.Code, status, again)
	}
	for _, step := range steps {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", step.title, step.text)
		for _, f := range catalogue {
			if f.Step == step.name {
				fmt.Fprintf(&b, "\n### %s\n\n%s: %s.\n\n%s\n", f.Code, statusText(f.Status), f.Title, f.Help)
			}
		}
	}
	return b.String()
}

func statusText(status int) string {
	if status == statusLeft {
		return "499 (no answer)"
	}
	return fmt.Sprintf("%d %s", status, http.StatusText(status))
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
