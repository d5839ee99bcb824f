.PHONY: bench bench-peers

# What make bench measures: parts, or all without any; tests/bench/run says what the others do.
BENCH         ?=
BENCH_OPTIONS := ROUNDS ROWS QUICK PATIENCE AGAINST
BENCH_TOOLS   := $(patsubst %,$(BUILD)/bench/%,timed ceiling producer latency)

bench: deps-bench ## measure throughput and more; BENCH="PART ...", ROUNDS=N, ROWS=N, QUICK=1; AGAINST=REVISION
	@$(MAKE) --no-print-directory -s all bench-tools
	tests/kafka/fetch build/kafka/lib
	@BUILD=$(BUILD) $(foreach v,$(BENCH_OPTIONS),$(if $($v),$v=$($v))) \
		$(PYTHON) -B tests/bench/run $(BENCH)

bench-peers: deps-peers ## the same for Flask-SignalBus and Debezium Server, which it downloads
	@$(MAKE) --no-print-directory -s all bench-tools
	tests/kafka/fetch build/kafka/lib
	PYTHON=$(PYTHON) tests/bench/fetch-peers $(BUILD)/peers
	@BUILD=$(BUILD) $(foreach v,$(BENCH_OPTIONS),$(if $($v),$v=$($v))) \
		$(PYTHON) -B tests/bench/run peers

.PHONY: bench-tools
bench-tools: $(BENCH_TOOLS)

$(BENCH_TOOLS): $(BUILD)/bench/%: tests/bench/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< $(shell pkg-config --libs libpq rdkafka)
