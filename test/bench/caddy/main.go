// Command caddy is a Caddy with only what a reverse proxy that adds a credential needs: what the
// gateway is measured beside. It is a module of its own, so that its dependencies stay out of
// the benchmark's.
package main

import (
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func main() { caddycmd.Main() }
