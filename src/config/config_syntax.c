#include "config/config_syntax.h"

#include "base/text.h"
#include "config/config_file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SOURCES_MAX 64  /* more than anybody includes */
#define SHOWN_MAX   100 /* columns of a line that are shown */
#define BEFORE_MAX  60  /* … of these before the mark */

#define WITHOUT_UNIT "write the number without a unit, or enclose text in double quotes"

struct source {
	char *path, *text; /* both owned */
	const char *at;    /* the next character */
	size_t parent;     /* the source that includes it */
};

enum kind {
	END, /* of all files */
	NAME,
	STRING, /* one or several parts */
	UNCLOSED,
	NUMBER,
	MALFORMED, /* begins as a number does */
	OTHER,     /* the character c */
};

struct token {
	enum kind kind;
	char c;
	size_t source;
	const char *start, *end;
};

struct bracket {
	struct token token;
	struct token since; /* as in the parser, when it was opened */
};

/* What the grammar allows next. */
enum state {
	BEFORE_NAME,
	BEFORE_EQUALS,
	BEFORE_VALUE,
	BEFORE_ELEMENT, /* the first one of a list */
	AFTER_COMMA,    /* in a list */
	AFTER_VALUE,
};

/* The name of a setting, and the group that has it: where it begins, or NULL at the top level. */
struct named {
	struct token name;
	const char *group;
};

struct parser {
	const char *folder;
	struct named *names;
	size_t name_count;
	struct source sources[SOURCES_MAX];
	size_t source_count, source;
	enum state state;
	struct bracket *open;
	size_t open_count;
	struct token last;      /* the token before */
	struct token comment;   /* that has no end */
	struct token multiline; /* the last string that continues on another line */
	struct token name;      /* the last setting's */
	struct token since;     /* the name that the text since then may belong to */
};

static void add_source(struct parser *p, char *path, char *text)
{
	struct source *s = &p->sources[p->source_count];
	s->path = path;
	s->text = text;
	s->at = text;
	s->parent = p->source;
	p->source = p->source_count++;
}

/* Continue in the file that the line at the current position includes.  Returns false if it
 * includes none that can be read. */
static bool enter_included(struct parser *p)
{
	struct source *s = &p->sources[p->source];
	char *path = file_included(s->at, p->folder);
	if (path == NULL)
		return false;
	s->at += strcspn(s->at, "\n");
	struct problems ignored = { 0 };
	char *text =
		p->source_count < SOURCES_MAX ? file_read(path, FILE_INCLUDED, &ignored) : NULL;
	problems_free(&ignored);
	if (text != NULL)
		add_source(p, path, text);
	else
		free(path);
	return true;
}

/* The end of the comment at the position; the position if there is none. */
static const char *comment_end(const char *at)
{
	if (at[0] == '#' || (at[0] == '/' && at[1] == '/'))
		return at + strcspn(at, "\n");
	if (at[0] != '/' || at[1] != '*')
		return at;
	const char *end = strstr(at + 2, "*/");
	return end != NULL ? end + 2 : at + strlen(at);
}

/* Skip white space, comments and the boundaries of files. */
static void skip_blanks(struct parser *p)
{
	for (;;) {
		struct source *s = &p->sources[p->source];
		const char *before = s->at;
		bool is_start = s->at == s->text || s->at[-1] == '\n';
		if (is_start && enter_included(p))
			continue;
		if (*s->at != '\0' && isspace((unsigned char)*s->at))
			s->at++;
		const char *end = comment_end(s->at);
		if (*end == '\0' && end != s->at)
			p->comment =
				(struct token){ .source = p->source, .start = s->at, .end = end };
		s->at = end;
		if (*s->at == '\0' && p->source != s->parent)
			p->source = s->parent;
		else if (s->at == before)
			return;
	}
}

static const char *string_end(const char *at)
{
	for (at++; *at != '"' && *at != '\0'; at++)
		if (at[0] == '\\' && at[1] != '\0')
			at++;
	return at;
}

