# Regulars. `make help` lists every target; each is one line that calls a module (`python -m … --help`).
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo spark test test-all lint format lock data features train evaluate promote score refresh retrain models rollback grade churn-window learning-curve rfm retention cohorts mlflow key hook privacy erase webhook deliver backup restore explain serve worker bench bench-scale docs clean

VAR ?= var
export VAR
export MLFLOW_DISABLE_TELEMETRY := true
PYTHON ?= $(firstword $(foreach v,python3.13 python3.12 python3.11 python3,$(if $(shell $(v) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo yes),$(v))))
RUN := .venv/bin/python -m
given = $(if $(2),--$(1) "$(2)")

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- set-up: hash-pinned packages in .venv; a stamp for each group, so that a group is installed once a lock
.venv/bin/uv: requirements/uv.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer found; install one, or say PYTHON=/path/to/python3"; exit 2; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.%: requirements/%.txt .venv/bin/uv
	@echo "installing requirements/$*.txt" >&2
	@.venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python --require-hashes -r $<
	@touch $@

# --- the main job
demo: .venv/.demo ## from nothing to a live console: a real grocery's year, or a made-up shop: [SHOP=synthetic]
	@$(RUN) serving.demo --check
ifeq ($(SHOP),synthetic)
	@$(RUN) features.synthetic --folder "$(VAR)/synthetic"
	@$(MAKE) --no-print-directory data FILE="$(VAR)/synthetic/order_lines.parquet" MODE=replace \
	  PRODUCTS="$(VAR)/synthetic/products.parquet" CUSTOMERS="$(VAR)/synthetic/customers.parquet" \
	  EVENTS="$(VAR)/synthetic/events.parquet"
else
	@$(MAKE) --no-print-directory data FORMAT=complete-journey MODE=replace
endif
	@$(MAKE) --no-print-directory train evaluate promote score
	@$(RUN) serving.demo

spark: .venv/.spark ## PySpark for the engine "pyspark" (needs Java 17 or newer)
	@$(RUN) features.spark

data: .venv/.training ## load orders: FILE=orders.csv FORMAT=csv [MAPPING=…] [MODE=replace] [PRODUCTS=… CUSTOMERS=… EVENTS=…]; without FILE: what the API received
	@$(if $(FILE)$(FORMAT)$(MAPPING)$(MODE)$(PRODUCTS)$(CUSTOMERS)$(EVENTS),$(RUN) features.ingest $(call given,file,$(FILE)) $(call given,format,$(FORMAT)) $(call given,mapping,$(MAPPING)) $(call given,mode,$(MODE)) \
	  $(call given,products,$(PRODUCTS)) $(call given,customers,$(CUSTOMERS)) $(call given,events,$(EVENTS)),$(RUN) serving.fold)

features: .venv/.training ## a feature table to look at: [AS_OF=2026-11-22]
	@$(RUN) features.build $(call given,as-of,$(AS_OF))

train: .venv/.training ## fit every candidate and register it in MLflow: [AS_OF=…]
	@$(RUN) training.train $(call given,as-of,$(AS_OF)) $(call given,horizon,$(HORIZON))

evaluate: .venv/.training ## back-test every candidate on rolling origins: [AS_OF=…] [HORIZON=…]
	@$(RUN) training.backtest $(call given,as-of,$(AS_OF)) $(call given,horizon,$(HORIZON))

promote: .venv/.training ## the best of the back-test becomes champion: [AS_OF=…]
	@$(RUN) training.promote $(call given,as-of,$(AS_OF))

score: .venv/.training ## score every customer and publish: [AS_OF=…] [OUT=folder] [ANYWAY=1 after a look at scores far from the last]
	@$(RUN) serving.score $(call given,as-of,$(AS_OF)) $(call given,out,$(OUT)) $(if $(ANYWAY),--publish-anyway)

grade: .venv/.training ## what published runs said, beside what came: [AS_OF=…]
	@$(RUN) training.ledger $(call given,as-of,$(AS_OF))

churn-window: .venv/.training ## after how many silent days a customer is gone, and what 30, 60, 90, 180 would mean: [AS_OF=…]
	@$(RUN) training.churn_window $(call given,as-of,$(AS_OF))

learning-curve: .venv/.training ## what more customers to learn from would bring, and how many suffice: [AS_OF=…] [HORIZON=…]
	@$(RUN) training.learning_curve $(call given,as-of,$(AS_OF)) $(call given,horizon,$(HORIZON))

rfm: .venv/.training ## RFM scores with their edges, the groups, the formula CLV of each: [AS_OF=…] [PRESET=…] [EVENT=…]
	@$(RUN) features.rfm_report $(call given,as-of,$(AS_OF)) $(call given,preset,$(PRESET)) $(call given,event,$(EVENT))

retention: .venv/.training ## churn, retention, monthly cohorts, who makes the sales, when things are bought again: [AS_OF=…]
	@$(RUN) features.retention_report $(call given,as-of,$(AS_OF))

