/* Snapshot schedules as words; see schedule.h. */
#include "cli/schedule.h"

#include "base/span.h"
#include "cli/cli.h"
#include "cli/usage.h"

#include <inttypes.h>
#include <string.h>

#define SPAN_MAX_S (INT32_MAX * INT64_C(86400)) /* croftd says what is too long */

int schedule_span(
	const char *option, const char *text, Google__Protobuf__Duration *ret, struct err *err)
{
	int64_t seconds;

	google__protobuf__duration__init(ret);
	if (span_parse(text, SPAN_MAX_S, &seconds) < 0 || !seconds)
		return usage_error(err, "--%s takes a time such as 30m, 12h or 1d, not \"%.40s\"",
			option, text);
	ret->seconds = seconds;
	return 0;
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

const char *schedule_text(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Container *c = (const void *)m;
	const Croft__V1__SnapshotSchedule *s = c->snapshot_schedule;

	(void)human;
	buf[0] = '\0';
	if (s && s->every)
		span_write_schedule(
			s->every->seconds, s->keep, s->expire ? s->expire->seconds : 0, buf);
	return buf;
}
