/*
 * transaction_doubles - stands in for what delivery = "exactly-once" needs of the store and the
 * lane: one slot, its stored number, and what is prepared for it.  It notes the calls.
 */
#ifndef SIGNALBUS_TEST_TRANSACTION_DOUBLES_H
#define SIGNALBUS_TEST_TRANSACTION_DOUBLES_H

#include <inttypes.h>

enum { PREPARED_MAX = 4 };

static struct {
	/* The script: */
	bool fence_fails, read_fails, number_fails;
	bool commit_is_in_doubt;
	bool commit_is_lost; /* it is in doubt, and was not done */
	bool is_open;        /* the marker of a transaction is lost */
	bool is_outdated;    /* reads do not see what is stored, until another number is */
	bool has_committed;
	bool others_are_alive; /* who have other slots */
	bool is_anothers;      /* what is prepared, by another role */
	uint64_t used_slots;
	bool slot_is_refused; /* number 3 */
	bool broker_is_away;
	bool session_is_lost;    /* when the commit is in doubt */
	unsigned refused_topics; /* that many take no number */
	/* The world: */
	struct text calls, topics; /* … that a number was stored for */
	bool has_slot, is_fenced, is_begun;
	unsigned slots_left;
	int64_t open_number, stored; /* 0: none */
	int64_t prepare_as;
	struct prepared prepared[PREPARED_MAX];
	double seconds[PREPARED_MAX];
	size_t prepared_count;
} once;

static inline void note(const char *call)
{
	text_addf(&once.calls, "%s%s", once.calls.length > 0 ? " " : "", call);
}

static inline unsigned own_slot(void)
{
	return 7 + once.slots_left;
}

bool store_take_slot(struct store *s, unsigned *slot, struct error *e)
{
	(void)s, (void)e;
	note("take");
	*slot = own_slot();
	once.has_slot = true;
	return true;
}

bool store_has_slot(const struct store *s)
{
	(void)s;
	return once.has_slot;
}

/* A session that is lost has lost its slot. */
bool store_keeps_slot(struct store *s, unsigned slot, struct error *e)
{
	(void)s, (void)slot;
	return !once.session_is_lost || error_set(e, ERROR_CONNECTION, "the session has ended");
}

bool store_database(struct store *s, const char **identity, struct error *e)
{
	(void)s, (void)e;
	*identity = "1/2/database";
	return true;
}

bool store_leave_slot(struct store *s, struct error *e)
{
	(void)s, (void)e;
	note("leave");
	once.has_slot = false;
	once.slots_left++;
	return true;
}

bool store_borrow_slot(struct store *s, unsigned slot, bool *got, struct error *e)
{
	(void)s, (void)e;
	note("borrow");
	*got = slot != own_slot() && !once.others_are_alive;
	return true;
}

/* Who has it is another sender. */
void store_say_slot_holder(struct store *s, unsigned slot, struct error *e)
{
	(void)s, (void)slot;
	error_set(e, ERROR_BUSY, "another process has it");
}

bool store_return_slot(struct store *s, unsigned slot, struct error *e)
{
	(void)s, (void)e;
	ck_assert_uint_ne(slot, own_slot());
	note("return");
	return true;
}

bool store_list_slots(struct store *s, uint64_t *used, struct error *e)
{
	(void)s, (void)e;
	*used = once.used_slots;
	return true;
}

bool store_connected(const struct store *s)
{
	(void)s;
	return true;
}

void store_forget(struct store *s, size_t index)
{
	(void)s, (void)index;
	note("forget");
}

void store_prepare_as(struct store *s, int64_t number)
{
	(void)s;
	once.prepare_as = number;
}

/* A burst is settled. */
static void prepare_double(void)
{
	if (once.prepare_as == 0)
		return;
	note("prepare");
	ck_assert_uint_lt(once.prepared_count, PREPARED_MAX);
	once.seconds[once.prepared_count] = 0;
	once.prepared[once.prepared_count++] = (struct prepared){ own_slot(), once.prepare_as };
}

bool store_list_prepared(struct store *s, struct rows **prepared, struct error *e)
{
	(void)s, (void)e;
	*prepared = memory_new(1, sizeof **prepared);
	**prepared = (struct rows){ once.prepared_count, true };
	return true;
}

static inline const char *prepared_value(size_t row, size_t column)
{
	static char values[3][32];
	ck_assert_uint_lt(row, once.prepared_count);
	snprintf(values[PREPARED_SLOT], sizeof values[0], "%u", once.prepared[row].slot);
	snprintf(values[PREPARED_NUMBER], sizeof values[0], "%" PRId64, once.prepared[row].number);
	snprintf(values[PREPARED_SECONDS], sizeof values[0], "%g", once.seconds[row]);
	return values[column];
}

