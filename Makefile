# Everything here needs Python 3.11 to 3.13 and make; the first call builds .venv, later ones reuse it.
PYTHON ?= python3
SEED ?= 0
export OMP_NUM_THREADS ?= 2
export OMP_WAIT_POLICY ?= PASSIVE

RUN := .venv/bin
READY := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help demo docs test test-slow bench bench-gpu lint fix clean

help:  ## Show what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: $(READY)  ## Install what is needed and run the demonstration (SEED=1 for another seed)
	@rm -rf demo/seed-$(SEED)
	$(RUN)/segdoor demo --seed $(SEED) --out demo

# Not --quiet: mkdocs counts only those warnings that it prints.
docs: $(READY)  ## Build the docs site into build/site (open build/site/index.html)
	NO_MKDOCS_2_WARNING=1 $(RUN)/mkdocs build --strict

test: $(READY) lint  ## Install what is needed and run all checks and tests
	OMP_NUM_THREADS=1 $(RUN)/pytest -n 2 --dist loadgroup --no-loadscope-reorder -m "not slow and not gpu"

test-slow: $(READY)  ## Run the checks on real data and real training (SEGDOOR_CAMVID=folder)
	$(RUN)/pytest -m "slow" --timeout 3600

bench: $(READY)  ## Measure speed side by side with what limits it (docs/speed.md)
	$(RUN)/python -m benchmarks

bench-gpu: $(READY)  ## Measure rows 3 and 5 to 7 on a GPU within ten minutes (docs/speed.md)
	$(RUN)/python -m benchmarks.gpu

lint: $(READY) docs  ## Check style, types and architecture, and build the docs site
	$(RUN)/ruff format --check src tests docs benchmarks
	$(RUN)/ruff check src tests docs benchmarks
	$(RUN)/lint-imports --no-cache
	$(RUN)/basedpyright --threads 2

fix: $(READY)  ## Format the code and mend what can be mended mechanically
	$(RUN)/ruff check --fix src tests docs benchmarks
	$(RUN)/ruff format src tests docs benchmarks

clean:  ## Remove the environment and everything made
	rm -rf .venv demo runs build

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14) and "Python 3.11 to 3.13 is needed; set PYTHON=python3.12 or the like")'
	$(PYTHON) -m venv .venv
	$(RUN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@
