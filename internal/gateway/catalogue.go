package gateway

import "net/http"

// statusLeft is what access logs call a request that nobody waited for; no RFC names it.
const statusLeft = 499

// The catalogue. Codes are stable: programs compare them.
var (
	faultNoCaller = &fault{"no-caller", http.StatusUnauthorized, "The caller is not known", false, "caller",
		"Send Authorization: Bearer with a key of a caller in the project file, a client certificate, or a token of its issuer."}
	faultIssuer = &fault{"issuer-unreachable", http.StatusServiceUnavailable, "The issuer of callers' tokens gives no keys to check them with", true, "caller",
		"Check the way from the gateway to gateway.oidc.issuer; the gateway's log tells the cause. Callers with keys or certificates are not concerned."}
	faultForbidden = &fault{"forbidden", http.StatusForbidden, "This caller may not do this", false, "caller",
		"An allow rule of the caller's entry in the project file must cover the adapter and what is called."}
	faultNotAllowedHere = &fault{"not-allowed-here", http.StatusBadRequest, "The request sets what a caller may not set", false, "caller",
		"Leave out callProperties, authData, @path file parts and headers that hold the credential, or name them in the caller's may list. Host, port, protocol, sso, ssl and proxy are never a caller's choice."}
	faultTooManyRequests = &fault{"too-many-requests", http.StatusTooManyRequests, "The caller calls too often", true, "caller",
		"Wait as long as Retry-After says, or raise the caller's rate in the project file."}
	faultTooManyAtOnce = &fault{"too-many-at-once", http.StatusTooManyRequests, "The caller has too many requests under way", true, "caller",
		"Let some of them end first, or raise the caller's concurrency in the project file."}

	faultNoRoute = &fault{"no-route", http.StatusNotFound, "There is nothing at this path", false, "request",
		"Use a path that /openapi.json lists."}
	faultNoAdapter = &fault{"no-adapter", http.StatusNotFound, "There is no such adapter", false, "request",
		"GET /v1/adapters lists those that this caller may use."}
	faultNoAction = &fault{"no-action", http.StatusNotFound, "There is no such entity or action", false, "request",
		"GET /v1/adapters/{adapter}/actions lists them."}
	faultBadMethod = &fault{"bad-method", http.StatusMethodNotAllowed, "The path does not take this method", false, "request",
		"The Allow header of the answer lists the methods it takes."}
	faultBadPath = &fault{"bad-path", http.StatusBadRequest, "The path could lead elsewhere", false, "request",
		"Leave out dot segments, backslashes and control characters, also in percent-encoded form."}
	faultBadCall = &fault{"bad-call", http.StatusBadRequest, "The call does not fit what it calls", false, "request",
		"The detail says what is missing or wrong."}
	faultPlacement = &fault{"no-place-for-credential", http.StatusBadRequest, "The request cannot carry the credential", false, "request",
		"The adapter writes its credential into the body, which must be JSON or a form then."}
	faultTooLarge = &fault{"too-large", http.StatusRequestEntityTooLarge, "The body is too large", false, "request",
		"Bodies of declared calls are read whole and bounded; /proxy streams bodies of any size."}
	faultUpgrade = &fault{"bad-upgrade", http.StatusBadRequest, "The upgrade is not possible", false, "request",
		"The caller asked for another protocol than the system switched to."}

	faultConfig = &fault{"bad-configuration", http.StatusInternalServerError, "The adapter's definition is wrong", false, "config",
		"keyhitch validate shows every problem with its place."}
	faultLoginRefused = &fault{"login-refused", http.StatusBadGateway, "The system refuses our login", false, "token",
		"Correct the credentials in the adapter's configuration. Logins rest meanwhile, for as long as Retry-After says, so that no account is locked."}
	faultLoginLimited = &fault{"login-limited", http.StatusBadGateway, "The token endpoint wants fewer logins", true, "token",
		"Nothing is asked before the time that it named (Retry-After)."}
	faultNoToken = &fault{"no-token", http.StatusBadGateway, "The token endpoint gives no token", true, "token",
		"The detail says what it answered, if it did. It is asked again in growing pauses (Retry-After)."}
	faultTokenUnreachable = &fault{"token-endpoint-unreachable", http.StatusBadGateway, "The token endpoint cannot be reached", true, "token",
		"Check DNS, network and TLS between the gateway and the token endpoint; the gateway's log tells the cause."}
	faultTokenTimeout = &fault{"token-timeout", http.StatusGatewayTimeout, "The token endpoint does not answer in time", true, "token",
		"The endpoint is slow, or request.attempt_timeout is too short."}
	faultAuthRefused = &fault{"upstream-auth-refused", http.StatusBadGateway, "The system refuses even a new token", false, "call",
		"The login works, but its token has too few rights for this call, or goes to the wrong place."}
	faultTimeout = &fault{"upstream-timeout", http.StatusGatewayTimeout, "The system does not answer in time", true, "call",
		"The system is slow, or the time-out is too short."}
	faultUnreachable = &fault{"upstream-unreachable", http.StatusBadGateway, "The system cannot be reached", true, "call",
		"Check DNS, network and TLS between the gateway and the system; the gateway's log tells the cause."}
	faultForbiddenTarget = &fault{"forbidden-target", http.StatusBadGateway, "The system's name leads to a forbidden address", false, "call",
		"The name, which the gateway's log tells, resolves to a loopback, link-local or metadata address. If that is meant, list it under gateway.allow_targets."}
	faultRedirect = &fault{"upstream-redirect", http.StatusBadGateway, "The system redirects where no credential may go", false, "call",
		"Configure the address that it redirects to; the gateway's log names it."}
	faultBadAnswer = &fault{"bad-answer", http.StatusBadGateway, "The answer is not what the action declares", false, "call",
		"Compare the action's schema and datatype with what the system sends."}
	faultUpstreamStatus = &fault{"upstream-status", http.StatusBadGateway, "The system answered with an error", true, "call",
		"Declared calls pass the system's own status on, with its answer in the member failure; a status that could not end an answer becomes 502."}
	faultLeft = &fault{"caller-left", statusLeft, "The caller left before the answer", true, "request",
		"Nobody hears this: it stands in the access log. If callers leave often, their time-outs are shorter than the system needs."}
	faultClosing = &fault{"closing", http.StatusServiceUnavailable, "The gateway is shutting down", true, "request",
		"Try again: another gateway, or this one when it is back."}
	faultInternal = &fault{"internal", http.StatusInternalServerError, "The gateway has a fault", false, "request",
		"Look for the request id in the gateway's log."}
)

// catalogue lists every fault, in the order of docs/errors.md.
var catalogue = []*fault{
	faultNoCaller, faultIssuer, faultForbidden, faultNotAllowedHere, faultTooManyRequests, faultTooManyAtOnce,
	faultNoRoute, faultNoAdapter, faultNoAction, faultBadMethod, faultBadPath, faultBadCall, faultPlacement, faultTooLarge, faultUpgrade,
	faultConfig, faultLoginRefused, faultLoginLimited, faultNoToken, faultTokenUnreachable, faultTokenTimeout,
	faultAuthRefused, faultTimeout, faultUnreachable, faultForbiddenTarget, faultRedirect, faultBadAnswer, faultUpstreamStatus,
	faultLeft, faultClosing, faultInternal,
}
