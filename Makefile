# make demo: compiles, verifies and measures the embedded default network; output in demo/
# make test: the everyday suite; make test-slow: the long tests; both set themselves up

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# With the environment's programs first, as if it were activated.
PYTEST := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
WORKERS ?= 2
# Emitted sources in tests/golden are compared as they are.
C_SOURCES = $(shell find firmware tests/firmware benchmarks -name '*.[ch]')

.PHONY: demo test test-slow lint format clean

demo: $(VENV)/.for-demo
	$(BIN)/python scripts/demo.py demo

test: lint
	$(PYTEST) -m "not slow" -n $(WORKERS) --dist worksteal

test-slow: $(VENV)/.for-test
	$(PYTEST) -m slow -n $(WORKERS) --dist worksteal

lint: $(VENV)/.for-test
	$(BIN)/ruff check dcgen hw scripts benchmarks tests
	$(BIN)/ruff format --check dcgen hw scripts benchmarks tests
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(C_SOURCES)

format: $(VENV)/.for-test
	$(BIN)/ruff check --fix dcgen hw scripts benchmarks tests
	$(BIN)/ruff format dcgen hw scripts benchmarks tests
	$(BIN)/clang-format -i $(C_SOURCES)

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# System packages are looked for every time (at once), Python packages when pyproject.toml changed.
JOB := $(if $(filter test% lint format %.for-test,$(MAKECMDGOALS)),test,demo)
.PHONY: system-packages
system-packages:
	@$(PYTHON) scripts/system_packages.py $(JOB)

$(VENV)/.created: | system-packages
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.for-demo: pyproject.toml $(VENV)/.created | system-packages
	$(PIP) -e ".[train]"
	@touch $@

$(VENV)/.for-test: pyproject.toml scripts/install_torch.py $(VENV)/.created | system-packages
	$(BIN)/python scripts/install_torch.py
	$(PIP) -e ".[torch,plot,train,explore,fpga,sim,test,lint]"
	@touch $@
