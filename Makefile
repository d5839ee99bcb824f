# signalbus - `make help` lists what can be made.
VERSION := 0.1.0

PREFIX     ?= /usr/local
sysconfdir ?= /etc
bindir     := $(PREFIX)/bin
mandir     := $(PREFIX)/share/man
docdir     := $(PREFIX)/share/doc/signalbus

CC       ?= cc
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wmissing-prototypes \
	-Wstrict-prototypes
HARDENING := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
SANITIZE ?=
PYTHON   ?= /usr/bin/python3
BUILD    ?= build
BINARY   := $(BUILD)/signalbus

# libsystemd tells systemd how the daemon does; the daemon works without it, too.
HAVE_SYSTEMD := $(shell pkg-config --exists libsystemd && echo yes)
PACKAGES := libpq rdkafka libcjson libconfig libmicrohttpd $(if $(HAVE_SYSTEMD),libsystemd)

SOURCES := main.c command.c cmd_run.c cmd_flush.c cmd_inspect.c cmd_schema.c cmd_triggers.c \
	cmd_dead_letters.c cmd_check.c \
	config.c config_value.c config_item.c settings.c problems.c findings.c nearest.c \
	model.c shape.c template.c sql.c catalog.c catalog_facts.c catalog_check.c facts.c \
	db.c db_run.c rows.c store.c store_claim.c store_dead.c store_lock.c \
	store_order.c store_settle.c barrier.c position.c \
	encode.c bytes.c schema.c bus.c bus_start.c bus_producer.c bus_verdict.c bus_watch.c \
	bus_topics.c ledger.c \
	burst.c flusher.c progress.c retry.c \
	daemon.c due.c standing.c listen.c health.c service.c \
	metrics.c metrics_print.c lag.c monitor.c http.c address.c \
	log.c log_json.c error.c clock.c stop.c text.c
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
TSAN_OBJECTS := $(if $(filter thread,$(SANITIZE)),$(BUILD)/tests/c11_threads.o)

# Each unit test links just what it tests and what that stands on, so that a module that reaches
# upwards fails to link.
UNIT_TESTS      := test_clock test_text test_nearest test_ledger test_retry test_model test_sql \
	test_encode test_config test_burst test_barrier test_template test_message \
	test_schema test_rows test_metrics test_log test_address test_position
MODEL := model shape template nearest problems text error
test_clock_OBJECTS   := clock
test_text_OBJECTS    := text
test_nearest_OBJECTS := nearest
test_ledger_OBJECTS  := ledger text
test_retry_OBJECTS   := retry clock error
test_model_OBJECTS   := $(MODEL)
test_sql_OBJECTS     := sql $(MODEL)
test_encode_OBJECTS  := encode bytes $(MODEL)
test_config_OBJECTS  := config config_value config_item settings problems nearest address text \
	error log log_json
test_burst_OBJECTS   := burst ledger encode bytes sql position clock log log_json $(MODEL)
test_template_OBJECTS := template text error
test_message_OBJECTS := encode bytes sql $(MODEL)
test_schema_OBJECTS  := schema facts $(MODEL)
test_barrier_OBJECTS := barrier text
test_rows_OBJECTS    := rows text
test_log_OBJECTS     := log log_json text
test_address_OBJECTS := address error
test_position_OBJECTS := position clock text
test_metrics_OBJECTS := metrics metrics_print lag clock text error
UNIT_BINARIES := $(UNIT_TESTS:%=$(BUILD)/unit/%)

CPPFLAGS_ALL = -D_GNU_SOURCE -DSIGNALBUS_VERSION='"$(VERSION)"' -DSYSCONFDIR='"$(sysconfdir)"' -Isrc \
	$(if $(HAVE_SYSTEMD),-DHAVE_SYSTEMD) $(shell pkg-config --cflags $(PACKAGES)) $(CPPFLAGS)
CFLAGS_ALL   = -std=c11 -pthread $(WARNINGS) $(if $(SANITIZE),,$(HARDENING)) $(CFLAGS) \
	$(SANITIZE:%=-fsanitize=%)
LDFLAGS_ALL  = -pthread $(if $(SANITIZE),,-pie -Wl,-z,relro,-z,now) $(SANITIZE:%=-fsanitize=%) \
	$(LDFLAGS)

.DELETE_ON_ERROR:
.PHONY: all install uninstall clean help demo check check-unit check-integration check-asan \
	check-tsan check-values chaos chaos-brokers soak drain bench fuzz lint format \
	deps-build deps-test deps-demo deps-bench deps-fuzz deps-lint

all: $(BINARY) ## build build/signalbus

