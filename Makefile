# On a new machine: Linux on x86_64, Rust (rustup), Python 3.11 or newer, make and
# curl. Everything else is installed by name into .venv and target.
.DEFAULT_GOAL := help
SHELL := /bin/bash

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
# sam finds cargo-lambda, and cargo-lambda finds zig, on the PATH.
export PATH := $(abspath $(VENV))/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

# The functions hold no path of the machine that built them: of two builds each byte is equal. (RUSTFLAGS would
# take the place of cargo-lambda's own flags, which choose the processor.)
CARGO_HOME ?= $(HOME)/.cargo
REMAPPED := --remap-path-prefix=$(CURDIR)=/source --remap-path-prefix=$(CARGO_HOME)=/cargo
# Of what is built and packaged: x86_64 or arm64, by default this machine's.
ARCHITECTURE := $(if $(filter aarch64,$(shell uname -m)),arm64,x86_64)

# Lists in samconfig.toml need SAM CLI 1.152, Rust without a flag for beta features 1.156.
OLDEST_SAM := 1.156

.PHONY: help demo up down build package reproduce upgrade notes collect test bench load advisories fuzz docs lint fmt clean checked-sam

help: ## Show the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Run the whole recipe on a local cloud, in two accounts, and show that it holds
	@$(PYTHON) -m tests.demo demo

up: $(READY) ## As demo, but leave the local cloud running, with lines to paste
	@$(PYTHON) -m tests.demo up

down: $(READY) ## Stop what `make up` left running
	@$(PYTHON) -m tests.demo down

build: $(READY) checked-sam ## Build both functions for Lambda
	CARGO_BUILD_RUSTFLAGS="$(REMAPPED)" sam build --parameter-overrides Architecture=$(ARCHITECTURE)

checked-sam: $(READY)
	@found=$$(sam --version | sed 's/.*version //'); \
	printf '%s\n' "$(OLDEST_SAM)" "$$found" | sort --check=quiet --version-sort || { \
	  echo "SAM CLI $$found is too old: install $(OLDEST_SAM) or newer, or let make install it into $(VENV)"; exit 1; }

package: build ## Put what a release hands out into dist: zips, a template that needs no build, checksums
	@$(PYTHON) -m release.package --architecture $(ARCHITECTURE)

reproduce: $(READY) ## Build and package again in another folder: each byte must be equal (some minutes)
	@$(PYTHON) -m release.reproduce

upgrade: build ## Upgrade from FROM, a tag or commit, on the local cloud, while callers are served
	@$(PYTHON) -m release.upgrade $(FROM)

# For the release workflow; these two need no tools but Python.
notes:
	@python3 -m release.version --tag $(TAG)
collect:
	@python3 -m release.package --collect $(FROM)

test: $(READY) target/scan-venv/.ready ## Run every check: lints, Rust tests, end-to-end tests, template lints
	@$(PYTHON) -m tests.run $(if $(ONLY),--only $(ONLY))

bench: $(READY) target/bench-venv/.ready ## Measure the invoker beside a floor, a no-op and Python (some minutes)
	@$(PYTHON) -m tests.bench

docs: $(READY) ## Write docs/api.md from openapi.yaml
	@$(PYTHON) -m tests.docs.api

load: build ## Let 64 environments of the invoker meet every kind of fault (some minutes)
	@$(PYTHON) -m tests.load

advisories: $(READY) ## Ask RustSec's database for advisories about the crates (needs github.com)
	cargo-deny --locked check --hide-inclusion-graph advisories

fuzz: $(READY) ## Search the parsers for inputs that break them, 60 s each (needs a C++ compiler)
	@$(PYTHON) -m tests.fuzz

lint: $(READY) target/scan-venv/.ready ## Run the lints alone
	@$(PYTHON) -m tests.run --only lint

fmt: $(READY) ## Format Rust and Python
	cargo fmt --all
	ruff format .
	ruff check --fix .

clean: ## Remove what was built and installed
	rm -rf target .aws-sam dist $(VENV)

# The local cloud runs the functions as they are deployed, as processes of this machine.
# requirements.txt is a whole lock: nothing is resolved.
$(READY): requirements.txt
	@case "$$(uname -sm)" in "Linux x86_64" | "Linux aarch64") ;; *) echo "this needs Linux, not $$(uname -sm)"; exit 1 ;; esac
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.txt
	@touch $@

# What the bench compares with: the recipe's Python on AWS's runtime client.
target/bench-venv/.ready: tests/bench/python/requirements.txt
# The scanners whose dependencies are not those of .venv.
target/scan-venv/.ready: tests/security/requirements.txt
target/bench-venv/.ready target/scan-venv/.ready:
	python3 -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

# What the CDK example needs, with a Node.js of its own.
target/cdk-venv/.ready: examples/cdk/requirements.txt
	python3 -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

# What the recipes of docs/calling.md need.
target/clients-venv/.ready: tests/e2e/clients/requirements.txt
	python3 -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes --no-deps -r $<
	@touch $@
target/javascript/.ready: tests/e2e/javascript/package.json tests/e2e/javascript/package-lock.json
	mkdir -p $(@D)
	cp $^ $(@D)
	cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
