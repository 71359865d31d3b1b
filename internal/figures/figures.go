// Package figures keeps measured figures in the documentation, so that nobody types a number.
//
//	<!-- goals:begin -->
//	what Write(file, "goals", …) puts here
//	<!-- goals:end -->
package figures

import (
	"fmt"
	"os"
	"strings"
)

// Write replaces what stands between the markers of section in file with text. The markers stay,
// so that it can be written again.
func Write(file, section, text string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+section+":begin -->", "<!-- "+section+":end -->"
	before, rest, ok := strings.Cut(string(data), begin)
	if !ok {
		return fmt.Errorf("%s: there is no %s", file, begin)
	}
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		return fmt.Errorf("%s: there is no %s after %s", file, end, begin)
	}
	// Blank lines keep Markdown from taking a table for a part of the comment.
	text = before + begin + "\n\n" + strings.TrimSpace(text) + "\n\n" + end + after
	next := file + ".new" // a write that breaks off leaves the old figures
	if err := os.WriteFile(next, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(next, file)
}
