/*
 * The protocol of delivery = "exactly-once", for the model checker Spin; "make model" checks it.
 * docs/exactly-once.md says what it is for.
 *
 * A sender has a slot, which is a transactional id and a consumer group of the same name.  It
 *
 *   1. takes the slot's lease, an advisory lock of its database session; fences whoever had the
 *      slot before (init_transactions); reads the number that is stored for the group; and resolves
 *      what is still prepared for the slot;
 *   2. claims and deletes rows, in a database transaction;
 *   3. sends their messages in a Kafka transaction;
 *   4. prepares the database transaction, under the number of the burst, and meanwhile stores this
 *      number as the committed offset of the group, in the Kafka transaction: either may be done
 *      first;
 *   5. commits the Kafka transaction;
 *   6. reads the number back, and commits what is prepared if it is this one; otherwise it rolls
 *      back.
 *
 * librdkafka speaks the first version of the transaction protocol.  There, a request does not say
 * which transaction it belongs to, only to which epoch of the producer.  So a request that is late
 * can change or end a later transaction of the same epoch (KAFKA-17754).  Therefore the sender
 * fences after every outcome that is in doubt, before it reads the number: what is late then has an
 * old epoch, and is refused.  In doubt is everything except one request with one answer that says
 * success.
 *
 * Two hosts send two rows, with faults at every step and in every order.  The model shows:
 *
 *   - no row is stored twice for consumers that read committed;
 *   - no row is deleted unless it is stored;
 *   - rows are stored in order;
 *   - in the end, all rows are stored, and nothing is prepared.
 *
 * It fails, as it must, if a part of the protocol is left out, by defining one of
 *
 *   NO_READ     the reply to the commit decides
 *   NO_FENCE    after doubt, the number is read, and the same producer continues
 *   FENCE_LATE  the sender fences after it decided
 *   NO_COUNT    requests that the library itself repeats are not noticed
 *   NO_RESOLVE  who takes a slot rolls back what is prepared without reading the number
 *
 * It does not fail with TRUST, where an outcome without doubt decides, and only the others need the
 * number: reading it always is a second safeguard.
 *
 * Not in the model: messages that are late are not stored, because the broker knows the sequence
 * numbers of a producer, and accepts only writes to partitions that are in a transaction (from
 * Kafka 3.6 on); a stored number can expire, so an older prepared burst is not decided by it.
 */
#ifndef LOST_SESSIONS
#define LOST_SESSIONS 1 /* crashes, frozen processes, broken connections, fail-over */
#endif
#ifndef DISTURBED
#define DISTURBED 2 /* requests that are late, repeated or not answered, and time-outs */
#endif
#define HOSTS 2
#define NOBODY 255

/* States of a row; of the Kafka transaction; requests; and what the sender knows of its request. */
mtype = { pending, claimed, prepared, gone };
mtype = { idle, ongoing, committed, aborted };
mtype = { nothing, message, number, commit, new_epoch };
mtype = { succeeded, refused, unknown };

/* The database.  One slot has prepared one burst at most. */
mtype row[2] = pending;
bool session[HOSTS];
byte holder = NOBODY;     /* of the slot's lease */
byte claimer = NOBODY;    /* of the claimed row */
byte prepared_number = 0; /* 0: nothing is prepared */

/* The broker: the coordinator of the transaction and of the group, and the leader of the topic. */
byte epoch = 0;
mtype state = idle;
byte open_row = NOBODY; /* in the open transaction: the row whose message it has … */
byte open_number = 0;   /* … and the number */
byte committed_number = 0;
byte stored[2];         /* how often consumers that read committed have got a row */

/* Requests that are late. */
typedef request { mtype kind = nothing; byte epoch; byte value };
request late[2];

byte lost_sessions = LOST_SESSIONS;
byte disturbed = DISTURBED;
byte last_number = 0; /* numbers only grow, also across hosts: they follow the clock */

#define all_gone (row[0] == gone && row[1] == gone)

inline end_open(how)
{
	state = how;
	open_row = NOBODY;
	open_number = 0
}

