#include "daemon/process_use.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double seconds_of(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The fields of /proc/self/stat, numbered as in proc(5), that are read. */
enum {
	STATE = 3,
	USER_TICKS = 14,
	SYSTEM_TICKS,
	THREADS = 20,
	START_TICKS = 22,
	SIZE,
	PAGES,
	FIELDS
};

/* The second field is the program's name, which may contain spaces and parentheses. */
static bool read_fields(double *fields)
{
	char line[1024];
	FILE *f = fopen("/proc/self/stat", "re");
	if (f == NULL)
		return false;
	char *end = fgets(line, sizeof line, f) != NULL ? strrchr(line, ')') : NULL;
	fclose(f);
	if (end == NULL || strlen(end) < 4)
		return false;
	char *at = end + 3; /* after the state, which is a letter */
	for (int i = STATE + 1; i < FIELDS; i++) {
		char *before = at;
		fields[i] = strtod(before, &at);
		if (at == before)
			return false;
	}
	return true;
}

static bool read_stat(struct process_use *use)
{
	double fields[FIELDS];
	if (!read_fields(fields))
		return false;
	double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
	use->cpu_seconds = (fields[USER_TICKS] + fields[SYSTEM_TICKS]) * tick;
	use->threads = fields[THREADS];
	use->virtual_bytes = fields[SIZE];
	use->resident_bytes = fields[PAGES] * (double)sysconf(_SC_PAGESIZE);
	use->start_time = seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME) +
			  fields[START_TICKS] * tick;
	return true;
}

static bool count_fds(struct process_use *use)
{
	struct rlimit limit;
	DIR *folder = opendir("/proc/self/fd");
	if (folder == NULL || getrlimit(RLIMIT_NOFILE, &limit) != 0) {
		if (folder != NULL)
			closedir(folder);
		return false;
	}
	use->open_fds = -1; /* the folder's own */
	for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
		use->open_fds += entry->d_name[0] != '.';
	closedir(folder);
	use->max_fds = (double)limit.rlim_cur;
	return true;
}

bool process_use_read(struct process_use *use)
{
	return read_stat(use) && count_fds(use);
}
