/*
 * config_file - the content of configuration files, and which files they include.  Used by config.c
 * and config_syntax.c only.  Blocks on reading files.
 */
#ifndef SIGNALBUS_CONFIG_FILE_H
#define SIGNALBUS_CONFIG_FILE_H

#include "base/problems.h"
#include "config/config_value.h"

#include <stdbool.h>

#ifndef DOCDIR
#define DOCDIR "/usr/local/share/doc/signalbus"
#endif

/* Only the configuration itself may be a pipe. */
enum file_kind { FILE_MAIN, FILE_INCLUDED };

/* The whole file as a string to be freed; NULL with a problem, also if other users than root and
 * that of this process may change it. */
char *file_read(const char *path, enum file_kind kind, struct problems *problems);

/* The path of the file that a line includes, in libconfig's include directory, to be freed; NULL if
 * the line includes none. */
char *file_included(const char *line, const char *folder);

/* Add problems of the files that the content of a file includes which libconfig's scanner does not
 * survive, or cannot explain. */
void file_check_includes(
	const char *file, const char *content, const char *folder, struct problems *problems);

/* Check once more the files from which libconfig took the settings of tree: its own notion of which
 * files are included counts.  Returns false with a problem. */
bool file_check_sources(const config_t *tree, struct problems *problems);

/* If the file that the line at of content includes cannot be opened, add which, and why.  Returns
 * false, and adds nothing, otherwise. */
bool file_explain_include(
	struct place at, const char *content, const char *folder, struct problems *problems);

#endif
