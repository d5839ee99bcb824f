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
# Level 3 needs gcc 12 and glibc 2.35; older ones take it as 2.
HARDENING := -fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE \
	-D_FORTIFY_SOURCE=3 -fPIE
MACHINE   := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))
HARDENING += $(if $(filter x86_64,$(MACHINE)),-fcf-protection) \
	$(if $(filter aarch64,$(MACHINE)),-mbranch-protection=standard)
# The same program, whatever the folder that it is built in.
PATHS     := -ffile-prefix-map=$(CURDIR)=.
SANITIZE ?=
PYTHON   ?= /usr/bin/python3
BUILD    ?= build
BINARY   := $(BUILD)/signalbus

# libsystemd tells systemd how the daemon does; the daemon works without it, too.
HAVE_SYSTEMD := $(shell pkg-config --modversion libsystemd 2>/dev/null)
PACKAGES := libpq rdkafka libcjson libconfig libmicrohttpd $(if $(HAVE_SYSTEMD),libsystemd)
# The oldest versions that have what is used.
NEEDED   := 'libpq >= 14' 'rdkafka >= 2.0.2'

# The folders of src from top to bottom: each may call those below it.
LAYERS   := cli daemon relay store kafka catalog model config postgres base
# Beside $(BUILD)/kafka, which is Apache Kafka.
objects   = $(patsubst %.c,$(BUILD)/%.o,$(wildcard src/$1/*.c))
OBJECTS  := $(foreach layer,$(LAYERS),$(call objects,$(layer)))
ARCHIVES := $(LAYERS:%=$(BUILD)/src/%.a)
TSAN_OBJECTS := $(if $(filter thread,$(SANITIZE)),$(BUILD)/tests/c11_threads.o)
# That of base/monotonic_cond: nothing of a unit test would take it from the archive.
TSAN_SYMBOLS := $(if $(TSAN_OBJECTS),-u cnd_timedwait)

UNIT_BINARIES := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
# Doubles of what objects that a test needs, or the C library, have; the test has scripted_....
test_config_file_DOUBLES := open access fstat lstat stat statvfs poll
test_flusher_DOUBLES  := clock_now pthread_create pthread_join
test_health_DOUBLES   := clock_now
test_cmd_run_DOUBLES  := clock_now
test_credentials_DOUBLES := clock_now
test_deferral_DOUBLES := clock_now
test_recovery_DOUBLES := clock_now
test_burst_transaction_DOUBLES := clock_now
test_slot_DOUBLES     := catalog_query
test_model_status_DOUBLES := clock_now
test_run_queue_DOUBLES      := clock_now pthread_cond_timedwait pthread_cond_broadcast
test_pauses_DOUBLES := clock_now
test_pipeline_DOUBLES := clock_now poll memory_suffices
test_claim_ordered_DOUBLES := clock_now

CPPFLAGS_ALL = -D_GNU_SOURCE -DSIGNALBUS_VERSION='"$(VERSION)"' -DSYSCONFDIR='"$(sysconfdir)"' -DDOCDIR='"$(docdir)"' -Isrc \
	$(HAVE_SYSTEMD:%=-DHAVE_SYSTEMD='"%"') $(shell pkg-config --cflags $(PACKAGES)) $(CPPFLAGS)
CFLAGS_ALL   = -std=c11 -pthread $(WARNINGS) $(if $(SANITIZE),,$(HARDENING)) $(PATHS) $(CFLAGS) \
	$(SANITIZE:%=-fsanitize=%)
LDFLAGS_ALL  = -pthread $(if $(SANITIZE),,-pie -Wl,-z,relro,-z,now) $(SANITIZE:%=-fsanitize=%) \
	$(LDFLAGS)

.DELETE_ON_ERROR:
.PHONY: all clean help demo check check-unit check-integration check-asan \
	check-tsan check-faults check-reproducible check-watching check-kubernetes check-debezium check-versions \
	check-values coverage crash-points failing-calls \
	lint model format \
	deps-bench deps-build deps-demo deps-fuzz deps-lint deps-model deps-peers deps-test \
	deps-valgrind deps-watching deps-kubernetes deps-deb deps-rpm \
	deps-packages

all: $(BINARY) $(BUILD)/signalbus.spdx ## build build/signalbus

# What the program consists of, in SPDX.
$(BUILD)/signalbus.spdx: conf/spdx Makefile
	@mkdir -p $(@D)
	conf/spdx $(VERSION) $(PACKAGES) >$@

$(BINARY): $(OBJECTS) $(TSAN_OBJECTS)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(shell pkg-config --libs $(PACKAGES)) -lm

.PHONY: needed
needed:
	@pkg-config --print-errors --exists $(NEEDED)

$(BUILD)/src/%.o: src/%.c Makefile | needed
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# Paths of the installation, which these files name.
$(BUILD)/src/cli/options.o $(BUILD)/src/config/config_file.o: $(BUILD)/paths
$(BUILD)/paths: FORCE
	@mkdir -p $(@D)
	@echo '$(sysconfdir) $(docdir)' | cmp -s - $@ || echo '$(sysconfdir) $(docdir)' >$@
.PHONY: FORCE

$(BUILD)/unit/%.o: tests/unit/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(shell pkg-config --cflags check) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/tests/%.o: tests/tsan/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

.SECONDEXPANSION:
$(ARCHIVES): $(BUILD)/src/%.a: src/% $$(call objects,%)
	rm -f $@
	$(AR) rcs $@ $(filter %.o,$^)

# From top to bottom, so that a file that calls upwards fails to link.
$(UNIT_BINARIES): $(BUILD)/unit/%: $(BUILD)/unit/%.o $(TSAN_OBJECTS) $(ARCHIVES)
	$(CC) $(LDFLAGS_ALL) $(TSAN_SYMBOLS) -o $@ $^ $(foreach f,$($*_DOUBLES),-Wl,--wrap=$f,--defsym=__wrap_$f=scripted_$f) \
		$(shell pkg-config --libs check $(PACKAGES)) -lm

clean: ## remove what was built (downloads stay in build/kafka and build/peers)
	[ ! -d $(BUILD) ] || find $(BUILD) -mindepth 1 -maxdepth 1 ! -name kafka ! -name peers -exec rm -rf {} +

demo: deps-demo ## show signalbus at work on a temporary PostgreSQL and an embedded broker
	@$(MAKE) --no-print-directory -s all
	@tests/demo.sh

check: check-unit check-integration ## run all tests, on real PostgreSQL and Kafka servers

check-unit: deps-test ## run the unit tests
	@$(MAKE) --no-print-directory unit-binaries
	@set -e; for test in $(UNIT_BINARIES); do $$test; done

.PHONY: unit-binaries
unit-binaries: $(UNIT_BINARIES)

# Tests wait most of their time, so twice as many as there are processors run side by side, each
# process with servers of its own; those that T chooses run one by one unless TEST_JOBS is set.
TEST_JOBS ?= $(if $(T),0,4)

check-integration: deps-test ## run the tests on real servers; T= chooses some (pytest -k)
	@$(MAKE) --no-print-directory all inject
	tests/kafka/fetch build/kafka/lib
	SIGNALBUS=$(abspath $(BINARY)) $(PYTHON) -m pytest -q -p no:cacheprovider tests/integration \
		-m "not long and not watching and not kubernetes and not packages and not debezium" $(if $(T),-k "$(T)") -n $(TEST_JOBS) --dist loadgroup

check-faults: deps-test ## run the fault tests that take too long for make check
	@$(MAKE) --no-print-directory all
	tests/kafka/fetch build/kafka/lib
	SIGNALBUS=$(abspath $(BINARY)) $(PYTHON) -m pytest -q -p no:cacheprovider tests/integration -m long

check-watching: deps-watching ## test conf/prometheus and conf/grafana with Prometheus
	@$(MAKE) --no-print-directory all
	tests/kafka/fetch build/kafka/lib
	SIGNALBUS=$(abspath $(BINARY)) $(PYTHON) -m pytest -q -p no:cacheprovider tests/integration -m watching

check-kubernetes: deps-kubernetes ## validate conf/kubernetes and conf/helm, and render them
	tests/kubernetes/fetch build/kubernetes
	$(PYTHON) -m pytest -q -p no:cacheprovider tests/integration/test_kubernetes.py -m kubernetes

check-versions: deps-test ## run some tests with other versions of the servers and of librdkafka (VERSIONS=)
	@$(MAKE) --no-print-directory all inject
	SIGNALBUS=$(abspath $(BINARY)) $(PYTHON) tests/versions/run

check-debezium: deps-peers ## follow docs/from-debezium.md with Debezium Server, which it downloads
	@$(MAKE) --no-print-directory all
	tests/kafka/fetch build/kafka/lib
	PYTHON=$(PYTHON) tests/bench/fetch-peers $(BUILD)/peers
	SIGNALBUS=$(abspath $(BINARY)) PEERS=$(abspath $(BUILD))/peers $(PYTHON) -m pytest -q -p no:cacheprovider \
		tests/integration -m debezium

check-asan: ## run all tests with AddressSanitizer and UndefinedBehaviorSanitizer
	ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99 UBSAN_OPTIONS=halt_on_error=1 \
		$(MAKE) check BUILD=build/asan SANITIZE=address,undefined CFLAGS="-O1 -g"

check-tsan: ## run all tests with ThreadSanitizer
	TSAN_OPTIONS=exitcode=66:allocator_may_return_null=1:suppressions=$(abspath tests/tsan/suppressions) \
		$(MAKE) check BUILD=build/tsan SANITIZE=thread CFLAGS="-O1 -g"

check-reproducible: deps-build ## build twice in two folders, and compare
	@tests/reproducible

check-values: ## compare a million rows of mixed types with PostgreSQL's to_json
	SIGNALBUS_VALUE_ROWS=1000000 $(MAKE) check-integration T=mixed_types

coverage: ## run all tests (T= chooses some) and print the lines of src that they reach
	find build/coverage -name '*.gcda' -delete 2>/dev/null || true
	$(MAKE) check BUILD=build/coverage CFLAGS="-O0 -g --coverage" LDFLAGS=--coverage
	tests/coverage/report.py build/coverage

crash-points: ## kill a burst at each of its system calls in turn (make check runs some)
	SIGNALBUS_CRASH_STRIDE=1 $(MAKE) check-integration T=crash_points

failing-calls: ## fail each allocation and other call of a flush in turn (make check runs some)
	SIGNALBUS_FAILING_CALLS=1000000 $(MAKE) check-integration T=failing_calls \
		TEST_JOBS=$(TEST_JOBS)

include conf/install.mk packaging/packaging.mk $(patsubst %,tests/%.mk,inject/inject valgrind/valgrind chaos/chaos bench/bench fuzz/fuzz)

lint: deps-lint ## check format, warnings, sizes, layers and documentation
	@tests/lint/run

model: deps-model ## check the protocol of docs/exactly-once.pml with Spin
	@tests/model/run

format: ## format the sources
	clang-format -i src/*/*.[ch] tests/unit/*.[ch] tests/inject/*.c tests/bench/*.c

deps-build deps-demo deps-test deps-bench deps-peers deps-fuzz deps-lint deps-model deps-valgrind deps-watching deps-kubernetes deps-deb deps-rpm deps-packages: deps-%:
	@tests/install-deps $*

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

-include $(OBJECTS:.o=.d) $(UNIT_BINARIES:=.d)