inline commit_open()
{
	if
	:: open_row != NOBODY ->
		stored[open_row]++;
		assert(stored[open_row] == 1);                     /* not twice */
		assert(open_row == 0 || stored[open_row - 1] == 1) /* in order */
	:: else
	fi;
	if
	:: open_number != 0 -> committed_number = open_number
	:: else
	fi;
	end_open(committed)
}

/* A request without the newest epoch is refused; a new epoch ends what is open. */
inline execute(what, its_epoch, content, is_late, answer)
{
	answer = succeeded;
	if
	:: what == new_epoch && state == ongoing -> epoch++; end_open(aborted)
	:: what == new_epoch && state != ongoing -> epoch++
	:: what != new_epoch && its_epoch != epoch -> answer = refused
	:: what == message && its_epoch == epoch ->
		state = ongoing;
		if
		:: is_late /* only its partition is added */
		:: else -> open_row = content
		fi
	:: what == number && its_epoch == epoch && state == ongoing -> open_number = content
	:: what == commit && its_epoch == epoch && state == ongoing -> commit_open()
	:: what == commit && its_epoch == epoch && state == committed /* again */
	:: else -> answer = refused
	fi
}

inline clear(i)
{
	late[i].kind = nothing;
	late[i].epoch = 0;
	late[i].value = 0
}

/* Late requests arrive, in any order, or never. */
active proctype Network()
{
	mtype answer;
end:	do
	:: atomic { late[0].kind != nothing ->
		execute(late[0].kind, late[0].epoch, late[0].value, true, answer);
		late[0].kind = late[1].kind;
		late[0].epoch = late[1].epoch;
		late[0].value = late[1].value;
		clear(1);
		answer = 0 }
	:: atomic { late[1].kind != nothing ->
		execute(late[1].kind, late[1].epoch, late[1].value, true, answer);
		clear(1);
		answer = 0 }
	od
}

/* The broker aborts a transaction after its time-out. */
active proctype Timeout()
{
end:	do
	:: atomic { disturbed > 0 && state == ongoing ->
		disturbed--; epoch++; end_open(aborted) }
	od
}

/* A session is lost.  Its host may continue what it does outside the database. */
inline lose(h)
{
	lost_sessions--;
	session[h] = false;
	if
	:: holder == h -> holder = NOBODY
	:: else
	fi;
	if
	:: claimer == h && row[0] == claimed -> row[0] = pending; claimer = NOBODY
	:: claimer == h && row[1] == claimed -> row[1] = pending; claimer = NOBODY
	:: else
	fi
}

active proctype Faults()
{
end:	do
	:: atomic { lost_sessions > 0 && session[0] -> lose(0) }
	:: atomic { lost_sessions > 0 && session[1] -> lose(1) }
	od
}

inline hold(its_kind, its_content)
{
	if
	:: late[0].kind == nothing ->
		late[0].kind = its_kind; late[0].epoch = mine; late[0].value = its_content
	:: else ->
		assert(late[1].kind == nothing);
		late[1].kind = its_kind; late[1].epoch = mine; late[1].value = its_content
	fi
}

/* The library repeated a request by itself: that is seen by counting what is sent. */
inline note_repeat()
{
#ifndef NO_COUNT
	doubt = true
#else
	skip
#endif
}

/* Send a request, and learn of its outcome.  A host without its session may have crashed. */
inline send(what, content)
{
	atomic {
		if
		:: true -> execute(what, mine, content, false, outcome)
		:: disturbed > 0 -> disturbed--; /* no answer: it is executed … */
			execute(what, mine, content, false, outcome); outcome = unknown
		:: disturbed > 0 -> disturbed--; /* … or late */
			hold(what, content); outcome = unknown
		:: disturbed > 0 -> disturbed--; /* the same, and the library repeats it */
			execute(what, mine, content, false, outcome);
			execute(what, mine, content, false, outcome); note_repeat()
		:: disturbed > 0 -> disturbed--;
			hold(what, content);
			execute(what, mine, content, false, outcome); note_repeat()
		:: !session[me] -> goto take
		fi;
		doubt = (doubt || outcome != succeeded)
	}
}

/* End the database transaction, if its session is still there. */
inline prepare()
{
	atomic {
		if
		:: !session[me] -> goto take
		:: else -> row[r] = prepared; prepared_number = n; claimer = NOBODY
		fi
	}
}

