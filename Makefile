# Everything starts here; `make demo` and `make test` do the set-up by themselves.
BIN := .venv/bin
UV_COMPILE = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet
PYTEST_WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help setup demo run test lint format bench screenshots lock clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## system packages, uv, locked dependencies, virtual environment
	@PYTHON="$(PYTHON)" scripts/setup

demo: setup ## a whole company synchronized from a throw-away domain controller (ARGS=--once to verify and leave)
	@$(BIN)/dirbridge demo $(ARGS)

run: setup ## the service alone
	@$(BIN)/dirbridge serve $(ARGS)

test: setup ## the whole test suite (ARGS="tests/store -k queue" for a part of it)
	@$(BIN)/pytest -n $(PYTEST_WORKERS) --dist loadgroup $(ARGS)

lint: setup ## style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## rewrite the code in the common format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: setup ## measure, and print a table
	@$(BIN)/python -m bench $(ARGS)

screenshots: setup ## a picture of every screen of the portal, in build/screenshots (ARGS=overview for one of them)
	@$(BIN)/python -m tests.e2e.portal.screenshots $(ARGS)

lock: setup ## resolve the dependencies afresh (ARGS=--upgrade to take newer ones)
	$(UV_COMPILE) $(ARGS) requirements/uv.in -o requirements/uv.txt
	$(UV_COMPILE) $(ARGS) requirements/build.in -o requirements/build.txt
	$(UV_COMPILE) $(ARGS) pyproject.toml --all-extras --group dev -o requirements/dev.txt
	$(UV_COMPILE) $(ARGS) pyproject.toml --extra agent -c requirements/dev.txt -o requirements/agent.txt
	$(UV_COMPILE) $(ARGS) pyproject.toml --extra service -c requirements/dev.txt -o requirements/service.txt

clean: ## remove the virtual environment and all caches
	rm -rf .venv src/dirbridge/service/portal/third_party/node_modules tests/clients/node/node_modules tests/e2e/portal/third_party/node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find src tests -name __pycache__ -prune -exec rm -rf {} +
