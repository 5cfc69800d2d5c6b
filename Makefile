# make demo   train, convert, simulate, measure, compare, report
# make test   lint, types and the fast tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS ?= train,sweep,tensorboard,nir,digits,audio,speech,test,lint
PYTEST := $(BIN)/python -m pytest -q

.PHONY: demo install test test-slow test-without-torch test-frameworks test-peers test-lauscher lint clean
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

# Simulating, measuring and comparing need no torch. A CUDA program is built there too, if nvcc is there.
test-without-torch: EXTRAS = cuda,nir,test
test-without-torch: install
	$(PYTEST) -m "not slow and not torch" --ignore=cortexsnn/training --ignore=cortexsnn/experiment.py \
		--ignore=cortexsnn/datasets/sound

# snnTorch and Norse have an environment of their own.
test-frameworks: VENV = .venv-frameworks
test-frameworks: BIN = .venv-frameworks/bin
test-frameworks:
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -c constraints-frameworks.txt \
		snntorch norse -e ".[nir,data,test]"
	$(BIN)/python -m pytest -q tests/frameworks tests/docs/test_exchange_page.py tests/parity/test_tonic.py

# The estimators of others, and the objects that hold recordings, have one too.
test-peers: VENV = .venv-peers
test-peers: BIN = .venv-peers/bin
test-peers:
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -c constraints-peers.txt \
		mrestimator elephant statsmodels neo pynapple pynwb specparam -e ".[test]"
	$(BIN)/python -m pytest -q tests/peers tests/docs/test_timescales_pages.py

# The inner-ear model beside the program of its authors, which takes minutes.
test-lauscher: install
	test -x .venv-lauscher/bin/python || $(PYTHON) -m venv .venv-lauscher
	.venv-lauscher/bin/python -m pip install --disable-pip-version-check -q lauscher==1.0.1
	$(PYTEST) tests/parity/test_lauscher.py

clean:
	rm -rf $(VENV) .venv-frameworks .venv-peers .venv-lauscher build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
