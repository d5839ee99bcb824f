/*
 * exposure - what the properties of the configuration show to be unsafe, or not to work, whatever
 * the broker answers.  Pure.
 */
#ifndef SIGNALBUS_EXPOSURE_H
#define SIGNALBUS_EXPOSURE_H

#include "config/config.h"

/* Call report for each warning, with its remedy; the text is valid during the call. */
void exposure_report(
	const struct config *config, void (*report)(void *arg, const char *text), void *arg);

#endif