/* A new producer of the same id, which has begun. */
inline fence()
{
	atomic {
		if
		:: true
		:: disturbed > 0 -> disturbed--; hold(new_epoch, 0) /* it is repeated */
		:: !session[me] -> goto take
		fi;
		execute(new_epoch, 0, 0, false, outcome);
		mine = epoch;
		doubt = false
	}
}

/* Read the stored number.  It is stable only while no transaction that writes it is open: until
 * then, the reader waits, for the time-out of the transaction at most. */
inline read_number()
{
	if
#ifndef FENCE_LATE
	:: atomic { state == ongoing && open_number != 0 -> epoch++; end_open(aborted) }
	:: else
#else
	:: true
#endif
	fi;
	got = committed_number
}

/* Commit what is prepared, or roll it back.  Only the session that has the lease does so. */
inline decide(is_stored)
{
	atomic {
		if
		:: !session[me] -> goto take
		:: session[me] && prepared_number == 0
		:: session[me] && prepared_number != 0 && (is_stored) ->
			assert(stored[r] == 1); /* deleted only if it is stored */
			row[r] = gone; prepared_number = 0
		:: else -> row[r] = pending; prepared_number = 0
		fi;
		got = 0; n = 0; r = 0
	}
}

active [HOSTS] proctype Sender()
{
	byte me = _pid % HOSTS;
	byte mine; /* its producer's epoch */
	byte r;    /* the row of its burst … */
	byte n;    /* … and the number */
	byte got;
	mtype outcome;
	bool doubt;

take:	atomic {
		mine = 0; n = 0; got = 0; outcome = 0; doubt = false; r = 0;
		if
		:: all_gone -> goto done
		:: holder == NOBODY -> holder = me; session[me] = true
		fi
	}
	fence();
	atomic { read_number() }
	atomic {
		if
		:: row[1] == prepared -> r = 1
		:: else -> r = 0
		fi
	}
#ifndef NO_RESOLVE
	decide(got == prepared_number);
#else
	decide(false);
#endif

claim:	atomic {
		if
		:: all_gone -> goto done
		:: !all_gone && !session[me] -> goto take
		:: else ->
			assert(prepared_number == 0);
			r = (row[0] == pending -> 0 : 1);
			row[r] = claimed;
			claimer = me;
			last_number++;
			n = last_number
		fi
	}
	send(message, r);
	if
	:: doubt -> goto give_up
	:: else
	fi;
	if
	:: true -> prepare(); send(number, n)
	:: true -> send(number, n); prepare()
	fi;
	if
	:: doubt /* about the number: what is prepared will be rolled back */
	:: else -> send(commit, 0)
	fi;

#ifdef NO_READ
	decide(outcome == succeeded);
	if
	:: doubt -> fence()
	:: else
	fi;
#endif
#ifdef NO_FENCE
	atomic { read_number() }
	decide(got == prepared_number);
	if
	:: outcome == refused -> fence() /* it has to: another producer has the id */
	:: else -> doubt = false
	fi;
#endif
#ifdef FENCE_LATE
	read_number();
	decide(got == prepared_number);
	if
	:: doubt -> fence()
	:: else
	fi;
#endif
#ifdef TRUST
	if
	:: !doubt -> decide(true); goto claim
	:: else
	fi;
#endif
#if !defined(NO_READ) && !defined(NO_FENCE) && !defined(FENCE_LATE)
	if
	:: doubt -> fence()
	:: else
	fi;
	atomic { read_number() }
	decide(got == prepared_number);
#endif
	goto claim;

give_up: /* nothing is prepared */
	atomic {
		if
		:: !session[me] -> goto take
		:: else -> row[r] = pending; claimer = NOBODY
		fi
	}
#ifdef NO_FENCE
	atomic {
		if
		:: outcome != refused && state == ongoing && mine == epoch ->
			end_open(aborted); doubt = false; goto claim
		:: else
		fi
	}
#endif
	fence();
	goto claim;

done:	assert(stored[0] == 1 && stored[1] == 1 && prepared_number == 0)
}