cohorts: .venv/.training ## CLV by acquisition channel and cohort, and of a new customer: [AS_OF=…] [OUT=cohorts.csv]
	@$(RUN) training.cohorts $(call given,as-of,$(AS_OF)) $(call given,out,$(OUT))

refresh: .venv/.training ## the nightly job: data (what the API received, or FILE=…), then score with the champions that stand
	@$(MAKE) --no-print-directory data score

retrain: .venv/.training ## the weekly job: train, evaluate, promote, score
	@$(MAKE) --no-print-directory train evaluate promote score

models: .venv/.training ## the champions, and why
	@$(RUN) training.promote --list

rollback: .venv/.training ## the previous champions back: [TASK=churn|clv|recommender]
	@$(RUN) training.promote --rollback $(call given,task,$(TASK))

mlflow: .venv/.training ## MLflow's own page on 127.0.0.1:5000
	@$(RUN) training.tracking --serve

key: .venv/.serving ## API keys: list, or NAME=… SCOPES=predictions:read,… [DAYS=365] [CALLS=60000] creates, or REVOKE=k_…
	@$(RUN) serving.keys $(if $(filter command,$(origin NAME)),$(call given,name,$(NAME))) $(call given,scopes,$(SCOPES)) $(call given,days,$(DAYS)) $(call given,calls,$(CALLS)) $(call given,revoke,$(REVOKE))

hook: .venv/.serving ## shops whose webhooks are taken: list, or NAME=main PLATFORM=shopify|woocommerce, [DROP=older|source]
	@$(RUN) serving.hooks $(if $(filter command,$(origin NAME)),$(call given,name,$(NAME))) $(call given,platform,$(PLATFORM)) $(call given,drop,$(DROP))

privacy: .venv/.training ## erasure, access, suppression: list the requests, or PENDING=1 runs those that wait, or LIFT=id, SUPPRESS=id, ACCESS=id
	@$(RUN) serving.privacy $(if $(PENDING),--run) $(call given,lift,$(LIFT)) $(call given,suppress,$(SUPPRESS)) $(call given,access,$(ACCESS))

erase: .venv/.training ## erase somebody from every store, now: ID=1063, or an e-mail address
	@$(RUN) serving.privacy --erase "$(ID)"

backup: .venv/.serving ## a checked copy of everything, made while the service runs: TO=folder
	@$(RUN) serving.backup $(call given,to,$(TO))

restore: .venv/.serving ## put a back-up into an empty VAR: FROM=folder
	@$(RUN) serving.backup $(call given,restore,$(FROM))

webhook: .venv/.serving ## webhooks: list, or URL=https://… EVENTS=all|won_back,… creates, or ROTATE=, ENABLE=, REMOVE=wh_…
	@$(RUN) serving.webhooks $(call given,url,$(URL)) $(call given,events,$(EVENTS)) $(call given,rotate,$(ROTATE)) $(call given,enable,$(ENABLE)) $(call given,remove,$(REMOVE))

deliver: .venv/.serving ## send the webhooks that are due: [FOLLOW=1 goes on until stopped]
	@$(RUN) serving.deliver $(if $(FOLLOW),--follow)

explain: .venv/.training ## one customer: history, curve, reasons, lists: ID=…
	@$(RUN) serving.explain $(call given,id,$(ID))

serve: .venv/.serving ## API and console on 127.0.0.1:8000
	@$(RUN) serving

worker: .venv/.training ## scores again whose events came in, runs export jobs, delivers webhooks
	@$(RUN) serving.worker

# --- the project
test: .venv/.dev ## lint, types, import contracts and the test suite (under 5 minutes on 2 cores)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache
	@OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 $(RUN) pytest -n 2 --dist loadfile -m "not slow and not browser"

test-all: test .venv/.spark ## and the slow ones: real data end to end, faults, browser
	@$(RUN) pytest -m "slow or browser"

bench: .venv/.bench ## speed, memory, prediction quality and load: [LINES=10000000]
	@$(RUN) benchmarks $(call given,lines,$(LINES))

bench-scale: .venv/.bench $(if $(shell command -v java),.venv/.spark) ## time and memory by size and engine, into docs/performance.md: [LINES=1000000,10000000] [FAR=1 100 million too] [ENGINES=polars,duckdb,pyspark]
	@$(RUN) benchmarks.scale $(call given,lines,$(LINES)) $(call given,engines,$(ENGINES)) $(if $(FAR),--far)

format: .venv/.dev ## format and mend what ruff can
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

docs: .venv/.dev ## write the generated pages again
	@$(RUN) features.catalog > docs/features.md
	@$(RUN) serving.segment_page

lock: .venv/bin/uv ## resolve the newest versions into requirements/
	@for group in dev bench demo spark training serving; do \
	  .venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --custom-compile-command "make lock" --group $$group -o requirements/$$group.txt \
	    $$(test $$group = dev || echo "-c requirements/dev.txt") || exit 1; \
	done
	@echo uv | .venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" -c requirements/dev.txt - -o requirements/uv.txt

clean: ## remove what was built; the data in VAR stays
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache
