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

SOURCES := main.c options.c command.c cmd_run.c cmd_flush.c cmd_inspect.c cmd_schema.c \
	cmd_triggers.c cmd_dead_letters.c cmd_check.c \
	config.c config_value.c config_item.c settings.c problems.c findings.c nearest.c \
	model.c shape.c template.c sql.c catalog.c catalog_facts.c catalog_check.c facts.c \
	db.c db_connect.c db_cancel.c db_run.c db_session.c rows.c store.c store_claim.c store_take.c store_dead.c \
	store_lock.c store_blame.c store_sight.c \
	store_order.c store_settle.c store_delete.c store_ahead.c store_first.c store_read.c barrier.c \
	position.c \
	binary.c numeric.c encode.c bytes.c schema.c bus.c bus_report.c bus_start.c bus_producer.c \
	bus_property.c bus_verdict.c bus_judge.c bus_refused.c bus_ask.c bus_trouble.c \
	bus_watch.c bus_topics.c ledger.c \
	burst.c burst_isolate.c deferral.c stretch.c flusher.c progress.c retry.c \
	daemon.c census.c due.c standing.c hold.c listen.c health.c service.c \
	metrics.c metrics_print.c lag.c monitor.c http.c address.c \
	log.c log_json.c utf8.c error.c clock.c steady_wait.c stop.c text.c
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
TSAN_OBJECTS := $(if $(filter thread,$(SANITIZE)),$(BUILD)/tests/c11_threads.o)

# Each unit test links just what it tests and what that stands on, so that a module that reaches
# upwards fails to link.
UNIT_TESTS      := test_clock test_text test_nearest test_ledger test_retry test_model test_sql \
	test_encode test_config test_burst test_barrier test_template test_message \
	test_schema test_rows test_metrics test_log test_address test_flusher test_bus test_position \
	test_stretch test_ahead test_claim test_steady_wait test_binary test_verdict test_utf8 \
	test_standing test_deferral test_health
MODEL := model shape binary numeric template nearest problems text error utf8
test_clock_OBJECTS   := clock
test_steady_wait_OBJECTS := steady_wait clock
test_binary_OBJECTS  := binary numeric text
test_text_OBJECTS    := text
test_nearest_OBJECTS := nearest
test_ledger_OBJECTS  := ledger text
test_retry_OBJECTS   := retry clock error utf8 text
test_model_OBJECTS   := $(MODEL)
test_sql_OBJECTS     := sql $(MODEL)
test_encode_OBJECTS  := encode bytes $(MODEL)
test_config_OBJECTS  := config config_value config_item settings problems nearest address template text \
	error log log_json utf8
test_burst_OBJECTS   := burst burst_isolate deferral stretch ledger encode bytes sql position clock log \
	log_json utf8 $(MODEL)
test_flusher_OBJECTS := flusher retry deferral position clock error utf8 text
# Doubles of what other objects of the test, or the C library, have; the test has scripted_….
test_flusher_DOUBLES := clock_now pthread_create pthread_join
test_bus_OBJECTS     := bus bus_report bus_start bus_producer bus_property bus_verdict \
	bus_judge bus_refused bus_ask bus_trouble bus_watch ledger clock steady_wait nearest \
	error utf8 text
test_verdict_OBJECTS := bus_verdict
test_template_OBJECTS := template text error utf8
test_message_OBJECTS := encode bytes sql $(MODEL)
test_schema_OBJECTS  := schema facts $(MODEL)
test_barrier_OBJECTS := barrier text
test_rows_OBJECTS    := rows text
test_log_OBJECTS     := log log_json utf8 text
test_utf8_OBJECTS    := utf8 text
test_address_OBJECTS := address error utf8 text
test_position_OBJECTS := position clock text
test_ahead_OBJECTS   := store_ahead store_settle store_delete sql rows $(MODEL)
test_claim_OBJECTS   := store_claim store_first store_read store_take store_delete sql rows clock position log log_json \
	utf8 $(MODEL)
test_stretch_OBJECTS := stretch position sql rows clock $(MODEL)
test_health_OBJECTS := health clock text
test_health_DOUBLES := clock_now
test_deferral_OBJECTS := deferral clock error text utf8
test_deferral_DOUBLES := clock_now
test_standing_OBJECTS := standing hold deferral retry position clock error text utf8
test_standing_DOUBLES := clock_now
test_metrics_OBJECTS := metrics metrics_print utf8 lag clock text error
UNIT_BINARIES := $(UNIT_TESTS:%=$(BUILD)/unit/%)

CPPFLAGS_ALL = -D_GNU_SOURCE -DSIGNALBUS_VERSION='"$(VERSION)"' -DSYSCONFDIR='"$(sysconfdir)"' -Isrc \
	$(if $(HAVE_SYSTEMD),-DHAVE_SYSTEMD) $(shell pkg-config --cflags $(PACKAGES)) $(CPPFLAGS)
