# Everything the project does, one word each. It needs Python 3.11 or later: PYTHON says
# which one. uv is used where it is installed, and is several times faster; pip is enough.

PYTHON ?= python3
VENV ?= .venv
COLAB ?= .venv-colab
BIN := $(VENV)/bin
HTML := _build/html/index.html

# $(call install,ENVIRONMENT,WHAT): make the environment and install into it.
define install
	@if command -v uv >/dev/null 2>&1; then \
	  echo "Installing into $(1) with uv" && \
	  { test -x $(1)/bin/python || uv venv --quiet --python $(PYTHON) $(1); } && \
	  uv pip install --quiet --compile-bytecode --python $(1)/bin/python $(2); \
	else \
	  echo "Installing into $(1) with pip: several minutes (uv is faster)" && \
	  { test -x $(1)/bin/python || $(PYTHON) -m venv $(1); } && \
	  $(1)/bin/python -m pip install --quiet --disable-pip-version-check $(2); \
	fi
endef

.PHONY: help setup book test lint format execute landing address pins lab test-colab \
  bench mutants clean

help: ## say what there is
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1 | \2/p' Makefile | awk -F' [|] ' '{printf "%-17s%s\n", $$1, $$2}'

setup: $(VENV)/.ready ## make the environment .venv with all that the book and tests need

# Made again whenever what is to be installed has changed.
$(VENV)/.ready: requirements.txt pyproject.toml
	$(call install,$(VENV),-r requirements.txt)
	@touch $@

book: setup ## build the book, and say where to look
	$(BIN)/jupyter-book build book/
	@echo "Open this file in a browser: $(CURDIR)/$(HTML)"

test: setup ## run every test: the code, the notebooks, the book and its pages
	$(BIN)/python -m pytest --nbval -n 2 --dist loadfile

lint: setup ## check style and spelling
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	git ls-files -z | xargs -0 $(BIN)/codespell

format: setup ## mend the style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

execute: setup ## run chapters and store their outputs: CHAPTERS="chapters/02_..." or all
	$(BIN)/python tools/execute.py $(CHAPTERS)

landing: setup ## record the landing page's player, and the pictures of README and links
	$(BIN)/python tools/landing.py
	$(BIN)/python tools/share.py

address: setup ## set the public address everywhere: TO=https://github.com/owner/name
	$(BIN)/python tools/address.py $(TO)

pins: ## resolve requirements.txt again from pyproject.toml (needs uv)
	sh tools/pins.sh

lab: setup ## open the chapters in JupyterLab
	$(call install,$(VENV),-e .[lab])
	$(BIN)/jupyter lab chapters

bench: setup ## measure how fast it is, as ratios: the machine has to be idle
	$(BIN)/python tools/bench.py

mutants: setup ## change the code line by line: which tests notice? MODULES="sensor" or all
	$(call install,$(VENV),-e .[mutants])
	$(BIN)/python tools/mutants.py $(MODULES)

test-colab: $(COLAB)/.ready ## run the chapters with the versions that Colab has
	$(COLAB)/bin/python -m pytest --nbval --ignore tests/browser --ignore tests/test_book.py

$(COLAB)/.ready: tools/colab-versions.txt pyproject.toml
	$(call install,$(COLAB),-r tools/colab-versions.txt -e .[test])
	@touch $@

clean: ## remove what was built; what was installed, downloaded or trained stays
	rm -rf _build
