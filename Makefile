# Two commands on a fresh machine: `make demo` and `make test`.
VENV ?= .venv
PYTEST_FLAGS ?=
# a worker for each core; a file's tests stay together, because they share fixtures
PYTEST_WORKERS ?= -n auto --dist loadfile
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := emokit tests benchmarks setup.py

.PHONY: all install lint test test-slow test-gpu demo bench docs clean

all: lint test

install: $(STAMP)

# constraints.txt pins every version. PyPI's torchaudio is a CUDA build; beside a torch without
# CUDA its compiled part cannot load, and emokit needs only its Python part: remove it there.
$(STAMP): setup.cfg constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[interop,test]'
	$(BIN)/python -c "import torch; raise SystemExit(torch.version.cuda is None)" || \
	  rm -rf $$($(BIN)/python -c "import sysconfig; print(sysconfig.get_paths()['purelib'])")/torchaudio/lib
	touch $@

lint: $(STAMP)
	$(BIN)/python -m flake8 $(SOURCES)

# Tests on real recordings run where $EMOKIT_CORPORA is set, and are skipped otherwise.
test: $(STAMP) lint
	$(BIN)/python -m pytest -m "not slow and not gpu" $(PYTEST_WORKERS) $(PYTEST_FLAGS) --doctest-modules emokit tests

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m "slow and not gpu" $(PYTEST_FLAGS) tests

# Needs a CUDA device, and torch for it; skipped where there is none.
test-gpu: $(STAMP)
	$(BIN)/python -m pytest -m gpu $(PYTEST_FLAGS) tests

# The whole path on four synthetic corpora, or on the real ones below $EMOKIT_CORPORA.
demo: $(STAMP)
	PATH="$(abspath $(BIN)):$$PATH" sh docs/demo.sh demo

bench: $(STAMP)
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

docs: $(STAMP)
	$(BIN)/python -m emokit.cli.pages docs

clean:
	rm -rf demo build dist *.egg-info .pytest_cache .hypothesis
	find emokit tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
