# What a developer runs; `make` alone lists it. `make run` needs Python 3.11 and make, nothing else; what tests need
# on top is installed by the targets that need it.

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check
SDK := tests/sdk/node_modules/.installed
S3 := .venv-moto/.installed
BENCH_NODE := bench/node_modules/.installed
# A developer's own DATABASE_URL must not leak into a run that is to prove the embedded default.
EMBEDDED := env -u DATABASE_URL -u REDIS_URL -u CELERY_BROKER_URL
STAGES := lint types contracts test-embedded test-production

.PHONY: help setup setup-dev run worker test test-fast test-embedded test-production check-history coverage lint \
	types contracts format proto bench
.DEFAULT_GOAL := help

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.runtime ## install the server into .venv

setup-dev: $(VENV)/.development ## install the tools for tests and checks as well

run: setup ## start a complete server on http://127.0.0.1:8000 (HOST, PORT, IMCORE_DATA_DIR)
	@exec $(PYTHON) manage.py serve

worker: setup ## start a Celery worker; needs CELERY_BROKER_URL or REDIS_URL
	@exec $(PYTHON) -m celery -A imcore worker --loglevel info

test: setup-dev $(SDK) $(S3) ## run everything, on SQLite and on PostgreSQL + Redis (installs what is missing)
	@$(PYTHON) tests/services.py install postgresql redis-server gcc libc6-dev chromium curl
	@trap 'exit 130' INT; failed=; summary=; for stage in $(STAGES); do \
		printf '\n=== %s ===\n' $$stage; began=$$(date +%s); \
		if $(MAKE) --no-print-directory $$stage; then result='passed'; else result='FAILED'; failed=1; fi; \
		summary="$$summary$$(printf '%-7s %-16s %4d s' $$result $$stage $$(($$(date +%s) - began)))\n"; \
	done; printf "\n=== summary ===\n$$summary"; test -z "$$failed"

test-fast: setup-dev ## run the tests that need nothing installed: embedded, no SDKs, no faults
	@$(EMBEDDED) $(PYTHON) -m pytest -m "not journey and not slow and not faults" $(ARGS)

test-embedded: setup-dev $(SDK) $(S3) ## run the tests on SQLite, in one process
	@$(EMBEDDED) $(PYTHON) -m pytest $(ARGS)

test-production: setup-dev $(SDK) $(S3) ## run the tests on PostgreSQL and Redis of our own
	@$(PYTHON) tests/services.py run -- $(PYTHON) -m pytest $(ARGS)

check-history: setup-dev $(SDK) ## send 100,000 messages through every fault and check what all have seen (SEED=…, ARGS)
	@$(PYTHON) tests/services.py install postgresql redis-server gcc libc6-dev
	@exec $(PYTHON) -m tests.faults.history $(ARGS)

coverage: setup-dev $(SDK) $(S3) ## run the tests on SQLite and report what they miss
	@$(EMBEDDED) $(PYTHON) -m pytest --cov --cov-report=term --cov-report=html $(ARGS)

lint: setup-dev ## check format, style and that no migration is missing
	@$(PYTHON) -m ruff format --check
	@$(PYTHON) -m ruff check
	@$(EMBEDDED) DATABASE_URL=sqlite://:memory: $(PYTHON) manage.py makemigrations --check --dry-run

types: setup-dev ## check the types
	@$(VENV)/bin/mypy

contracts: setup-dev ## check which package imports which
	@$(VENV)/bin/lint-imports --no-cache

format: setup-dev ## rewrite the code in the house style
	@$(PYTHON) -m ruff check --fix-only
	@$(PYTHON) -m ruff format

proto: setup-dev ## generate imcore/protocol/message_pb2.py from message.proto
	@$(PYTHON) -m grpc_tools.protoc --proto_path=. --python_out=. --pyi_out=. imcore/protocol/message.proto

bench: setup-dev $(BENCH_NODE) ## measure throughput and latency, beside other servers (installs them)
	@$(PYTHON) tests/services.py install postgresql redis-server mosquitto gcc
	@exec $(PYTHON) -m bench $(ARGS)

$(PYTHON):
	@for python in python3.11 python3; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$python"; \
			$$python -m venv --clear $(VENV) && exit; rm -rf $(VENV); exit 1; \
		fi; \
	done; echo 'imcore needs Python 3.11 or newer.' >&2; exit 1

$(VENV)/.runtime: requirements.txt | $(PYTHON)
	@echo 'Installing the server into $(VENV); the first time takes a minute or two'
	@$(PIP) install -r $<
	@touch $@

$(VENV)/.development: requirements-dev.txt requirements.txt | $(PYTHON)
	@echo 'Installing the server and its development tools into $(VENV)'
	@$(PIP) install -r $<
	@touch $@ $(VENV)/.runtime

$(SDK): tests/sdk/package-lock.json
	@command -v npm >/dev/null || { echo 'The SDK journeys need Node.js 20 with npm; `make test-fast` does not.' >&2; exit 1; }
	@echo 'Installing the LeanCloud SDKs into tests/sdk'
	@cd tests/sdk && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

$(S3): tests/moto-requirements.txt | $(PYTHON)
	@echo 'Installing an S3-compatible server for tests into .venv-moto'
	@$(PYTHON) -m venv .venv-moto
	@.venv-moto/bin/python -m pip --disable-pip-version-check install -r $<
	@touch $@

$(BENCH_NODE): bench/package-lock.json
	@command -v npm >/dev/null || { echo 'The benchmarks need Node.js 20 with npm.' >&2; exit 1; }
	@cd bench && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@
