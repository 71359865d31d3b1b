// Command keyhitch makes authenticated calls to systems that are described as data.
//
//	keyhitch call ADAPTER ENTITY ACTION   run one declared action
//	keyhitch request ADAPTER METHOD PATH  call any path, authenticated
//	keyhitch validate PATH…               every problem of a definition, with its place
//
// Data goes to standard output, everything else to standard error. `keyhitch help` lists the rest.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(program()) }

// program runs until it is done or interrupted; a second signal ends it at once.
func program() int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals) // before anybody hears of the first: the second one is the system's
		cancel()
	}()
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}
