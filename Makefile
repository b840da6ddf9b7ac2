# All targets but gpu-check set themselves up and need only Python 3.11+, git and make.
SHELL := /bin/bash
VENV := .venv
STAMP := $(VENV)/.installed
BENCHMARK_STAMP := $(VENV)/.installed-benchmark
CORES ?= 2
PYTEST_ARGS ?=
FUZZ_ARGS ?=
FAULTS_ARGS ?=
PAPER ?= ../shared/paper
GENOME ?= ../shared/yeast/sacCer_R64.fa.gz
BENCHMARK_ARGS ?=
AGREEMENT_ARGS ?=
DO ?= compare
GOLDEN ?= build/golden
AGREEMENT := build/keras_agreement
KERAS_2_PYTHON ?= $(AGREEMENT)/keras-2/bin/python
KERAS_3_PYTHON ?= $(AGREEMENT)/keras-3/bin/python
# Two packages with one import name: each gets an environment of its own.
MOTIF_PYTHONS := build/motif-pythons
MOTIF_LINES := modisco-2.5.2 modisco-lite-3.0.0
# genolift as it was with the older of them.
MOTIFS_BEFORE := build/motifs-before
# Where the pretended GPU is, and tests that take about three minutes on it; all are tests/engine and tests/explain.
PRETEND ?= ../shared/gpu
PRETEND_TESTS ?= tests/engine/test_gpu.py tests/engine/test_on_a_gpu.py tests/engine/test_rules.py
PART ?= tests bench-1 bench-2
DEVICE ?= cuda
OUT ?= build/gpu
GPU_WHEELS := annotated-types captum cherimoya==0.3.1 cloudpickle figwig isal joblib memelite narwhals pydantic \
  pydantic-core pyBigWig pyfaidx pyyaml scikit-learn scipy shap slicer tangermeme threadpoolctl typing-extensions \
  typing-inspection
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: help demo test pretend fuzz faults lint golden keras-agreement benchmark benchmark-motifs benchmark-paper gpu-wheels gpu-check clean
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /make \1\t/'

demo: $(STAMP) ## Run the demo's analysis and print where its report is (CORES=2)
	@start=$$(date +%s) && snakemake --cores $(CORES) && \
	echo && echo "The report: $(CURDIR)/results/demo/report.html (after $$(($$(date +%s) - start)) s)"

test: $(STAMP) ## Run the tests (PYTEST_ARGS="-k workflow")
	OMP_NUM_THREADS=1 python -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

pretend: $(STAMP) ## Run tests, and the benchmark, on a GPU that is pretended (PRETEND_TESTS="tests/engine tests/explain")
	@if [ ! -f $(PRETEND)/pretend.py ]; then \
	  echo "$(PRETEND)/pretend.py, the pretended GPU, is not there: nothing was tried"; \
	  [ -z "$$CI" ] || case " $$GENOLIFT_TESTS_WITHOUT " in *" shared "*) ;; *) exit 1;; esac; \
	else \
	  export OMP_NUM_THREADS=1 PYTHONPATH=$(abspath $(PRETEND)):$(CURDIR)/src:$(CURDIR)/tests:$(CURDIR)/benchmarks && \
	  python -m pytest -p pretend -n $(CORES) --dist loadfile $(PRETEND_TESTS) && \
	  python benchmarks/speed.py --device pretended --quick --out build/pretend; \
	fi

fuzz: $(STAMP) ## Feed damaged and odd files to every reader, up to an hour (FUZZ_ARGS="--format bed --cases 500")
	OMP_NUM_THREADS=1 PYTHONPATH=src:tests python -m fuzz --processes $(CORES) $(FUZZ_ARGS)

faults: $(STAMP) ## Kill and interrupt every step, fill its disk, and run it again (FAULTS_ARGS="--steps encode --times 5")
	OMP_NUM_THREADS=1 PYTHONPATH=src:tests python -m faults --processes $(CORES) $(FAULTS_ARGS)

lint: $(STAMP) ## Check style, types, which room imports which, and the workflow
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-cache
	snakefmt --check Snakefile workflow
	snakemake --lint

golden: $(STAMP) ## Store results before a change, or compare them after it (DO=write or compare, GOLDEN=folder)
	OMP_NUM_THREADS=1 PYTHONPATH=src:tests:benchmarks python -m golden $(DO) $(GOLDEN)

keras-agreement: $(STAMP) ## Compare models of every layer with Keras on TensorFlow, for docs/keras-layers.md (AGREEMENT_ARGS="--new")
keras-agreement: $(patsubst %/bin/python,%/.installed,$(filter $(AGREEMENT)/%,$(KERAS_2_PYTHON) $(KERAS_3_PYTHON)))
	PYTHONPATH=tests $(KERAS_2_PYTHON) -m keras_agreement.write $(AGREEMENT)/written-2 $(AGREEMENT_ARGS)
	PYTHONPATH=tests $(KERAS_3_PYTHON) -m keras_agreement.write $(AGREEMENT)/written-3 $(AGREEMENT_ARGS)
	@# make the table before failing, since it also shows what is wrong
	PYTHONPATH=src:tests python -m keras_agreement.read $(AGREEMENT)/written-2 $(AGREEMENT)/written-3 \
	  --explain 25 --out $(AGREEMENT)/rows.jsonl; read=$$?; \
	PYTHONPATH=src:tests python -m keras_agreement.table $(AGREEMENT)/rows.jsonl > $(AGREEMENT)/table.md && \
	  cp $(AGREEMENT)/table.md docs/keras-layers.md && exit $$read

