# `make help` lists what there is. Needs Python 3.11 or newer, make and a package index; everything else is installed
# into .venv, once, and again when requirements.lock or pyproject.toml change.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TESTS ?= tests

.DEFAULT_GOAL := help
.PHONY: help run test test-nodes lint simulate fuzz bench bench-library bench-recovery bench-takeover bench-rpc proto clean lock install

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Install everything into .venv

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "make: $(PYTHON) is missing or older than 3.11; run: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "make: $(PYTHON) cannot create a virtual environment; install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@test -x $(BIN)/pip || { echo "creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing requirements.lock (a few minutes the first time)"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off -r requirements.lock \
	  | awk -v total="$$(grep -c == requirements.lock)" \
	    '/^Collecting/ && ++n % 20 == 0 {print "  " n " of " total " packages"; fflush()} /^Installing/ {print "  unpacking"; fflush()}'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@
	@echo "installed"

run: $(STAMP) ## Start the servers and the service; Ctrl-C stops all of it
	@exec $(BIN)/library run

lint: $(STAMP) ## ruff, mypy --strict and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint ## Lint, then every tier of tests but benchmarks and test-nodes
	$(BIN)/pytest $(TESTS) --ignore=tests/benchmarks --ignore=tests/acceptance/test_several_nodes.py

test-nodes: $(STAMP) ## Three nodes: one lost, frozen, joining, leaving, and an upgrade (5 minutes)
	@$(BIN)/pytest -s tests/acceptance/test_several_nodes.py

SEEDS ?= 0..10000

simulate: $(STAMP) ## Run many simulated schedules, SEEDS=a..b
	@$(BIN)/python -m tests.simulation $(SEEDS)

bench-recovery: $(STAMP) ## All hosts killed with 100,000 and 1,000,000 live sessions (10 minutes)
	@$(BIN)/python -m tests.benchmarks recovery --sessions 100000 $(BENCH)
	@$(BIN)/python -m tests.benchmarks recovery --sessions 1000000 --journal-rows 100000 --steady-s 60 $(BENCH)

bench-takeover: $(STAMP) ## Heartbeats of all users while one host after another is killed (5 minutes)
	@$(BIN)/python -m tests.benchmarks takeover $(BENCH)

fuzz: $(STAMP) ## Send the service what its contract allows, and not (10 minutes); FUZZ=--help lists options
	@$(BIN)/python -m tests.fuzz $(FUZZ)

bench-rpc: $(STAMP) ## What a gRPC call costs, beside the same in Go over Postgres (5 minutes; needs Go)
	@$(BIN)/python -m tests.benchmarks rpc $(BENCH)

bench-library: $(STAMP) ## 10,000 libraries of up to 5,000 items at 1,000 requests a second (3 minutes)
	@$(BIN)/python -m tests.benchmarks library $(BENCH)

bench: $(STAMP) ## All of it: large libraries, gRPC, and heartbeats beside other services (20 minutes); the last line is JSON
	@$(BIN)/python -m tests.benchmarks library
	@if command -v go >/dev/null; then $(BIN)/python -m tests.benchmarks rpc; else echo "gRPC beside Go is left out: no Go here"; fi
	@$(BIN)/python -m tests.benchmarks $(BENCH)

proto: $(STAMP) ## Generate the code of proto/ from its .proto files
	@$(BIN)/python -m cluster.dev.proto

lock: ## Write what .venv holds into requirements.lock
	@$(BIN)/python -m pip freeze --exclude-editable --exclude library-service | grep -E '^[A-Za-z0-9._-]+==[^ @]+$$' > requirements.lock

clean: ## Stop the development stack and remove .venv, .dev and caches
	@test ! -x $(BIN)/library || test ! -d .dev || $(BIN)/library dev down --delete-data
	rm -rf $(VENV) .dev build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
