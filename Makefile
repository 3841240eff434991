# make repro   set up, run the whole pipeline, print the comparison and the verdict
# make study   the full study, 300 epochs and other seeds: long, resumable
# make test    set up, run the tests
# make check   set up, lint, format check, types
PYTHON ?= python3
VENV   := .venv
STAMP  := $(VENV)/.installed
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# BLAS and OpenMP stay on one thread: cells run side by side instead (docs/architecture.md).
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export DVC_NO_ANALYTICS := 1

.PHONY: repro study test check setup
.DELETE_ON_ERROR:

# All stages but `fetch` stand before these two; it runs where params.yaml asks for its data.
repro: $(STAMP)
	dvc repro score_segmentation predict package diagnose controls
	@fathom table
	@fathom why

study: $(STAMP)
	dvc repro score_segmentation predict package diagnose controls diagnose_study
	@fathom why --study

test: $(STAMP)
	pytest

check: $(STAMP)
	ruff check
	ruff format --check
	mypy

setup: $(STAMP)

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "fathom needs Python 3.11 or newer, and $(PYTHON) is `$(PYTHON) -V`: run 'make PYTHON=python3.11'"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
