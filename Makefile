# Everything runs in .venv; Python >= 3.11 and make are all that is needed.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
AUDIT := .venv-audit

.PHONY: help install demo run test test-newer lint audit openapi bench crashpoints chaos
help: ## What there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Install what is pinned into .venv

$(STAMP): requirements.txt requirements-dev.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sitrep needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	@touch $(STAMP)

demo: $(STAMP) ## The whole product, without a key or a service, on http://127.0.0.1:$PORT (3001)
	@exec $(BIN)/python -m scripts.demo

run: $(STAMP) ## The one-machine service, with your own .env and key
	@exec $(BIN)/python -m scripts.run

test: $(STAMP) ## The whole suite, on SQLite and, where they answer, on PostgreSQL and Redis
	@exec $(BIN)/python -m tests

test-newer: $(STAMP) ## The quick part of it on Python 3.13 too, in .venv-3.13, where that is installed
	@exec $(BIN)/python -m tests.newer_python

lint: $(STAMP) ## Style, import rules, missing migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	@APP_ENV=production FRONTEND_URL=https://sitrep.example DATABASE_URL=postgresql://nobody@127.0.0.1/none \
		DJANGO_SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))') \
		$(BIN)/python manage.py check --deploy --fail-level WARNING

audit: $(AUDIT)/.installed ## Looks for known vulnerabilities in what is pinned; says so without a connection
	@$(AUDIT)/bin/python -m scripts.audit

$(AUDIT)/.installed: requirements-audit.txt
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-audit.txt
	@touch $@

openapi: $(STAMP) ## Writes docs/openapi.yaml anew, after a change of the API
	@$(BIN)/python manage.py spectacular --file docs/openapi.yaml --validate --fail-on-warn

bench: $(STAMP) ## The measurements in benchmarks/
	@for module in $(basename $(notdir $(wildcard benchmarks/[a-z]*.py))); do \
		echo "== $$module"; $(BIN)/python -m benchmarks.$$module || exit 1; \
	done

crashpoints: $(STAMP) ## Kills the worker at every boundary of a simulation's life; about half an hour
	@exec $(BIN)/python -m tests.crashpoints

chaos: $(STAMP) ## The soak under random faults: N MINUTES SEED WEBHOOKS=1 CONTROL=fencing|gate|sweep
	@exec $(BIN)/python -m tests.chaos $(if $(N),--simulations $(N)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(SEED),--seed $(SEED)) $(if $(WEBHOOKS),--webhooks) $(if $(CONTROL),--control $(CONTROL))
