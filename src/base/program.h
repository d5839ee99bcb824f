/*
 * program - run another program for what it prints, such as a password.
 *
 * Any thread; it blocks until the program has ended, or the deadline.
 */
#ifndef SIGNALBUS_PROGRAM_H
#define SIGNALBUS_PROGRAM_H

#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* What a program prints. */
struct program_output {
	char *bytes; /* room for size bytes, borrowed; NUL-terminated if all went well */
	size_t size, length;
};

/* Run a program, and collect its output.
 *
 * The program argv[0] (looked up in PATH) is run without a shell, with the environment of this
 * process, in a process group of its own, without descriptors of this process; standard input and
 * standard error are /dev/null.  When it has ended, or has run until deadline, has printed size
 * bytes or more, or this process is asked to stop, its whole process group is killed.
 *
 * Returns false with e (ERROR_CONNECTION, or ERROR_STOPPED), which names the program and never has
 * anything that it printed, unless it ended with status 0. */
bool program_run(const char *const *argv, struct program_output *output, struct instant deadline,
	struct error *e);

/* Whether there is such a program; otherwise e (ERROR_CONFIG) has the reason. */
bool program_exists(const char *name, struct error *e);

#endif
