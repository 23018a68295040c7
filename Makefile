# Genonaut Runbooks. `make` lists the targets; `make up` and `make test` set everything up themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LAB ?= .lab
# Tests wait for workers half of the time: three processes keep two cores busy.
JOBS ?= 3
# Material prints a notice about MkDocs 2 on every build; it says nothing about these pages.
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help setup up incident down status test elsewhere drill site serve reference picture lint format lock kernie-gen api-demo celery-demo clean

help: ## List the targets
	@sed -n 's/^\([a-z -]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: $(VENV)/.ready ## Create .venv with everything pinned in requirements.lock

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11. Name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@echo "Setting up $(VENV) (once, about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

up: site ## Start the lab (API 8001, mock 8189) and serve the site (8010); Ctrl-C stops all
	@$(BIN)/runbooks up --root $(LAB) --site site || test $$? = 130

incident: site ## The same in the incident's state: API on the new URL, worker on the old one
	@$(BIN)/runbooks up --root $(LAB) --site site --incident || test $$? = 130

down: setup ## Stop the lab, whatever became of the terminal that started it
	@$(BIN)/runbooks down --root $(LAB)

status: setup ## What runs, where, since when
	@$(BIN)/runbooks status --root $(LAB)

test: setup ## Run every test and every step of every page
	@$(BIN)/pytest -n $(JOBS) --markdown-docs

elsewhere: setup ## Try the page engine alone in a fresh environment, on somebody else's Markdown
	@$(BIN)/pytest -q tests/elsewhere/run.py

drill: setup ## Play the incident from symptom to cure in a lab of its own
	@$(BIN)/runbooks drill

site: setup ## Build the site into site/
	@$(BIN)/python docs/_gen/stamps.py
	@$(BIN)/mkdocs build --strict

serve: setup ## Serve the site on 8010 and rebuild it on every change
	@$(BIN)/python docs/_gen/stamps.py --none
	@$(BIN)/mkdocs serve --dev-addr 127.0.0.1:8010

reference: setup ## Write the generated reference pages anew
	@$(BIN)/python docs/_gen/reference.py
	@$(BIN)/python docs/_gen/errors.py
	@$(BIN)/python docs/_gen/http_api.py
	@$(BIN)/python docs/_gen/outline.py
	@$(BIN)/python docs/_gen/kernie.py

picture: setup ## Take the pictures of the site and of a terminal anew (needs Chromium)
	@$(BIN)/python docs/_gen/terminal.py
	@$(BIN)/python docs/_gen/screenshot.py

lint: setup ## Check style, types and spelling
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/codespell -D - -D tests/site/british.txt docs README.md CONTRIBUTING.md CHANGELOG.md benchmarks

format: setup ## Format the code
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .

lock: setup ## Resolve requirements.lock anew from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --quiet -o requirements.lock

kernie-gen api-demo celery-demo: setup ## Start one service of the lab by hand, as in a Genonaut checkout
	@test -f $(LAB)/Makefile || { echo "There is no lab in $(LAB) yet. Make one with: make up" >&2; exit 2; }
	@$(MAKE) --no-print-directory -C $(LAB) $@

clean: ## Remove what was built; the lab's folder stays
	rm -rf site build .pytest_cache .mypy_cache .ruff_cache
