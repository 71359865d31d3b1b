package test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// watchMemory follows a process until stop is called, which returns the most memory that it took,
// in KiB. What wait tells of a child is no use: it counts what its parent had at the fork.
func watchMemory(pid int) (stop func() int) {
	end, most := make(chan struct{}), make(chan int)
	go func() {
		peak := 0
		for {
			peak = max(peak, highWater(pid))
			select {
			case <-end:
				most <- peak
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() int { close(end); return <-most }
}

// highWater is the VmHWM of a process; 0: it has ended.
func highWater(pid int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	field, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kib, _ := strconv.Atoi(field)
	return kib
}
