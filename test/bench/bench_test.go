package bench

import (
	"testing"
)

// Benchmark shows the cheap figures one by one, for profiles and for benchstat.
func Benchmark(b *testing.B) {
	for _, g := range goals() {
		if g.id != "P1" && g.id != "P2" && g.id != "P3" {
			continue
		}
		for _, c := range g.contend(b, nil) {
			b.Run(g.id+"/"+c.name, func(b *testing.B) {
				var sum float64
				rounds := 0
				for b.Loop() {
					sum += c.round(b)[0]
					rounds++
				}
				b.ReportMetric(sum/float64(rounds), "ns/call")
			})
		}
	}
}
