# What a person runs; `make` alone lists it. Everything that these install is locked, and nothing else installs anything.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup up down fmt check test synth plan deploy bench soak simulate docs bindings lock clean

ENV ?= local
BIN := .venv/bin
ROOT := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env)
export CHECKPOINT_DISABLE := 1
# Node 20 is among those supported here; `make setup` says once that its time is over, instead of jsii at every synth.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20

# Each stands for what was installed, inside of it: who removes the folder removes the stamp.
PYTHON := .venv/.installed
CHECKOV := .venv-checkov/.installed
NODE := node_modules/.installed
SUCCESSOR := .venv-cdktn/.installed tests/successor/node_modules/.installed
BINDINGS := stacks/bindings/aws/.generated

help: ## list these
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing here (system packages, Terraform) and the locked packages
	@scripts/system.sh
	@$(MAKE) --silent --no-print-directory --jobs 2 $(PYTHON) $(NODE) $(BINDINGS)
	@$(BIN)/python scripts/terraform.py

up: setup ## a running cluster on this machine: the twin, and the environment `local` deployed to it
	@scripts/up.sh $(ROOT)

down: $(PYTHON) ## end what `make up` made; leaves nothing
	@scripts/down.sh $(ROOT)

fmt: $(PYTHON) ## format, sort imports, and fix what ruff can fix
	@$(BIN)/ruff check --fix --quiet . && $(BIN)/ruff format --quiet .

check: $(PYTHON) $(CHECKOV) $(BINDINGS) ## lint, types, unit and synth tests, checkov, a minute of simulation; needs neither root nor Terraform
	@scripts/test.sh --part check --

test: setup $(CHECKOV) $(if $(filter successor,$(PART)),$(SUCCESSOR)) ## everything that tests, or a part: make test PART=unit|synth|simulation|terraform|successor|twin/faults|… [KEEP=1: the twin stays up]
	@scripts/test.sh $(if $(PART),--part $(PART)) $(if $(KEEP),--keep) -- $(ROOT)

synth: $(PYTHON) $(BINDINGS) ## the Terraform of one environment into cdktf.out: make synth ENV=prod
	@rm -rf cdktf.out/stacks/$(ENV)-*
	@HOLDFAST_ENVIRONMENTS=$(ENV) $(BIN)/python main.py
	@ls -d cdktf.out/stacks/$(ENV)-*

plan: setup ## what a deploy of one environment would do: make plan ENV=prod (docs/review.md)
	@$(BIN)/holdfast review $(ENV)

deploy: setup ## deploy one environment to its cloud: make deploy ENV=prod [YES=1: without asking]
	@source scripts/env.sh; HOLDFAST_ENVIRONMENTS=$(ENV) cdktf deploy '$(ENV)-*' $(if $(YES)$(filter local,$(ENV)),--auto-approve)

bench: setup ## measure, and write docs/benchmarks.md, docs/failover.md (about an hour; python -m bench.failover: five)
	@source scripts/env.sh; python -m bench.synth; python -m bench.review; $(ROOT) env "PATH=$$PATH" sh -c 'python -m bench.up && python -m bench.idle && \
		python -m bench.tls && python -m bench.failover --settings holdfast && python -m bench.failover --runs 1'

soak: setup ## every fault twenty times, over as many calls as it takes: make soak [ARGS="--minutes 30"] (docs/soak.md)
	@source scripts/env.sh; $(ROOT) env "PATH=$$PATH" python -m bench.soak $(ARGS)

simulate: $(PYTHON) ## break simulated clusters on all cores: make simulate SECONDS=60 [FIRST=seed], or play one schedule: make simulate SEED=7
	@PYTHONPATH=.:node $(BIN)/python -m tests.simulation $(if $(SECONDS),--seconds $(SECONDS)) $(if $(FIRST),--first $(FIRST)) $(if $(SEED),--seed $(SEED))

docs: $(PYTHON) ## write docs/cli.md and the matrix of README.md anew
	@PYTHONPATH=. $(BIN)/python scripts/docs.py

bindings: setup ## cut the provider's schema anew after a change of stacks/bindings/resources.txt, and generate
	@source scripts/env.sh; PYTHONPATH=. python scripts/schema.py
	@$(MAKE) --silent --no-print-directory $(BINDINGS)

lock: ## resolve the Python packages anew after a change of pyproject.toml: make lock [UPGRADE=--upgrade]
	@scripts/lock.sh $(UPGRADE)

clean: down ## remove what was installed and generated here
	@rm -rf .venv .venv-checkov .venv-cdktn node_modules tests/successor/node_modules stacks/bindings/aws cdktf.out .holdfast

$(PYTHON): requirements.lock pyproject.toml
	@echo "Python packages into .venv"
	@python=$$(scripts/python.sh); "$$python" -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-index --no-build-isolation --editable .
	@touch $@

$(CHECKOV): requirements-checkov.lock
	@echo "checkov into .venv-checkov"
	@python=$$(scripts/python.sh); "$$python" -m venv .venv-checkov
	@.venv-checkov/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
		-r requirements-checkov.lock
	@touch $@

# The part `successor` of the tests alone needs these two.
.venv-cdktn/.installed: requirements-cdktn.lock
	@echo "cdktn into .venv-cdktn"
	@python=$$(scripts/python.sh); "$$python" -m venv .venv-cdktn
	@.venv-cdktn/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
		-r requirements-cdktn.lock
	@touch $@

tests/successor/node_modules/.installed: tests/successor/package-lock.json tests/successor/package.json
	@echo "cdktn-cli into tests/successor/node_modules"
	@npm ci --prefix tests/successor --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

$(NODE): package-lock.json package.json
	@echo "npm packages into node_modules"
	@scripts/node.sh
	@touch $@

$(BINDINGS): $(wildcard stacks/bindings/aws@*.json) scripts/bindings.sh package-lock.json | $(NODE)
	@echo "bindings of the AWS provider into stacks/bindings/aws"
	@scripts/bindings.sh
	@touch $@
