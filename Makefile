# Everything a newcomer, a developer and CI need. `make` alone lists the targets.
#
# PYTHON=/path/to/python3.13   which interpreter makes .venv (default: the first suitable one found)
# PYTEST="-k thumbnail"        more arguments for pytest
# WORKERS=2                    how many processes share the tests (default: 2, or 3 where KUBECONFIG names a cluster, whose tests mostly wait);
#                              with 0 there is one, in which `PYTEST=--pdb` works
# BENCH="--quick"              more arguments for the bench
# IMAGES_REGISTRY=host/        what the names of images begin with
# PYTHON_IMAGE=python:3.13-…   the base of the images (default: what their Dockerfiles say)
# FAMILIES="media messaging"   which images, which pins

VENV := .venv
BIN := $(VENV)/bin
PINS := workers/requirements/development.txt
INSTALLED := $(VENV)/.installed
UV_VERSION := 0.13.9
# A Redis that is named is one, which every test empties.
WORKERS := $(if $(KAYAN_TEST_REDIS_URL),0,$(if $(KUBECONFIG),3,2))
FAMILIES := media messaging analytics maintenance operator
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION = $(shell git rev-parse HEAD)
IMAGES_REGISTRY :=
DOCKER_BUILD := docker build
PIN := $(BIN)/uv pip compile --universal --python-version 3.11 --quiet --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links

.DEFAULT_GOAL := help
.PHONY: help install demo test test-cluster lint bench bench-operator chaos fuzz images pins clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

install: $(INSTALLED) ## make .venv with the pinned dependencies and this project in it

$(INSTALLED): pyproject.toml $(PINS)
	@python=$$(sh workers/requirements/find-python.sh $(PYTHON)) || exit 1; \
	 echo "making $(VENV) with $$python (`$$python --version`)"; \
	 $$python -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --no-binary pyvips \
		--requirement $(PINS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## run all seven queues on embedded servers and sample files, and check the outcome
	$(BIN)/kayan demo --keep build/demo

test: install ## run the tests on real servers
	$(BIN)/pytest --numprocesses $(WORKERS) $(PYTEST)

test-cluster: install ## run the tests of a cluster in one that kind makes, and remove it
	@command -v kind >/dev/null || { echo "kind is not installed; with a cluster of your own: set KUBECONFIG and KAYAN_TEST_CLUSTER_LOAD," \
	  "the command that brings local images into it, and run make test PYTEST=tests/cluster"; exit 1; }
	kind create cluster --name kayan-test --kubeconfig $(CURDIR)/build/kind.kubeconfig --wait 180s
	KUBECONFIG=$(CURDIR)/build/kind.kubeconfig KAYAN_TEST_CLUSTER_LOAD="kind load docker-image --name kayan-test" \
	  $(BIN)/pytest tests/cluster $(PYTEST); code=$$?; kind delete cluster --name kayan-test; exit $$code

lint: install ## ruff, mypy --strict and the import layers
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir build/.import_linter_cache

bench: install ## measure against Bull 4.16.5, side by side; writes build/bench/*.json
	$(BIN)/python tests/bench

bench-operator: install ## measure the operator on the cluster of KUBECONFIG; writes build/bench/operator.json (BENCH=--quick for a look)
	$(BIN)/python tests/bench operator $(BENCH)

chaos: install ## 100,000 jobs while workers are killed and Redis restarts; prints lost and doubled
	$(BIN)/python tests/chaos

fuzz: install ## mutate the test corpus for ten minutes and look for files that harm a worker
	$(BIN)/python tests/corpus fuzz --minutes 10

images: ## build the container images kayanlive/workers-FAMILY:VERSION
	for family in $(FAMILIES); do \
	  DOCKER_BUILDKIT=1 $(DOCKER_BUILD) --file images/$$family/Dockerfile --tag $(IMAGES_REGISTRY)kayanlive/workers-$$family:$(VERSION) \
	    --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) $(addprefix --build-arg PYTHON_IMAGE=,$(PYTHON_IMAGE)) . || exit 1; \
	done

pins: install ## resolve the pinned dependencies anew (after a change of pyproject.toml)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(PIN) pyproject.toml --extra development --upgrade --output-file $(PINS)
	for family in $(FAMILIES); do \
	  $(PIN) pyproject.toml --extra $$family --constraint $(PINS) --output-file workers/requirements/$$family.txt || exit 1; \
	done
	printf 'hatchling\nsetuptools\n' | $(PIN) - --constraint $(PINS) --output-file workers/requirements/build.txt

clean: ## remove .venv, build/ and caches
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find workers operator tests -name __pycache__ -type d -prune -exec rm -rf {} +