$(BINARY): $(OBJECTS) $(TSAN_OBJECTS)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(shell pkg-config --libs $(PACKAGES))

$(BUILD)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/unit/%.o: tests/unit/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(shell pkg-config --cflags check) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/tests/%.o: tests/tsan/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

.SECONDEXPANSION:
$(UNIT_BINARIES): $(BUILD)/unit/%: $(BUILD)/unit/%.o $$(addprefix $(BUILD)/,$$(addsuffix .o,$$($$*_OBJECTS)))
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(shell pkg-config --libs check) \
		$(if $(filter encode schema log_json,$($*_OBJECTS)),$(shell pkg-config --libs libcjson)) \
		$(if $(filter config,$($*_OBJECTS)),$(shell pkg-config --libs libconfig))

unitdir     := $(PREFIX)/lib/systemd/system
sysusersdir := $(PREFIX)/lib/sysusers.d
tmpfilesdir := $(PREFIX)/lib/tmpfiles.d
# What is in conf names the default paths.
REPATH := sed -e 's|/usr/local/bin/|$(bindir)/|g' -e 's|/etc/signalbus|$(sysconfdir)/signalbus|g'
# Without libsystemd the daemon cannot tell systemd how it does.
REUNIT := $(REPATH) $(if $(HAVE_SYSTEMD),,-e 's/^Type=notify/Type=exec/' -e '/^WatchdogSec=/d')

