# make run    the embedded campaign: no key, no server       (FRESH=1 begins anew; the old one is set aside, not deleted)
# make test   the whole suite
# make install, clean

PYTHON ?= python3
VENV ?= .venv
# another place to take PyTorch from, such as the address of its CPU-only wheels; empty: where pip takes everything from
TORCH_INDEX ?=
CAMPAIGN ?= campaigns/stiff-materials.yaml
FRESH ?=
PYTEST_ARGS ?=
# processes that the tests are spread over, each with whole files
WORKERS ?= 2

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# one thread count for everybody, set before torch is imported: a campaign's bits depend on it
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= $(OMP_NUM_THREADS)

BIN = $(VENV)/bin
STAMP = $(VENV)/.installed

.PHONY: run test install check clean

run: install
	$(BIN)/discover run $(CAMPAIGN) $(if $(FRESH),--fresh)

test: install
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile $(PYTEST_ARGS)

install: $(STAMP)

# Every step can be killed and run again: pip leaves whole packages behind, and the stamp is written last.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is %d.%d" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@# a package that pip was killed over has no RECORD, and pip could never replace it
	@for info in $(VENV)/lib/python*/site-packages/*.dist-info; do \
		if test -d "$$info" && ! test -f "$$info/RECORD"; then echo "removing the half-installed $$info"; rm -rf "$$info"; fi; done
	@echo "installing some 230 packages, about 620 MB to download with a CPU build of PyTorch (several GB with CUDA: see TORCH_INDEX in the README)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -m pip check
	$(BIN)/python -c "import torch, botorch, chgnet, pymatgen.core, mp_api.client, prefect, discover; print('installed: torch', torch.__version__, '· prefect', prefect.__version__)"
	@touch $(STAMP)

clean:
	rm -rf $(VENV)
