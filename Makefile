# Every target makes what it needs. `make help` lists them.

PYTHON ?= python3
BIN := .venv/bin
say := printf 'penstock: %s\n'

.DEFAULT_GOAL := help
.PHONY: setup demo outages chaos fuzz test portability brokers lint bench reference lock help

setup: .venv/.made ## make .venv with the penstock command
	@:

.venv/.made: pyproject.toml requirements.lock hatch_build.py schemas/avro_native.pyx
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  $(say) "Python 3.11 or later is needed, and $(PYTHON) is $$($(PYTHON) -V 2>&1): install one, or say make PYTHON=/path/to/it" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  $(say) "$(PYTHON) cannot make virtual environments: install its venv module (apt install python3-venv or the like)" >&2; exit 1; }
	@$(say) "making .venv with what requirements.lock names (once, about a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock || { \
	  $(say) "pip could not install requirements.lock, see above: check the network, then try again" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## every provider through a real Kafka, live (SECONDS=20 ends with a reconciliation; KILL_PROCESSOR=1 KILL_INGEST=1 DISCONNECTS=1 OUTAGE=15; STACK=docker)
	@$(BIN)/penstock demo $(if $(SECONDS),--seconds $(SECONDS)) $(if $(filter-out 0,$(KILL_PROCESSOR)),--kill-processor) \
	  $(if $(filter-out 0,$(KILL_INGEST)),--kill-ingest) $(if $(filter-out 0,$(DISCONNECTS)),--disconnects) $(if $(OUTAGE),--outage $(OUTAGE))

outages: setup ## the broker away for a minute, then for two and a half, beside disconnects and kills
	@$(BIN)/penstock demo --seconds 120 --rate 15 --disconnects --kill-ingest --outage 60
	@$(BIN)/penstock demo --seconds 300 --rate 15 --disconnects --kill-ingest --outage 150

chaos: setup ## kill, freeze and starve all of it, then count every fact and cent (MINUTES=10 SEED=1)
	@$(BIN)/penstock chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(ARGS)

fuzz: setup ## damage recorded frames by chance; each part must leave by one door (MINUTES=5 SEED=1 CASE=n ARGS=--help)
	@$(BIN)/python -m tests.fuzz $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(if $(CASE),--case $(CASE)) $(ARGS)

test: setup ## run every test, on a real Kafka and registry (ARGS=tests/ingest)
	@$(BIN)/python -m pytest -n 3 $(ARGS)

brokers: setup ## three brokers: leaders move, one is lost, two are down
	@$(BIN)/python -m pytest --override-ini addopts= --import-mode=importlib -v tests/brokers $(ARGS)

portability: setup ## read one topic in Python, Node, Java and Go, and compare every line
	@$(BIN)/python -m pytest tests/end_to_end/test_portability.py $(ARGS)

lint: setup ## check style, types and import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup ## measure ours and its peers, and write docs/performance.md (QUICK=1: a smoke run of three minutes, writes nothing; ARGS=--help)
	@$(BIN)/python benchmarks/run.py $(if $(filter-out 0,$(QUICK)),--quick) $(ARGS)

.PHONY: bench-check
bench-check: setup ## has a stage become dearer than benchmarks/baseline.json says? (50 s)
	@$(BIN)/python benchmarks/check.py $(ARGS)

reference: setup ## write every field of the schemas into docs/contract.md
	@{ sed '/^<!-- make reference/q' docs/contract.md && $(BIN)/penstock schemas reference; } > docs/contract.md.new
	@mv docs/contract.md.new docs/contract.md

lock: setup ## choose newer versions: writes both requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -o requirements.lock
	@$(BIN)/uv pip compile benchmarks/requirements.in --quiet --upgrade --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -o benchmarks/requirements.lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
