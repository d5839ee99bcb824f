#include "base/terminal.h"

#include <stdbool.h>
#include <sys/ioctl.h>

#define COLUMNS_DEFAULT 80

size_t terminal_columns(int fd)
{
	struct winsize size;
	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
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
