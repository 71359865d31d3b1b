//go:build !race

package gateway

const streamed = 1 << 30
