# `make` alone says what there is. Everything works in a fresh clone with Rust and a C compiler.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo run quick test check lint deploy-check bench bench-build bench-core bench-formats bench-experience fuzz proof e2e soak scale-test capacity upgrade screenshots

CARGO ?= cargo
SECONDS ?= 60
# What scripts/test builds with as well, so that whoever served first and tests then compiles nothing twice.
FEATURES := report-worker/failpoints,sources/fuzzing

help: ## Say what there is
	@echo "Waitless: any slow report becomes a job, and nobody waits."
	@echo
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Start everything, run one report to the end, show it, stop
	@$(CARGO) run -p standalone --bin waitless --features $(FEATURES) -- demo

run: ## Serve on http://127.0.0.1:8080 with embedded defaults until Ctrl-C
	@$(CARGO) run -p standalone --bin waitless --features $(FEATURES) -- up

quick: ## Run the tests that need no server, no browser and little time: the inner loop, under two minutes
	@scripts/test quick

test: ## Run every test; installs and starts PostgreSQL and RabbitMQ where needed
	@scripts/test

check: lint deploy-check test ## Everything CI does: formatting, lints, deployment files, tests

lint: ## Formatting, clippy, and cargo-deny where it is installed
	@scripts/lint

deploy-check: ## Render and validate deploy/
	@deploy/validate/run

bench: bench-core bench-formats bench-experience ## Run all benchmarks; each figure is a line `bench <name> <value> <unit>`

# One build for all groups, of the same packages and features: a second run builds nothing.
BENCH := "$${CARGO_TARGET_DIR:-target}/release/bench"

bench-build:
	@scripts/install-test-services
	@$(CARGO) build --release --workspace --bins

bench-core: bench-build ## Run the benchmarks of the job path
	@WAITLESS_TEST_BUILT=1 $(BENCH) core

bench-formats: bench-build ## Run the benchmarks of files: speed and memory of every format, beside others
	@scripts/install-bench-peers
	@WAITLESS_TEST_BUILT=1 $(BENCH) formats $(PARTS)

fuzz: ## Fuzz what reads strangers' bytes, each target for a minute (SECONDS=60)
	@scripts/fuzz $(SECONDS)

proof: ## Walk every history of the job path within larger bounds, and replay random ones on both stores (SECONDS=60)
	@scripts/install-test-services
	@WAITLESS_TEST_FUZZ_SECONDS=$(SECONDS) $(CARGO) test --workspace --test it histories:: -- \
	    --include-ignored --nocapture --test-threads 1

bench-experience: bench-build ## Run the benchmarks of what whoever waits sees
	@scripts/install-browser
	@WAITLESS_BIN="$$(realpath "$${CARGO_TARGET_DIR:-target}/release/waitless")" node e2e/browser/measure.js
	@WAITLESS_TEST_BUILT=1 $(BENCH) experience

e2e: ## Run the tests of whole systems: real processes, real faults
	@scripts/test e2e

# Both are built as the tests are.
soak: ## Let everything happen at random to a whole system, and judge the history (MINUTES=10 SEED=<number> STORAGE=s3|folder KEEP=<folder>)
	@scripts/install-test-services
	@$(CARGO) build --workspace --bins --features $(FEATURES)
	@WAITLESS_TEST_BUILT=1 "$${CARGO_TARGET_DIR:-target}/debug/soak" --minutes $(or $(MINUTES),10) --storage $(or $(STORAGE),s3) \
	    --report "$${CARGO_TARGET_DIR:-target}/soak.json" $(if $(SEED),--seed $(SEED)) $(if $(KEEP),--keep "$(KEEP)")

capacity: ## Say by a model how long jobs of a day would wait and what workers cost (ARGS="--peak 5 --p95 60"); MEASURE=yes: what a job leaves behind
	@$(if $(MEASURE),scripts/install-test-services && $(CARGO) build --workspace --bins --features $(FEATURES),:)
	@$(if $(MEASURE),WAITLESS_TEST_BUILT=1 "$${CARGO_TARGET_DIR:-target}/debug/capacity" --measure e2e/fixtures/job-costs.json,$(CARGO) run -q -p e2e --bin capacity -- $(ARGS))

scale-test: ## Start and stop workers as KEDA would through a day's load squeezed into ten minutes, beside a fixed pool (MINUTES=10)
	@scripts/install-test-services
	@$(CARGO) build --workspace --bins --features $(FEATURES)
	@WAITLESS_TEST_BUILT=1 "$${CARGO_TARGET_DIR:-target}/debug/scale-test" --minutes $(or $(MINUTES),10) --write e2e/fixtures/scaling.json

upgrade: ## Run processes of another version and of this one together, on one database and broker (FROM=<revision>)
	@scripts/install-test-services
	@scripts/build-former $(FROM) >/dev/null
	@$(CARGO) build --workspace --bins --features $(FEATURES)
	@WAITLESS_TEST_BUILT=1 WAITLESS_TEST_FORMER="$$(scripts/build-former $(FROM))" \
	    $(CARGO) test --workspace --test it upgrade -- --ignored --nocapture

screenshots: ## Take a picture of every page and mail, in both themes and two widths (PAGES="job form": some only)
	@scripts/install-browser
	@$(CARGO) build -p standalone --bin waitless --features $(FEATURES)
	@node e2e/browser/pictures/take.js $(PAGES)
