#include "base/terminal.h"

#include "base/utf8.h"

#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define COLUMNS_DEFAULT 80
#define ROWS_DEFAULT    24

bool terminal_draws(int fd)
{
	const char *type = getenv("TERM");
	return isatty(fd) && (type == NULL || strcmp(type, "dumb") != 0);
}

size_t terminal_rows(int fd)
{
	struct winsize size;
	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : ROWS_DEFAULT;
}

size_t terminal_columns(int fd)
{
	struct winsize size;
	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
}

/* The columns of a character of some bytes, in the locale of the thread. */
static size_t width_of(const char *character, size_t bytes)
{
	wchar_t wide;
	mbstate_t state = { 0 };
	int width = mbrtowc(&wide, character, bytes, &state) == bytes ? wcwidth(wide) : -1;
	return width >= 0 ? (size_t)width : 1;
}

/* The length in bytes of what fits in these columns; *used: how many it takes. */
static size_t measure(const char *text, size_t columns, size_t *used)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t before = utf8 != (locale_t)0 ? uselocale(utf8) : (locale_t)0;
	size_t length = 0;
	*used = 0;
	while (text[length] != '\0') {
		size_t bytes = utf8_length(&text[length]);
		bytes += bytes == 0; /* not UTF-8 */
		size_t width = width_of(&text[length], bytes);
		if (width > columns - *used)
			break;
		*used += width;
		length += bytes;
	}
	if (utf8 != (locale_t)0) {
		(void)uselocale(before);
		freelocale(utf8);
	}
	return length;
}

size_t terminal_width(const char *text)
{
	size_t used;
	(void)measure(text, SIZE_MAX, &used);
	return used;
}

size_t terminal_cut(const char *text, size_t columns)
{
	size_t used;
	return measure(text, columns, &used);
}
