/* Finding the keys that leave a console; see detach.h. Must never lose any other key. */
#include "cli/detach.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* What a terminal sends for Ctrl and a key: its code without the upper bits (ascii(7)). */
#define CONTROL(key) ((uint8_t)((key)&0x1f))

bool detach_filter(struct detach *d, const uint8_t *in, size_t n, uint8_t *out, size_t *ret_n_out)
{
	size_t n_out = 0;
	bool left = false;

	for (size_t i = 0; i < n && !left; i++) {
		if (!d->held && in[i] == d->prefix) {
			d->held = true;
			continue;
		}
		left = d->held && in[i] == DETACH_KEY;
		/* One that was held back is let go before the key that it turned out to precede. */
		if (d->held && !left && in[i] != d->prefix)
			out[n_out++] = d->prefix;
		if (!left)
			out[n_out++] = in[i];
		d->held = false;
	}
	*ret_n_out = n_out;
	return left;
}

int detach_parse_prefix(const char *text, uint8_t *ret)
{
	int key;

	if (text[0] != '^' || !text[1] || text[2])
		return -EINVAL;
	key = toupper((unsigned char)text[1]);
	/* Not ^[, with which every cursor key begins, and which could never be told from one. */
	if ((key < 'A' || key > 'Z') && !strchr("]\\^_", key))
		return -EINVAL;
	*ret = CONTROL(key);
	return 0;
}
