#include "base/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

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

size_t terminal_cut(const char *text, size_t count)
{
	size_t length = 0;
	while (text[length] != '\0') {
		bool begins = ((unsigned char)text[length] & 0xc0) != 0x80;
		if (begins && count-- == 0)
			break;
		length++;
	}
	return length;
}
