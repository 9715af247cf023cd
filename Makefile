# The two commands a newcomer needs: `make demo` and `make test`. Both share one .venv, installed from requirements.lock.
PYTHON ?= $(shell for v in 3.13 3.12 3.11 3.14; do command -v python$$v >/dev/null 2>&1 && python$$v -c 'import venv, ensurepip' >/dev/null 2>&1 && { echo python$$v; exit; }; done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test exhaustive lint types imports definitions unit lock clean
.DEFAULT_GOAL := demo

demo: $(INSTALLED)
	@$(BIN)/cloudify demo

# The tests wait for servers now and then, and the type checker does not: side by side they need less time than in turn.
test: $(INSTALLED)
	@$(MAKE) --no-print-directory -j2 lint types imports definitions unit

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports

definitions: $(INSTALLED)
	$(BIN)/python -m cloudify_pipeline.orchestration.validate -w workspace.yaml

unit: $(INSTALLED)
	$(BIN)/pytest -n 3 --dist worksteal -m "not exhaustive"

# Every operation killed at every point, thousands of orders of events, ten thousand invoices: what CI runs besides.
exhaustive: $(INSTALLED)
	$(BIN)/pytest -n 3 --dist worksteal -m exhaustive

# Every version is pinned with its hash; nothing outside the lock is asked for.
$(INSTALLED): requirements.lock pyproject.toml setup.cfg
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Try: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (about a minute the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation --editable .
	@touch $@

# Needs uv (any recent one); constraints.txt holds the pins that no resolver finds by itself.
lock:
	uv pip compile pyproject.toml --group dev --constraint constraints.txt --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) .cloudify build dist *.egg-info
