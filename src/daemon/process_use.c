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

/* The numbers of fields of /proc/self/stat, as proc(5) has them. */
enum {
	PARENT = 4,
	USER = 14,
	SYSTEM = 15,
	THREADS = 20,
	START = 22,
	SIZE = 23,
	PAGES = 24,
	FIELDS
};

/* The second field is the program's name, which may contain spaces and parentheses; the third one
 * is a letter. */
static bool read_fields(double fields[FIELDS])
{
	char line[1024];
	FILE *f = fopen("/proc/self/stat", "re");
	if (f == NULL)
		return false;
	char *at = fgets(line, sizeof line, f) != NULL ? strrchr(line, ')') : NULL;
	fclose(f);
	if (at == NULL || strlen(at) < strlen(") S "))
		return false;
	at += strlen(") S ");
	for (int i = PARENT; i < FIELDS; i++) {
		char *end;
		fields[i] = strtod(at, &end);
		if (end == at)
			return false;
		at = end;
	}
	return true;
}

static bool read_stat(struct process_use *use)
{
	double fields[FIELDS];
	if (!read_fields(fields))
		return false;
	double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
	use->cpu_seconds = (fields[USER] + fields[SYSTEM]) * tick;
	use->threads = fields[THREADS];
	use->virtual_bytes = fields[SIZE];
	use->resident_bytes = fields[PAGES] * (double)sysconf(_SC_PAGESIZE);
	use->start_time =
		seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME) + fields[START] * tick;
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
