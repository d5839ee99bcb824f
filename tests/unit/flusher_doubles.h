/*
 * flusher_doubles - stands in for stores, bursts, the stop flag, threads and the clock, as a script
 * wants it, and writes down what the flusher has them do.  Time passes only while the flusher
 * waits, or as the script has bursts take it, so that minutes pass at once.
 */
#ifndef SIGNALBUS_TEST_FLUSHER_DOUBLES_H
#define SIGNALBUS_TEST_FLUSHER_DOUBLES_H

#include "base/log.h"
#include "base/stop.h"
#include "base/text.h"
#include "relay/burst.h"
#include "relay/progress.h"
#include "relay/scan_position.h"
#include "store/store.h"

#include "suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MODELS = 3, STORES_MAX = 4 };

/* What calls come to, one letter a call; one before a '*' is for all that follow, and after the
 * end all is well: a burst of noted keys sends them, and any other finds nothing.
 *
 *   .  well               k  ERROR_CONFIG      l  the session is lost
 *   c  ERROR_CONFLICT     p  ERROR_PLAN        d  ERROR_DATABASE    b  ERROR_BROKER
 *   t  ERROR_TOPIC        r  ERROR_REJECTED    u  ERROR_BUSY        s  ERROR_STOPPED
 *
 * and of bursts:
 *
 *   0 to 9  rows that are sent    x  one is a dead letter     w  one is sent, and stop is wished
 *   b, t, r none of one is sent   B  one is sent, and the others meet ERROR_BROKER
 *   R, P  one is put off, for ERROR_REJECTED or ERROR_TOPIC
 *   h  held back                  m  one is sent, and there are more of the same keys
 *
 * The other errors are those of the claim.
 */
struct script {
	const char *connects;
	const char *models[MODELS], *counts[MODELS], *notes[MODELS], *locks[MODELS];
	const char *bursts[MODELS];
	size_t noted[MODELS]; /* keys that a note has */
	size_t pending;       /* what a count finds */
	bool paused[MODELS];
	const char *pauses; /* calls that read these */
	int64_t burst_ns;   /* how long a burst takes */
	unsigned threads;   /* that can be made */
	bool is_answered;   /* some broker answers */
	unsigned last_wait; /* stop is requested in this wait; 0: never */
};

struct store {
	unsigned number;
	bool connected;
	bool has_note[MODELS], locked[MODELS];
	size_t fetched[MODELS]; /* of the note */
};

struct burst {
	struct store *store;
	const struct model *next; /* what may be claimed already */
};

struct rows {
	size_t count;
};

/* What happened: of the bursts, "A3" is one of model A that sent three (or what its letter is),
 * "^A3" one from the beginning; "A[2+3]" is of three noted keys from the third on; "+" a
 * connection,
 * "-" one that failed; "A#" a note, "A?" keys, "A(" and "A)" the ordered lock, "A{" a share of it;
 * "~" a wait.  The words of another worker than the first begin with its number. */
struct seen {
	struct text trace;
	int64_t now_ns, writer_said_ns;
	struct instant connect_by;
	bool stopped;
	unsigned waits, stores, bursts;
	unsigned forgets[MODELS], counted[MODELS], writers_said;
	unsigned errors, warnings, problems;
	char error[256], warning[256];
	size_t expected;
};

static struct script script;
static struct seen seen;
static struct model models[MODELS];

static inline bool fails_with(char letter, struct error *e)
{
	static const struct {
		char letter;
		enum error_kind kind;
	} kinds[] = { { 'k', ERROR_CONFIG }, { 'l', ERROR_CONNECTION }, { 'T', ERROR_TEMPORARY },
		{ 'c', ERROR_CONFLICT }, { 'p', ERROR_PLAN }, { 'd', ERROR_DATABASE },
		{ 'b', ERROR_BROKER }, { 'B', ERROR_BROKER }, { 't', ERROR_TOPIC },
		{ 'r', ERROR_REJECTED }, { 'u', ERROR_BUSY }, { 's', ERROR_STOPPED } };
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (kinds[i].letter == letter)
			return !error_set(e, kinds[i].kind, "%c happened", letter);
	return false;
}

