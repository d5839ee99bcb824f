#include "base/terminal.h"

#include "base/utf8.h"

#include <locale.h>
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

size_t terminal_width(const char *text)
{
	size_t width = 0;
	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

/* The columns of a character of some bytes, in the locale of the thread. */
static size_t width_of(const char *character, size_t bytes)
{
	wchar_t wide;
	mbstate_t state = { 0 };
	int width = mbrtowc(&wide, character, bytes, &state) == bytes ? wcwidth(wide) : -1;
	return width >= 0 ? (size_t)width : 1;
}

size_t terminal_cut(const char *text, size_t columns)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t before = utf8 != (locale_t)0 ? uselocale(utf8) : (locale_t)0;
	size_t length = 0;
	while (text[length] != '\0') {
		size_t bytes = utf8_length(&text[length]);
		bytes += bytes == 0; /* not UTF-8 */
		size_t width = width_of(&text[length], bytes);
		if (width > columns)
			break;
		columns -= width;
		length += bytes;
	}
	if (utf8 != (locale_t)0) {
		(void)uselocale(before);
		freelocale(utf8);
	}
	return length;
}
