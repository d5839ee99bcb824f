#include "base/core_dump.h"

#include <sys/prctl.h>
#include <sys/resource.h>

/* The limit alone is not enough: the kernel ignores it if it pipes cores to a program (core(5)). */
void core_dump_allow(bool is_allowed)
{
	struct rlimit limit;
	prctl(PR_SET_DUMPABLE, is_allowed ? 1 : 0, 0, 0, 0);
	if (getrlimit(RLIMIT_CORE, &limit) != 0)
		return;
	limit.rlim_cur = is_allowed ? limit.rlim_max : 0;
	setrlimit(RLIMIT_CORE, &limit);
}
