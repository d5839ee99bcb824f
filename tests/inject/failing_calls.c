/*
 * failing_calls - makes calls of the C library fail, for tests; loaded by LD_PRELOAD.
 *
 * The environment says which:
 *
 *   FAILING_KIND    memory, descriptor, connect, send, receive, wait or thread
 *   FAILING_AT      the number of the call that fails; 0: none, they are counted only
 *   FAILING_FROM    a text: the calls are counted from the one on that sends it to the database;
 *                   else from the start on
 *   FAILING_REPORT  a file: when the call fails, "failed NUMBER: CALL of OBJECT" is written
 * to it, and at an ordinary exit "counted NUMBER"
 *
 * Counted are the calls of all threads, of the program and of its libraries.  Calls that the C
 * library makes of itself come by only where it allocates memory.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <threads.h>
#include <unistd.h>

enum kind { NONE, MEMORY, DESCRIPTOR, CONNECT, SEND, RECEIVE, WAIT, THREAD };

static const char *const kinds[] = { "", "memory", "descriptor", "connect", "send", "receive",
	"wait", "thread" };

static struct {
	enum kind kind;
	unsigned long at;
	const char *from;
	atomic_bool is_counting;
	const char *report;
	atomic_ulong count;
} failing;

/* By system calls of its own: nothing here is to be counted, or to fail. */
static void report(const char *line)
{
	long fd =
		syscall(SYS_openat, AT_FDCWD, failing.report, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || syscall(SYS_write, fd, line, strlen(line)) < 0)
		_exit(99);
	syscall(SYS_close, fd);
}

__attribute__((constructor)) static void begin(void)
{
	const char *kind = getenv("FAILING_KIND"), *at = getenv("FAILING_AT");
	failing.report = getenv("FAILING_REPORT");
	failing.at = at != NULL ? strtoul(at, NULL, 10) : 0;
	failing.from = getenv("FAILING_FROM");
	atomic_store(&failing.is_counting, failing.from == NULL);
	for (enum kind k = MEMORY; kind != NULL && k <= THREAD; k++)
		if (strcmp(kinds[k], kind) == 0)
			failing.kind = k;
	if (failing.kind == NONE || failing.report == NULL)
		_exit(98);
}

__attribute__((destructor)) static void end(void)
{
	char line[64];
	snprintf(line, sizeof line, "counted %lu\n", atomic_load(&failing.count));
	report(line);
}

static void tell(unsigned long number, const char *call, const void *caller)
{
	char line[512];
	Dl_info info = { 0 };
	dladdr(caller, &info);
	const char *object = info.dli_fname != NULL ? info.dli_fname : "?";
	const char *slash = strrchr(object, '/');
	snprintf(line, sizeof line, "failed %lu: %s of %s\n", number, call,
		slash != NULL ? slash + 1 : object);
	report(line);
}

/* Count a call; whether it is to fail. */
static bool fails(enum kind kind, const char *call, const void *caller)
{
	if (kind != failing.kind || !atomic_load(&failing.is_counting))
		return false;
	unsigned long number = atomic_fetch_add(&failing.count, 1) + 1;
	if (number != failing.at)
		return false;
	tell(number, call, caller);
	return true;
}

#define FAILS(kind, number, value)                                                                 \
	if (fails((kind), __func__, __builtin_return_address(0))) {                                \
		errno = (number);                                                                  \
		return (value);                                                                    \
	}

/* The same for a call on a socket: the connection is lost, so that what follows fails, too. */
#define LOSES(kind, fd)                                                                            \
	if (fails((kind), __func__, __builtin_return_address(0))) {                                \
		shutdown((fd), SHUT_RDWR);                                                         \
		errno = ECONNRESET;                                                                \
		return -1;                                                                         \
	}

/* The function that this library stands before. */
#define NEXT(name) __typeof__(&(name)) next = (__typeof__(&(name)))dlsym(RTLD_NEXT, #name)

/* glibc's own names: dlsym() may allocate. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);

void *malloc(size_t size)
{
	FAILS(MEMORY, ENOMEM, NULL)
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	FAILS(MEMORY, ENOMEM, NULL)
	return __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
	FAILS(MEMORY, ENOMEM, NULL)
	return __libc_realloc(p, size);
}

int socket(int domain, int type, int protocol)
{
	NEXT(socket);
	FAILS(DESCRIPTOR, EMFILE, -1)
	return next(domain, type, protocol);
}

int eventfd(unsigned count, int flags)
{
	NEXT(eventfd);
	FAILS(DESCRIPTOR, EMFILE, -1)
	return next(count, flags);
}

int pipe(int fds[2])
{
	NEXT(pipe);
	FAILS(DESCRIPTOR, EMFILE, -1)
	return next(fds);
}

int open(const char *path, int flags, ...)
{
	NEXT(open);
	va_list args;
	va_start(args, flags);
	unsigned mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, unsigned) : 0;
	va_end(args);
	FAILS(DESCRIPTOR, EMFILE, -1)
	return next(path, flags, mode);
}

FILE *fopen(const char *path, const char *mode)
{
	NEXT(fopen);
	FAILS(DESCRIPTOR, EMFILE, NULL)
	return next(path, mode);
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	NEXT(connect);
	FAILS(CONNECT, ENETUNREACH, -1)
	return next(fd, address, length);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
	struct addrinfo **found)
{
	NEXT(getaddrinfo);
	FAILS(CONNECT, EAGAIN, EAI_AGAIN)
	return next(name, service, hints, found);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
	NEXT(send);
	if (failing.from != NULL &&
		memmem(bytes, length, failing.from, strlen(failing.from)) != NULL)
		atomic_store(&failing.is_counting, true);
	LOSES(SEND, fd)
	return next(fd, bytes, length, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	NEXT(sendmsg);
	LOSES(SEND, fd)
	return next(fd, message, flags);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	NEXT(write);
	FAILS(SEND, EIO, -1)
	return next(fd, bytes, length);
}

ssize_t recv(int fd, void *bytes, size_t length, int flags)
{
	NEXT(recv);
	LOSES(RECEIVE, fd)
	return next(fd, bytes, length, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	NEXT(recvmsg);
	LOSES(RECEIVE, fd)
	return next(fd, message, flags);
}

ssize_t read(int fd, void *bytes, size_t length)
{
	NEXT(read);
	FAILS(RECEIVE, EIO, -1)
	return next(fd, bytes, length);
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	NEXT(poll);
	FAILS(WAIT, ENOMEM, -1)
	return next(fds, count, timeout_ms);
}

int pthread_create(
	pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
	NEXT(pthread_create);
	FAILS(THREAD, EAGAIN, EAGAIN)
	return next(thread, attributes, run, arg);
}

int thrd_create(thrd_t *thread, thrd_start_t run, void *arg)
{
	NEXT(thrd_create);
	FAILS(THREAD, EAGAIN, thrd_error)
	return next(thread, run, arg);
}
