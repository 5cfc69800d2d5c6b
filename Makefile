# make demo   train, convert, simulate, measure, compare, report
# make test   lint, types and the fast tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS ?= train,sweep,tensorboard,test,lint
PYTEST := $(BIN)/python -m pytest -q

.PHONY: demo install test test-slow test-without-torch lint clean
.DELETE_ON_ERROR:

demo: install
	$(BIN)/cortexsnn demo

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("cortexsnn needs Python >= 3.11, this is %d.%d; try make PYTHON=python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"
	touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(PYTEST) -m "not slow"

test-slow: install
	$(PYTEST) -m "slow" --durations=15

# Simulating, measuring and comparing need no torch.
test-without-torch: EXTRAS = test
test-without-torch: install
	$(PYTEST) -m "not slow and not torch" --ignore=cortexsnn/training --ignore=cortexsnn/experiment.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
