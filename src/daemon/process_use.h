/*
 * process_use - what this process uses of the system, as /proc has it.  Any thread; reads files
 * only.
 */
#ifndef SIGNALBUS_PROCESS_USE_H
#define SIGNALBUS_PROCESS_USE_H

#include <stdbool.h>

struct process_use {
	double cpu_seconds; /* user and system */
	double resident_bytes, virtual_bytes;
	double open_fds, max_fds;
	double threads;
	double start_time; /* Unix time */
};

/* Returns false if /proc cannot be read.  start_time may differ by a moment from call to call. */
bool process_use_read(struct process_use *use);

#endif
