/*
 * reason - what librdkafka reports, in words for people.  Private to this folder.  Any thread.
 * Codes are librdkafka's.
 */
#ifndef SIGNALBUS_REASON_H
#define SIGNALBUS_REASON_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Make librdkafka's reason for a connection error suitable for people: without parts that differ
 * from attempt to attempt, and with a hint if the cause may be another one. */
void reason_plain(char *text, size_t size, const char *reason);

/* The meaning of an error, for people, if nothing else is known. */
const char *reason_of_code(int code);

/* The last trouble with connections that a handle reported. */
struct trouble {
	char text[512]; /* empty: none since the last success */
	/* The broker refuses this client or the reverse: so it will until somebody changes that. */
	bool is_refusal;
};

/* Record a report.  A broken connection that follows a refusal does not replace it. */
void trouble_note(struct trouble *t, int code, const char *reason);

/* Why the certificate of a broker was refused last: written by librdkafka's threads. */
struct certificate_doubt {
	atomic_int error; /* OpenSSL's X509_V_ERR_...; 0: none was refused */
	atomic_bool is_authoritys;
};

/* Whether OpenSSL accepts a certificate that is depth places above the broker's own: error is 0.
 * If not, record it. */
bool certificate_accepted(struct certificate_doubt *d, int error, int depth);

/* librdkafka's reason or, if it is that a certificate was refused, which it does not explain, one
 * that says why, in text. */
const char *certificate_reason(
	const struct certificate_doubt *d, const char *reason, char *text, size_t size);

/* Why authentication with a SASL mechanism fails although everything is right, with a remedy: the
 * version of librdkafka (rd_kafka_version()) is too old for it.  NULL: it does not. */
const char *reason_of_mechanism(const char *mechanism, int version);

#endif
