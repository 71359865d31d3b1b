package methods_test

import (
	"testing"

	"github.com/keyhitch/keyhitch/auth/methods"
)

func TestEveryMethodMakesAFreshConfig(t *testing.T) {
	for name, empty := range methods.All {
		t.Run(name, func(t *testing.T) {
			first, second := empty(), empty()
			if first == nil || second == nil {
				t.Fatal("got no configuration")
			}
			if err := first.Validate(); (err == nil) != (name == "no_authentication") {
				t.Errorf("Validate of no settings: got %v", err)
			}
		})
	}
}
