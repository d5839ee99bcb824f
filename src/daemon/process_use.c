#include "daemon/process_use.h"

#include <dirent.h>
#include <stdio.h>
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

/* proc(5): the second field is the program's name, which may contain spaces and parentheses. */
static bool read_stat(struct process_use *use)
{
	char line[1024];
	unsigned long user, system, size;
	unsigned long long start;
	long threads, pages;
	FILE *f = fopen("/proc/self/stat", "re");
	if (f == NULL)
		return false;
	const char *end = fgets(line, sizeof line, f) != NULL ? strrchr(line, ')') : NULL;
	fclose(f);
	if (end == NULL || sscanf(end + 1,
				   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d"
				   " %*d %*d %ld %*d %llu %lu %ld",
				   &user, &system, &threads, &start, &size, &pages) != 6)
		return false;
	double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
	use->cpu_seconds = (double)(user + system) * tick;
	use->threads = (double)threads;
	use->virtual_bytes = (double)size;
	use->resident_bytes = (double)pages * (double)sysconf(_SC_PAGESIZE);
	use->start_time =
		seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME) + (double)start * tick;
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
