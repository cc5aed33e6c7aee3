# Two commands on a fresh machine: `make demo` and `make test`.
VENV ?= .venv
PYTEST_FLAGS ?=
BENCH_FLAGS ?=
# a worker for each core; a file's tests stay together, because they share fixtures
PYTEST_WORKERS ?= -n auto --dist loadfile --max-worker-restart 0
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := emokit tests benchmarks setup.py

.PHONY: all install lint test test-slow test-gpu demo bench bench-gpu docs clean

all: lint test

install: $(STAMP)

# constraints.txt pins every version. PyPI's torchaudio is a CUDA build; beside a torch without
# CUDA its compiled part cannot load, and emokit needs only its Python part: remove it there.
$(STAMP): setup.cfg constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[interop,ssl,test]'
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

# The speed table of docs/performance.md, a row a script; BENCH_FLAGS=--quick only tries them.
bench: $(STAMP)
	$(BIN)/python benchmarks/table.py $(BENCH_FLAGS)

# What a GPU reaches; needs a CUDA device, and torch for it.
bench-gpu: $(STAMP)
	$(BIN)/python benchmarks/gpu_training.py
	$(BIN)/python benchmarks/training_speed.py --device cuda --files 1440 --batch 256
	$(BIN)/python benchmarks/adapter_step.py --device cuda --width 32 --stride 1 --batch 256
	$(BIN)/python benchmarks/head_epoch.py --device cuda --preset base
	$(BIN)/python benchmarks/profile_step.py --device cuda --preset base

docs: $(STAMP)
	$(BIN)/python -m emokit.cli.pages docs

clean:
	rm -rf demo build dist *.egg-info .pytest_cache .hypothesis
	find emokit tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
