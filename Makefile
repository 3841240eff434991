# make repro   set up, run the whole pipeline, print the comparison, the verdict, where the report is
# make verify  run the pipeline, and compare what it wrote with what was committed
# make test    set up, run the tests but the heavy ones
# make test-fast, make test-long   the quick ones of them; the heavy ones alone
# make check   set up, lint, format check, types
# make bench   set up, measure every speed again (22 minutes, idle), write docs/performance.md
# make docs    set up, write the pages that come from the code, build the site in site/
# make plots   DVC's plots as a page that needs no network: dvc_plots/index.html
# make experiments   branches and experiments of DVC side by side, in few columns
PYTHON ?= python3
VENV   := .venv
STAMP  := $(VENV)/.installed
# Python compiles a module when it is first imported: compiling all of them takes as long as the rest.
PIP    := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile
# Containers often set this: each of the many processes would then compile torch anew.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# BLAS and OpenMP stay on one thread: tests, like cells, run side by side instead.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export DVC_NO_ANALYTICS := 1

# The columns of metrics/headline.json: shown always, the params where they differ.
HEADLINE := best_network|classifier|failed_networks|first_network|test_nuclei

.PHONY: repro verify test test-fast test-long check bench docs plots experiments setup
.DELETE_ON_ERROR:

# A row of params.yaml that no stage could be made of is said before any work.
# What an earlier run left that was killed is mended first.
repro: $(STAMP)
	@fathom recover
	@fathom runs > /dev/null
	dvc repro
	@fathom table
	@fathom why
	@echo "The report, all of this on one page: report/index.html"

verify: $(STAMP)
	@fathom recover
	dvc repro
	@fathom verify

test: $(STAMP)
	pytest

test-fast: $(STAMP)
	pytest -m "not long and not slow"

test-long: $(STAMP)
	pytest -m long

check: $(STAMP)
	ruff check
	ruff format --check
	mypy

bench: $(STAMP)
	python benchmarks/bench.py

docs: $(STAMP)
	python docs/reference.py
	sphinx-build --quiet --fail-on-warning --nitpicky docs site
	@echo "site/index.html"

plots: $(STAMP)
	@mkdir -p dvc_plots
	@python -c 'import vl_convert; print(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", "5.20"))' > dvc_plots/vega.js
	@dvc plots show --out dvc_plots

experiments: $(STAMP)
	@dvc exp show --all-branches --only-changed --drop 'Created|State|Executor' --keep '$(HEADLINE)'

setup: $(STAMP)

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "fathom needs Python 3.11 or newer, and $(PYTHON) is `$(PYTHON) -V`: run 'make PYTHON=python3.11'"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --requirement requirements.txt
	$(PIP) --no-deps --editable .
	@touch $@
