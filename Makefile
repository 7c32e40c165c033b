# Everything a fresh machine needs is Python 3.10+ and make: each target makes .venv if it is missing.
PYTHON ?= python3
VENV ?= .venv
WORK_DIR ?= work_dirs/demo
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# make install CONSTRAINTS=constraints.txt takes the versions that the tests passed with
CONSTRAINTS ?=
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(addprefix -c ,$(CONSTRAINTS))

.PHONY: demo test test-all test-full campaign chaos support docs lint format install constraints \
	release-check clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml requirements.txt $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 10) or sys.exit(f"error: Python 3.10 or newer is needed, $(PYTHON) is {v[0]}.{v[1]}; run make PYTHON=/path/to/python3.12")'
	@echo "Installing into $(VENV) (about 3 minutes, 6 GB: plain pip wheels, nothing is compiled from C++)"
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -r requirements.txt
	@# where libGL is missing, the headless build takes the place of the other; never both
	@$(BIN)/python -c 'import cv2' 2>/dev/null || { \
	  version=$$($(BIN)/python -c 'from importlib.metadata import version; print(version("opencv-python"))') && \
	  $(BIN)/python -m pip uninstall --quiet -y opencv-python && \
	  $(PIP_INSTALL) --no-deps opencv-python-headless==$$version; }
	@touch $@

# The main job: Rein on the embedded benchmark, trained on one domain, scored on six; beside it stored
# results of the frozen encoder and of full fine-tuning.
demo: $(INSTALLED)
	$(BIN)/python tools/train.py configs/rein_tiny_miniscapes.py --work-dir $(WORK_DIR)
	@echo
	@$(BIN)/python tools/show_results.py $(WORK_DIR) docs/results/frozen_tiny_miniscapes.json docs/results/full_tiny_miniscapes.json
	@echo
	@echo "Open $(WORK_DIR)/report.html in a browser; scores are in $(WORK_DIR)/results.json"

# A process for each core, one thread each; the tests of a file stay together, long files come first.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

# Every method on one encoder of each layout, and all else: under 8 minutes on two cores.
test: $(INSTALLED)
	$(PYTEST)

# Every method on every encoder and with every head, the tutorials and the docs site, too.
test-all: $(INSTALLED)
	$(PYTEST) --whole-matrix

# The system at full size, from files in the layouts: minutes, 6 GB of memory.
test-full: $(INSTALLED)
	$(BIN)/python -m pytest --full-size -m full_size

# Wrong, damaged and hostile inputs, each given to a command; writes the table of
# docs/background/reliability.md: five minutes on two cores. Linux; a case may mount a disk of its own.
campaign: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.campaign

# Runs killed with SIGKILL at random moments, resumed, and compared with whole runs; writes its table
# into docs/background/reliability.md: five minutes on two cores.
chaos: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos

# The pages that are made of the code: docs/reference/{support,methods,config,command-line}.md. Trains
# tiny models, and tries every method on the named models of timm: six minutes on two cores.
support: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.matrix
	$(BIN)/python -m tests.docs.pages

# The docs site, in site/; a broken link is an error.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# The versions that the tests passed with, from an environment of each Python:
# make constraints VENVS=".venv ../venv-3.10 ../venv-3.12 ../venv-3.13"
constraints: $(INSTALLED)
	$(BIN)/python tools/constraints.py $(VENVS)

# The whole install from the index, into a fresh environment, used from an empty folder.
release-check:
	PYTHON=$(PYTHON) CONSTRAINTS=$(abspath $(CONSTRAINTS)) tools/release_check.sh

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Removes what make and the tools made, but data/ and checkpoints/, which may be yours.
clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache work_dirs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
