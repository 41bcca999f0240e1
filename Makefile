PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One environment with the tools of the developers; `make demo` alone needs only the package.
DEMO_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev

.PHONY: demo check test stress bench clean

demo: $(DEMO_STAMP)  ## the whole way of the data on the Python code of this machine
	$(BIN)/hornbook run recipes/laptop-python.yaml

check: $(DEV_STAMP)  ## lint, types, the law of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(DEV_STAMP)  ## everything a change can break, in minutes
	$(BIN)/python -m pytest -q

stress: $(DEV_STAMP)  ## kills, hostile inputs, long resumes
	$(BIN)/python -m pytest -q -m stress

bench: $(DEV_STAMP)  ## write docs/BENCHMARKS.md
	for script in reading_speed encoding_speed scoring_speed classifier_quality curation_speed training_speed \
		training_memory loading_speed generation_speed teacher_speed sandbox_speed learning_rate_transfer \
		optimizer_comparison thesis leave_one_out ladder phi1_mini sweeps; do \
		$(BIN)/python benchmarks/$$script.py || exit 1; done

$(DEMO_STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

$(DEV_STAMP): $(DEMO_STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) runs
