/* Usage errors; see usage.h. Only marks them: printing and exiting is main()'s. */
#include "cli/usage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int usage_error(struct err *err, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(err, ERR_INVALID_ARGUMENT, USAGE_REASON, "%s", text);
}

int usage_from(struct err *err)
{
	snprintf(err->reason, sizeof(err->reason), "%s", USAGE_REASON);
	return -EINVAL;
}

bool usage_is(const struct err *err)
{
	return !strcmp(err->reason, USAGE_REASON);
}