static bool is_number_start(const char *at)
{
	if (*at == '+' || *at == '-')
		at++;
	return isdigit((unsigned char)at[0]) || (at[0] == '.' && isdigit((unsigned char)at[1]));
}

/* Decimal, hexadecimal or floating, with libconfig's L for 64 bits. */
static bool is_number(const char *start, const char *end)
{
	char *after;
	(void)strtod(start, &after);
	if (after < end && *after == 'L')
		after += after[1] == 'L' ? 2 : 1;
	return after == end;
}

static void scan_token(struct token *t)
{
	static const char in_name[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"_-*";
	if (*t->start == '"') {
		t->end = string_end(t->start);
		t->kind = *t->end == '"' ? STRING : UNCLOSED;
		t->end += *t->end == '"';
	} else if (isalpha((unsigned char)*t->start) || *t->start == '*') {
		t->kind = NAME;
		t->end = t->start + strspn(t->start, in_name);
	} else if (is_number_start(t->start)) {
		t->end = t->start + 1 + strspn(t->start + 1, in_name);
		t->end += *t->end == '.' ? 1 + strspn(t->end + 1, in_name) : 0;
		if (*t->end == '+' && toupper((unsigned char)t->end[-1]) == 'E') /* 1e+5 */
			t->end += 1 + strspn(t->end + 1, in_name);
		t->kind = is_number(t->start, t->end) ? NUMBER : MALFORMED;
	} else if (*t->start != '\0') {
		t->kind = OTHER;
		t->c = *t->start;
		t->end = t->start + 1;
	}
}

static struct token next_token(struct parser *p)
{
	skip_blanks(p);
	struct source *s = &p->sources[p->source];
	struct token t = { .kind = END, .source = p->source, .start = s->at, .end = s->at };
	scan_token(&t);
	s->at = t.end;
	return t;
}

static char innermost(const struct parser *p)
{
	return p->open_count > 0 ? p->open[p->open_count - 1].token.c : '\0';
}

static bool is_in_list(const struct parser *p)
{
	return innermost(p) == '(' || innermost(p) == '[';
}

static char closing(char open)
{
	return open == '(' ? ')' : open == '[' ? ']' : '}';
}

static bool is_boolean(const struct token *t)
{
	size_t length = (size_t)(t->end - t->start);
	return (length == 4 && strncasecmp(t->start, "true", 4) == 0) ||
	       (length == 5 && strncasecmp(t->start, "false", 5) == 0);
}

/* Whether it is a boolean of other languages. */
static bool is_switch(const struct token *t)
{
	static const char *const words[] = { "yes", "no", "on", "off" };
	size_t length = (size_t)(t->end - t->start);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (length == strlen(words[i]) && strncasecmp(t->start, words[i], length) == 0)
			return true;
	return false;
}

static bool take_close(struct parser *p, const struct token *t)
{
	if (t->kind != OTHER || p->open_count == 0 || t->c != closing(innermost(p)))
		return false;
	p->open_count--;
	p->state = AFTER_VALUE;
	return true;
}

static bool take_value(struct parser *p, const struct token *t)
{
	p->state = AFTER_VALUE;
	if (t->kind == STRING || t->kind == NUMBER || (t->kind == NAME && is_boolean(t)))
		return true;
	bool is_open = t->kind == OTHER && strchr("({[", t->c) != NULL;
	if (!is_open || innermost(p) == '[') /* which has scalars only */
		return false;
	p->open = memory_resize(p->open, p->open_count + 1, sizeof *p->open);
	p->open[p->open_count++] = (struct bracket){ *t, p->since };
	p->state = t->c == '{' ? BEFORE_NAME : BEFORE_ELEMENT;
	return true;
}

static const char *line_start(const struct parser *p, const struct token *t)
{
	const char *start = t->start;
	while (start > p->sources[t->source].text && start[-1] != '\n')
		start--;
	return start;
}

static bool is_first_in_line(const struct parser *p, const struct token *t)
{
	const char *start = line_start(p, t);
	return strspn(start, " \t\r") == (size_t)(t->start - start);
}

static bool take_name(struct parser *p, const struct token *t)
{
	if (t->kind != NAME || is_boolean(t))
		return innermost(p) == '{' && take_close(p, t);
	/* After a string, or in the middle of a line, it may be a part of a string with a quote. */
	if (p->since.start == NULL || (p->last.kind != STRING && is_first_in_line(p, t)))
		p->since = *t;
	p->name = *t;
	p->state = BEFORE_EQUALS;
	return true;
}

static bool take_after_value(struct parser *p, const struct token *t)
{
	if (t->kind == STRING && p->last.kind == STRING)
		return true; /* strings are concatenated */
	if (is_in_list(p)) {
		bool is_comma = t->kind == OTHER && t->c == ',';
		p->state = is_comma ? AFTER_COMMA : p->state;
		return is_comma || take_close(p, t);
	}
	p->state = BEFORE_NAME;
	return (t->kind == OTHER && (t->c == ';' || t->c == ',')) || take_name(p, t);
}

/* Returns whether the grammar allows the token. */
static bool take(struct parser *p, const struct token *t)
{
	enum state before = p->state;
	bool ok = false;
	switch (before) {
	case BEFORE_NAME:
		ok = take_name(p, t);
		break;
	case BEFORE_EQUALS:
		ok = t->kind == OTHER && (t->c == '=' || t->c == ':');
		p->state = BEFORE_VALUE;
		break;
	case BEFORE_VALUE:
	case AFTER_COMMA:
		ok = take_value(p, t);
		break;
	case BEFORE_ELEMENT:
		ok = take_close(p, t) || take_value(p, t);
		break;
	case AFTER_VALUE:
		ok = take_after_value(p, t);
		break;
	}
	if (!ok)
		p->state = before;
	return ok;
}

static unsigned line_of(const struct parser *p, const struct token *t)
{
	unsigned line = 1;
	const char *text = p->sources[t->source].text;
	while ((text = memchr(text, '\n', (size_t)(t->start - text))) != NULL) {
		line++;
		text++;
	}
	return line;
}

static const char *line_end(const struct token *t)
{
	return t->start + strcspn(t->start, "\n");
}

/* Whether text has a word, or all of it but one letter: a mistake may be in the word. */
static bool has_word(const char *text, const char *word)
{
	bool found = strcasestr(text, word) != NULL;
	for (size_t i = 0; !found && word[i] != '\0'; i++) {
		char *less = text_format("%.*s%s", (int)i, word, &word[i + 1]);
		found = strcasestr(text, less) != NULL;
		free(less);
	}
	return found;
}

/* Whether text may contain a secret, so that nothing of it may be printed. */
static bool is_secret(const char *start, const char *end)
{
	static const char *const words[] = { "password", "secret", "database", "private", "oauth" };
	static const char *const parts[] = { "passw", "pwd", "token", "pem", "key_", "://" };
	struct text letters = { 0 };
	char *text = text_copy_bytes(start, (size_t)(end - start));
	text_add(&letters, "", 0);
	for (const char *c = text; *c != '\0'; c++)
		text_add(&letters, c, isalpha((unsigned char)*c) ? 1 : 0);
	bool found = false;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		found = found || has_word(letters.text, words[i]);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		found = found || strcasestr(text, parts[i]) != NULL;
	text_free(&letters);
	free(text);
	return found;
}

/* Whether the lines from a token to a later one may contain a secret. */
static bool is_secret_between(
	const struct parser *p, const struct token *from, const struct token *to)
{
	if (from->start == NULL || from->source != to->source || from->start > to->start)
		return (from->start != NULL && is_secret(line_start(p, from), line_end(from))) ||
		       is_secret(line_start(p, to), line_end(to));
	return is_secret(line_start(p, from), line_end(to));
}

/* Whether nothing at a token may be printed: its setting, or one that it is in, may be secret. */
static bool is_hidden(const struct parser *p, const struct token *t)
{
	bool hides = is_secret_between(p, &p->since, t);
	for (size_t i = 0; i < p->open_count; i++)
		hides = hides || is_secret_between(p, &p->open[i].since, &p->open[i].token);
	return hides;
}

/* Curly quotes of UTF-8, “ ” „ ‘ ’ ‚, which word processors and web pages make. */
static bool is_curly(const char *at)
{
	return at[0] == '\xE2' && at[1] == '\x80' && at[2] >= '\x98' && at[2] <= '\x9F';
}

static void say_missing_close(const struct parser *p, struct token *at, struct text *t)
{
	const struct token *open = &p->open[p->open_count - 1].token;
	if (at->kind == END)
		*at = *open;
	bool is_here = at->start == open->start;
	text_addf(t, "missing \"%c\" for %s \"%c\"", closing(open->c), is_here ? "this" : "the",
		open->c);
	if (!is_here)
		text_addf(t, " in line %u", line_of(p, open));
	if (at->source != open->source)
		text_addf(t, " of %s", p->sources[open->source].path);
}

static void say_value(const struct parser *p, struct token *at, struct text *t)
{
	int length = (int)(at->end - at->start);
	if (at->kind == OTHER && at->c == '\'')
		text_addf(t, "use double quotes, not single quotes");
	else if (is_curly(at->start))
		text_addf(t, "enclose text in straight double quotes (\")");
	else if (p->state == AFTER_COMMA && at->kind == OTHER && at->c == closing(innermost(p))) {
		*at = p->last;
		text_addf(t, "remove the comma after the last element");
	} else if (at->kind == OTHER && at->c == '=')
		text_addf(t, "remove the second \"=\"");
	else if (at->kind == NAME && is_switch(at))
		text_addf(t, "write true or false");
	else if (at->kind == NAME && is_hidden(p, at))
		text_addf(t, "enclose text in double quotes");
	else if (at->kind == NAME)
		text_addf(t, "enclose text in double quotes: \"%.*s\"", length, at->start);
	else if (at->kind == MALFORMED)
		text_addf(t, WITHOUT_UNIT);
	else if (innermost(p) == '[' && at->kind == OTHER && strchr("({[", at->c) != NULL)
		text_addf(t, "use ( ) for a list of groups or lists, not [ ]");
	else if (is_in_list(p))
		text_addf(t, "an element is missing");
	else if (is_hidden(p, at))
		text_addf(t, "the value is missing");
	else
		text_addf(t, "\"%.*s\" has no value", (int)(p->name.end - p->name.start),
			p->name.start);
}

/* Whether a token follows a number in its line: it is probably a unit. */
static bool follows_number(const struct parser *p, const struct token *t)
{
	const char *start = line_start(p, t), *before = t->start;
	while (before > start && (before[-1] == ' ' || before[-1] == '\t'))
		before--;
	return before > start && before < t->start && isdigit((unsigned char)before[-1]);
}

/* After a name: bootstrap.servers, as librdkafka has it; include; or no "=". */
static void say_equals(const struct parser *p, struct token *at, struct text *t)
{
	const struct token *name = &p->name;
	int length = (int)(name->end - name->start);
	if (follows_number(p, name)) {
		*at = *name;
		text_addf(t, WITHOUT_UNIT);
	} else if (is_hidden(p, at)) {
		text_addf(t, "\"=\" is missing after the name");
	} else if (*at->start == '.' && at->start == name->end) {
		size_t whole = strspn(name->start,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
		text_addf(t, "write ");
		for (size_t i = 0; i < whole; i++)
			text_add(t, name->start[i] == '.' ? "_" : &name->start[i], 1);
		text_addf(t, ": \"_\" replaces \".\"");
	} else if (length == 7 && strncmp(name->start, "include", 7) == 0) {
		*at = *name;
		text_addf(t, "write @include \"FILE\", in a line of its own");
	} else {
		text_addf(t, "\"=\" is missing after \"%.*s\"", length, name->start);
	}
}

static void say_name(const struct parser *p, struct token *at, struct text *t)
{
	bool is_separator = at->kind == OTHER && (at->c == ';' || at->c == ',');
	if (is_separator && p->last.kind == OTHER && (p->last.c == ';' || p->last.c == ','))
		text_addf(t, "remove the second \"%c\"", at->c);
	else if (is_separator)
		text_addf(t, "there is no setting before \"%c\"", at->c);
	else if (at->kind == NUMBER && p->last.kind == OTHER && p->last.c == ',' &&
		 p->last.end == at->start)
		text_addf(t, "write the number without \",\"");
	else if (at->kind == NAME && is_boolean(at))
		text_addf(t, "true and false are no names");
	else if (at->kind == STRING)
		text_addf(t, "remove the quotes around the name");
	else if (at->kind == OTHER && at->c == '@')
		text_addf(t, "write @include \"FILE\", in a line of its own");
	else if (at->kind == OTHER && at->c == '[' && p->open_count == 0)
		text_addf(t, "there are no sections: write NAME = { … };");
	else if (at->kind == OTHER && at->c == '\xEF')
		text_addf(t, "a byte order mark, which may only begin the file");
	else
		text_addf(t, "the name of a setting is missing");
}

/* After an element of a list. */
static void say_element(const struct parser *p, struct token *at, struct text *t)
{
	struct token value = *at;
	struct parser copy = *p;
	copy.open = NULL;
	copy.open_count = 0;
	if (at->kind == OTHER && at->c == ';')
		text_addf(t, "elements are separated by \",\", and the list ends with \"%c\"",
			closing(innermost(p)));
	else if (take_value(&copy, &value))
		text_addf(t, "a comma is missing before this element");
	else
		text_addf(t, "\",\" or \"%c\" is missing after the element", closing(innermost(p)));
	free(copy.open);
}

static bool is_bracket(const struct token *t)
{
	return t->kind == OTHER && strchr(")}]", t->c) != NULL;
}

/* Whether a string that continues on other lines ends in the line of a token: then its closing
 * quote is probably the opening one of another string. */
static bool swallows(const struct token *string, const struct token *t)
{
	return string->start != NULL && string->source == t->source && string->end <= t->start &&
	       memchr(string->end, '\n', (size_t)(t->start - string->end)) == NULL;
}

/* Whether a token directly follows a string, so that it may be a part of it. */
static bool touches(const struct token *string, const struct token *t)
{
	bool is_word = t->kind == NAME || t->kind == NUMBER || t->kind == MALFORMED;
	return string->kind == STRING && is_word && string->end == t->start;
}

/* Add the probable cause to t, and set *at to its place. */
static void say_cause(const struct parser *p, struct token *at, struct text *t)
{
	bool is_swallowed = swallows(&p->multiline, at);
	if (at->kind == END && p->comment.start != NULL) {
		*at = p->comment;
		text_addf(t, "\"*/\" is missing for this comment");
	} else if (touches(&p->last, at) && !is_swallowed) {
		*at = p->last;
		text_addf(t, "the string that begins here has no closing quote, or contains one "
			     "(write \\\")");
	} else if (is_swallowed || at->kind == UNCLOSED) {
		*at = is_swallowed ? p->multiline : *at;
		text_addf(t, "the string that begins here has no closing quote");
	} else if (p->state == BEFORE_EQUALS) {
		say_equals(p, at, t);
	} else if (p->state == BEFORE_VALUE || p->state == AFTER_COMMA ||
		   p->state == BEFORE_ELEMENT) {
		say_value(p, at, t);
	} else if ((at->kind == END || is_bracket(at)) && p->open_count > 0) {
		say_missing_close(p, at, t);
	} else if (is_bracket(at)) {
		text_addf(t, "no bracket is open that \"%c\" could close", at->c);
	} else if (p->state == AFTER_VALUE && is_in_list(p)) {
		say_element(p, at, t);
	} else {
		say_name(p, at, t);
	}
}

static bool is_character_start(char c)
{
	return ((unsigned char)c & 0xC0) != 0x80;
}

/* Add the text of a token's line, and a mark below the token. */
static void show_line(const struct parser *p, const struct token *at, struct place place,
	struct problems *problems)
{
	const char *line = line_start(p, at), *end = line + strcspn(line, "\n");
	const char *start = at->start - line > BEFORE_MAX ? at->start - BEFORE_MAX : line;
	struct text shown = { 0 }, mark = { 0 };
	while (start < at->start && !is_character_start(*start))
		start++;
	text_addf(&shown, "  %s", start > line ? "…" : "");
	text_addf(&mark, "  %s", start > line ? " " : "");
	size_t columns = 0;
	for (const char *c = start; c < end && (columns < SHOWN_MAX || !is_character_start(*c));
		c++) {
		columns += is_character_start(*c);
		text_add(&shown, *c == '\t' || *c == '\r' ? " " : c, 1);
		if (c < at->start && is_character_start(*c))
			text_add(&mark, " ", 1);
	}
	text_add(&mark, "^", 1);
	problems_add(problems, place, "%s", shown.text);
	problems_add(problems, place, "%s", mark.text);
	text_free(&shown);
	text_free(&mark);
}

static void report(const struct parser *p, struct token at, struct problems *problems)
{
	struct text cause = { 0 };
	bool may_show = !is_hidden(p, &at);
	say_cause(p, &at, &cause);
	const struct place place = { p->sources[at.source].path, line_of(p, &at) };
	problems_add(problems, place, "syntax error: %s", cause.text);
	if (may_show && !is_secret(line_start(p, &at), line_end(&at)))
		show_line(p, &at, place, problems);
	text_free(&cause);
}

unsigned syntax_include_comment(const char *content)
{
	unsigned line = 1;
	for (const char *at = content; at != NULL; line++) {
		at += strspn(at, " \t");
		if (*at == '#') {
			at += 1 + strspn(at + 1, " \t");
			if (strncmp(at, "include", 7) == 0 && strchr(" \t\"<", at[7]) != NULL)
				return line;
		}
		at = strchr(at, '\n');
		at = at != NULL ? at + 1 : NULL;
	}
	return 0;
}

/* Note the name of a setting.  Returns false, and reports it, if its group has it already. */
static bool note_name(struct parser *p, const struct token *t, struct problems *problems)
{
	const char *group = p->open_count > 0 ? p->open[p->open_count - 1].token.start : NULL;
	int length = (int)(t->end - t->start);
	for (size_t i = 0; i < p->name_count; i++) {
		const struct token *first = &p->names[i].name;
		if (p->names[i].group != group || first->end - first->start != length ||
			memcmp(first->start, t->start, (size_t)length) != 0)
			continue;
		const struct place place = { p->sources[t->source].path, line_of(p, t) };
		bool is_other = first->source != t->source;
		problems_add(problems, place, "\"%.*s\" is set twice, first in line %u%s%s", length,
			t->start, line_of(p, first), is_other ? " of " : "",
			is_other ? p->sources[first->source].path : "");
		return false;
	}
	p->names = memory_resize(p->names, p->name_count + 1, sizeof *p->names);
	p->names[p->name_count++] = (struct named){ *t, group };
	return true;
}

bool syntax_explain(
	const char *file, const char *content, const char *folder, struct problems *problems)
{
	struct parser p = { .folder = folder };
	add_source(&p, text_copy(file), text_copy(content));
	struct token t;
	bool is_right;
	do {
		t = next_token(&p);
		bool is_end = t.kind == END && p.open_count == 0 &&
			      (p.state == BEFORE_NAME || p.state == AFTER_VALUE);
		is_right = is_end || (!touches(&p.last, &t) && take(&p, &t));
		if (!is_right)
			report(&p, t, problems);
		else if (t.kind == NAME && p.state == BEFORE_EQUALS)
			is_right = note_name(&p, &t, problems);
		p.last = t;
		if (t.kind == STRING && memchr(t.start, '\n', (size_t)(t.end - t.start)) != NULL)
			p.multiline = t;
	} while (is_right && t.kind != END);
	for (size_t i = 0; i < p.source_count; i++) {
		free(p.sources[i].path);
		free(p.sources[i].text);
	}
	free(p.open);
	free(p.names);
	return !is_right;
}
