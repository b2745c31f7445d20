# The two commands that matter: `make run` and `make test`. `make help` lists the rest.
# They need python3 (3.11 or newer), pip and make; everything else is fetched by hash into a virtual environment.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# PYTHON=python3.13 selects an interpreter and, so that several can live side by side, an environment of its own.
PYTHON ?= python3
VENV ?= .venv$(if $(filter-out python3,$(notdir $(PYTHON))),-$(patsubst python%,%,$(notdir $(PYTHON))))
BIN = $(VENV)/bin

LISTEN ?= 127.0.0.1:5000
DATA ?= ./data
TESTS ?=
ARGS ?=

.PHONY: help
help: ## list these targets
	@echo "usage: make TARGET [VARIABLE=value ...]"; echo
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1|\2/p' Makefile | while IFS='|' read -r target text; do \
	  printf '%-15s %s\n' "$$target" "$$text"; done
	@echo; echo "variables: PYTHON=$(PYTHON) VENV=$(VENV) LISTEN=$(LISTEN) DATA=$(DATA) TESTS=tests/unit ARGS='-k digest'"

.PHONY: run
run: ## start the registry (LISTEN=127.0.0.1:5001 DATA=/some/dir)
	@scripts/create-venv $(PYTHON) $(VENV) runtime
	@exec $(BIN)/entrepot serve --listen "$(LISTEN)" --data "$(DATA)"

.PHONY: environment
environment: ## create or refresh the environment that the targets below use
	@scripts/create-venv $(PYTHON) $(VENV) dev

.PHONY: test
test: environment ## install what the tests need, run them all (TESTS=tests/unit ARGS='-k digest')
	@scripts/install-test-clients
	@$(BIN)/python -m pytest $(TESTS) $(ARGS)

.PHONY: test-long
test-long: environment ## the exhaustive and seeded-for-hours runs; writes docs/evidence/
	@scripts/install-test-clients
	@$(BIN)/python -m pytest -m long --run-long --timeout 0 -v --durations 20 $(TESTS) $(ARGS)

.PHONY: check
check: check-style check-types check-source ## everything that needs no server; `make -k check` shows all that is wrong

.PHONY: check-style
check-style: environment ## ruff: rules and layout
	@$(BIN)/ruff check --output-format concise
	@$(BIN)/ruff format --check

.PHONY: check-types
check-types: environment ## mypy and pyright, both strict
	@$(BIN)/mypy
	@$(BIN)/pyright --pythonpath $(BIN)/python

.PHONY: check-source
check-source: environment ## import contracts, sizes, habits, docs
	@$(BIN)/python scripts/check_imports.py
	@$(BIN)/python -m pytest -q tests/architecture $(wildcard tests/docs)

.PHONY: format
format: environment ## lay out the code and repair what can be repaired
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: bench
bench: environment ## measure this registry beside Debian's docker-registry
	@scripts/install-test-clients
	@$(BIN)/python -m bench $(ARGS)

.PHONY: bundle
bundle: environment ## wheels with hashes, SBOM and installer for a site without network: dist/bundle/
	@$(BIN)/python scripts/make_bundle.py dist/bundle

.PHONY: lock
lock: ## resolve requirements/ anew within the bounds of pyproject.toml (needs uv)
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/lock

.PHONY: clean
clean: ## remove what the targets above made, except DATA
	@rm -rf .venv .venv-* dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
