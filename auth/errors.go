package auth

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrReconnect means that the resource owner's grant is gone and must be given again.
var ErrReconnect = errors.New("the grant is gone; connect the account again")

// TokenError is a login that brought no token: the authorization server refused it, answered
// something else, or could not be reached (Err then tells, and Status is 0).
type TokenError struct {
	Endpoint    string        // scheme, host and path of the token request; no query
	Status      int           // of the answer; 0: none
	Code        string        // RFC 6749, section 5.2: error
	Description string        // RFC 6749, section 5.2: error_description; shortened
	Reason      string        // what the answer lacked
	RetryAfter  time.Duration // how long nobody asks again: as the answer says, or as this process rests after a failure; 0: it may be asked now
	Err         error         // the cause, where there is one
}

// Error is one line without secrets: token endpoint http://…/token: invalid_client (status 401).
func (e *TokenError) Error() string {
	var b strings.Builder
	b.WriteString("token endpoint")
	if e.Endpoint != "" {
		b.WriteString(" " + e.Endpoint)
	}
	for _, text := range []string{e.Code, e.Description, e.Reason} {
		if text != "" {
			b.WriteString(": " + text)
		}
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	} else if e.Code == "" && e.Reason == "" {
		b.WriteString(": " + e.outcome())
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, " (status %d)", e.Status)
	}
	return b.String()
}

// outcome words a status that came without words of its own.
func (e *TokenError) outcome() string {
	switch {
	case e.Status >= 500:
		return "no token, an error of the server"
	case e.Status == 429:
		return "too many token requests"
	case e.Status >= 300 && e.Status < 400:
		return "no token, a redirect"
	}
	return "login refused"
}

// Unwrap returns the cause.
func (e *TokenError) Unwrap() error { return e.Err }

// Refused reports whether the login itself was turned down, so that trying again with the same
// credentials cannot help and may lock the account.
func (e *TokenError) Refused() bool { return e.Status == 400 || e.Status == 401 || e.Status == 403 }
