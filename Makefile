# make up      install, make the chain, start the edge and a demonstration leaf device
# make test    install what the tests need and run everything
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
LEAF   := $(VENV)/leaf
SERVICE := $(VENV)/service
PIP    := -m pip --disable-pip-version-check -q install --require-hashes --no-deps

.PHONY: up install dev node service hardware check test interop bench soak lock format clean
.DELETE_ON_ERROR:

up: install
	@exec $(BIN)/leafward up --demo

install: $(VENV)/.product $(LEAF)/.installed

# The product's own environment.
$(VENV)/.product: requirements/product.txt pyproject.toml | $(BIN)/python
	$(BIN)/python $(PIP) -r requirements/product.txt
	$(BIN)/python -m pip --disable-pip-version-check -q install --no-deps --editable .
	@touch $@

# The demonstration leaf device is somebody else's machine: an environment of its own, with nothing of ours in it.
$(LEAF)/.installed: requirements/leaf.txt | $(BIN)/python
	$(PYTHON) -m venv $(LEAF)
	$(LEAF)/bin/python $(PIP) -r requirements/leaf.txt
	@touch $@

$(BIN)/python:
	@tools/python-for-venv $(PYTHON)
	$(PYTHON) -m venv $(VENV)

dev: install $(VENV)/.dev

# The Azure client for Node, for the tests that run it.
node: tests/clients/node/node_modules/.installed
tests/clients/node/node_modules/.installed: tests/clients/node/package-lock.json
	@if command -v npm >/dev/null 2>&1; then \
	  npm ci --prefix tests/clients/node --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null && touch $@; \
	else echo "leafward: the tests of the Node client will be skipped. Next: install nodejs and npm" >&2; fi

$(VENV)/.dev: requirements/dev.txt $(VENV)/.product
	$(BIN)/python $(PIP) -r requirements/dev.txt
	@touch $@

# Azure's service client for Python, for the tests that run it.
service: $(SERVICE)/.installed
$(SERVICE)/.installed: requirements/service.txt | $(BIN)/python
	$(PYTHON) -m venv $(SERVICE)
	@if $(SERVICE)/bin/python $(PIP) -r requirements/service.txt; then touch $@; \
	else echo "leafward: the tests of the service client for Python will be skipped: no wheel of uamqp fits here" >&2; fi

# What HSM, TPM, PostgreSQL and AMQP need; builds against Debian's libtss2-dev.
hardware: $(VENV)/.hardware
$(VENV)/.hardware: requirements/hardware.txt | $(BIN)/python
	@if pkg-config --exists tss2-esys 2>/dev/null; then $(BIN)/python $(PIP) -r $< && touch $@; \
	else echo "leafward: the tests of HSM, TPM, PostgreSQL and AMQP will be skipped. Next: sudo apt-get install libtss2-dev pkg-config" >&2; fi

check: dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/arrows.py
	$(BIN)/python tools/docs.py --check

format: dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python tools/docs.py

test: dev
	tools/system-packages
	$(MAKE) --no-print-directory node service hardware
	$(BIN)/pytest

# paho's own interoperability suites, from a checkout of eclipse/paho.mqtt.testing: make interop PAHO=DIR
interop: dev
	PAHO_MQTT_TESTING=$(abspath $(or $(PAHO),$(error give a checkout: make interop PAHO=DIR))) $(BIN)/pytest -n 0 tests/clients/test_paho_suites.py

bench: dev
	$(BIN)/python -m benchmarks.start
	$(BIN)/python -m benchmarks.issuance
	$(BIN)/python -m benchmarks.manager
	$(BIN)/python -m benchmarks.hub
	$(BIN)/python -m benchmarks.provisioning

# A thousand leaf devices, a rotation every ten seconds.
soak: dev
	$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),30)

# Locked with hashes and without index addresses; needs uv.
COMPILE := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate
EXTRA   := $(PYTHON) -c 'import sys, tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
           print(*(line for name in sys.argv[1:] for line in extras[name]), sep="\n")'
lock:
	$(COMPILE) pyproject.toml -o requirements/product.txt
	$(COMPILE) --extra dev pyproject.toml -o requirements/dev.txt
	$(EXTRA) pkcs11 tpm postgresql amqp | $(COMPILE) -c requirements/dev.txt - -o requirements/hardware.txt
	$(EXTRA) leaf | $(COMPILE) - -o requirements/leaf.txt
	$(EXTRA) service | $(COMPILE) - -o requirements/service.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
