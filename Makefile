# What a checkout can do. Needs Python 3.11 or later and make, nothing else; `make help` lists it.
# Paths are relative throughout, so a checkout may lie in a folder of any name.

.DEFAULT_GOAL := help
.PHONY: help setup demo test serve lint peers stalls rollout drifts lint-tools constraints clean

# python3 if it is new enough, else the newest that is: make setup PYTHON=/opt/python/bin/python3.13
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11
ifeq ($(strip $(PYTHON)),)
PYTHON := $(shell for python in $(CANDIDATES); do \
	if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then command -v "$$python"; break; fi; done)
endif
PORT ?= 8000
ARGS ?=

BOOTSTRAP = @test -n "$(PYTHON)" || { echo "No Python 3.11 or later was found \
	(install one, or say where it is: make $@ PYTHON=/path/to/python3)" >&2; exit 3; }; \
	"$(PYTHON)" infra/bootstrap.py
RUN = .venv/bin/python

help:
	@echo "make demo         adopt a legacy database and verify its signals, on an embedded PostgreSQL"
	@echo "make serve        the admin on http://127.0.0.1:8000/admin/ (another port: PORT=8001)"
	@echo "make test         all tests (some of them: ARGS='tests/demo -x')"
	@echo "make lint         ruff and mypy"
	@echo "make peers        five tools on twelve wrong states of a database, side by side (docs/peers.md)"
	@echo "make stalls       how long others wait while seven tools make one change (docs/stalls.md)"
	@echo "make rollout      which tools keep two releases free of errors while a database changes (docs/rollout.md)"
	@echo "make lint-tools   four linters on good and bad migrations, side by side (docs/lint_tools.md)"
	@echo "make drifts       six tools on 74 drifts of a database, three on 100 more (docs/drifts.md)"
	@echo "make setup        only the virtual environment .venv, from the pins of constraints.txt"
	@echo "make constraints  pin the newest versions (needs uv)"
	@echo "make clean        stop the embedded PostgreSQL; remove it with its data, the environments and caches"
	@echo "PYTHON=…          the interpreter to use instead of $(or $(PYTHON),the missing python3)"

setup:
	$(BOOTSTRAP) setup

# Both are for the machine itself, whatever its environment says of a site. Exported here and not set
# in the line: make then starts Python itself, not in a shell, and whoever ends make ends Python too.
demo serve: export DEBUG := on

demo: setup
	@$(RUN) manage.py demo $(ARGS)

# One worker a core, each with a test database of its own (one process: ARGS=-n0). The last tests of
# a worker go to the next one that has none left.
test: setup
	@$(RUN) -m pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

serve: setup
	@$(RUN) manage.py serve $(PORT)

lint: setup
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

peers: setup
	$(BOOTSTRAP) peers
	@$(RUN) -m benchmarks.peers $(ARGS)

stalls: setup
	$(BOOTSTRAP) peers
	@$(RUN) -m benchmarks.stalls $(ARGS)

rollout: setup
	$(BOOTSTRAP) rollout
	@$(RUN) -m benchmarks.rollout $(ARGS)

drifts: setup
	$(BOOTSTRAP) peers
	@$(RUN) -m benchmarks.drifts $(ARGS)

lint-tools: setup
	$(BOOTSTRAP) peers
	@$(RUN) -m benchmarks.lint $(ARGS)

constraints:
	$(BOOTSTRAP) constraints

clean:
	$(BOOTSTRAP) clean
