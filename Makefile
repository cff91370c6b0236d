# make up      what a newcomer runs: install what is missing, build, start everything on loopback, deliver a demo event
# make test    everything, from a bare machine
.PHONY: help up down build test simulate chaos bench build-bench bench-micro lint format clean

PROGRAMS = webhook-registry observability event-ingestion retry-manager webhook-dispatcher api-gateway martlet
KAFKA = $(if $(KAFKA_HOME),kafka)

help:
	@echo 'make up      install what is missing, build, start everything on loopback, deliver a demo event and show it'
	@echo 'make down    stop what make up started'
	@echo 'make build   the release build alone'
	@echo 'make test    all suites, from a bare machine (KAFKA_HOME=… adds those that need a real Kafka)'
	@echo 'make simulate   SEEDS=… simulated worlds full of faults; SEED=… one of them again'
	@echo 'make chaos   break everything that can break, under load, and show a table of what it cost (FAULTS="7 14": those rows)'
	@echo 'make bench   measure everything and write .build/bench/report.md (ONLY=ingest,end-to-end: those; SCALE=0.1: a quick look)'
	@echo 'make bench-micro   CPU time and allocations of the hot paths (ONLY=route: those; JSON=FILE: as JSON, too)'
	@echo 'make lint    check the formatting;  make format: mend it'
	@echo 'make clean   remove what was built'

up:
	@scripts/bootstrap.sh build run $(KAFKA)
	@$(MAKE) --no-print-directory build-release
	@.build/release/martlet up --detach --demo

down:
	@.build/release/martlet down

build:
	@scripts/bootstrap.sh build
	@$(MAKE) --no-print-directory build-release

.PHONY: build-release
build-release: $(addprefix build-release-,$(PROGRAMS))

# One after the other: two builds would wait for each other. What a program shares with the one before is built already.
.NOTPARALLEL:
build-release-%:
	@swift build -c release --product $*

test:
	@scripts/bootstrap.sh build run test $(KAFKA)
	@$(MAKE) --no-print-directory lint
	@scripts/test.sh

simulate:
	@scripts/bootstrap.sh build
	@swift build -c release --product simulate
	@.build/release/simulate $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FROM),--from $(FROM)) $(if $(SEED),--seed $(SEED)) $(if $(MUTATION),--mutation $(MUTATION))

chaos:
	@scripts/bootstrap.sh build run test $(KAFKA)
	@CHAOS="$(or $(FAULTS),all)" TEST_LIMIT=3600 scripts/test.sh '^ChaosTests'; status=$$?; cat .build/chaos/report.md; exit $$status

build-bench: build
	@swift build -c release --product martlet-bench

# BROKER=memory: the in-memory broker though KAFKA_HOME is set.
bench:
	@scripts/bootstrap.sh build run $(KAFKA)
	@$(MAKE) --no-print-directory build-release build-release-martlet-bench build-release-bench-micro
	@.build/release/martlet bench run $(if $(ONLY),--only $(ONLY)) $(if $(SCALE),--scale $(SCALE)) $(if $(filter memory,$(BROKER)),--memory) --output $(or $(OUTPUT),.build/bench)

bench-micro:
	@scripts/bootstrap.sh build
	@$(MAKE) --no-print-directory build-release-bench-micro
	@.build/release/bench-micro $(if $(ALLOCATIONS),--allocations) $(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json $(JSON))

lint:
	swift format lint --strict --recursive --parallel Package.swift cmd internal pkg Tests Benchmarks

format:
	swift format --in-place --recursive --parallel Package.swift cmd internal pkg Tests Benchmarks

clean:
	rm -rf .build .venv
