/*
 * The keys that leave a console: a prefix (Ctrl-a) and then q. The prefix twice is the prefix
 * itself, for the container; before any other key it is as if it were any key.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DETACH_PREFIX 0x01 /* Ctrl-a */
#define DETACH_KEY    'q'

struct detach {
	uint8_t prefix;
	bool held; /* the prefix came last, and what follows decides */
};

/*
 * Takes n bytes of input, and puts what is for the container into out, which has room for n + 1.
 * True when the keys that leave were among them: what follows them is dropped.
 */
bool detach_filter(struct detach *d, const uint8_t *in, size_t n, uint8_t *out, size_t *ret_n_out);

/* A prefix as people write it: "^a" to "^z", "^]", "^\", "^^" and "^_". Returns 0 or -EINVAL. */
int detach_parse_prefix(const char *text, uint8_t *ret);
