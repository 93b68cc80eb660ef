# `make demo` runs the quickstart campaign; `make test` runs the tests. Each makes .venv if needed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# One process a core; the tests of a file share what is expensive to prepare. Those that take
# minutes, as kills and real queues do, are left out: `make test PYTEST_ARGS=` runs them too.
PYTEST_ARGS ?= -n auto --dist loadfile -m "not slow"

.PHONY: coverage demo docs test lint type format clean

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# One stamp a set of extras: installing again is only needed when the requirements changed.
$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/ssefw run workflows/quickstart.yaml --store demo
	@echo "The report is $(CURDIR)/demo/quickstart/report.html"

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# Which lines the tests reach: `make coverage PYTEST_ARGS="tests/analysis"` prints it of a part.
coverage: $(VENV)/.installed-test
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest $(PYTEST_ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --skip-covered --skip-empty --sort=cover

# The site; a warning, such as a link to nowhere, is an error. It fetches nothing.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "The site is $(CURDIR)/build/site/index.html"

lint: $(VENV)/.installed-test
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

type: $(VENV)/.installed-test
	$(BIN)/mypy

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

clean:
	rm -rf $(VENV) build *.egg-info demo
