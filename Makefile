# Everything starts from a machine with Python 3.11 or newer and make; .venv is made on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
WORKERS ?= 2  # processes that run tests, each with one thread and about 1 GB
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder  # one file, one process; conftest.py has the order
QUICK := parity components config dictionary edge_learning exercises features metrics misa notebooks pickles setup \
	structure transformers transport
PROSE := README.md CHANGELOG.md CONTRIBUTING.md docs notebooks data_samples/README.md dmdlite
ROOT_OPTION := $(if $(filter 0,$(shell id -u)),--allow-root)  # Jupyter refuses root otherwise, as in a container

.PHONY: help lab train check test bench notebooks models student instructor book spelling links samples clips clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 18

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "dmdlite needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[lab,book,test]"
	@touch $(READY)

lab: $(READY)  ## open the course in JupyterLab
	$(BIN)/jupyter lab $(ROOT_OPTION) notebooks/00_start_here.ipynb

train: $(READY)  ## train the full DMD on the sample data; prints and saves its scores
	$(BIN)/python -m dmdlite train

check: $(READY)  ## lint, format, types, spelling and the quick tests, within a minute
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell $(PROSE)
	$(BIN)/python -m pytest $(PARALLEL) $(QUICK:%=tests/test_%.py)

test: $(READY)  ## run every test, and every notebook strictly
	$(BIN)/python -m pytest $(PARALLEL) --nbval tests notebooks

# Kept from the conftests above its folder, which are for tests: one thread, and a check of every shape.
bench: $(READY)  ## measure speed and memory; beside the published code if DMD_REFERENCE names a checkout of it
	$(BIN)/python -m pytest tests/benchmarks --confcutdir=tests/benchmarks -o python_files='bench_*.py' --benchmark-quiet $(ARGS)

notebooks: $(READY)  ## execute the notebooks again and store their outputs
	$(BIN)/python notebooks/execute.py

models: $(READY)  ## train the models again that the notebooks open
	$(BIN)/python notebooks/train_models.py

student: $(READY)  ## write a copy of the course without solutions to build/student; for Colab, add REPOSITORY=owner/name
	$(BIN)/python notebooks/publish.py student $(if $(REPOSITORY),--repository $(REPOSITORY))

instructor: $(READY)  ## write the course with solutions, slides and a page for each notebook to build/instructor
	$(BIN)/python notebooks/publish.py instructor

book: $(READY)  ## write the course as a site that opens offline to build/book
	$(BIN)/python notebooks/publish.py book

spelling: $(READY)  ## look for misspelt words in the documents, the notebooks and the code
	$(BIN)/codespell $(PROSE)

links: $(READY)  ## ask for every external link of the book whether its page is still there
	$(BIN)/python notebooks/book.py

samples: $(READY)  ## draw data_samples again from the toy world
	rm -rf data_samples/toy
	$(BIN)/python notebooks/write_samples.py data_samples

clips: $(READY)  ## draw clips whose truth is known to FOLDER (runs/clips); needs espeak-ng
	$(BIN)/python -m dmdlite extract --setup
	$(BIN)/python notebooks/made_clips.py $(or $(FOLDER),runs/clips)

clean:  ## remove .venv and caches; runs/ stays
	rm -rf $(VENV) build *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