/* Only what its number tells, read by a producer that has fenced, may be decided; or what was
 * committed without doubt. */
bool store_finish_prepared(struct store *s, const struct prepared *p, bool commits, struct error *e)
{
	size_t i = 0;
	(void)s;
	while (i < once.prepared_count && once.prepared[i].number != p->number)
		i++;
	ck_assert_uint_lt(i, once.prepared_count);
	ck_assert_int_eq(commits, once.stored == p->number);
	if (once.is_anothers) {
		error_set(e, ERROR_DATABASE, "permission denied");
		snprintf(e->sqlstate, sizeof e->sqlstate, "42501");
		return false;
	}
	note(commits ? "COMMIT" : "ROLLBACK");
	once.prepared[i] = once.prepared[--once.prepared_count];
	return true;
}

bool broker_is_up(struct broker *broker)
{
	(void)broker;
	return !once.broker_is_away;
}

struct lane *broker_lane_transactional(struct broker *broker, unsigned worker)
{
	(void)worker;
	return &broker->transactional;
}

bool lane_needs_fence(const struct lane *lane)
{
	(void)lane;
	return !once.is_fenced || once.is_begun;
}

static bool fence_double(struct error *e)
{
	note("fence");
	once.is_begun = false;
	once.open_number = 0;
	once.is_fenced = !once.fence_fails;
	return once.is_fenced || error_set(e, ERROR_BROKER, "no answer to the fence");
}

bool lane_fence(struct lane *lane, const struct lane_sender *sender, struct instant deadline,
	struct error *e)
{
	(void)lane, (void)deadline;
	ck_assert_str_eq(sender->instance, "it");
	ck_assert_str_eq(sender->database, "1/2/database");
	if (once.slot_is_refused && sender->slot == 3) {
		fence_double(e);
		once.is_fenced = false;
		return error_set(e, ERROR_BROKER, "refused");
	}
	return fence_double(e);
}

bool lane_begin_transaction(struct lane *lane, struct instant deadline, struct error *e)
{
	(void)deadline;
	if (lane_needs_fence(lane) && !fence_double(e))
		return false;
	note("begin");
	once.is_begun = true;
	memset(seen.stored, 0, sizeof seen.stored); /* nothing is committed of what was open */
	return true;
}

void lane_abort(struct lane *lane, struct instant deadline)
{
	struct error ignored;
	(void)lane, (void)deadline;
	if (once.is_begun)
		fence_double(&ignored);
}

void lane_drop(struct lane *lane)
{
	(void)lane;
	note("drop");
	once.is_begun = once.is_fenced = false;
}

bool lane_store_number(struct lane *lane, const char *topic, int64_t number,
	struct instant deadline, struct error *e)
{
	(void)lane, (void)deadline;
	note("number");
	text_addf(&once.topics, " %s", topic);
	once.is_outdated = once.is_outdated && !once.has_committed;
	once.open_number = number;
	bool is_refused = once.refused_topics > 0;
	once.refused_topics -= is_refused;
	return !(once.number_fails || is_refused) ||
	       error_set(e, ERROR_BROKER, "no answer to the number");
}

bool lane_commit(struct lane *lane, struct instant deadline, struct error *e)
{
	(void)lane, (void)deadline;
	note("commit");
	once.has_committed = true;
	ck_assert(once.is_begun && once.open_number == once.prepare_as);
	if (!once.commit_is_lost)
		once.stored = once.open_number;
	once.is_begun = once.commit_is_lost || once.commit_is_in_doubt;
	return !once.is_begun || error_set(e, ERROR_BROKER, "in doubt");
}

bool lane_read_number(struct lane *lane, const char *topic, int64_t *number,
	struct instant deadline, struct error *e)
{
	(void)lane, (void)deadline;
	note("read");
	if (once.is_open && topic != NULL)
		return error_set(e, ERROR_CONFLICT, "still open");
	ck_assert(!once.is_begun); /* it could still change it */
	*number = once.stored > 0 && !once.is_outdated ? once.stored : -1;
	return !once.read_fails || error_set(e, ERROR_BROKER, "no answer to the read");
}

bool lane_read_all_numbers(
	struct lane *lane, int64_t *number, struct instant deadline, struct error *e)
{
	(void)lane, (void)deadline;
	note("read-all");
	*number = -1;
	ck_assert(!once.is_begun);
	return !once.is_open || error_set(e, ERROR_CONFLICT, "still open");
}

const char *lane_numbered_topic(const struct lane *lane)
{
	(void)lane;
	return once.stored > 0 ? "numbered" : NULL;
}

bool lane_await_number(
	struct lane *lane, const char *topic, struct instant deadline, struct error *e)
{
	(void)lane, (void)topic, (void)deadline, (void)e;
	ck_assert(once.is_begun);
	note("await");
	return true;
}

#endif
