# `make demo` and `make test` need Python 3.11 or later, git and make, and nothing else.
PYTHON ?= python3
BIN := .venv/bin
SPEC ?= examples/digits.sat

.PHONY: demo quick test test-processors test-papers test-slow test-all check bench docs editors clean

demo: .venv/installed
	$(BIN)/satdsl run $(SPEC)

# The tests nearest to what changed, or the fast ones; a minute at most.
quick: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/quick.py

test: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# The backend's tests as if on processors with fewer vector instructions.
test-processors: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python tools/test_processors.py -n 2 tests/backend

# Smoke runs of the published experiments, a few seconds each.
test-papers: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --slow tests/specs/test_papers.py

# What else takes minutes: 10,000 mistyped specifications, more kills, and one in every block of an evaluation.
test-slow: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --slow tests/compiler/test_edits.py tests/faults/test_killed_blocks.py tests/faults/test_kills.py

test-all: test test-processors test-papers test-slow

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python -m pip install -q -c requirements.lock -e '.[bench]'
	for script in $(filter-out %/timing.py %/workbench.py,$(wildcard benchmarks/*.py)); do \
		echo "== $$script"; $(BIN)/python $$script || exit 1; \
	done

# The manual has an environment of its own: what builds it and what testing needs do not go together.
docs: .venv-docs/installed
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict
	@echo "the manual: site/index.html (with search: $(PYTHON) -m http.server -b 127.0.0.1 -d site)"

# Needs node, npm and a C compiler besides; `make -C editors in-vscode` also tests the extension in a real VS Code.
editors: .venv/installed
	$(MAKE) -C editors test

clean:
	rm -rf .venv .venv-docs site .satdsl build dist *.egg-info

# The compiled bytecode is written here because an editable install does not, and starting is faster with it.
.venv/installed: pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c requirements.lock -e '.[dev]'
	# Tests compare with it. What it draws with cannot be built by current tools, and is not needed.
	$(BIN)/python -m pip install -q --disable-pip-version-check -c requirements.lock --no-deps adv-lib
	$(BIN)/python -m compileall -q satdsl
	touch $@

.venv-docs/installed: docs/requirements.txt
	test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install -q --disable-pip-version-check -r docs/requirements.txt
	touch $@
