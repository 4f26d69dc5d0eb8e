# SPDX-License-Identifier: Apache-2.0
# Every target installs what it needs into this folder (.tools, .venv, web/node_modules);
# a second run finds it there. `make` alone lists the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help
STAMPS := .tools/stamps
BIN := .venv/bin
WEB_PATH := $(CURDIR)/.tools/bin:$(PATH)
# Two workers suit the smallest machine we promise to run on.
PYTEST := $(BIN)/pytest -n $(or $(JOBS),2) --dist loadgroup
SOURCES := src tests bench demo spec tools

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

.PHONY: run
run: $(STAMPS)/python ## hold a meeting of three separate processes and tell what happened
	@$(BIN)/python demo/meeting.py

.PHONY: test
test: $(STAMPS)/python $(STAMPS)/web $(STAMPS)/strace ## run the tests (under 15 minutes on 2 cores)
	@echo "test: TypeScript"
	@cd web && PATH="$(WEB_PATH)" npm test --silent
	@echo "test: Python"
	@$(PYTEST) -m "not slow"

.PHONY: test-all
test-all: $(STAMPS)/python $(STAMPS)/web $(STAMPS)/strace ## run the slow tests too, and coverage per module
	@echo "test: TypeScript"
	@cd web && PATH="$(WEB_PATH)" npm test --silent
	@echo "test: each protocol module is covered by its own test file"
	@$(BIN)/python tools/coverage_by_module.py
	@echo "test: Python"
	@$(PYTEST)

.PHONY: bench
bench: $(STAMPS)/python ## measure the figures that the README states
	@set -e; for program in bench/[a-z]*.py; do \
		echo "bench: $$program"; $(BIN)/python "$$program"; done

.PHONY: check
check: $(STAMPS)/python ## format, lint, types and architecture
	@echo "check: ruff format"
	@$(BIN)/ruff format --check $(wildcard $(SOURCES))
	@echo "check: ruff"
	@$(BIN)/ruff check $(wildcard $(SOURCES))
	@echo "check: mypy --strict"
	@$(BIN)/mypy $(wildcard src tests bench demo tools spec/generators spec/make_vectors.py)
	@echo "check: architecture"
	@$(BIN)/pytest -q tests/test_architecture.py

.PHONY: format
format: $(STAMPS)/python ## rewrite the code as `make check` wants it
	@$(BIN)/ruff format $(wildcard $(SOURCES))
	@$(BIN)/ruff check --fix $(wildcard $(SOURCES))

.PHONY: vectors
vectors: $(STAMPS)/python ## write spec/vectors again from the reference code
	@$(BIN)/python spec/make_vectors.py

.PHONY: docs
docs: $(STAMPS)/python ## write docs/commands.md and the rows of spec/acceptance.md again
	@$(BIN)/python tools/write_command_docs.py
	@$(BIN)/python tools/write_acceptance_rows.py

.PHONY: lock
lock: $(STAMPS)/uv ## choose versions again and write the requirements files
	@tools/lock.sh

.PHONY: clean
clean: ## remove everything that make has installed or built
	rm -rf .tools .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis web/node_modules web/dist dist build out

$(STAMPS)/uv: requirements-tools.txt tools/install.sh
	@tools/install.sh uv
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/python: requirements-dev.txt pyproject.toml $(STAMPS)/uv
	@tools/install.sh python
	@touch $@

$(STAMPS)/node: requirements-node.txt $(STAMPS)/python
	@tools/install.sh node
	@touch $@

$(STAMPS)/web: web/package.json web/package-lock.json $(STAMPS)/node
	@tools/install.sh web
	@touch $@

# Not a stamp that lasts: the package may go away between two runs.
.PHONY: $(STAMPS)/strace
$(STAMPS)/strace:
	@tools/install.sh strace
