package backends_test

import (
	"testing"

	"github.com/keyhitch/keyhitch/cache/backends"
)

func TestEveryBackendMakesAFreshConfig(t *testing.T) {
	for name, config := range backends.All {
		if config() == nil {
			t.Errorf("%s: got no config", name)
		}
		if config() == config() {
			t.Errorf("%s: got one config twice, want a new one each time", name)
		}
	}
}

func TestLocalWorksWithoutSettings(t *testing.T) {
	config := backends.All["local"]()
	if err := config.Validate(); err != nil {
		t.Fatalf("Validate: %v", err)
	}
	store, err := config.Open()
	if err != nil || store == nil {
		t.Errorf("Open: got %v, %v, want a store", store, err)
	}
}
