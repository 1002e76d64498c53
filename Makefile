# make help lists what there is. Everything works in a fresh clone on a machine
# with Go, git and make.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Stamping by Go itself fails in a checkout that belongs to somebody else.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || true)
FUZZTIME  ?= 50000x
BENCHARGS ?=
SOAKTIME  ?= 30m
SOAKARGS  ?=

.PHONY: help run build setup test bench soak fuzz lint cross ci demo clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 8

run: ## serve on http://localhost:3000 with ./config.yaml
	go run ./cmd/warren

build: ## build bin/warren
	go build -trimpath -ldflags '-X main.release=$(VERSION)' -o bin/warren ./cmd/warren

setup: ## install what the tests need and this machine lacks
	@./scripts/setup-test.sh

# Never from the cache: the tests run programs that Go does not know of.
test: setup ## run all tests, with real RabbitMQ, HAProxy and Chromium
	go test -race -count=1 -timeout 10m ./...

bench: setup ## print the figures beside their yardsticks
	go run ./cmd/warrenbench $(BENCHARGS)
	go test -run '^$$' -bench . ./gateway

soak: setup ## do random harm to two gateways for SOAKTIME (30m) and judge what clients get
	@go build -o bin/soak ./internal/soak
	@exec bin/soak -time $(SOAKTIME) $(SOAKARGS) # not by go run, which calls every interrupt an error

fuzz: ## run each fuzz target FUZZTIME (50000x) times, or as long
	@./scripts/fuzz.sh $(FUZZTIME)

lint: ## gofmt, vet, staticcheck, go.mod
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-ed: $$unformatted" >&2; exit 1; fi
	go vet ./...
	go tool staticcheck ./...
	go mod tidy -diff

cross: ## build and vet for the other systems
	GOOS=darwin GOARCH=arm64 go build ./...
	GOOS=darwin GOARCH=arm64 go vet ./...
	GOOS=freebsd GOARCH=amd64 go build ./...
	GOOS=freebsd GOARCH=amd64 go vet ./...
	GOOS=linux GOARCH=arm64 go build ./...

ci: lint cross test fuzz ## what CI runs

demo: setup ## RabbitMQ, two gateways and HAProxy on this machine; Ctrl-C ends it
	@go build -o bin/demo ./internal/demo
	@exec bin/demo # not by go run, which calls every interrupt an error

clean: ## remove what build made
	rm -rf bin
