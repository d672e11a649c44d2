/* Health checks as words; see health.h. */
#include "cli/health.h"

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/schedule.h"
#include "cli/usage.h"
#include "proto/message.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

static int read_span(const struct options *o, const char *option, Google__Protobuf__Duration *span,
	Google__Protobuf__Duration **ret, struct err *err)
{
	const char *text = options_get(o, option);

	if (!text)
		return 0;
	*ret = span;
	return schedule_span(option, text, span, err);
}

int health_option_read(const struct options *o, struct health_message *ret, struct err *err)
{
	const char *command = options_get(o, "health-cmd");
	const char *retries = options_get(o, "health-retries");
	Croft__V1__HealthCheck *check = &ret->message;
	uint64_t n = 0;
	int r;

	memset(ret, 0, sizeof(*ret));
	croft__v1__health_check__init(check);
	ret->given = command;
	if (command && !*command)
		return usage_error(err, "--health-cmd takes a command, or none");
	r = read_span(o, "health-interval", &ret->interval, &check->interval, err);
	if (r == 0)
		r = read_span(o, "health-timeout", &ret->timeout, &check->timeout, err);
	if (r == 0)
		r = read_span(
			o, "health-start-period", &ret->start_period, &check->start_period, err);
	if (r == 0 && retries)
		r = cli_number("--health-retries", retries, UINT32_MAX, &n, err);
	if (r < 0)
		return r;
	check->retries = (uint32_t)n;
	check->restart = options_has(o, "health-restart");
	if (!command && (check->interval || check->timeout || check->start_period || retries ||
				check->restart))
		return usage_error(err, "what says how health is checked goes with --health-cmd");
	if (command && strcmp(command, "none") != 0)
		check->command = (char *)command;
	return 0;
}

Croft__V1__HealthCheck *health_option_message(struct health_message *h)
{
	return h->message.command[0] ? &h->message : NULL;
}

const char *health_text(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	static const char *const names[] = {"", "starting", "healthy", "unhealthy"};
	const Croft__V1__Container *c = (const void *)m;
	size_t n;

	buf[0] = '\0';
	if ((unsigned)c->health >= ARRAY_SIZE(names) || !c->health)
		return buf;
	n = (size_t)snprintf(buf, COLUMN_TEXT_MAX, "%s", names[c->health]);
	if (human && c->health_failures)
		n += (size_t)snprintf(
			buf + n, COLUMN_TEXT_MAX - n, " (%" PRIu32 " failed)", c->health_failures);
	if (human && c->health_output[0])
		snprintf(buf + n, COLUMN_TEXT_MAX - n, ": %s", c->health_output);
	return buf;
}

const char *health_state_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Container *c = (const void *)m;
	struct message_value value;
	const char *name = message_find(m, "state", &value) ? message_enum_name(&value) : NULL;
	size_t n = 0;

	for (; name && name[n]; n++)
		buf[n] = (char)tolower((unsigned char)name[n]);
	buf[n] = '\0';
	if (human && c->health == CROFT__V1__CONTAINER__HEALTH__UNHEALTHY)
		snprintf(buf + n, COLUMN_TEXT_MAX - n, " (unhealthy)");
	else if (human && c->idle_frozen)
		snprintf(buf + n, COLUMN_TEXT_MAX - n, " (idle)");
	return buf;
}

const char *health_check_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Container *c = (const void *)m;
	const Croft__V1__HealthCheck *check = c->health_check;

	(void)human;
	buf[0] = '\0';
	if (check && check->interval)
		snprintf(buf, COLUMN_TEXT_MAX, "every %" PRId64 "s%s: %s", check->interval->seconds,
			check->restart ? ", restarts" : "", check->command);
	return buf;
}