CFLAGS_ALL   = -std=c11 -pthread $(WARNINGS) $(if $(SANITIZE),,$(HARDENING)) $(CFLAGS) \
	$(SANITIZE:%=-fsanitize=%)
LDFLAGS_ALL  = -pthread $(if $(SANITIZE),,-pie -Wl,-z,relro,-z,now) $(SANITIZE:%=-fsanitize=%) \
	$(LDFLAGS)

.DELETE_ON_ERROR:
.PHONY: all install uninstall clean help demo check check-unit check-integration check-asan \
	check-tsan check-faults check-valgrind check-values coverage crash-points failing-calls \
	chaos chaos-brokers soak drain bench bench-peers fuzz lint format \
	deps-bench deps-build deps-demo deps-fuzz deps-lint deps-peers deps-test deps-valgrind

all: $(BINARY) ## build build/signalbus

$(BINARY): $(OBJECTS) $(TSAN_OBJECTS)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(shell pkg-config --libs $(PACKAGES)) -lm

$(BUILD)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/unit/%.o: tests/unit/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(shell pkg-config --cflags check) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/tests/%.o: tests/tsan/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

# What makes the program under test fail; never built with a sanitizer.
INJECT := $(BUILD)/inject/crash_at $(BUILD)/inject/failing_calls.so \
	$(BUILD)/inject/stepped_clock.so $(BUILD)/inject/addresses.so
INJECT_FLAGS := -std=c11 -D_GNU_SOURCE -O2 -g -pthread $(WARNINGS)

$(BUILD)/inject/crash_at: tests/inject/crash_at.c Makefile
	@mkdir -p $(@D)
	$(CC) $(INJECT_FLAGS) -o $@ $<

$(BUILD)/inject/%.so: tests/inject/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(INJECT_FLAGS) -fPIC -shared -o $@ $<

.SECONDEXPANSION:
$(UNIT_BINARIES): $(BUILD)/unit/%: $(BUILD)/unit/%.o $(TSAN_OBJECTS) \
		$$(addprefix $(BUILD)/,$$(addsuffix .o,$$($$*_OBJECTS)))
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(shell pkg-config --libs check) \
		$(foreach f,$($*_DOUBLES),-Wl,--wrap=$f,--defsym=__wrap_$f=scripted_$f) \
		$(if $(filter bus bus_verdict,$($*_OBJECTS)),$(shell pkg-config --libs rdkafka)) \
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

clean: ## remove what was built (downloads stay in build/kafka and build/peers)
	find $(BUILD) -mindepth 1 -maxdepth 1 ! -name kafka ! -name peers -exec rm -rf {} +

demo: deps-demo ## show the main job on a throw-away PostgreSQL and an embedded broker
	@$(MAKE) --no-print-directory -s all
	@tests/demo.sh

check: check-unit check-integration ## run all tests, on real PostgreSQL and Kafka servers

check-unit: deps-test ## run the unit tests
	@$(MAKE) --no-print-directory unit-binaries
	@set -e; for test in $(UNIT_BINARIES); do $$test; done

.PHONY: unit-binaries inject
unit-binaries: $(UNIT_BINARIES)
inject: $(INJECT)

# Tests wait most of their time, so twice as many as there are processors run side by side, each
# process with servers of its own; those that T chooses run one by one unless TEST_JOBS is set.
TEST_JOBS ?= $(if $(T),0,4)

check-integration: deps-test ## run the tests on real servers; T= chooses some (pytest -k)
	@$(MAKE) --no-print-directory all inject
	tests/kafka/fetch build/kafka/lib
	SIGNALBUS=$(abspath $(BINARY)) $(PYTHON) -m pytest -q -p no:cacheprovider tests/integration \
		-m "not long" $(if $(T),-k "$(T)") -n $(TEST_JOBS) --dist load

check-faults: deps-test ## run the tests of faults that are too long for make check
	@$(MAKE) --no-print-directory all
	tests/kafka/fetch build/kafka/lib
	SIGNALBUS=$(abspath $(BINARY)) $(PYTHON) -m pytest -q -p no:cacheprovider tests/integration -m long

check-asan: ## run all tests with the address and undefined behaviour sanitizers
	ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99 UBSAN_OPTIONS=halt_on_error=1 \
		$(MAKE) check BUILD=build/asan SANITIZE=address,undefined CFLAGS="-O1 -g"

check-tsan: ## run all tests with the thread sanitizer
	TSAN_OPTIONS=exitcode=66:allocator_may_return_null=1:suppressions=$(abspath tests/tsan/suppressions) \
		$(MAKE) check BUILD=build/tsan SANITIZE=thread CFLAGS="-O1 -g"

