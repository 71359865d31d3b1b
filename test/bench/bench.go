// Package bench measures what keyhitch adds to a call beside what people use today. It is a
// module of its own, so that peers are never dependencies of the product.
//
//	cd test/bench && go test -v -run Goals .      the ratios, with what they must be
//	cd test/bench && go test -bench . -benchmem   the single figures
package bench
