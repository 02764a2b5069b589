# make run    the product on this machine, embedded defaults
# make test   everything, with what the tests need installed first
# make hil    a virtual machine's case is opened, alone and with a line a check
# make check  formatting, vet, linters
# make format formatting alone: seconds, where the linters take minutes
# make bench  figures, one tab-separated line each (ONLY=audit narrows)
# make fuzz   every fuzz target for FUZZTIME each

GO ?= go
FUZZTIME ?= 20s
ONLY ?=

# Developer tools live outside the clone, by version, so that a fresh clone
# finds them again.
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/interlock
GOLANGCI := $(CACHE)/golangci-lint-v2.15.0/golangci-lint
GOFUMPT := $(CACHE)/gofumpt-v0.12.0/gofumpt
STATICCHECK := $(CACHE)/staticcheck-v0.8.2/staticcheck

.PHONY: run build test hil deps check format gofumpt bench fuzz

run: build
	./bin/interlock up

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/...

deps:
	@test/deps.sh

# The packages that take longest come first: they wait for processes and machines,
# and whatever else there is to compile and to test runs beside them instead of
# before them. Every analyzer of vet runs in go test's own pass.
LONGEST := ./test/e2e ./test/hil ./test/attack ./web ./test/console ./siem/sigma ./cmd/interlock ./test/docs

test: deps
	CGO_ENABLED=1 $(GO) test -race -vet=all -timeout 30m $(LONGEST) ./...

hil: deps
	CGO_ENABLED=0 $(GO) test -count=1 -v -timeout 15m ./test/hil/...

format: $(GOFUMPT)
	@unformatted="$$($(GOFUMPT) -l $$(git ls-files '*.go'))"; \
	if [ -n "$$unformatted" ]; then echo "gofumpt would change:"; echo "$$unformatted"; exit 1; fi

check: format $(GOLANGCI) $(STATICCHECK)
	$(GO) vet ./...
	$(STATICCHECK) ./...
	$(GOLANGCI) run

$(GOLANGCI):
	GOBIN=$(dir $@) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

gofumpt: $(GOFUMPT)

$(GOFUMPT):
	GOBIN=$(dir $@) $(GO) install mvdan.cc/gofumpt@v0.12.0

$(STATICCHECK):
	GOBIN=$(dir $@) $(GO) install honnef.co/go/tools/cmd/staticcheck@v0.8.2

bench:
	cd bench && CGO_ENABLED=0 $(GO) run . $(ONLY)

fuzz:
	@for dir in $$(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do \
	  for target in $$(git grep -h -o '^func Fuzz[A-Za-z0-9_]*' -- "$$dir/*_test.go" | sed 's/^func //' | sort -u); do \
	    echo "$$dir $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x "./$$dir" || exit 1; \
	  done; \
	done
