// Package examples holds adapter homes to copy, and configurations in the port dialect. Each
// folder but port is one home, for one common way to log in:
//
//	session-token             a login answers with a token, which goes into a header
//	oauth-client-credentials  OAuth 2.0 client credentials (RFC 6749, section 4.4), Bearer
//	basic                     user name and password with every call (RFC 7617), no login
//	cookie-csrf               a session cookie and a CSRF token: two fields, two formats
//
// A home is a service instance (service-instance.json: which system, and how to log in) and
// the declared calls (entities/<entity>/action.json and its schemas). `keyhitch demo` runs
// these very files against pretend systems, so they work as they stand.
//
// Each file in port is one whole configuration; `keyhitch demo --stay` keeps the pretend systems
// that they are for, and docs/port.md explains them.
package examples

import "embed"

// FS holds the homes, one folder each, and the folder port. Folders that begin with a dot are in it too: the login
// is declared in entities/.system.
//
//go:embed all:session-token all:oauth-client-credentials all:basic all:cookie-csrf port
var FS embed.FS
