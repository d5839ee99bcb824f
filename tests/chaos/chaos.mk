.PHONY: chaos chaos-brokers soak drain

# Seeded faults, and long runs; what they find is in build/chaos too.
SEED    ?= 1
SEEDS   ?= $(SEED)
ROUNDS  ?= 4
HOURS   ?= 1
RATE    ?= 1000
ROWS    ?= 10000000
chaos: SECONDS ?= 60
CHAOS   := SIGNALBUS=$(abspath $(BINARY)) $(PYTHON) -B tests/chaos/run
chaos:         RUN = chaos --seed $(SEEDS) --seconds $(SECONDS) $(FAULTS:%=--faults %) $(DELIVERY:%=--delivery %)
chaos-brokers: RUN = brokers --rounds $(ROUNDS) $(DELIVERY:%=--delivery %)
soak:          RUN = soak --seconds $(or $(SECONDS),$$(($(HOURS) * 3600))) --rate $(RATE)
drain:         RUN = drain --rows $(ROWS)

chaos: ## load, and faults on a schedule: SEED=1 or SEEDS="1 2 3", SECONDS=60, FAULTS=kind,kind, DELIVERY=exactly-once
chaos-brokers: ## kill each of three brokers in turn, under load, ROUNDS=4 times: DELIVERY=exactly-once
soak: ## RATE=1000 rows/s for HOURS=1 (or SECONDS=): verify all guarantees, and stable memory
drain: ## flushmany of ROWS=10000000: verify all guarantees, and stable memory
chaos chaos-brokers soak drain: deps-test
	@$(MAKE) --no-print-directory all
	tests/kafka/fetch build/kafka/lib
	$(CHAOS) $(RUN)
