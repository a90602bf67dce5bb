# Every target sets up what it needs: a fresh clone and `make demo` are enough.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && { echo $$python; break; }; done)

.PHONY: help setup up down status scale demo test chaos bench pictures study lint fmt schemas web protocol k8s k8s-apply-test observability

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Make .venv from requirements.lock and fetch Apache Kafka (done by the other targets)
	@$(PY) -m flywheel_local fetch

$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Flywheel needs Python 3.11, 3.12 or 3.13; python3 here is $$(python3 --version 2>&1)." \
		"Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock
	@$(PIP) --require-hashes -r $(VENV)/uv.lock
	@echo "Installing what requirements.lock names into $(VENV)"
	@$(VENV)/bin/uv pip install --quiet --python $(PY) --require-hashes -r requirements.lock || { \
		echo "uv could not (does only pip know of your mirror?); trying with pip"; $(PIP) --require-hashes -r requirements.lock; }
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

up: setup ## Start Kafka, S3, MLflow and every service; print the addresses (OBSERVABILITY=1 for Prometheus too)
	@$(PY) -m flywheel_local up $(if $(OBSERVABILITY),--observability)

down: $(INSTALLED) ## Stop all of it; what it stored stays
	@$(PY) -m flywheel_local down

status: $(INSTALLED) ## Addresses and processes of the running stack
	@$(PY) -m flywheel_local status

scale: $(INSTALLED) ## Run N of a service: make scale SERVICE=stream-processor N=2
	@test -n "$(SERVICE)" -a -n "$(N)" || { echo "Usage: make scale SERVICE=stream-processor N=2"; exit 2; }
	@$(PY) -m flywheel_local scale $(SERVICE) $(N)

demo: setup ## The whole loop on real flights, with a report (MONTHS=3 for less, NAIVE=1 without weights)
	@$(PY) -m flights demo $(if $(MONTHS),--months $(MONTHS)) $(if $(NAIVE),--naive)

test: setup web/node_modules/.installed ## Every test, on real servers (ARGS="-k name" for some)
	@$(PY) -m tests.debian
	@$(PY) -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

chaos: setup ## Kill processes under load for longer than `make test` does, then account for every event
	@$(PY) -m tests.chaos $(ARGS)

bench: setup ## How fast each part is, beside what it is measured against
	@$(PY) -m benchmarks $(ARGS)

pictures: setup ## Take docs/images/console anew: every page of the console, on a stack of its own (some minutes)
	@$(PY) -m tests.pictures

study: setup ## What learning from feedback is worth, on a year of flights (about 25 minutes; ARGS="poison --seeds 1" for less)
	@$(PY) -m study $(ARGS)

k8s: $(INSTALLED) ## Render every overlay of deploy/k8s, validate it offline, and write its table into docs/operations.md
	@$(PY) -m tests.k8s

k8s-apply-test: $(INSTALLED) ## Apply all of it to a real API server, and walk through canary, abort, promote and rollback
	@$(PY) -m tests.k8s.walk

lint: $(INSTALLED) ## ruff, mypy and the import rules
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo

fmt: $(INSTALLED) ## Format, and mend what ruff can mend
	@$(VENV)/bin/ruff check --fix-only --quiet .
	@$(VENV)/bin/ruff format .

schemas: $(INSTALLED) ## Write the published schemas and asyncapi.yaml anew from the Pydantic models
	@$(PY) -m flywheel_schemas.publish

web: web/node_modules/.installed ## Build what browsers load (committed; only needed after a change in web/)
	@cd web && npm run --silent build

# The built files are committed, so nothing but building and testing them anew needs Node.
web/node_modules/.installed: web/package-lock.json
	@if command -v npm >/dev/null; then cd web && npm ci --silent --ignore-scripts && touch node_modules/.installed; \
		else echo "Node 20 or newer is not installed: what browsers load stays as it was built, and its sources are not tested."; fi

observability: $(INSTALLED) ## Write rules and dashboards anew from deploy/observability
	@$(PY) -m deploy.observability

PROTOCOL := inference/entrypoints/open_inference/open_inference_grpc.proto
protocol: $(INSTALLED) ## Write the gRPC messages anew from the Open Inference Protocol's definition
	@cd services/inference/src && $(CURDIR)/$(PY) -m grpc_tools.protoc -I . --python_out=. --pyi_out=. $(PROTOCOL)
