# Every target works from a bare checkout: it makes .venv and installs the package first, once.
# The first installation fetches several gigabytes (PyTorch) and takes a few minutes.

PYTHON ?= python3
# Test processes; each computes on one thread, so set it to the number of cores.
WORKERS ?= 2
# Passed to pytest, for example: make test ARGS="tests/unit -k psnr"
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test lint type clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## make data, train the tiny model, animate, and write a page to look at
	$(BIN)/talkingface demo

test: $(INSTALLED) ## run all tests (ARGS="..." goes to pytest)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

lint: $(INSTALLED) ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: $(INSTALLED) ## check types
	$(BIN)/mypy

clean: ## remove caches, builds and the demo's output; keeps .venv and runs/
	rm -rf build dist demo .pytest_cache .ruff_cache .mypy_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

# The stamp comes last, so that a broken installation is tried again.
$(INSTALLED): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("talkingface needs Python 3.11 or newer, not " + sys.version.split()[0] + "; try: make PYTHON=python3.11 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -e '.[dev]'
	@touch $@
