/*
 * core_dump - whether the kernel may write this process's memory, which has passwords, to a file.
 */
#ifndef SIGNALBUS_CORE_DUMP_H
#define SIGNALBUS_CORE_DUMP_H

#include <stdbool.h>

/* Allow or forbid core dumps from now on, in any thread.  While they are forbidden, only root can
 * attach a debugger. */
void core_dump_allow(bool is_allowed);

#endif
