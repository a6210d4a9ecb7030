# Every target sets up what it needs: only Python 3.11, make and a package index are assumed.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
UV_VERSION := $(shell sed -n 's/.*"uv==\([0-9.]*\)".*/\1/p' pyproject.toml)
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format compile clean

help: ## say what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(READY) ## make the project's own environment in .venv

$(READY): pyproject.toml uv.lock
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is missing: install Python 3.11, or say PYTHON=/path/to/it" >&2; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@test -x $(VENV)/bin/uv || $(VENV)/bin/pip install --quiet uv==$(UV_VERSION)
	$(VENV)/bin/uv sync --frozen --compile-bytecode
	@touch $@

demo: $(READY) ## run the whole story on this machine (SOURCE=file.csv MODE=photometric for your own rows)
	$(VENV)/bin/skyclass demo $(if $(SOURCE),--source '$(SOURCE)') $(if $(MODE),--mode '$(MODE)')

test: $(READY) ## run the unit, contract, pipeline and fault tests
	$(VENV)/bin/pytest

lint: $(READY) ## check style, types and the direction of imports
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(READY) ## format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

compile: $(READY) ## write the KFP packages in manifests/kfp anew
	$(VENV)/bin/python -m pipelines.compile

clean: ## remove everything that the other targets made, the environment included
	rm -rf $(VENV) .skyclass .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
