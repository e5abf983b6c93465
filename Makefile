# Every job of the project by one name. On a machine with Python 3.11 to 3.13 and make, `make demo` is enough.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The interpreter that makes .venv: `make PYTHON=python3.12 install`.
FITS := import sys; (3, 11) <= sys.version_info[:2] < (3, 14) and print(sys.executable)
PYTHON ?= $(or $(firstword $(foreach name,python3 python3.11 python3.12 python3.13,$(shell $(name) -c '$(FITS)' 2>/dev/null))),python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What churnwatch is compared with, never in its own environment.
PEERS := .venv-peers
PEERS_STAMP := $(PEERS)/.installed
# What looks through churnwatch's dependencies, and has many of its own.
AUDIT := .venv-audit
AUDIT_STAMP := $(AUDIT)/.installed
PYTHONS := 3.11 3.12 3.13
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
# A benchmark by its module; each appends what it found to tests/benchmarks/results.jsonl.
BENCH := PYTHONPATH=tests $(BIN)/python -m benchmarks
# The tests of the core: no broker, no waiting, so as many at once as there are processors.
CORE_TESTS := tests/unit tests/properties tests/golden tests/compatibility
# With a broker: three files at once, since half of their time is waiting, each process with a broker of its own; a file stays
# together for what it sets up.
FILES_AT_ONCE := --numprocesses=3 --dist=loadfile --no-loadscope-reorder --durations=10

.PHONY: help install check format audit check-pythons test test-kafka demo golden keep-release bench bench-ingest bench-mapping bench-headers bench-latency bench-recovery bench-idle bench-scale bench-kill bench-door bench-webhook bench-redis bench-soak dashboards flame bench-engine bench-model bench-incidents evaluate requirements clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## .venv with everything that is pinned, and the command churnwatch in it

$(STAMP): requirements-dev.txt pyproject.toml
	@command -v "$(PYTHON)" >/dev/null || { echo "churnwatch needs Python 3.11, 3.12 or 3.13: none was found; install one, or name it: make PYTHON=/path/to/python3 $(or $(MAKECMDGOALS),install)" >&2; exit 2; }
	@[ -n "$$("$(PYTHON)" -c '$(FITS)')" ] || { echo "churnwatch needs Python 3.11, 3.12 or 3.13 and $(PYTHON) is $$("$(PYTHON)" --version 2>&1); name another: make PYTHON=python3.12 $(or $(MAKECMDGOALS),install)" >&2; exit 2; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) comes without venv; on Debian and Ubuntu: apt-get install python3-venv, then make again" >&2; exit 2; }
	@echo "installing into $(VENV) with $$("$(PYTHON)" --version); once, it takes a minute or two" >&2
	@[ -x $(BIN)/python ] && $(BIN)/python -c '' 2>/dev/null || "$(PYTHON)" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

check: $(STAMP) ## formatting, lint, types, who imports whom, JSON Schemas
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/unit/test_json_schema.py tests/unit/test_asyncapi.py

format: $(STAMP) ## write the code as `make check` wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check-pythons: $(STAMP) ## for each Python: there are wheels for everything, and the types hold
	@for version in $(PYTHONS); do \
		echo "Python $$version"; \
		$(BIN)/uv pip compile --quiet --python-version $$version --only-binary :all: --no-header --no-annotate \
			--constraint requirements-dev.txt --all-extras --group dev --output-file $(VENV)/resolved-$$version.txt pyproject.toml; \
		$(BIN)/mypy --python-version $$version; \
	done

test: $(STAMP) ## every test; what needs a broker runs on the development broker
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal --durations=10 $(CORE_TESTS)
	$(BIN)/python -m pytest $(FILES_AT_ONCE) $(addprefix --ignore=,$(CORE_TESTS))

test-kafka: $(STAMP) ## what needs a broker, on Apache Kafka: that of CHURN_BOOTSTRAP, or one that the run starts (Java, Maven)
	CHURN_KAFKA=1 $(BIN)/python -m pytest -m kafka $(FILES_AT_ONCE) --ignore=tests/chaos
	CHURN_KAFKA=1 $(BIN)/python -m pytest -m kafka --durations=1 tests/chaos

demo: $(STAMP) ## a simulated shop, all agents, a broker and a Valkey for the minute it takes
	@$(BIN)/churnwatch demo

golden: $(STAMP) ## write the golden stories anew; read the difference before it is committed
	$(BIN)/python -m pytest -q tests/golden --rewrite-golden

keep-release: $(STAMP) ## keep what this version writes under tests/compatibility, for those after it: before each release
	PYTHONPATH=tests $(BIN)/python -m compatibility.keep

bench: $(STAMP) ## how fast, on Apache Kafka: detect, ingest and detect, the engine alone; as all benchmarks, ARGS=--help
	@$(BENCH).bench_detect $(ARGS)

bench-ingest: $(STAMP) ## how fast ingest is: events, a mapping of nested records, change events of Debezium
	@$(BENCH).bench_ingest $(ARGS)

bench-mapping: $(STAMP) ## what a mapping costs on one core, without Kafka: flat rows, nested orders, change events, CEL
	@$(BENCH).bench_mapping $(ARGS)

bench-headers: $(STAMP) ## what the headers of CloudEvents cost detect: none, ours, those of the library
	@$(BENCH).bench_headers $(ARGS)

bench-latency: $(STAMP) ## how late, at 2,000 events a second: source record to alert, a timer's due instant to alert
	@$(BENCH).bench_latency $(ARGS)

bench-recovery: $(STAMP) ## how long a million customers take to come back, and what they weigh
	@$(BENCH).bench_recovery $(ARGS)

bench-idle: $(STAMP) ## what a worker costs that has nothing to do
	@$(BENCH).bench_idle $(ARGS)

bench-scale: $(STAMP) ## detect with one, two and four workers and partitions
	@$(BENCH).bench_scale $(ARGS)

bench-kill: $(STAMP) ## kill -9 of a worker until the next alert of its partitions
	@$(BENCH).bench_kill $(ARGS)

bench-door: $(STAMP) ## webhooks a second, how long each waits, what is lost when the worker is killed
	@$(BENCH).bench_door $(ARGS)

bench-webhook: $(STAMP) ## alerts a second to a webhook on this machine, and what one costs
	@$(BENCH).bench_webhook $(ARGS)

bench-redis: $(STAMP) ## how long the read model takes to come back, and what a customer weighs in it
	@$(BENCH).bench_redis $(ARGS)

bench-soak: $(STAMP) ## whether memory grows: all roles at 2,000 events a second for twenty minutes
	@$(BENCH).bench_soak $(ARGS)

dashboards: $(STAMP) ## write the dashboards of Grafana anew, as deploy/grafana/boards builds them
	@PYTHONPATH=deploy/grafana $(BIN)/python -m boards

flame: $(STAMP) ## a flame graph of the detect worker under load: flame.svg, or ARGS="--output FILE"
	@$(BENCH).flame $(ARGS)

bench-engine: $(STAMP) ## what the engine costs: events per second of replay, where the time goes, bytes per idle customer
	@$(BENCH).bench_engine

bench-model: $(STAMP) ## what the model costs: an example learned, a score, a pending example
	@$(BENCH).bench_model $(ARGS)

evaluate: $(STAMP) ## how well the model predicts, beside a batch model, on three sets in the folder CHURN_DATA; ten minutes
	@$(BENCH).bench_evaluate $(ARGS)

bench-incidents: $(STAMP) ## which tickets of a real desk break their SLA, from the folder CHURN_DATA
	@$(BENCH).bench_incidents

.PHONY: chaos
chaos: $(STAMP) ## faults under load on three brokers of Apache Kafka (Java, Maven), e.g. ARGS="--kills 20 --zombies 5"; ARGS=--help
	@PYTHONPATH=tests $(BIN)/python -m chaos $(ARGS)

.PHONY: bench-peers
bench-peers: $(STAMP) $(PEERS_STAMP) ## the same job on churnwatch, Kafka Streams, Quix Streams, Faust (Java, Maven; ARGS="--try quix" for settings)
	@$(BENCH).peers.bench_peers $(ARGS)

$(PEERS_STAMP): tests/benchmarks/peers/requirements.txt | $(STAMP)
	@[ -x $(PEERS)/bin/python ] && $(PEERS)/bin/python -c '' 2>/dev/null || $(BIN)/python -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	@touch $@

.PHONY: audit
audit: $(AUDIT_STAMP) ## known vulnerabilities of what is deployed (asks PyPI), and its SBOM: dist/sbom.cdx.json, CycloneDX
	@mkdir -p dist
	@$(AUDIT)/bin/cyclonedx-py requirements deploy/requirements.txt --output-reproducible --output-format JSON --output-file dist/sbom.cdx.json
	@$(AUDIT)/bin/pip-audit --strict --disable-pip --require-hashes --requirement deploy/requirements.txt

$(AUDIT_STAMP): deploy/requirements-audit.txt | $(STAMP)
	@[ -x $(AUDIT)/bin/python ] && $(AUDIT)/bin/python -c '' 2>/dev/null || $(BIN)/python -m venv --clear $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	@touch $@

requirements: $(STAMP) ## pin anew what pyproject.toml asks for
	$(COMPILE) pyproject.toml --output-file requirements.txt
	$(COMPILE) pyproject.toml --all-extras --group dev --output-file requirements-dev.txt
	$(COMPILE) pyproject.toml --extra parquet --extra registry --extra tracing --constraint requirements.txt --output-file deploy/requirements.txt
	$(COMPILE) --group pyproject.toml:build --constraint requirements-dev.txt --output-file deploy/requirements-build.txt
	$(COMPILE) deploy/requirements-audit.in --output-file deploy/requirements-audit.txt
	$(COMPILE) tests/benchmarks/peers/requirements.in --output-file tests/benchmarks/peers/requirements.txt

clean: ## remove what was made here
	rm -rf $(VENV) $(PEERS) $(AUDIT) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
