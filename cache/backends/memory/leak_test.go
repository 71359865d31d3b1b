package memory_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain also looks for what the tests left running.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
