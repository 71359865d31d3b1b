//go:build race

package gateway

// The race detector makes copying so slow that a gibibyte takes half a minute.
const streamed = 128 << 20
