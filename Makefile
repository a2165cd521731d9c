# Every target sets itself up: a virtual environment in .venv from requirements.lock, then the command.
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
BUNDLES ?= bundles
ITERATIONS ?= 5000
SEED ?= 1
# Extra options for pip, `python -m training run` and `python -m loadtest.bench`, e.g.
# TRAIN="--config training/configs/smoke.toml", BENCH=--quick.
PIP ?=
TRAIN ?=
BENCH ?=
TRAFFIC ?=
LOADTEST ?=
REPRODUCE ?=
SEARCH ?=
BY ?= item_id:seen
COMPOSE ?= docker compose -f docker/compose.yaml
BOTH := --student-bundle $(BUNDLES)/student --teacher-bundle $(BUNDLES)/teacher

BIN := .venv/bin
export COMPOSE
export CTR_BUNDLES := $(BUNDLES)

.DEFAULT_GOAL := help
.PHONY: help serve test check check-long fmt train export download models bench bench-batching bench-epoch bench-forms bench-native bench-prepare bench-training reproduce search slices \
  api-docs bench-report bench-told bench-workers traffic prove-assignment prove-statistics prove-truth prove-stickiness prove-auto-stop prove-shadow \
  prove-shadow-core prove-swap prove-teacher prove-feedback prove-durability \
  compose-up prove-compose dashboards doctor loadtest manifests picture fuzz-native lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

serve: $(BUNDLES)/student/CURRENT  ## train if there is no bundle yet, then serve on 127.0.0.1:8000
	CTR_STUDENT_BUNDLE=$(BUNDLES)/student CTR_TEACHER_BUNDLE=$(BUNDLES)/teacher \
	  $(BIN)/python -m service serve --host $(HOST) --port $(PORT)

test: check  ## set everything up and run all checks

check: .venv/installed  ## lint, format, types, import contracts, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy docker/grafana/boards
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not long" --numprocesses 2 tests/training tests/export
	$(BIN)/pytest -m "not long" --ignore tests/training --ignore tests/export

check-long: .venv/installed  ## the tests that `make test` leaves out: benches and proofs in small
	$(BIN)/pytest -m long

fmt: .venv/installed  ## mend what a tool can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

train: .venv/installed  ## teach, distill, fine-tune, evaluate, export: on MovieLens-1M if found, else generated data
	$(BIN)/python -m training run $(TRAIN)
	$(BIN)/python -m export

export: .venv/installed  ## export the run that finished last
	$(BIN)/python -m export

download: .venv/installed  ## fetch MovieLens-1M from GroupLens and check it
	$(BIN)/python -m training download

models: .venv/installed  ## every model that can be trained
	$(BIN)/python -m training models

bench-epoch: .venv/installed  ## seconds of one training epoch of each phase on the data at hand, one core
	taskset --cpu-list 0 $(BIN)/python -m training bench

bench-native: .venv/installed  ## the native scorer against onnxruntime and against bare arithmetic, one core
	taskset --cpu-list 0 $(BIN)/python -m export.bench_native

bench-forms: .venv/installed  ## every serving form against full rows, the student against teachers, one core; curves
	taskset --cpu-list 0 $(BIN)/python -m export.bench_forms

bench-prepare: .venv/installed  ## rows a second of preparing Criteo, two cores, everything included
	taskset --cpu-list 0,1 $(BIN)/python -m training.bench_prepare

bench-training: .venv/installed  ## rows/s and memory of training, every model on two shapes; BENCH=--quick; over an hour, quiet machine
	$(BIN)/python -m training.bench_training $(BENCH)

search: .venv/installed  ## a small grid, chosen on validation: SEARCH="--set finetune.learning_rate=1e-3,2e-3 --jobs 2"
	$(BIN)/python -m training search $(SEARCH)

slices: .venv/installed  ## the run's models on validation rows by slice, with pictures: BY=gender,item_id:seen
	$(BIN)/python -m training evaluate --part validation --by $(BY)

reproduce: .venv/installed  ## both papers' tables and figures on MovieLens-1M; hours, goes on after a kill; REPRODUCE="--only table3"
	$(BIN)/python -m training reproduce $(REPRODUCE)

bench-workers: $(BUNDLES)/student/CURRENT  ## one worker against two over HTTP: requests/s, CPU time per request
	$(BIN)/python -m loadtest.bench_workers --student-bundle $(BUNDLES)/student

bench: .venv/installed  ## the service over HTTP beside an expert's and a tutorial's, needs wrk and two cores; 20 minutes
	$(BIN)/python -m loadtest.bench $(BENCH)

bench-told: $(BUNDLES)/student/CURRENT  ## what logs and traces cost a request, in process; two minutes
	$(BIN)/python -m loadtest.bench_told --student-bundle $(BUNDLES)/student

doctor: .venv/installed  ## look at this machine, the settings and what they name
	CTR_STUDENT_BUNDLE=$(BUNDLES)/student CTR_TEACHER_BUNDLE=$(BUNDLES)/teacher $(BIN)/python -m service doctor

bench-report: .venv/installed  ## what a report on a million feedback events costs; 2 minutes
	$(BIN)/python -m loadtest.bench_report

