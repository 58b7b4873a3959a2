# Two commands set everything up on a fresh machine: `make torture` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
SHORT := --duration 350ms --settle 1300ms --clients 3 --rate 60 --keys 2

.DEFAULT_GOAL := help
.PHONY: help torture test test-slow check format gate baseline bench nightly power clean

help: ## print this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "setting up $(VENV) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

torture: $(STAMP) ## the main job: torture a real cluster, simulate schedules, write the report (about two minutes)
	@$(BIN)/torture run --duration 60s
	@echo
	@$(BIN)/torture simulate --for 20s --lockstep 5

test: $(STAMP) ## the tests (about 6 minutes at most on two cores)
	@$(BIN)/pytest -q -n $(JOBS) -m "not slow"

test-slow: $(STAMP) ## the slow tests: thousands of schedules, a thousand kills
	@$(BIN)/pytest -q -n $(JOBS) -m slow

check: $(STAMP) ## format, lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(STAMP) ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

gate: $(STAMP) ## compare this code with the baseline, in virtual time (about a minute)
	@$(BIN)/torture gate --jobs $(JOBS)

baseline: $(STAMP) ## make this code the baseline of the gate (about a minute); commit what it writes
	@$(BIN)/torture gate --write-baseline --jobs $(JOBS)

bench: $(STAMP) ## measure speed side by side with other systems (about ten minutes)
	@$(BIN)/python -c 'import paxos, pysyncobj' 2>/dev/null || \
		$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]' || \
		echo "some systems to compare with could not be installed; going on without them"
	@$(BIN)/python -m benchmarks

nightly: $(STAMP) ## every recorded planted bug again, deep ones too, and 110,000 schedules of the unmodified code (hours)
	@$(BIN)/torture matrix --gate --deep --jobs $(JOBS)
	@$(BIN)/torture simulate --runs 10000 --jobs $(JOBS) --seed "$$(date +%s)"
	@$(BIN)/torture simulate --runs 100000 --jobs $(JOBS) --seed "$$(date +%s)" $(SHORT)

power: $(STAMP) ## events to a kill: the portfolio against a Jepsen-style nemesis, two ways (about two hours)
	@$(BIN)/torture matrix --power --write --budget 100 --trials 2 --jobs $(JOBS) --state store/power.jsonl

clean: ## remove the virtual environment and caches; runs in store/ stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
