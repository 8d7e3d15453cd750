# `make help` lists the verbs. The package is built in place (flowscope/_core*.so): a source folder at the root
# would shadow an installed wheel.

PYTHON ?= python3
CARGO ?= cargo
# .ci/run passes --locked.
CARGO_FLAGS ?=
# More options for pytest: make test PYTEST_FLAGS='-k topology'
PYTEST_FLAGS ?=
# Tests run side by side in so many processes; those that watch the clock share one.
WORKERS ?= 2

BIN := .venv/bin
RUST_SOURCES := $(shell find rust -name target -prune -o -type f -print 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help build demo test lint format lab captures bench clean

help: ## list these verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "flowscope needs Python 3.11 or newer; this is %d.%d: make PYTHON=/path/to/python3" % sys.version_info[:2])'
	@command -v $(CARGO) >/dev/null || { echo 'flowscope needs a Rust toolchain (cargo) to build its core: see https://rustup.rs' >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/runtime.stamp: requirements.lock requirements-dev.lock | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock -c requirements-dev.lock maturin
	@touch $@

.venv/dev.stamp: requirements-dev.lock .venv/runtime.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	@touch $@

.venv/build.stamp: .venv/runtime.stamp pyproject.toml $(RUST_SOURCES)
	PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1 VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/maturin develop --release --quiet $(CARGO_FLAGS)
	@touch $@

build: .venv/build.stamp ## build the Rust core in place and install flowscope into .venv

demo: build ## build everything, then analyse a load balancer whose members call themselves
	@echo
	$(BIN)/flowscope analyze captures/hairpin --topology captures/hairpin/topology.toml

test: build .venv/dev.stamp ## build and run every test this machine can run
	$(CARGO) test --quiet --manifest-path rust/Cargo.toml -p flowscope-core $(CARGO_FLAGS)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_FLAGS)

lint: .venv/dev.stamp ## style and types: ruff, mypy --strict, rustfmt, clippy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(CARGO) fmt --manifest-path rust/Cargo.toml --all --check
	PYO3_PYTHON=$(CURDIR)/$(BIN)/python $(CARGO) clippy --quiet --manifest-path rust/Cargo.toml --workspace --all-targets $(CARGO_FLAGS) -- -D warnings

format: .venv/dev.stamp ## rewrite the sources in the house's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(CARGO) fmt --manifest-path rust/Cargo.toml --all

lab: build .venv/dev.stamp ## play the lab: a balancer of network namespaces with faults on demand (root, Linux)
	$(BIN)/python -m pytest tests/lab tests/live/test_lab_live.py tests/live/test_soon.py $(PYTEST_FLAGS)

captures: build .venv/dev.stamp ## make the samples of the lab in captures/ anew (root, Linux)
	$(BIN)/python -m tests.lab.samples

bench: build .venv/dev.stamp ## time and memory beside tcptrace, on generated traffic
	$(BIN)/python -m benchmarks.run

clean: ## remove what was built
	rm -rf .venv rust/target flowscope/_core*.so dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
