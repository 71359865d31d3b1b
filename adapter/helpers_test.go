package adapter_test

import (
	"testing"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth/dialects/iap"
)

// open opens an adapter in the iap dialect, or fails the test.
func open(t testing.TB, o adapter.Options) *adapter.Adapter {
	t.Helper()
	o.Dialect = iap.Dialect{}
	a, err := adapter.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// openErr opens an adapter and returns the error.
func openErr(o adapter.Options) (*adapter.Adapter, error) {
	o.Dialect = iap.Dialect{}
	return adapter.Open(o)
}
