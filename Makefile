# Each target works first on a fresh machine: it makes the environment that it needs, then does its job.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin

.PHONY: quickstart test bench lint types check clean

quickstart: $(VENV)/installed  ## train a small model from text to one that answers, and its report
	$(BIN)/nanogen run quickstart

test: $(VENV)/developing       ## the whole suite
	$(BIN)/python -m pytest -n auto

bench: $(VENV)/installed       ## how fast this machine trains, decodes, compiles and starts, beside the last time
	$(BIN)/nanogen bench

lint: $(VENV)/developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/developing
	$(BIN)/pyright --pythonpath $(BIN)/python

check: test lint types         ## all that a change must pass

clean:                         ## the environment and caches; runs/ stays
	rm -rf $(VENV) .pytest_cache .ruff_cache build dist *.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e .
	touch $@

$(VENV)/developing: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@ $(VENV)/installed
