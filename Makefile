# The tasks of this repository; `make` alone lists them. They work in .venv, which they set
# up themselves: a bare machine needs only Python 3.11 or later and make.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-all check static browser bench fuzz crash-test load audit web web-serve docs \
	reference figures format lock clean

PYTHON ?= python3
IMAGE ?=
PHOTOS ?= 5000
# The address that the documentation links as its source; empty if the clone came from no web address.
REPOSITORY ?= $(filter https://%,$(shell git config --get remote.origin.url))
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CODE := src tests scripts examples benchmarks web
TOGETHER := -n auto --maxprocesses 4 --dist worksteal

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/base.stamp  ## Mark the faces of a sample photo; IMAGE=photo.jpg marks yours
	@$(BIN)/python examples/demo.py $(if $(IMAGE),"$(IMAGE)")

test: static browser  ## Every check that CI runs: format, lint, types, import contracts, all tests
	$(BIN)/python -m pytest $(TOGETHER) $(COVERED)

test-all: COVERED := --cov --cov-report=term
test-all: test docs  ## The above with coverage (half as long again), the site, the wheel in a fresh environment
	rm -rf build/wheel-test && mkdir -p build/wheel-test
	$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel-test .
	$(BIN)/python -m venv build/wheel-test/venv
	build/wheel-test/venv/bin/python -m pip install --quiet --require-hashes -r requirements/base.lock
	build/wheel-test/venv/bin/python -m pip install --quiet --no-deps build/wheel-test/*.whl
	cd build/wheel-test && venv/bin/facial-expressions --version -v && venv/bin/facial-expressions models verify

check: static  ## The same without the slow tests
	$(BIN)/python -m pytest $(TOGETHER) -m "not slow and not train and not network and not gpu"

static: $(VENV)/dev.stamp
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

# The tests of the page drive a real browser; without one they are skipped with a reason.
browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
			&& apt-get install -y -qq chromium chromium-driver >/dev/null; } \
		|| echo "No chromium with chromedriver here: the tests of the page will be skipped."

BENCHMARKS := import_time latency footprint detection peer peer_web peak video page training_speed same_labels batch_scaling against scale web

bench: $(VENV)/dev.stamp  ## Measure speed, memory and size into benchmarks/results/; PHOTOS=500 is shorter
	@for name in $(BENCHMARKS); do \
		echo "--- $$name"; \
		$(BIN)/python -m benchmarks.$$name $$([ $$name = batch_scaling ] && echo --photos $(PHOTOS)) || exit 1; \
	done
	@$(BIN)/python -m scripts.update_benchmarks --print

fuzz: $(VENV)/dev.stamp  ## Feed 20,000 corrupted images, 2,000 models, 2,000 names and 2,000 requests
	$(BIN)/python -m tests.trials.fuzz

crash-test: $(VENV)/dev.stamp  ## Kill training runs and saves, corrupt files: everything must come back
	$(BIN)/python -m tests.trials.crash_test

load: $(VENV)/dev.stamp  ## Load a server: burst, capacity, overload, slow clients, soak, stops (about 20 minutes)
	$(BIN)/python -m benchmarks.burst
	$(BIN)/python -m benchmarks.load

audit: $(BIN)/python  ## Compare the locked packages with known advisories (needs the internet)
	@$(PYTHON) -m venv build/audit
	@build/audit/bin/python -m pip --disable-pip-version-check install --quiet pip-audit
	build/audit/bin/pip-audit --strict --disable-pip --require-hashes \
		-r requirements/base.lock -r requirements/dev.lock

web: $(VENV)/serve.stamp  ## Build the page that needs no server into build/web (once: fetches from npm)
	@$(BIN)/python -m web.build

web-serve: $(VENV)/serve.stamp  ## The above, served on this machine and opened in the browser
	@$(BIN)/python -m web.build --serve

# Without the npm registry the documentation has a page that says how to build the other one.
docs: $(VENV)/dev.stamp  ## Build the documentation into site/, with the page to try; fails on broken links
	REPOSITORY_URL="$(REPOSITORY)" $(BIN)/python -m zensical build --strict --clean
	@! $(BIN)/python -m web.build || cp -R build/web/. site/try

reference: $(VENV)/dev.stamp  ## Generate docs/cli.md, docs/http.md and recipes from the program
	$(BIN)/python -m scripts.write_reference

figures: $(VENV)/dev.stamp  ## Write the measured figures into README, model card, index and benchmark pages
	$(BIN)/python -m scripts.update_figures
	$(BIN)/python -m scripts.update_benchmarks

format: $(VENV)/dev.stamp  ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-strip-extras --no-emit-index-url --custom-compile-command "make lock" --group build pyproject.toml

lock:  ## Resolve the lock files again (needs uv)
	$(LOCK) --upgrade --extra dev --output-file requirements/dev.lock >/dev/null
	$(LOCK) --upgrade --constraints requirements/dev.lock --output-file requirements/base.lock >/dev/null
	$(LOCK) --upgrade --constraints requirements/dev.lock --extra serve --output-file requirements/serve.lock >/dev/null

clean:  ## Remove .venv and everything that the tasks made
	rm -rf $(VENV) build dist site demo-output .coverage .mypy_cache .pytest_cache .ruff_cache \
		.hypothesis .import_linter_cache

# The environment. A stamp stands for a finished installation; the second run does nothing.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or later is needed; name one with: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv module is needed; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(VENV)/base.stamp: requirements/base.lock pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV) ..."
	@$(PIP) install --quiet --require-hashes -r requirements/base.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/serve.stamp: requirements/serve.lock pyproject.toml | $(VENV)/base.stamp
	@$(PIP) install --quiet --require-hashes -r requirements/serve.lock
	@touch $@

$(VENV)/dev.stamp: requirements/dev.lock pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV), with TensorFlow: about 3 GB ..."
	@$(PIP) install --quiet --require-hashes -r requirements/dev.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/base.stamp $(VENV)/serve.stamp
