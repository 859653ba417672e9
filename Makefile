# On a new machine: Linux on x86_64, Rust (rustup), Python 3.11 or newer, make and
# curl. Everything else is installed by name into .venv and target.
.DEFAULT_GOAL := help
SHELL := /bin/bash

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
# sam finds cargo-lambda, and cargo-lambda finds zig, on the PATH.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

.PHONY: help demo up down build test bench docs lint fmt clean

help: ## Show the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Run the whole recipe on a local cloud, in two accounts, and show that it holds
	@$(PYTHON) -m tests.demo demo

up: $(READY) ## As demo, but leave the local cloud running, with lines to paste
	@$(PYTHON) -m tests.demo up

down: $(READY) ## Stop what `make up` left running
	@$(PYTHON) -m tests.demo down

build: $(READY) ## Build both functions for Lambda (x86_64)
	sam build

test: $(READY) target/scan-venv/.ready ## Run every check: lints, Rust tests, end-to-end tests, template lints
	@$(PYTHON) -m tests.run

bench: $(READY) target/bench-venv/.ready ## Measure the invoker beside a floor, a no-op and Python (some minutes)
	@$(PYTHON) -m tests.bench

docs: $(READY) ## Write docs/api.md from openapi.yaml
	@$(PYTHON) -m tests.docs.api

lint: $(READY) target/scan-venv/.ready ## Run the lints alone
	@$(PYTHON) -m tests.run --only lint

fmt: $(READY) ## Format Rust and Python
	cargo fmt --all
	ruff format .
	ruff check --fix .

clean: ## Remove what was built and installed
	rm -rf target .aws-sam $(VENV)

# The local cloud runs the functions as they are deployed, as processes of this machine.
# requirements.txt is a whole lock: nothing is resolved.
$(READY): requirements.txt
	@[ "$$(uname -sm)" = "Linux x86_64" ] || { echo "this needs Linux on x86_64, not $$(uname -sm)"; exit 1; }
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.txt
	@touch $@

# What the bench compares with: the recipe's Python on AWS's runtime client.
target/bench-venv/.ready: tests/bench/python/requirements.txt
# The scanners whose dependencies are not those of .venv.
target/scan-venv/.ready: tests/security/requirements.txt
target/bench-venv/.ready target/scan-venv/.ready:
	python3 -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@

# What the CDK example needs, with a Node.js of its own.
target/cdk-venv/.ready: examples/cdk/requirements.txt
	python3 -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@
