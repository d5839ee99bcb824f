.PHONY: inject

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

inject: $(INJECT)
