# make help lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
REPORT := .make/rules.json
PYTEST := $(BIN)/python -m pytest
WORKERS ?= 2

.PHONY: help run test demo bench soak faults lint protos rules lock clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(READY)

run: $(READY) ## set up and serve on loopback, with demo data
	$(BIN)/infosec serve --demo-data

test: lint ## set up and run everything: lint, types, contract, every test, the rules
	rm -rf .make && mkdir -p .make
	$(BIN)/coverage erase
	$(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report= --rules-report $(REPORT) tests
	$(BIN)/coverage report --skip-covered --skip-empty
	$(BIN)/python tests/rules.py $(REPORT)

demo: $(READY) ## a day in the stores, through the real API, step by step
	$(BIN)/infosec demo

bench: $(READY) ## measure against peers in one run; one JSON object a line; exit 1 when a line is not met
	$(BIN)/python -m tests.bench

faults: $(READY) ## kill -9 and SIGSTOP between every pair of steps, a full disk; exit code 2 where that takes root
	$(PYTEST) -q tests/faults --all-faults

soak: $(READY) ## the attack and fault tests, over and over, for SOAK_MINUTES (10)
	$(BIN)/python -m tests.soak

lint: $(READY) ## style, types, who may import whom, the contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd protos && ../$(BIN)/buf lint

protos: $(READY) ## lint the contract and generate infosec/api from it
	cd protos && ../$(BIN)/buf lint
	$(BIN)/python protos/generate.py

rules: $(READY) ## the table rule -> tests -> result
	$(PYTEST) -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m rule --rules-report $(REPORT) tests
	$(BIN)/python tests/rules.py $(REPORT) --tests

lock: $(READY) ## resolve pyproject.toml into requirements.lock: hashes, no URLs
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--python-version 3.11 --extra server --extra dev pyproject.toml -o requirements.lock

clean: ## remove what set-up and tests made
	rm -rf $(VENV) .make .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
