# `make demo` is all a first visit needs: it makes .venv, installs the package there and runs the main job.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow check bench contracts clean

demo: $(VENV)/.installed
	$(BIN)/darkpool demo

test: $(VENV)/.installed
	$(BIN)/python -m pytest -q -m "not slow" -n auto --maxprocesses 4 --dist worksteal

test-slow: $(VENV)/.installed
	$(BIN)/python -m pytest -q -m slow

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.support.lines

bench: $(VENV)/.installed
	for bench in $$(grep -l '^if __name__' benchmarks/*.py); do \
		$(BIN)/python -m "benchmarks.$$(basename "$$bench" .py)" --output build/benchmarks || exit 1; \
	done

contracts: $(VENV)/.installed
	$(BIN)/python contracts/compile.py

clean:
	rm -rf $(VENV) build dist
	find crypto darkpool -name '*.nb[ic]' -delete

# The version is checked before anything is made; an environment of another version is made anew.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
VERSION := import sys; print(*sys.version_info[:2])

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c '$(SUPPORTED)' || { \
		echo "darkpool: expected Python 3.11 to 3.13, got $$($(PYTHON) --version 2>&1)." \
			"Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@test "$$($(BIN)/python -c '$(VERSION)' 2>&1)" = "$$($(PYTHON) -c '$(VERSION)')" \
		|| rm -rf $(VENV)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
