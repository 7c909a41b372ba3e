# Everything sets itself up: Python 3.11 or newer and make are all that a machine needs.
#
#   make demo    review the recorded site, ending in a report
#   make test    all tests that this machine can run; what it cannot run is listed
#   make check   style, types, import rules, documentation
#   make bench   benchmarks, each with its ratio to a peer in the same run
#   make lab     record a site of real training and inference (root, Linux; see docs/lab.md)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
# Continuous integration sets these: PIP_FLAGS=--no-compile saves half of the installation, WITH names more packages, and BUT leaves
# out tests that `make check` has just run.
PIP_FLAGS ?=
WITH ?=
BUT ?=
# Real training and serving in namespaces: they need all cores for themselves, and run before the others.
ALONE := tests/lab/test_lab.py tests/lab/test_trials_bench.py
# Gateways and daemons that are watched for seconds: they wait more than they work, so they run beside the others, and before them.
WAITING := tests/enforce/test_gateway.py tests/enforce/test_loading.py tests/lab/test_gateway_on_the_bench.py
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS)

.PHONY: demo test check bench lab clean

$(VENV)/.core: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, not " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	touch $@

$(VENV)/.dev: $(VENV)/.core
	$(INSTALL) -e '.[dev]' $(WITH)
	touch $@

$(VENV)/.lab: $(VENV)/.core
	$(INSTALL) torch==2.13.0
	touch $@

demo: $(VENV)/.core
	$(BIN)/inspectorate demo

test: $(VENV)/.dev
	failed=0; said=$$(mktemp); \
	$(BIN)/python -m pytest $(ALONE) || failed=1; \
	nice -n -10 $(BIN)/python -m pytest $(WAITING) >$$said 2>&1 & waiting=$$!; \
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ALONE:%=--ignore=%) $(WAITING:%=--ignore=%) $(BUT) || failed=1; \
	wait $$waiting || failed=1; \
	cat $$said; rm $$said; \
	exit $$failed

check: $(VENV)/.dev
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	failed=0; \
	$(BIN)/mypy & types=$$!; \
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile tests/architecture/test_imports.py tests/architecture/test_habits.py tests/cli/test_documents.py || failed=1; \
	wait $$types || failed=1; \
	exit $$failed

bench: $(VENV)/.dev
	$(BIN)/python -m bench

lab: $(VENV)/.lab
	$(BIN)/inspectorate lab record --out out/lab-site

clean:
	rm -rf $(VENV) out .pytest_cache .mypy_cache .ruff_cache
