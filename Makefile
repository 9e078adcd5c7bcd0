# The two commands of the README: `make demo` and `make test`. Everything else serves them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto
# Third-party vectors, where somebody put them; tests say in one line when they are absent.
export ASSAY_VECTORS ?= $(abspath $(CURDIR)/../shared/vectors)

.PHONY: help setup demo build test check fmt clippy deny arrows docs schema bench bench-peers fuzz clean

help: ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: ## install what a fresh machine lacks (cmake; says so, or says what it can't)
	@scripts/setup base

demo: setup ## the whole story on loopback, as a table
	$(CARGO) build --release --locked -p cli -p sample-app -p sample-api
	@target/release/assay demo $(DEMO_ARGS)

build: setup ## the assay binary, optimised
	$(CARGO) build --release --locked -p cli

test: setup ## every test: units, integration, end to end with the real binary
	@scripts/setup tests
	$(CARGO) build --locked -p cli -p sample-app -p sample-api
	$(CARGO) test --workspace --locked --no-fail-fast

check: setup fmt clippy deny arrows docs ## format, lints as errors, licences and sources, arrows between crates, docs

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

deny:
	@scripts/deny

arrows:
	@scripts/arrows

docs:
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --workspace --no-deps --locked --document-private-items

schema: ## regenerate schema/ from the types
	UPDATE_SCHEMA=1 $(CARGO) test -p settings --locked schema

bench: setup ## micro benches, then the gateway beside bare Pingora, nginx, HAProxy and Envoy
	@scripts/setup bench
	benches/run

fuzz: setup ## every parser of outside bytes under a fuzzer, FUZZ_SECONDS (30) each; FUZZ_TARGETS="token json"
	fuzz/run $(FUZZ_TARGETS)

clean: ## remove what was built
	$(CARGO) clean
