// Package backends lists the places where cached bytes can live.
//
// To add one, make a folder with a Config and a Store that passes cachetest.Run, and give
// it a line in All.
package backends

import (
	"github.com/keyhitch/keyhitch/cache"
	"github.com/keyhitch/keyhitch/cache/backends/memory"
	"github.com/keyhitch/keyhitch/cache/backends/redis"
)

// All is the one place where a backend is registered, under the name that configuration
// files use for it (the property token_cache of the iap dialect).
var All = map[string]func() cache.Config{
	"local": func() cache.Config { return new(memory.Config) },
	"redis": func() cache.Config { return new(redis.Config) },
}
