/* Reading months and times; see month.h. */
#include "cli/month.h"

#include "base/clock.h"
#include "cli/usage.h"

#include <stdio.h>
#include <string.h>

int month_read(const char *text, int64_t *ret_from, int64_t *ret_to, struct err *err)
{
	char first[32];
	int64_t usec;
	int year = 0;
	int month = 0;

	if (strlen(text) != 7 || strspn(text, "0123456789-") != 7 ||
		sscanf(text, "%4d-%2d", &year, &month) != 2)
		return usage_error(err, "--month \"%.40s\" is not a month such as 2026-01", text);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(first, sizeof(first), "%04d-%02d-01T00:00:00Z", year, month);
		if (clock_parse(first, &usec) < 0)
			return usage_error(
				err, "--month \"%.40s\" is not a month such as 2026-01", text);
		*(i ? ret_to : ret_from) = usec / 1000000;
		year += month == 12;
		month = month == 12 ? 1 : month + 1;
	}
	return 0;
}

int cli_time(const struct cli *cli, const char *option, Google__Protobuf__Timestamp *t,
	Google__Protobuf__Timestamp **ret, struct err *err)
{
	const char *text = options_get(&cli->options, option);
	int64_t usec;

	*ret = NULL;
	if (!text)
		return 0;
	if (clock_parse(text, &usec) < 0)
		return usage_error(err, "--%s \"%.40s\" is not a time such as 2026-01-31T00:00:00Z",
			option, text);
	google__protobuf__timestamp__init(t);
	t->seconds = usec / 1000000;
	t->nanos = (int32_t)(usec % 1000000 * 1000);
	if (t->nanos < 0) {
		t->nanos += 1000000000;
		t->seconds--;
	}
	*ret = t;
	return 0;
}
