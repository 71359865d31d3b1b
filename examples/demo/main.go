// Command demo tells what keyhitch does, in a few seconds, against pretend systems on this machine.
// It is `keyhitch demo` without the rest of the program, so it is built much sooner.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/term"

	"github.com/keyhitch/keyhitch/internal/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	terminal := term.IsTerminal(int(os.Stdout.Fd()))
	err := demo.Run(ctx, demo.Options{Out: os.Stdout, Terminal: terminal, Color: terminal && os.Getenv("NO_COLOR") == ""})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
