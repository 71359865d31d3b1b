package test

import (
	"os"
	"syscall"
)

// memoryOf is the most memory that a process took, in KiB.
func memoryOf(p *os.ProcessState) int {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return int(usage.Maxrss)
}
