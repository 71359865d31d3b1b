// Package bench measures what keyhitch adds to a call, and how it fares in the moments that
// hurt, beside what people use today. It is a module of its own, so that peers are never
// dependencies of the product.
//
//	goals ─▶ contend ─▶ contenders, ours first ─ rounds in turns ─▶ figures ─▶ table, or failure
//	           └ upstream, a child process: token endpoint and API, which do the counting
//	           └ redis-server, and processes that share it
//
//	cd test/bench && go test -v -run Goals .          every goal, with what it must be
//	cd test/bench && go test -v -run 'Goals/^P5$' .   one of them
//	cd test/bench && go test -bench . -benchmem       the single figures
//	make figures                                      the table of docs/tokens.md
package bench