bench-batching: .venv/installed  ## small requests at the same time: scored each, or collected and scored together; 6 minutes
	$(BIN)/python -m loadtest.bench.batching $(BENCH)

compose-up:  ## everything in containers, bundles made if there are none; COMPOSE_PROFILES=load,postgres for more
	$(COMPOSE) up --build --detach --wait --wait-timeout 600

prove-compose: .venv/installed  ## on a compose project that is up: split, dashboards, kills, bad input, down and up
	$(BIN)/python -m loadtest.proof.compose

dashboards: .venv/installed  ## write docker/grafana/dashboards/*.json from docker/grafana/boards
	cd docker/grafana && ../../$(BIN)/python -m boards

manifests: .venv/installed  ## render the Kubernetes manifests into build/kubernetes
	mkdir -p build/kubernetes
	for part in overlays/student overlays/teacher overlays/canary monitoring kserve; do \
	  $(BIN)/kubectl kustomize docker/kubernetes/$$part > build/kubernetes/$$(basename $$part).yaml || exit 1; \
	done

picture: $(BUNDLES)/student/CURRENT  ## the README's picture of the live page, of a real experiment; needs chromium
	$(BIN)/python -m loadtest.picture $(BOTH)

loadtest: $(BUNDLES)/student/CURRENT  ## student against teacher under realistic load; table, picture, page; 4 minutes, two cores
	$(BIN)/python -m loadtest.ranking $(BOTH) $(LOADTEST)

api-docs: $(BUNDLES)/student/CURRENT  ## docs/api.md from a service of its own, the table of settings in docs/operator.md
	$(BIN)/python -m loadtest.settings_table
	$(BIN)/python -m loadtest.api_reference $(BOTH)

traffic: $(BUNDLES)/student/CURRENT  ## a service of its own, users with a known taste, and the report; TRAFFIC="--lift 0.1"
	$(BIN)/python -m loadtest.traffic --serve --bundle $(BUNDLES)/student $(TRAFFIC)

prove-assignment: .venv/installed  ## a million units under every salt: even, independent, and what one costs
	$(BIN)/python -m loadtest.proof.assignment

prove-statistics: .venv/installed  ## false positives, power, coverage, agreement with other libraries; some minutes
	$(BIN)/python -m loadtest.proof.statistics

prove-truth: $(BUNDLES)/student/CURRENT  ## experiments find the truth that traffic was made with; 10 minutes
	$(BIN)/python -m loadtest.proof.truth $(BOTH)

prove-stickiness: $(BUNDLES)/student/CURRENT  ## units keep their arms, the kill switch reaches every worker
	$(BIN)/python -m loadtest.proof.stickiness --student-bundle $(BUNDLES)/student

prove-auto-stop: $(BUNDLES)/student/CURRENT  ## a loss is stopped: from its breach to the last unit treated
	$(BIN)/python -m loadtest.proof.auto_stop --student-bundle $(BUNDLES)/student

prove-shadow: $(BUNDLES)/student/CURRENT  ## a shadow on, hung and dead beside none: throughput, latency, drops; needs wrk, two cores
	$(BIN)/python -m loadtest.proof.shadow $(BOTH)

prove-shadow-core: $(BUNDLES)/student/CURRENT  ## what a shadow with a core of its own takes of the student's, without HTTP
	$(BIN)/python -m loadtest.proof.shadow_core $(BOTH)

prove-swap: $(BUNDLES)/student/CURRENT  ## versions swapped under load: no wrong answer, none lost, no leak
	$(BIN)/python -m loadtest.proof.swap --student-bundle $(BUNDLES)/student

prove-teacher: $(BUNDLES)/student/CURRENT  ## a teacher that hangs or dies beside one that answers; needs two cores
	$(BIN)/python -m loadtest.proof.teacher $(BOTH)

prove-feedback: .venv/installed  ## durable feedback events per second of one writer, and the wait for the acknowledgement
	$(BIN)/python -m loadtest.proof.feedback

prove-durability: .venv/installed  ## kill -9 a service 200 times while clients post feedback; 10 minutes
	$(BIN)/python -m loadtest.proof.durability --cycles 200

fuzz-native:  ## random models, requests and look-ups through the C cores, under AddressSanitizer and UBSan
	mkdir -p build
	for program in service/native/fuzz service/native/fuzz_table training/native/fuzz_columns training/native/fuzz_attention \
	  training/native/fuzz_propagation; do \
	  out=build/$$(basename $$program); \
	  $(CC) -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all $$program.c -lm -o $$out && \
	    $$out $(ITERATIONS) $(SEED) || exit 1; \
	done

lock: .venv/installed  ## write the installed versions to requirements.lock
	$(BIN)/pip freeze --exclude-editable | sed -E 's/^(torch==[0-9.]+)\+.*/\1/' > requirements.lock.new
	mv requirements.lock.new requirements.lock

clean:  ## remove everything made here except data
	rm -rf .venv runs bundles build service/native/*.so training/native/*.so

$(BUNDLES)/student/CURRENT: | .venv/installed
	$(MAKE) train

.venv/installed: pyproject.toml requirements.lock $(wildcard service/native/*.[ch] training/native/*.[ch])
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --progress-bar on $(PIP) \
	  --constraint requirements.lock --editable '.[dev]'
	touch $@
