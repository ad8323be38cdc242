# How Do Vision Transformers Work? A benchmark and reproduction suite.
# Every target installs what it needs into .venv first.

PYTHON      ?= python3
PROFILE     ?= quick
CONSTRAINTS ?= constraints.txt

# Where results go if RESULTS does not say: a subject's have a folder of their own, as in harness/options.py.
FOLDER := $(or $(RESULTS),results/$(basename $(notdir $(PROFILE)))$(if $(SUBJECT),-$(lastword $(subst :, ,$(SUBJECT))))$(if $(UNTRAINED),-untrained))
BIN    := .venv/bin
PYTEST := $(BIN)/python -m pytest claims/ --profile $(PROFILE) \
          $(if $(K),-k '$(K)') $(if $(CLAIM),--claim '$(CLAIM)') $(if $(DATA),--data-root '$(DATA)') $(if $(ENGINE),--engine $(ENGINE)) \
          $(if $(SEEDS),--seeds $(SEEDS)) $(if $(UNTRAINED),--untrained) \
          $(if $(BUDGET),--budget $(BUDGET)) $(if $(DEVICE),--device $(DEVICE)) $(if $(JOBS),--jobs $(JOBS)) \
          $(if $(RESULTS),--results '$(RESULTS)') $(if $(STORE),--store '$(STORE)') \
          $(if $(SUBJECT),--subject '$(SUBJECT)') $(if $(CHECKPOINT),--checkpoint '$(CHECKPOINT)')

# Ray is installed only where it is asked for: it is large.
READY := .venv/installed $(if $(filter ray,$(ENGINE)),.venv/ray)

.PHONY: help reproduce plan report doctor test bench lint clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
	@echo 'Variables: PROFILE=quick K=lowpass CLAIM=L1,F2 DATA=/data ENGINE=ray RAY_ADDRESS=host:6379 BUDGET=50m DEVICE=cpu JOBS=2'
	@echo '           RESULTS=dir STORE=dir SEEDS=3 UNTRAINED=1 SUBJECT=path/to/file.py:factory CHECKPOINT=file PYTHON=python3.12'
	@echo '           CONSTRAINTS=constraints-oldest.txt (another set of versions, for a new .venv)'

# A contradicted claim is a result, not a failure: pytest's status 1. Anything else above 0 is a fault, or no verdict.
reproduce: $(READY) ## run the claims of PROFILE and write results/$(PROFILE)/report.html
	@$(PYTEST) -rs || [ $$? -eq 1 ]

plan: $(READY) ## what `make reproduce` would compute, and what it would cost
	@$(PYTEST) --plan

report: .venv/installed ## rebuild the report from the evidence
	@$(BIN)/python -m harness report '$(FOLDER)'

doctor: .venv/installed ## what this machine has and lacks: versions, GPU, disk, data, each profile
	@$(BIN)/python -m harness doctor $(if $(DATA),--data-root '$(DATA)') $(if $(STORE),--store '$(STORE)')

# Benchmarks are none of these: pytest-benchmark turns itself off where tests run side by side.
test: .venv/testing ## unit and property tests, one process a core
	$(BIN)/python -m pytest -p no:benchmark -n auto --maxprocesses 8 --dist worksteal

bench: .venv/installed ## benchmarks
	$(BIN)/python -m pytest harness/benchmarks --benchmark-only

lint: .venv/linting ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean: ## remove the environment; results stay
	rm -rf .venv

# pip would compile all of torch's and scipy's thousands of modules, which takes as long as unpacking them. What is
# imported is compiled once, here, even where the environment says to keep no bytecode; models.foreign brings timm, also
# beside a torch for CPUs only.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint $(CONSTRAINTS) --editable

.venv/installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, not " + sys.version.split()[0])'
	$(PYTHON) -m venv .venv
	$(PIP) .
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -c 'import matplotlib.pyplot, pandas, scipy.stats, models.foreign'
	@touch $@

.venv/ray: .venv/installed
	$(PIP) '.[ray]'
	@touch $@

.venv/testing: .venv/installed
	$(PIP) '.[test]'
	@touch $@

.venv/linting: .venv/installed
	$(PIP) '.[lint]'
	@touch $@
