/* Holds as columns; see holds.h. */
#include "cli/holds.h"

#include <string.h>

static const char *type_text(Croft__V1__Hold__Type type)
{
	switch (type) {
	case CROFT__V1__HOLD__TYPE__BILLING:
		return "billing";
	case CROFT__V1__HOLD__TYPE__ABUSE:
		return "abuse";
	case CROFT__V1__HOLD__TYPE__OPERATOR:
		return "operator";
	default:
		return "unknown";
	}
}

const char *holds_text(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Tenant *tenant = (const void *)m;
	size_t n = 0;

	(void)human;
	buf[0] = '\0';
	for (size_t i = 0; i < tenant->n_holds && n < COLUMN_TEXT_MAX; i++)
		n += (size_t)snprintf(buf + n, COLUMN_TEXT_MAX - n, "%s%s", i ? " " : "",
			type_text(tenant->holds[i]->type));
	return buf;
}

static const char *time_text(
	const Google__Protobuf__Timestamp *time, char out[static MESSAGE_TIME_MAX])
{
	if (!time || !message_format_time(time->seconds, 0, out))
		snprintf(out, MESSAGE_TIME_MAX, "never");
	return out;
}

static const char *hold_text(const Croft__V1__Hold *hold, char buf[static COLUMN_TEXT_MAX])
{
	char since[MESSAGE_TIME_MAX];
	char stops[MESSAGE_TIME_MAX];

	snprintf(buf, COLUMN_TEXT_MAX, "since %s%s%s, stops %s%s%s",
		time_text(hold->create_time, since), *hold->set_by ? " by " : "", hold->set_by,
		time_text(hold->stop_time, stops), *hold->reason ? ": " : "", hold->reason);
	return buf;
}

static const char *one_text(
	const ProtobufCMessage *m, Croft__V1__Hold__Type type, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Tenant *tenant = (const void *)m;

	buf[0] = '\0';
	for (size_t i = 0; i < tenant->n_holds; i++)
		if (tenant->holds[i]->type == type)
			return hold_text(tenant->holds[i], buf);
	return buf;
}

const char *holds_billing(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	(void)human;
	return one_text(m, CROFT__V1__HOLD__TYPE__BILLING, buf);
}

const char *holds_abuse(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	(void)human;
	return one_text(m, CROFT__V1__HOLD__TYPE__ABUSE, buf);
}

const char *holds_operator(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	(void)human;
	return one_text(m, CROFT__V1__HOLD__TYPE__OPERATOR, buf);
}