benchmark: $(BENCHMARK_STAMP) ## Compare speed with the floor and the peers, about an hour (BENCHMARK_ARGS="--quick")
	python benchmarks/speed.py --scaling --out benchmarks/results $(BENCHMARK_ARGS)
	python benchmarks/shuffles.py --out benchmarks/results/shuffles
	python benchmarks/encoding.py --genome $(GENOME) --out benchmarks/results/encoding
	python benchmarks/waiting.py --out benchmarks/results/waiting

benchmark-motifs: $(STAMP) $(MOTIF_LINES:%=$(MOTIF_PYTHONS)/%/.installed) $(MOTIFS_BEFORE)/Snakefile
benchmark-motifs: ## Compare TF-MoDISco's lines of versions, alone and in the workflow, and take memory, an hour and a half
	python benchmarks/motifs.py $(foreach line,$(MOTIF_LINES),--python $(line)=$(MOTIF_PYTHONS)/$(line)/bin/python) \
	  --folder build/motifs --out benchmarks/results/motifs $(BENCHMARK_ARGS)
	python benchmarks/motif_workflow.py --before $(MOTIFS_BEFORE) \
	  --modisco $(MOTIF_PYTHONS)/$(firstword $(MOTIF_LINES))/bin/python --out benchmarks/results/motifs-workflow
	python benchmarks/any_size.py --windows 10000 100000 --until motifs --out benchmarks/results/any_size.tsv

benchmark-paper: $(STAMP) ## Reproduce the paper's figure 5b from its model and data (PAPER=folder)
	python benchmarks/paper_figure5.py --data $(PAPER) $(BENCHMARK_ARGS)

gpu-wheels: $(STAMP) ## Put into .gpu/whl what gpu-check needs on a machine that has Python 3.12, torch and no registry
	@# that machine has torch, numba, h5py, pandas, pytest, hypothesis, psutil, tqdm, matplotlib and safetensors
	rm -rf .gpu/whl
	python -m pip download -q --no-deps --only-binary=:all: --implementation cp --python-version 3.12 \
	  --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 \
	  -c constraints.txt -d .gpu/whl $(GPU_WHEELS)
	@du -sh .gpu/whl

gpu-check: ## Check and measure a GPU, each part in under 4 minutes (PART=tests|bench-1|bench-2 OUT=folder; DEVICE=cpu rehearses)
	@if [ -d .gpu/whl ] && ! python3 -c 'import tangermeme' 2>/dev/null; then \
	  python3 -m pip install -q --no-index --no-deps --no-compile --upgrade --target .gpu/site .gpu/whl/*.whl; fi
	@export PYTHONPATH=$(CURDIR)/src:$(CURDIR)/tests:$(CURDIR)/benchmarks:$(CURDIR)/.gpu/site:$(abspath $(PRETEND)) && for part in $(PART); do \
	  timeout $(if $(filter cuda,$(DEVICE)),235,1800) python3 benchmarks/gpu_check.py --part $$part --device $(DEVICE) --out $(OUT) || failed=1; done; \
	cat $(OUT)/gpu.md && [ -z "$$failed" ]

clean: ## Remove what these targets made, but not the results of other analyses
	rm -rf $(VENV) results/demo .snakemake build dist src/genolift.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@if [ ! -x $(VENV)/bin/python ] || ! $(VENV)/bin/python -m pip --version >/dev/null 2>&1; then \
	  found=; \
	  for python in python3.11 python3.12 python3.13 python3 python; do \
	    if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	    then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "genolift needs Python 3.11 or later with its venv module (Debian: apt install python3-venv);" \
	      "none of python3.11, python3.12, python3.13, python3 and python fits" >&2; exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$found"; \
	  $$found -m venv --clear $(VENV) || exit 1; \
	fi
	@echo "Installing genolift into $(VENV) (a few minutes the first time)"
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check \
	  -c constraints.txt -e '.[checks,workflow]'
	@# bpnet-lite's models, which are tested, need only these two. Its commands need packages that take minutes to
	@# compile, and modisco, which overwrites files of modisco-lite.
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check --no-deps \
	  -c constraints.txt bpnet-lite tangermeme
	@touch $@

$(BENCHMARK_STAMP): $(STAMP)
	@echo "Installing the packages that genolift is compared with"
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[benchmark]'
	@touch $@

$(MOTIF_PYTHONS)/%/.installed: constraints.txt | $(STAMP)
	@echo "Installing $* (a few minutes the first time)"
	@mkdir -p $(MOTIF_PYTHONS) && $(VENV)/bin/python -m venv --clear $(@D)
	@line=$*; $(@D)/bin/python -m pip install -qq --disable-pip-version-check -c $< $${line%-*}==$${line##*-}
	@touch $@

$(MOTIFS_BEFORE)/Snakefile:
	mkdir -p $(@D) && git archive 4c2da90 | tar -x -C $(@D)

$(AGREEMENT)/keras-%/.installed: tests/keras_agreement/constraints-%.txt
	@command -v python3.11 >/dev/null || { echo "TensorFlow 2.15 needs Python 3.11, but python3.11 was not found" >&2; exit 1; }
	@echo "Installing Keras $* on TensorFlow into $(@D) (a few minutes the first time)"
	@mkdir -p $(AGREEMENT) && python3.11 -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check -c $< tensorflow-cpu keras
	@touch $@
