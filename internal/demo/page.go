package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	width  = 88
	tick   = 100 * time.Millisecond
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	green  = "\x1b[32m"
	red    = "\x1b[31m"
	reset  = "\x1b[0m"
	erase  = "\r\x1b[K" // the whole line
	indent = "      "
)

// page is what the person sees. The first error of writing it stays.
type page struct {
	out             io.Writer
	color, terminal bool
	err             error
}

func (p *page) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format, args...)
	}
}

func (p *page) styled(style, text string) string {
	if !p.color {
		return text
	}
	return style + text + reset
}

func (p *page) opening() {
	p.printf("%s\n", p.styled(bold, "Five pretend systems run on 127.0.0.1. keyhitch calls them with what is in examples/."))
	p.printf("%s\n", p.styled(dim, "#1a2b3c4d is the fingerprint of a credential. The credential itself is never shown."))
}

func (p *page) chapter(name, about string) {
	p.printf("\n%s  %s\n", p.styled(bold, name), about)
}

// step prints one step: what was done and the logins so far, what went over the wire, and what
// there is to say about it.
func (p *page) step(title string, c count, wire, says string) {
	tally := fmt.Sprintf("logins: %d", c.logins)
	if c.refused > 0 {
		tally += fmt.Sprintf(", refused: %d", c.refused)
	}
	gap := max(2, width-4-utf8.RuneCountInString(title)-utf8.RuneCountInString(tally))
	p.printf("  %s %s%s%s\n", p.styled(green, "✓"), title, strings.Repeat(" ", gap), p.styled(bold, tally))
	for _, line := range wrap(wire, ", ") {
		p.printf("%s%s\n", indent, p.styled(dim, line))
	}
	for line := range strings.Lines(says) {
		p.printf("%s%s\n", indent, p.styled(red, strings.TrimSuffix(line, "\n")))
	}
}

// wrap breaks text after separators, so that it fits the page.
func wrap(text, separator string) []string {
	lines := []string{""}
	for _, part := range strings.SplitAfter(text, separator) {
		last := &lines[len(lines)-1]
		if *last != "" && utf8.RuneCountInString(indent+*last+strings.TrimSpace(part)) > width {
			*last = strings.TrimSpace(*last)
			lines = append(lines, "")
			last = &lines[len(lines)-1]
		}
		*last += part
	}
	return lines
}

func (p *page) closing(c count, took time.Duration) {
	p.printf("\n%s\n", p.styled(bold, fmt.Sprintf(
		"%d calls answered, %d logins, %d refused, no credential at the wrong server; %.1f s.", c.calls, c.logins, c.refused, took.Seconds())))
	p.printf("Next: copy a home from examples/ and make it yours; its README.md says how.\n")
	for _, command := range []string{
		"keyhitch validate examples/basic",
		"keyhitch call examples/session-token device get --path r1 --dry-run",
		"keyhitch demo --stay",
	} {
		p.printf("  %s\n", p.styled(green, command))
	}
}

// wait lets d pass, and says on a terminal for what.
func (p *page) wait(ctx context.Context, what string, d time.Duration, pass func(context.Context, time.Duration) error) error {
	if p.terminal {
		defer p.printf("%s", erase)
	}
	for left := d; left > 0; left -= tick {
		if p.terminal {
			p.printf("%s%s", erase, p.styled(dim, fmt.Sprintf("%swaiting for %s: %.1f s", indent, what, left.Seconds())))
		}
		if err := pass(ctx, min(left, tick)); err != nil {
			return err
		}
	}
	return nil
}
