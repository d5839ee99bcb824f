.PHONY: check-valgrind

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
