/* Health checks as they are asked for and kept; see health.h. Pure: no check is run from here. */
#include "server/health.h"

#include "base/span.h"
#include "server/grpc_utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int invalid(const char *field, const char *why, struct err *err)
{
	return err_set_subject(err, ERR_INVALID_ARGUMENT, "HEALTH_CHECK_INVALID", field, "%s", why);
}

/* A duration in whole seconds; what is not given stays. */
static int read_span(const Google__Protobuf__Duration *msg, int64_t min, int64_t max,
	const char *field, const char *why, uint32_t *ret, struct err *err)
{
	if (!msg)
		return 0;
	if (msg->nanos || msg->seconds < min || msg->seconds > max)
		return invalid(field, why, err);
	*ret = (uint32_t)msg->seconds;
	return 0;
}

static int read_spans(
	const Croft__V1__HealthCheck *msg, struct health_check *check, struct err *err)
{
	int r = read_span(msg->interval, HEALTH_INTERVAL_MIN_S, HEALTH_INTERVAL_MAX_S,
		"health_check.interval", "a health check is made every 1 to 86400 whole seconds",
		&check->interval_s, err);

	if (r == 0)
		r = read_span(msg->start_period, 0, HEALTH_START_PERIOD_MAX_S,
			"health_check.start_period",
			"a health check's start period is 0 to 86400 whole seconds",
			&check->start_period_s, err);
	if (r == 0)
		r = read_span(msg->timeout, 1, HEALTH_TIMEOUT_MAX_S, "health_check.timeout",
			"a health check may take 1 to 300 whole seconds", &check->timeout_s, err);
	return r;
}

int health_read(const Croft__V1__HealthCheck *msg, bool ephemeral, struct health_check *ret,
	struct err *err)
{
	struct health_check check = {.interval_s = HEALTH_INTERVAL_S,
		.retries = HEALTH_RETRIES,
		.timeout_s = HEALTH_TIMEOUT_S};
	int r;

	memset(ret, 0, sizeof(*ret));
	if (!msg || !msg->command[0])
		return 0;
	if (strlen(msg->command) > HEALTH_COMMAND_MAX || strpbrk(msg->command, "\r\n"))
		return invalid("health_check.command",
			"a health check is one line of at most 512 bytes; put more into a script",
			err);
	r = read_spans(msg, &check, err);
	if (r < 0)
		return r;
	if (msg->retries > HEALTH_RETRIES_MAX)
		return invalid(
			"health_check.retries", "a health check has at most 100 retries", err);
	if (msg->restart && ephemeral)
		return invalid("health_check.restart",
			"an ephemeral container goes when its run has ended: nothing can start it "
			"again",
			err);
	if (msg->retries)
		check.retries = msg->retries;
	check.restart = msg->restart;
	memcpy(check.command, msg->command, strlen(msg->command) + 1);
	*ret = check;
	return 0;
}

const char *health_write(const struct health_check *check, char out[static HEALTH_TEXT_SIZE])
{
	out[0] = '\0';
	if (check->command[0])
		snprintf(out, HEALTH_TEXT_SIZE, "%u %u %u %u %d %s", check->interval_s,
			check->timeout_s, check->retries, check->start_period_s, check->restart,
			check->command);
	return out;
}

const char *health_tell(const struct health_check *check, char out[static HEALTH_TOLD_SIZE])
{
	char interval[SPAN_TEXT_SIZE];
	char timeout[SPAN_TEXT_SIZE];
	char start[SPAN_TEXT_SIZE];

	out[0] = '\0';
	if (check->command[0])
		snprintf(out, HEALTH_TOLD_SIZE, "every %s, timeout %s, %u retries%s%s%s: %s",
			span_write(check->interval_s, interval),
			span_write(check->timeout_s, timeout), check->retries,
			check->start_period_s ? ", start period " : "",
			check->start_period_s ? span_write(check->start_period_s, start) : "",
			check->restart ? ", restart" : "", check->command);
	return out;
}

static bool is_sound(const struct health_check *check)
{
	return check->interval_s >= HEALTH_INTERVAL_MIN_S &&
	       check->interval_s <= HEALTH_INTERVAL_MAX_S && check->timeout_s &&
	       check->timeout_s <= HEALTH_TIMEOUT_MAX_S && check->retries &&
	       check->retries <= HEALTH_RETRIES_MAX &&
	       check->start_period_s <= HEALTH_START_PERIOD_MAX_S;
}

int health_parse(const char *text, struct health_check *ret)
{
	struct health_check check = {0};
	int restart = 0;
	int used = 0;

	memset(ret, 0, sizeof(*ret));
	if (!*text)
		return 0;
	if (sscanf(text, "%u %u %u %u %d %n", &check.interval_s, &check.timeout_s, &check.retries,
		    &check.start_period_s, &restart, &used) != 5 ||
		!used || !is_sound(&check) || restart < 0 || restart > 1)
		return -EBADMSG;
	/* The command as it is: with the spaces that it may begin with. */
	for (int spaces = used = 0; spaces < 5; used++)
		spaces += text[used] == ' ';
	if (!text[used] || strlen(text + used) > HEALTH_COMMAND_MAX)
		return -EBADMSG;
	check.restart = restart;
	memcpy(check.command, text + used, strlen(text + used) + 1);
	*ret = check;
	return 0;
}

bool health_equal(const struct health_check *a, const struct health_check *b)
{
	return !strcmp(a->command, b->command) && a->interval_s == b->interval_s &&
	       a->timeout_s == b->timeout_s && a->retries == b->retries &&
	       a->start_period_s == b->start_period_s && a->restart == b->restart;
}

void health_last_line(char *text, char ret[static HEALTH_OUTPUT_MAX + 1])
{
	size_t len = strlen(text);
	char *line;

	while (len && (unsigned char)text[len - 1] <= ' ')
		text[--len] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	snprintf(ret, HEALTH_OUTPUT_MAX + 1, "%s", line);
	for (char *p = ret; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	grpc_utf8_repair(ret);
}
