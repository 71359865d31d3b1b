// Package promises keeps what keyhitch promises about tokens, R1 to R20: one test per promise,
// named after it, against an authorization server and a system in this process that can fail in
// every way a script can say.
//
//	process ─ client ─ auth.Transport ─▶ system ─ log ─▶ checker: who asked what, when, with which token
//	                        └ token request ─▶ its token endpoint (authtest.Script: delay, refuse, cut, revoke)
//
// Without flags every test is scaled to seconds. The figures of the table are run by
//
//	make promises
//
// which also writes what was measured into docs/tokens.md. Tests that wait run in a
// synctest bubble, without sockets; a random one prints its seed, and -seed runs it again.
package promises
