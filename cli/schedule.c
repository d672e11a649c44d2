/* Snapshot schedules as words; see schedule.h. */
#include "cli/schedule.h"

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/usage.h"

#include <inttypes.h>
#include <string.h>

static const struct {
	char letter;
	int64_t seconds;
} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

int schedule_span(
	const char *option, const char *text, Google__Protobuf__Duration *ret, struct err *err)
{
	char *end;
	long long n = strtoll(text, &end, 10);

	google__protobuf__duration__init(ret);
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (end != text && end[0] == units[i].letter && !end[1] && n > 0 &&
			n <= INT32_MAX) {
			ret->seconds = n * units[i].seconds;
			return 0;
		}
	return usage_error(
		err, "--%s takes a time such as 30m, 12h or 1d, not \"%.40s\"", option, text);
}

int schedule_read(const struct options *o, struct schedule_message *ret, struct err *err)
{
	const char *every = options_get(o, "snapshot-every");
	const char *keep = options_get(o, "snapshot-keep");
	const char *expire = options_get(o, "snapshot-expire");
	uint64_t n = 0;
	int r;

	memset(ret, 0, sizeof(*ret));
	croft__v1__snapshot_schedule__init(&ret->message);
	ret->given = every;
	if (!every && (keep || expire))
		return usage_error(err, "--snapshot-keep and --snapshot-expire go with "
					"--snapshot-every");
	if (every && !strcmp(every, "none") && (keep || expire))
		return usage_error(err, "--snapshot-every none ends the snapshots, and goes with "
					"no --snapshot-keep or --snapshot-expire; give a time "
					"such as 1d, or none alone");
	if (!every || !strcmp(every, "none"))
		return 0;
	r = schedule_span("snapshot-every", every, &ret->every, err);
	if (r == 0 && expire)
		r = schedule_span("snapshot-expire", expire, &ret->expire, err);
	if (r == 0 && keep)
		r = cli_number("--snapshot-keep", keep, UINT32_MAX, &n, err);
	if (r < 0)
		return r;
	ret->message.every = &ret->every;
	ret->message.keep = (uint32_t)n;
	if (expire)
		ret->message.expire = &ret->expire;
	return 0;
}

Croft__V1__SnapshotSchedule *schedule_message(struct schedule_message *s)
{
	return s->message.every ? &s->message : NULL;
}

static size_t put_span(char *out, size_t size, const char *before, int64_t seconds)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(units) - 1 && seconds % units[i].seconds)
		i++;
	return (size_t)snprintf(
		out, size, "%s%" PRId64 "%c", before, seconds / units[i].seconds, units[i].letter);
}

const char *schedule_text(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Container *c = (const void *)m;
	const Croft__V1__SnapshotSchedule *s = c->snapshot_schedule;
	size_t n;

	(void)human;
	buf[0] = '\0';
	if (!s || !s->every)
		return buf;
	n = put_span(buf, COLUMN_TEXT_MAX, "every ", s->every->seconds);
	n += (size_t)snprintf(buf + n, COLUMN_TEXT_MAX - n, ", %u kept", s->keep);
	if (s->expire)
		put_span(buf + n, COLUMN_TEXT_MAX - n, " for ", s->expire->seconds);
	return buf;
}
