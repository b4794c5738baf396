# Maskloop: `make run` starts the app, `make test` checks everything. `make help` lists the rest.

VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501
# The first of python3.11 and python3 that really is 3.11 (a pyenv shim may be there and not work).
PYTHON ?= $(shell for p in python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := help
.PHONY: help run test lint format bench clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.installed  ## install what is missing, start the app on 127.0.0.1 and open it (PORT=8501)
	@exec $(BIN)/streamlit run app.py --server.port $(PORT) $(if $(CI),--server.headless true)

test: lint  ## check style and types, run all tests
	@CHROMIUM="$$(.ci/chromium)" OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest

lint: $(VENV)/.installed-dev  ## check style and types only
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/.installed-dev  ## bring the code into the house style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.installed-dev  ## run the benchmarks, each prints a table
	@for file in benchmarks/[a-z]*.py; do \
		$(BIN)/python -m "benchmarks.$$(basename "$$file" .py)" || exit; done

clean:  ## remove the environment and the caches; projects are not touched
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/pip:
	@test -n "$(PYTHON)" || { echo "Maskloop needs Python 3.11; none was found. Install it, or name it: make run PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { echo "$(PYTHON) is not a Python 3.11. Name one: make run PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make environments. On Debian and Ubuntu: apt-get install python3.11-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# The stamps make a second start quick: nothing is installed again until the requirements change.
$(VENV)/.installed: requirements.txt | $(VENV)/bin/pip
	@echo "Installing the packages of requirements.txt; the first time takes some minutes."
	@$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing the packages of requirements-dev.txt."
	@$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@
