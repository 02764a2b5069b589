# make run    the product on this machine, embedded defaults
# make test   everything, with what the tests need installed first
# make check  formatting, vet, linters
# make bench  figures, one tab-separated line each (ONLY=audit narrows)
# make fuzz   every fuzz target for FUZZTIME each

GO ?= go
FUZZTIME ?= 20s

.PHONY: run test check bench fuzz build deps

run: build
	./bin/interlock up

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/...

deps:
	@test/deps.sh

test: deps
	CGO_ENABLED=1 $(GO) test -race -timeout 20m ./...
