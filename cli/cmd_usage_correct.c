/* croft usage correct: an operator adds to a closed record, or takes off; see ADR 82. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/month.h"
#include "cli/usage.h"
#include "cli/usage_resource.h"
#include "croft/v1/usage.pb-c.h"

#include <stdio.h>
#include <string.h>

#define AMOUNT_SIZE 48

static int read_amount(const struct cli *cli, char out[static AMOUNT_SIZE], struct err *err)
{
	const char *more = options_get(&cli->options, "add");
	const char *less = options_get(&cli->options, "subtract");
	const char *digits = more ? more : less;

	if (!more == !less)
		return usage_error(err, "say by how much: --add N or --subtract N, one of both");
	if (!*digits || strspn(digits, "0123456789") != strlen(digits) ||
		strlen(digits) + 2 > AMOUNT_SIZE)
		return usage_error(err,
			"\"%.40s\" is not an amount: give a whole number of the meter's unit",
			digits);
	snprintf(out, AMOUNT_SIZE, "%s%s", less ? "-" : "", digits);
	return 0;
}

static char *option_or_empty(const struct cli *cli, const char *name)
{
	const char *value = options_get(&cli->options, name);

	return value ? (char *)value : (char *)"";
}

static int correct(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__CorrectUsageRequest request = CROFT__V1__CORRECT_USAGE_REQUEST__INIT;
	const Croft__V1__UsageRecord *record;
	Google__Protobuf__Timestamp hour;
	char name[RESOURCE_SIZE];
	char amount[AMOUNT_SIZE];
	const char *uid;
	int r = usage_resource_read(cli_arg(cli, 0), name, &uid, err);

	if (r == 0)
		r = read_amount(cli, amount, err);
	if (r == 0)
		r = cli_time(cli, "hour", &hour, &request.hour, err);
	if (r < 0)
		return r;
	if (!request.hour)
		return usage_error(err, "--hour is missing: give any moment of the hour");
	request.reason = option_or_empty(cli, "reason");
	if (!*request.reason)
		return usage_error(err, "--reason is missing: say why it is corrected");
	request.name = name;
	request.resource_uid = (char *)uid;
	request.meter = (char *)cli_arg(cli, 1);
	request.amount = amount;
	request.record_id = option_or_empty(cli, "record");
	request.request_id = option_or_empty(cli, "request-id");
	r = cli_call(
		cli, &croft__v1__usage__descriptor, "CorrectUsage", &request.base, &reply, err);
	if (r < 0)
		return r;
	record = (const void *)reply;
	return cli_report(cli, usage_record_columns, reply, err,
		"corrected %s of %s by %s %s: record %s corrects %s", record->meter,
		record->resource, record->quantity, record->unit, record->record_id,
		record->corrects);
}

static const struct option_rule options[] = {
	{.name = "add", .value = "N", .help = "so much more, in the meter's unit"},
	{.name = "subtract", .value = "N", .help = "so much less; not more than there is"},
	{.name = "hour",
		.value = "TIME",
		.help = "any moment of the closed hour, such as 2026-01-31T10:00:00Z"},
	{.name = "reason",
		.value = "TEXT",
		.help = "why; it stays on the record, and the tenant sees it"},
	{.name = "record",
		.value = "ID",
		.help = "the record_id of the one to correct, where the hour has several"},
	{.name = "request-id",
		.value = "ID",
		.help = "sent again with the same one, it is not carried out again"},
	{0},
};

const struct command cmd_usage_correct = {
	.name = "usage correct",
	.summary = "Add to a record of a closed hour, or take off: by a record that corrects it.",
	.args = {{.name = "TENANT[/NAME|/UID]", .kind = WORD_HOLDER},
		{.name = "METER", .kind = WORD_TEXT}},
	.options = options,
	.run = correct,
};
