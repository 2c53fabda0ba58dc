# Concord. `make demo` runs it, `make test` tests it. Everything lands in .venv, frontend/ and var/.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test test-deep test-long lint system clean benchmark peers
help:
	@echo "make demo             set up and run Concord with a phantom study (DICOM=path: with your own)"
	@echo "make test             set up and run tests and linters"
	@echo "make test-deep        whole Concords at work, hand by hand and fault by fault (CI runs it too)"
	@echo "make test-long        the long forms of the tests"
	@echo "make lint             ruff, mypy, import-linter, biome, types"
	@echo "make system           install Debian packages for the tests (needs root)"

$(VENV)/.made: requirements.txt
	@echo "[1/3] Python packages (a minute on a warm cache) …"
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install it, or run make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --requirement requirements.txt
	@touch $@

$(VENV)/.made-tests: requirements.txt requirements-test.txt requirements-nnunet.txt
	@echo "[tests] Python packages for tests and training …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet torch==2.13.0
	@$(BIN)/pip install --quiet --requirement requirements.txt --requirement requirements-test.txt
	@$(BIN)/pip install --quiet --no-deps --requirement requirements-nnunet.txt
	@touch $(VENV)/.made $@

FRONTEND_SOURCES := $(shell find frontend -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
frontend/node_modules/.made: frontend/package.json frontend/package-lock.json
	@echo "[2/3] npm packages …"
	@command -v npm >/dev/null || { echo "Node 20 with npm is needed: install it first"; exit 1; }
	@cd frontend && npm ci --silent --no-audit --no-fund
	@touch $@

frontend/dist/.made: frontend/node_modules/.made $(FRONTEND_SOURCES)
	@echo "[3/3] The viewer and the pages' scripts …"
	@cd frontend && npm run --silent vendor && npm run --silent build
	@touch $@

setup: $(VENV)/.made frontend/dist/.made

demo: setup
	@exec $(BIN)/python manage.py demo $(if $(DICOM),"$(DICOM)")

lint: $(VENV)/.made-tests frontend/node_modules/.made
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	cd frontend && npm run --silent lint && npm run --silent typecheck

# Most tests wait for processes: more of them side by side than there are cores, each part on a
# database server of its own; the tests of one file stay together.
AT_ONCE ?= 3
SHARED_OUT := -n $(AT_ONCE) --dist loadfile --no-loadscope-reorder --durations=40 --durations-min=5
test: $(VENV)/.made-tests setup lint
	cd frontend && npm test --silent
	$(BIN)/python -m pytest -m "not long and not deep" $(SHARED_OUT)

test-deep: $(VENV)/.made-tests setup
	$(BIN)/python -m pytest -m "deep and not long" $(SHARED_OUT)

test-long: $(VENV)/.made-tests setup
	$(BIN)/python -m pytest -m long
	$(BIN)/python -m pytest -m "not long" --hypothesis-profile=long tests/imaging tests/archive/test_plain_header.py \
		tests/reading/test_workflow.py tests/reading/test_agreement.py tests/reading/test_discrepancies.py

benchmark: $(VENV)/.made-tests setup
	$(BIN)/python manage.py benchmark $(NAME)

# nnU-Net in an environment of its own that borrows torch from ours; for `benchmark inference`.
peers: $(VENV)/.made-tests
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	@$(BIN)/python -c 'import site; print(site.getsitepackages()[0])' > .venv-peers/lib/python3.11/site-packages/ours.pth
	@.venv-peers/bin/pip install --quiet --no-deps --requirement requirements-peers.txt

system:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium orthanc orthanc-dicomweb dcmtk dicom3tools

clean:
	rm -rf $(VENV) frontend/node_modules frontend/dist
