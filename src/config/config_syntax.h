/*
 * config_syntax - says what is wrong with a configuration file that libconfig's parser refused: it
 * reports "syntax error" and a line, and nothing else.  Blocks on reading included files only.
 */
#ifndef SIGNALBUS_CONFIG_SYNTAX_H
#define SIGNALBUS_CONFIG_SYNTAX_H

#include "base/problems.h"

#include <stdbool.h>

/* Parse content, that of file, whose includes are in folder, and add the first mistake to problems:
 * its place and a guess at its cause (or, if a setting is set twice, the first place), the text of
 * its line, and a mark below the place.  The text is left out if it may contain a secret.  Returns
 * false, and adds nothing, if no mistake is found: the grammar is libconfig's, but not its
 * implementation. */
bool syntax_explain(
	const char *file, const char *content, const char *folder, struct problems *problems);

/* The line of content that includes a file as in C, which is a comment here; 0: there is none. */
unsigned syntax_include_comment(const char *content);

#endif