install: all ## install under DESTDIR, PREFIX (default /usr/local), sysconfdir (default /etc)
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(mandir)/man1 $(DESTDIR)$(mandir)/man5 \
		$(DESTDIR)$(docdir) $(DESTDIR)$(unitdir) $(DESTDIR)$(sysusersdir) \
		$(DESTDIR)$(tmpfilesdir) $(DESTDIR)$(sysconfdir)/signalbus
	install -m 755 $(BINARY) $(DESTDIR)$(bindir)/signalbus
	install -m 644 man/signalbus.1 $(DESTDIR)$(mandir)/man1/
	install -m 644 man/signalbus.conf.5 $(DESTDIR)$(mandir)/man5/
	install -m 644 README.md LICENSE signalbus.conf.example conf/signalbus.cron $(DESTDIR)$(docdir)/
	install -d $(DESTDIR)$(docdir)/examples
	install -m 644 conf/examples/* $(DESTDIR)$(docdir)/examples/
	install -m 644 conf/signalbus.service conf/signalbus@.service $(DESTDIR)$(unitdir)/
	install -m 644 conf/signalbus.sysusers $(DESTDIR)$(sysusersdir)/signalbus.conf
	install -m 644 conf/signalbus.tmpfiles $(DESTDIR)$(tmpfilesdir)/signalbus.conf
	$(REUNIT) -i $(DESTDIR)$(unitdir)/signalbus.service $(DESTDIR)$(unitdir)/signalbus@.service
	$(REPATH) -i $(DESTDIR)$(tmpfilesdir)/signalbus.conf $(DESTDIR)$(docdir)/signalbus.cron

uninstall: ## remove what install installed, but configuration
	rm -f $(DESTDIR)$(bindir)/signalbus $(DESTDIR)$(mandir)/man1/signalbus.1 \
		$(DESTDIR)$(mandir)/man5/signalbus.conf.5 $(DESTDIR)$(unitdir)/signalbus.service \
		$(DESTDIR)$(unitdir)/signalbus@.service $(DESTDIR)$(sysusersdir)/signalbus.conf \
		$(DESTDIR)$(tmpfilesdir)/signalbus.conf
	rm -rf $(DESTDIR)$(docdir)
	-rmdir --ignore-fail-on-non-empty $(DESTDIR)$(sysconfdir)/signalbus

clean: ## remove what was built (Kafka's jars stay in build/kafka)
	find $(BUILD) -mindepth 1 -maxdepth 1 ! -name kafka -exec rm -rf {} +

demo: deps-demo ## show the main job on a throw-away PostgreSQL and an embedded broker
	@$(MAKE) --no-print-directory -s all
	@tests/demo.sh

check: check-unit check-integration ## run all tests, on real PostgreSQL and Kafka servers

check-unit: deps-test ## run the unit tests
	@$(MAKE) --no-print-directory unit-binaries
	@set -e; for test in $(UNIT_BINARIES); do $$test; done

.PHONY: unit-binaries
unit-binaries: $(UNIT_BINARIES)

check-integration: deps-test ## run the tests on real servers; T= chooses some (pytest -k)
	@$(MAKE) --no-print-directory all
	tests/kafka/fetch build/kafka/lib
	SIGNALBUS=$(abspath $(BINARY)) $(PYTHON) -m pytest -q -p no:cacheprovider tests/integration \
		$(if $(T),-k "$(T)")

check-asan: ## run all tests with the address and undefined behaviour sanitizers
	ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99 UBSAN_OPTIONS=halt_on_error=1 \
		$(MAKE) check BUILD=build/asan SANITIZE=address,undefined CFLAGS="-O1 -g"

check-tsan: ## run the tests of what has threads with the thread sanitizer
	TSAN_OPTIONS=exitcode=66:suppressions=$(abspath tests/tsan/suppressions) \
		$(MAKE) check-integration T="daemon or flushmany or order" BUILD=build/tsan SANITIZE=thread \
		CFLAGS="-O1 -g"

check-values: ## compare a million rows of mixed types with PostgreSQL's own to_json
	SIGNALBUS_VALUE_ROWS=1000000 $(MAKE) check-integration T=mixed_types

# Seeded faults, and long runs; what they find is in build/chaos too.
SEED    ?= 1
SEEDS   ?= $(SEED)
ROUNDS  ?= 4
HOURS   ?= 1
RATE    ?= 1000
ROWS    ?= 10000000
chaos: SECONDS ?= 60
CHAOS   := SIGNALBUS=$(abspath $(BINARY)) $(PYTHON) -B tests/chaos/run
chaos:         RUN = chaos --seed $(SEEDS) --seconds $(SECONDS) $(FAULTS:%=--faults %)
chaos-brokers: RUN = brokers --rounds $(ROUNDS)
soak:          RUN = soak --seconds $(or $(SECONDS),$$(($(HOURS) * 3600))) --rate $(RATE)
drain:         RUN = drain --rows $(ROWS)

chaos: ## load and faults by a schedule: SEED=1 or SEEDS="1 2 3", SECONDS=60, FAULTS=kind,kind
chaos-brokers: ## kill each of three brokers in turn, amid load, ROUNDS=4 times
soak: ## RATE=1000 rows/s for HOURS=1 (or SECONDS=): checks all, and that memory stays level
drain: ## flushmany of ROWS=10000000: checks all, and that memory stays level
chaos chaos-brokers soak drain: deps-test
	@$(MAKE) --no-print-directory all
	tests/kafka/fetch build/kafka/lib
	$(CHAOS) $(RUN)

# Seconds, and what it links: the pure way of a row.
FUZZ_SECONDS ?= 60
FUZZ_SOURCES := tests/fuzz/fuzz_message.c $(patsubst %,src/%.c,encode bytes $(MODEL))

# What make bench measures: parts, or all without any; tests/bench/run says what the others do.
BENCH         ?=
BENCH_OPTIONS := ROUNDS ROWS QUICK PATIENCE
BENCH_TOOLS   := $(patsubst %,$(BUILD)/bench/%,timed ceiling producer latency)

bench: deps-bench ## measure throughput and more; BENCH="PART ...", ROUNDS=N, ROWS=N, QUICK=1
	@$(MAKE) --no-print-directory -s all bench-tools
	tests/kafka/fetch build/kafka/lib
	@BUILD=$(BUILD) $(foreach v,$(BENCH_OPTIONS),$(if $($v),$v=$($v))) \
		$(PYTHON) -B tests/bench/run $(BENCH)

.PHONY: bench-tools
bench-tools: $(BENCH_TOOLS)

$(BENCH_TOOLS): $(BUILD)/bench/%: tests/bench/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< $(shell pkg-config --libs libpq rdkafka)

fuzz: deps-fuzz ## drive placeholders and the encoder with libFuzzer for FUZZ_SECONDS (60)
	@mkdir -p $(BUILD)/fuzz/corpus
	clang -std=c11 -g -O1 -D_GNU_SOURCE -Isrc $(WARNINGS) -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all $(shell pkg-config --cflags libcjson) $(FUZZ_SOURCES) \
		$(shell pkg-config --libs libcjson) -o $(BUILD)/fuzz/fuzz_message
	cd $(BUILD)/fuzz && ./fuzz_message -max_total_time=$(FUZZ_SECONDS) -max_len=8192 \
		-dict=$(CURDIR)/tests/fuzz/message.dict -print_final_stats=1 -verbosity=0 corpus

lint: deps-lint ## check format, warnings, sizes, layers and documentation
	@tests/lint/run

format: ## format the sources as the house style wants it
	clang-format -i src/*.[ch] tests/unit/*.[ch] tests/bench/*.c

deps-build deps-demo deps-test deps-bench deps-fuzz deps-lint: deps-%:
	@tests/install-deps $*

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

-include $(OBJECTS:.o=.d) $(UNIT_BINARIES:=.d)
