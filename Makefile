# Everything done by hand goes through here; `make` alone lists it. Needs Python 3.10+ and bash.

VENV   ?= .venv
PYTHON ?= python3
# Which torch: a version, `cpu` (no CUDA) or `system` (the one that $(PYTHON) has).
# Unset: the one in $(VENV) if there is one, else the version in constraints.txt.
TORCH  ?=
# 0 leaves out the tests that need a real Slurm.
SLURM  ?= 1
# More arguments for pytest: make test ARGS="-k render"
ARGS   ?=

export VENV PYTHON TORCH SLURM
# Where it is set, Python would compile slurmkit anew in every process it starts.
unexport PYTHONDONTWRITEBYTECODE

bin := $(VENV)/bin

.PHONY: help demo test proof lint format bench docs slurm-up slurm-down wheel clean FORCE
.DELETE_ON_ERROR:

help:
	@echo 'make demo        install into $(VENV), then simulate jobs/all_reduce.yaml and jobs/finetune_tiny.yaml'
	@echo 'make test        every test but the proofs; as root it installs Slurm first (SLURM=0: without)'
	@echo 'make proof       the long repetitions and fault matrices'
	@echo 'make lint        ruff and mypy (make format: let ruff mend what it can)'
	@echo 'make bench       the speed bars, each a file under benchmarks/'
	@echo 'make docs        the docs site in build/site, with the pages that are made from the code'
	@echo 'make slurm-up    a real two-node Slurm on this machine, as root (make slurm-down: away with it)'
	@echo 'make wheel       dist/*.whl (make clean: remove it, and every cache)'
	@echo
	@echo 'PYTHON=python3.12  another interpreter      TORCH=cpu | system | 2.9.1  another torch'

demo: $(VENV)/.core
	$(bin)/slurmkit simulate jobs/all_reduce.yaml
	$(bin)/slurmkit simulate jobs/finetune_tiny.yaml
	@echo 'Next: . $(bin)/activate, and the quickstart in README.md.' >&2

test: $(VENV)/.dev
	@.ci/pytest 'not proof' $(ARGS)

proof: $(VENV)/.dev
	@.ci/pytest proof $(ARGS)

lint: $(VENV)/.dev
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy

format: $(VENV)/.dev
	$(bin)/ruff check --fix
	$(bin)/ruff format

bench: $(VENV)/.dev
	@failed=0; for file in benchmarks/[a-z]*.py; do $(bin)/python $$file || failed=1; done; exit $$failed

docs: $(VENV)/.dev
	$(bin)/python -m tests.docs.reference
	$(bin)/python -m tests.docs.listing
	@NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build --strict

slurm-up: $(VENV)/.dev
	$(bin)/python -m tests.testbed install
	$(bin)/python -m tests.testbed up

slurm-down: $(VENV)/.dev
	$(bin)/python -m tests.testbed down

wheel: $(VENV)/.dev
	$(bin)/python -m build --wheel --no-isolation

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find benchmarks slurmkit tests -name __pycache__ -prune -exec rm -rf {} +

# The environment. A stamp is written only when its step has succeeded.
$(VENV)/.torch:
	@.ci/install torch

$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/.torch
	@.ci/install core

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/.torch
	@.ci/install dev

# Asking by name for a torch that is not the one installed runs the step again.
ifneq ($(TORCH),)
ifneq ($(TORCH),$(shell cat $(VENV)/.torch 2>/dev/null))
$(VENV)/.torch: FORCE
endif
endif
