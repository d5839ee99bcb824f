/*
 * timed - runs a program and says what it took: timed REPORT PROGRAM [ARGUMENT]...
 *
 * Writes to REPORT, in one line: wall-clock seconds from start to exit, user and system CPU
 * seconds, peak resident kilobytes, exit status (128 and the signal's number where one ended it).
 * It is small, since a program inherits the peak of the one that started it, and waits without
 * polling.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* The program ends with this one, whoever ends that. */
static void become(char **command)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(command[0], command);
	perror(command[0]);
	_exit(127);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: timed REPORT PROGRAM [ARGUMENT]...\n");
		return 2;
	}
	struct rusage usage;
	int status;
	double start = now();
	pid_t pid = fork();
	if (pid == 0)
		become(argv + 2);
	if (pid < 0 || wait4(pid, &status, 0, &usage) < 0) {
		perror("timed");
		return 1;
	}
	double wall = now() - start;
	FILE *report = fopen(argv[1], "w");
	if (report == NULL) {
		perror(argv[1]);
		return 1;
	}
	fprintf(report, "%.6f %.6f %.6f %ld %d\n", wall, seconds(usage.ru_utime),
		seconds(usage.ru_stime), usage.ru_maxrss,
		WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	return fclose(report) == 0 ? 0 : 1;
}