check-values: ## compare a million rows of mixed types with PostgreSQL's own to_json
	SIGNALBUS_VALUE_ROWS=1000000 $(MAKE) check-integration T=mixed_types

# Errors and lost memory end a program with a status that no test expects.
VALGRIND := valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
	--suppressions=$(CURDIR)/tests/valgrind/suppressions
VALGRIND_TESTS ?= test_flushordered or test_messages

check-valgrind: deps-valgrind ## run the unit tests and some others with valgrind's memcheck
	@$(MAKE) --no-print-directory unit-binaries all
	@set -e; for test in $(UNIT_BINARIES); do CK_FORK=yes $(VALGRIND) $$test; done
	@mkdir -p $(BUILD)/valgrind
	@printf '#!/bin/sh\nexec %s "$$@"\n' '$(VALGRIND) $(abspath $(BINARY))' >$(BUILD)/valgrind/signalbus
	@chmod +x $(BUILD)/valgrind/signalbus
	tests/kafka/fetch build/kafka/lib
	SIGNALBUS=$(abspath $(BUILD)/valgrind/signalbus) $(PYTHON) -m pytest -q -p no:cacheprovider \
		tests/integration -k "$(VALGRIND_TESTS)"

coverage: ## run all tests (T= chooses some) and print which lines of src they reach
	find build/coverage -name '*.gcda' -delete 2>/dev/null || true
	$(MAKE) check BUILD=build/coverage CFLAGS="-O0 -g --coverage" LDFLAGS=--coverage
	tests/coverage/report.py build/coverage

crash-points: ## kill a burst at each of its system calls in turn (make check takes some)
	SIGNALBUS_CRASH_STRIDE=1 $(MAKE) check-integration T=crash_points

failing-calls: ## fail each allocation and other call of a flush in turn (make check takes some)
	SIGNALBUS_FAILING_CALLS=1000000 $(MAKE) check-integration T=failing_calls \
		TEST_JOBS=$(TEST_JOBS)

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

# What make bench measures: parts, or all without any; tests/bench/run says what the others do.
BENCH         ?=
BENCH_OPTIONS := ROUNDS ROWS QUICK PATIENCE
BENCH_TOOLS   := $(patsubst %,$(BUILD)/bench/%,timed ceiling producer latency)

bench: deps-bench ## measure throughput and more; BENCH="PART ...", ROUNDS=N, ROWS=N, QUICK=1
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

# What is fuzzed, and what each fuzzer links beside itself.
FUZZ_SECONDS ?= 60
FUZZERS      := message config command_line
fuzz_message_SOURCES      := encode bytes $(MODEL)
fuzz_config_SOURCES       := $(test_config_OBJECTS)
fuzz_config_OPTIONS       := -detect_leaks=0 -seed_inputs=$(CURDIR)/signalbus.conf.example
fuzz_command_line_SOURCES := main options nearest text log log_json utf8
FUZZ_BINARIES := $(FUZZERS:%=$(BUILD)/fuzz/fuzz_%)

# main() of main.c is called by another one.
$(FUZZ_BINARIES): $(BUILD)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(wildcard src/*.[ch]) Makefile
	@mkdir -p $(@D)
	clang -std=c11 -g -O1 -D_GNU_SOURCE -Dmain=program_main -Isrc $(WARNINGS) \
		-Wno-missing-prototypes -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		$(shell pkg-config --cflags libcjson libconfig) $< \
		$(patsubst %,src/%.c,$(fuzz_$*_SOURCES)) $(shell pkg-config --libs libcjson libconfig) -o $@

# What the parsers say is thrown away.
fuzz_run = (mkdir -p $(BUILD)/fuzz/$1/corpus && cd $(BUILD)/fuzz/$1 && ../fuzz_$1 -close_fd_mask=3 \
	-max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=10 -verbosity=0 -print_final_stats=1 \
	-dict=$(CURDIR)/tests/fuzz/$1.dict $(fuzz_$1_OPTIONS) corpus)

fuzz: deps-fuzz ## drive encoder, configuration and command line with libFuzzer, FUZZ_SECONDS (60) each
	@$(MAKE) --no-print-directory $(FUZZ_BINARIES)
	@set -e; $(foreach fuzzer,$(FUZZERS),echo == $(fuzzer); $(call fuzz_run,$(fuzzer));)

lint: deps-lint ## check format, warnings, sizes, layers and documentation
	@tests/lint/run

format: ## format the sources as the house style wants it
	clang-format -i src/*.[ch] tests/unit/*.[ch] tests/inject/*.c tests/bench/*.c

deps-build deps-demo deps-test deps-bench deps-peers deps-fuzz deps-lint deps-valgrind: deps-%:
	@tests/install-deps $*

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

-include $(OBJECTS:.o=.d) $(UNIT_BINARIES:=.d)
