# make course   install into .venv, run every chapter, print the claim table
# make test     install what tests need, run unit tests, lints and the notebooks' checked outputs
# make test-backends   run the unit tests on JAX and on PyTorch in place of TensorFlow
# make test-classroom  nbgrader with a class of thirty; the course installed from its bundle
# make bench    time the course beside what people do today: docs/benchmarks.md; 20 minutes
# make site     the course as web pages, in build/site; they load nothing from elsewhere
# make lab      open JupyterLab on the notebooks
# make lint     ruff, and the rules that a stored notebook keeps
# make clean    remove .venv and what tools leave behind; runs/ stays
#
# Variables: PYTHON (which interpreter makes .venv), PROFILE (quick or full), SEED,
#            BACKENDS (of Keras, for test-backends: tensorflow, jax, torch),
#            JOBS (chapters, or test files, at once; 1 where you want to time a chapter).

PROFILE ?= quick
SEED ?= 0
BACKENDS ?= jax torch
VENV := .venv
BIN := $(VENV)/bin
# A notebook's cells must stay together.
JOBS ?= 2
PARALLEL = --numprocesses $(JOBS) --dist loadfile
# pip warns of a newer pip and asks the index for it; the course needs neither.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --constraint constraints.txt
INPUTS := pyproject.toml constraints.txt

.PHONY: help course test test-backends test-classroom bench site lab lint clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# make/make/p' Makefile

course: $(VENV)/.course
	$(BIN)/tlcourse run --profile $(PROFILE) --seed $(SEED) --jobs $(JOBS)

test: $(VENV)/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest $(PARALLEL) tests tlcourse --doctest-modules
	$(BIN)/python -m pytest $(PARALLEL) --nbval-lax --nbval-current-env --nbval-cell-timeout 900 \
		-p no:python -p no:doctest notebooks

# On Linux, pip's usual index has PyTorch only with CUDA, more than 2 GB. Any build of the pinned
# version will do: where pip finds one without CUDA, it takes that one, and nothing else changes.
test-backends: $(BACKENDS:%=$(VENV)/.backend-%)
	@for backend in $(BACKENDS); do \
		echo "Unit tests on $$backend"; \
		KERAS_BACKEND=$$backend $(BIN)/python -m pytest $(PARALLEL) tests tlcourse --doctest-modules \
			--ignore tests/test_notebooks_lint.py || exit; \
	done

test-classroom: $(VENV)/.classroom
	$(BIN)/tlcourse bundle build/bundle --extra classroom
	TLCOURSE_BUNDLE=build/bundle $(BIN)/python -m pytest tests/classroom

# On a machine that does nothing else, and from a clean tree: the table names its commit.
bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

site: $(VENV)/.site
	$(BIN)/python docs/make_site.py build/site
	TLCOURSE_SITE=build/site $(BIN)/python -m pytest --quiet tests/test_site.py
	@echo "Open build/site/index.html"

lint: $(VENV)/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest --quiet tests/test_notebooks_lint.py

lab: $(VENV)/.course
	$(BIN)/tlcourse lab

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An empty stamp says that the install of today's pyproject.toml and constraints.txt is complete.
# With it in place, nothing here touches the network.
$(VENV)/.course: $(INPUTS) | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.tests: $(INPUTS) | $(BIN)/python
	$(PIP) --editable '.[tests]'
	@touch $@ $(VENV)/.course

$(VENV)/.backend-tensorflow: $(VENV)/.tests
	@touch $@

$(VENV)/.backend-%: $(INPUTS) | $(BIN)/python
	$(PIP) --editable '.[tests,$*]'
	@touch $@ $(VENV)/.tests $(VENV)/.course

$(VENV)/.classroom: $(INPUTS) | $(BIN)/python
	$(PIP) --editable '.[tests,classroom]'
	@touch $@ $(VENV)/.tests $(VENV)/.course

$(VENV)/.site: $(INPUTS) | $(BIN)/python
	$(PIP) --editable '.[tests,site]'
	@touch $@ $(VENV)/.tests $(VENV)/.course

$(VENV)/.bench: $(INPUTS) | $(BIN)/python
	$(PIP) --editable '.[openvino]'
	@touch $@ $(VENV)/.course

$(BIN)/python:
	@python=$$(sh .ci/find-python $(PYTHON)) && echo "Making $(VENV) with $$python" && \
		"$$python" -m venv $(VENV)
