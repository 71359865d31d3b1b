# `make` prints the list. All targets need Go; test also needs a C compiler, for -race.

.DEFAULT_GOAL := help
.PHONY: help check fmt vet lint test bench figures bench-gateway promises fuzz golden generate demo fleet build

FUZZTIME ?= 60s
BENCH    ?= .

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: fmt vet lint test ## all that a change must pass

fmt: ## fail if a file is not formatted
	@files=$$(gofmt -l .) && test -z "$$files" || { echo "run gofmt -w on:" $$files >&2; exit 1; }

vet: ## go vet
	go vet ./...

lint: ## staticcheck, pinned in tools/go.mod
	go tool -modfile=tools/go.mod staticcheck ./...

test: export GOFLAGS := $(strip $(shell go env GOFLAGS) -race -shuffle=on)
test: ## all tests, with the race detector and in random order
	go test ./...

bench: ## every benchmark, or BENCH=regexp; those beside peers are in test/bench
	go test -run '^$$' -bench '$(BENCH)' -benchmem \
		$$(grep -rl --include='*_test.go' --exclude-dir=bench '^func Benchmark' . | xargs -n1 dirname | sort -u)
	cd test/bench && go test -run '^$$' -bench '$(BENCH)' -benchmem .

figures: ## measures every goal beside peers, some minutes, and writes the table of docs/tokens.md
	cd test/bench && go test -count=1 -v -run '^TestGoals$$' . -write $(CURDIR)/docs/tokens.md

bench-gateway: ## measures the gateway beside others, some minutes, and writes the table of docs/gateway.md; needs wrk
	cd test/bench && CGO_ENABLED=0 go test -count=1 -v -timeout 30m -run '^TestGateway$$' . -write $(CURDIR)/docs/gateway.md

promises: ## keeps every promise of docs/tokens.md at full length, and writes what came of it there
	go test -count=1 -v -timeout 90m ./test/promises/ -full -write $(CURDIR)/docs/tokens.md

fuzz: ## every fuzz target, for FUZZTIME=60s each
	@set -e; list=$$(go test -list '^Fuzz' ./...) || { echo "$$list" >&2; exit 1; }; \
	echo "$$list" | awk '/^Fuzz/ { t[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, t[i]; n = 0 }' | \
	while read -r package target; do \
		echo "$$package $$target"; \
		go test "$$package" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME); \
	done

golden: ## rewrite the goldens, where tests define -update; read the diff afterwards
	@for package in $$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do \
		go test "$$package" -run '^$$' -update 2>&1 | grep -q 'not defined: -update' || \
		go test "$$package" -update || exit 1; \
	done

generate: ## what is generated, properties.schema.json first of all
	go generate ./...

demo: ## a story against pretend systems
	go run ./cmd/keyhitch demo

fleet: ## N processes on one Redis against a pretend system that misbehaves; prints a proof
	go run ./test/fleet $(FLEET)

build: ## bin/keyhitch
	CGO_ENABLED=0 go build -trimpath -o bin/keyhitch ./cmd/keyhitch
