/* Short figures; see short_text.h. */
#include "cli/short_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *short_count(uint64_t n, char out[static SHORT_TEXT_MAX])
{
	static const char units[] = "kMGTP";
	size_t unit = 0;

	if (n < 10000) {
		snprintf(out, SHORT_TEXT_MAX, "%" PRIu64, n);
		return out;
	}
	for (n /= 1000; n >= 1000 && unit < strlen(units) - 1; unit++)
		n /= 1000;
	snprintf(out, SHORT_TEXT_MAX, "%" PRIu64 "%c", n, units[unit]);
	return out;
}

const char *short_size(uint64_t bytes, char out[static SHORT_TEXT_MAX])
{
	static const char units[] = "BKMGTPE";
	uint64_t tenths = bytes * 10;
	size_t unit = 0;

	if (bytes > UINT64_MAX / 10)
		tenths = UINT64_MAX;
	while (tenths >= 10000 && unit < strlen(units) - 1) {
		tenths /= 1024;
		unit++;
	}
	if (!unit)
		snprintf(out, SHORT_TEXT_MAX, "%" PRIu64, tenths / 10);
	else if (tenths < 100)
		snprintf(out, SHORT_TEXT_MAX, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10,
			units[unit]);
	else
		snprintf(out, SHORT_TEXT_MAX, "%" PRIu64 "%c", tenths / 10, units[unit]);
	return out;
}

const char *short_share(uint64_t milli, char out[static SHORT_TEXT_MAX])
{
	char count[SHORT_TEXT_MAX];

	snprintf(out, SHORT_TEXT_MAX, "%s%%", short_count((milli + 5) / 10, count));
	return out;
}