static inline char next_letter(const char **letters)
{
	if (*letters == NULL || **letters == '\0')
		return '\0';
	char letter = **letters;
	if ((*letters)[1] != '*')
		(*letters)++;
	return letter;
}

static inline void lose_session(struct store *s)
{
	*s = (struct store){ .number = s->number };
}

/* The end of a call. */
static inline bool end_call(struct store *s, const char **letters, struct error *e)
{
	char letter = next_letter(letters);
	ck_assert(s->connected);
	if (letter == 'l')
		lose_session(s);
	return !fails_with(letter, e);
}

__attribute__((format(printf, 2, 3))) static inline void trace(
	const struct store *s, const char *format, ...)
{
	char word[32];
	va_list args;
	va_start(args, format);
	vsnprintf(word, sizeof word, format, args);
	va_end(args);
	if (seen.trace.length > 0)
		text_addf(&seen.trace, " ");
	if (s != NULL && s->number > 0)
		text_addf(&seen.trace, "%u", s->number);
	text_addf(&seen.trace, "%s", word);
}

static inline char name_of(size_t index)
{
	return (char)('A' + index);
}

/* The clock, and what waits by it. */

struct instant scripted_clock_now(void);
struct instant scripted_clock_now(void)
{
	return (struct instant){ seen.now_ns };
}

bool stop_requested(void)
{
	return seen.stopped;
}

bool stop_wait(struct instant deadline)
{
	trace(NULL, "~");
	seen.waits++;
	if (seen.now_ns < deadline.ns)
		seen.now_ns = deadline.ns;
	seen.stopped = seen.stopped || seen.waits == script.last_wait;
	return seen.stopped;
}

/* Threads: each runs to its end where it is made. */

int scripted_pthread_create(
	pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg);
int scripted_pthread_create(
	pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
	ck_assert_ptr_null(attributes);
	if (script.threads == 0)
		return EAGAIN;
	*thread = script.threads--;
	run(arg);
	return 0;
}

int scripted_pthread_join(pthread_t thread, void **result);
int scripted_pthread_join(pthread_t thread, void **result)
{
	(void)result;
	ck_assert_uint_ne(thread, 0);
	trace(NULL, "joined");
	return 0;
}

/* The log, and the progress. */

#define LOG_DOUBLE(name, count, last)                                                              \
	void name(const char *format, ...)                                                         \
	{                                                                                          \
		va_list args;                                                                      \
		va_start(args, format);                                                            \
		vsnprintf(last, sizeof(last), format, args);                                       \
		va_end(args);                                                                      \
		(count)++;                                                                         \
	}

LOG_DOUBLE(log_error, seen.errors, seen.error)
LOG_DOUBLE(log_warning, seen.warnings, seen.warning)

void log_debug(const char *format, ...)
{
	(void)format;
}

void log_problem(const char *line)
{
	snprintf(seen.error, sizeof seen.error, "%s", line);
	seen.problems++;
}

void progress_init(struct progress *p, bool shown, size_t count)
{
	ck_assert_uint_le(count, MODELS);
	*p = (struct progress){ .shown = shown };
}

void progress_expect(struct progress *p, size_t model, size_t more)
{
	ck_assert(p->shown);
	ck_assert_uint_lt(model, MODELS);
	seen.expected += more;
}

void progress_add(struct progress *p, size_t model, const char *name, size_t sent)
{
	ck_assert_int_eq(name[0], name_of(model));
	p->all.sent += sent;
}

void progress_end(struct progress *p)
{
	p->shown = false;
}

bool broker_is_answered(struct broker *broker)
{
	(void)broker;
	return script.is_answered;
}

size_t rows_count(const struct rows *r)
{
	/* cppcheck-suppress ctunullpointer ; it does not see who sets the keys */
	return r->count;
}

/* Of a claimed row: bursts are doubled. */
const char *rows_value(const struct rows *r, size_t row, size_t column)
{
	(void)r;
	ck_abort_msg("row %zu, column %zu is read", row, column);
}

void rows_free(struct rows *r)
{
	free(r);
}

#endif
