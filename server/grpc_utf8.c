/*
 * UTF-8; see grpc_utf8.h. Works on bytes of any origin, and never reads past them.
 */
#include "server/grpc_utf8.h"

#include <string.h>

/* The length of the well-formed character at p, or 0. */
static size_t char_size(const uint8_t *p, size_t size)
{
	uint8_t low = 0x80, high = 0xbf; /* of the second byte: RFC 3629, section 4 */
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (n > size)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

bool grpc_utf8_is_valid(const uint8_t *data, size_t size)
{
	while (size) {
		size_t n = char_size(data, size);

		if (!n)
			return false;
		data += n;
		size -= n;
	}
	return true;
}

void grpc_utf8_repair(char *text)
{
	uint8_t *p = (uint8_t *)text;
	size_t left = strlen(text);

	while (left) {
		size_t n = char_size(p, left);

		if (!n) {
			*p = '?';
			n = 1;
		}
		p += n;
		left -= n;
	}
}
