.PHONY: fuzz

# What is fuzzed, and the sources that each fuzzer links.
FUZZ_SECONDS ?= 60
FUZZERS      := message config command_line conninfo token utf8
fuzz_message_SOURCES      := src/model/*.c src/config/topic_template.c \
	src/postgres/types.c src/base/*.c
fuzz_config_SOURCES       := src/config/*.c src/base/*.c
fuzz_command_line_SOURCES := src/cli/main.c src/cli/options.c \
	$(filter-out src/base/stop.c,$(wildcard src/base/*.c))
fuzz_conninfo_SOURCES     := src/postgres/*.c src/base/*.c
fuzz_token_SOURCES        := src/kafka/oauth_token.c src/base/*.c
fuzz_utf8_SOURCES         := src/base/*.c
FUZZ_BINARIES := $(FUZZERS:%=$(BUILD)/fuzz/fuzz_%)

# main() of main.c is called by another one.
$(FUZZ_BINARIES): $(BUILD)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(wildcard src/*/*.[ch]) Makefile
	@mkdir -p $(@D)
	clang -std=c11 -g -O1 -D_GNU_SOURCE -Dmain=program_main -Isrc $(WARNINGS) \
		-Wno-missing-prototypes -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		$(shell pkg-config --cflags libcjson libconfig libpq) $< \
		$(fuzz_$*_SOURCES) $(shell pkg-config --libs libcjson libconfig libpq) -o $@

fuzz: deps-fuzz ## fuzz what reads text from outside with libFuzzer, FUZZ_SECONDS (60) each
	@$(MAKE) --no-print-directory $(FUZZ_BINARIES)
	@tests/fuzz/run $(BUILD)/fuzz $(FUZZ_SECONDS) $(FUZZERS)
