/* croft abuse ...: what was done about abuse, and the rules. `check` reads a file without a server.
 */
#include "base/abuse_rules.h"
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/list.h"
#include "cli/usage.h"
#include "croft/v1/abuse.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE (&croft__v1__abuse__descriptor)

/* What a server of a later version measures has no unit here. */
static const char *value_text(
	const char *name, uint64_t value, bool human, char buf[static COLUMN_TEXT_MAX])
{
	char text[ABUSE_VALUE_TEXT_MAX];
	enum abuse_signal signal;

	if (human && abuse_signal_find(name, &signal) == 0)
		snprintf(buf, COLUMN_TEXT_MAX, "%s", abuse_value_format(signal, value, text));
	else
		snprintf(buf, COLUMN_TEXT_MAX, "%" PRIu64, value);
	return buf;
}

static const char *action_text(
	int action, bool dry_run, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const char *name = action > 0 && action <= (int)ABUSE_ACTION_N
				   ? abuse_action_name((enum abuse_action)(action - 1))
				   : "";

	snprintf(buf, COLUMN_TEXT_MAX, "%s%s", name, human && dry_run ? " (dry run)" : "");
	return buf;
}

static const char *case_value(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__AbuseCase *one = (const void *)m;

	return value_text(one->signal, one->value, human, buf);
}

static const char *case_threshold(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__AbuseCase *one = (const void *)m;

	return value_text(one->signal, one->threshold, human, buf);
}

static const char *case_state(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__AbuseCase *one = (const void *)m;

	(void)human;
	(void)buf;
	return one->end_time ? one->end_reason : "lasts";
}

static const char *case_action(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__AbuseCase *one = (const void *)m;

	return action_text((int)one->action, one->dry_run, human, buf);
}

const struct column abuse_list_columns[] = {
	{"number", "NUMBER", "number", COLUMN_PLAIN, NULL},
	{"resource", "WHO", "resource", COLUMN_RESOURCE, NULL},
	{"rule", "RULE", "rule", COLUMN_PLAIN, NULL},
	{"value", "VALUE", .kind = COLUMN_CUSTOM, .text = case_value},
	{"action", "ACTION", .kind = COLUMN_CUSTOM, .text = case_action},
	{"begin_time", "SINCE", "begin_time", COLUMN_TIME, NULL},
	{"end_time", NULL, "end_time", COLUMN_TIME, NULL},
	{"state", "STATE", .kind = COLUMN_CUSTOM, .text = case_state},
	{"dry_run", NULL, "dry_run", COLUMN_PLAIN, NULL},
	{"signal", NULL, "signal", COLUMN_PLAIN, NULL},
	{"threshold", NULL, .kind = COLUMN_CUSTOM, .text = case_threshold},
	{"window_seconds", NULL, "window_seconds", COLUMN_PLAIN, NULL},
	{"outcome", NULL, "outcome", COLUMN_PLAIN, NULL},
	{"tenant_uid", NULL, "tenant_uid", COLUMN_PLAIN, NULL},
	{0},
};

const struct column abuse_columns[] = {
	{"number", "number", "number", COLUMN_PLAIN, NULL},
	{"resource", "who", "resource", COLUMN_RESOURCE, NULL},
	{"rule", "rule", "rule", COLUMN_PLAIN, NULL},
	{"signal", "signal", "signal", COLUMN_PLAIN, NULL},
	{"value", "value", .kind = COLUMN_CUSTOM, .text = case_value},
	{"threshold", "threshold", .kind = COLUMN_CUSTOM, .text = case_threshold},
	{"window_seconds", "window, s", "window_seconds", COLUMN_PLAIN, NULL},
	{"action", "action", .kind = COLUMN_CUSTOM, .text = case_action},
	{"outcome", "outcome", "outcome", COLUMN_PLAIN, NULL},
	{"begin_time", "since", "begin_time", COLUMN_TIME, NULL},
	{"end_time", "until", "end_time", COLUMN_TIME, NULL},
	{"state", "state", .kind = COLUMN_CUSTOM, .text = case_state},
	{"tenant_uid", "tenant uid", "tenant_uid", COLUMN_PLAIN, NULL},
	{0},
};

static int list(struct cli *cli, struct err *err)
{
	Croft__V1__ListAbuseCasesRequest request = CROFT__V1__LIST_ABUSE_CASES_REQUEST__INIT;
	char name[RESOURCE_SIZE] = "";
	int r = cli_arg(cli, 0) ? cli_tenant_name(cli_arg(cli, 0), name, err) : 0;

	request.tenant = name;
	return r < 0 ? r
		     : list_print(cli, SERVICE, "ListAbuseCases", &request.base, abuse_list_columns,
			       err);
}

static int show(struct cli *cli, struct err *err)
{
	Croft__V1__GetAbuseCaseRequest request = CROFT__V1__GET_ABUSE_CASE_REQUEST__INIT;
	int r = cli_number("NUMBER", cli_arg(cli, 0), UINT64_MAX, &request.number, err);

	return r < 0 ? r
		     : cli_show(cli, SERVICE, "GetAbuseCase", &request.base, abuse_columns, err);
}

static int lift(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__LiftAbuseCaseRequest request = CROFT__V1__LIFT_ABUSE_CASE_REQUEST__INIT;
	const Croft__V1__AbuseCase *one;
	int r = cli_number("NUMBER", cli_arg(cli, 0), UINT64_MAX, &request.number, err);

	if (r == 0)
		r = cli_call(cli, SERVICE, "LiftAbuseCase", &request.base, &reply, err);
	if (r < 0)
		return r;
	one = (const void *)reply;
	return cli_report(cli, abuse_columns, reply, err, "case %" PRIu64 " is over: %s",
		request.number, one->end_reason);
}

/* --- rules --- */

static const char *rule_threshold(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__AbuseRule *rule = (const void *)m;

	return value_text(rule->signal, rule->threshold, human, buf);
}

static const char *rule_until(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__AbuseRule *rule = (const void *)m;

	return value_text(rule->signal, rule->until, human, buf);
}

static const char *rule_action(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__AbuseRule *rule = (const void *)m;

	return action_text((int)rule->action, rule->dry_run, human, buf);
}

const struct column abuse_rule_columns[] = {
	{"name", "RULE", "name", COLUMN_PLAIN, NULL},
	{"signal", "SIGNAL", "signal", COLUMN_PLAIN, NULL},
	{"per_tenant", NULL, "per_tenant", COLUMN_PLAIN, NULL},
	{"threshold", "THRESHOLD", .kind = COLUMN_CUSTOM, .text = rule_threshold},
	{"until", "UNTIL", .kind = COLUMN_CUSTOM, .text = rule_until},
	{"window_seconds", "WINDOW, S", "window_seconds", COLUMN_PLAIN, NULL},
	{"quiet_seconds", "QUIET, S", "quiet_seconds", COLUMN_PLAIN, NULL},
	{"action", "ACTION", .kind = COLUMN_CUSTOM, .text = rule_action},
	{"cpu_percent", NULL, "cpu_percent", COLUMN_PLAIN, NULL},
	{"rate_in_bytes", NULL, "rate_in_bytes", COLUMN_PLAIN, NULL},
	{"rate_out_bytes", NULL, "rate_out_bytes", COLUMN_PLAIN, NULL},
	{"dry_run", NULL, "dry_run", COLUMN_PLAIN, NULL},
	{"exemptions", "EXEMPT", "exemptions", COLUMN_PLAIN, NULL},
	{0},
};

static int print_rules(struct cli *cli, const Croft__V1__AbuseRules *rules, struct err *err)
{
	_cleanup_output_ struct output *output = NULL;
	int r = output_create(cli->format, abuse_rule_columns, stdout, &output, err);

	for (size_t i = 0; r == 0 && i < rules->n_rules; i++)
		r = output_add(output, &rules->rules[i]->base, err);
	if (r == 0)
		r = output_end(output, err);
	if (r == 0 && *rules->error)
		fprintf(stderr, "croft: the file was refused, other rules are in force: %s\n",
			rules->error);
	return r;
}

static int rules(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__GetAbuseRulesRequest request = CROFT__V1__GET_ABUSE_RULES_REQUEST__INIT;
	int r = cli_call(cli, SERVICE, "GetAbuseRules", &request.base, &reply, err);

	return r < 0 ? r : print_rules(cli, (const void *)reply, err);
}

static int reload(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__ReloadAbuseRulesRequest request = CROFT__V1__RELOAD_ABUSE_RULES_REQUEST__INIT;
	int r = cli_call(cli, SERVICE, "ReloadAbuseRules", &request.base, &reply, err);

	return r < 0 ? r : print_rules(cli, (const void *)reply, err);
}

static int check(struct cli *cli, struct err *err)
{
	_cleanup_free_ struct abuse_rules *found = NULL;
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	const char *path = cli_arg(cli, 0);
	size_t size;
	int r;

	if (cli->format != OUTPUT_TABLE)
		return usage_error(
			err, "abuse check prints for people only; programs need its exit status");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
	r = abuse_rules_read(fd, &text, &size, err);
	if (r < 0)
		return err_wrap(err, r, "%s", path);
	r = abuse_rules_parse(text, size, path, &found, err);
	if (r < 0)
		return r;
	printf("%zu rule%s%s\n", found->n, found->n == 1 ? "" : "s",
		found->dry_run ? ", all of them dry runs" : "");
	return output_flush(stdout, err);
}

/* What the server begins with, to be changed and given as --abuse-rules. */
static int defaults(struct cli *cli, struct err *err)
{
	(void)cli;
	fputs(abuse_rules_builtin, stdout);
	return output_flush(stdout, err);
}

const struct command cmd_abuse_list = {
	.name = "abuse list",
	.summary = "List cases in which a rule about abuse was met.",
	.args = {{.name = "TENANT", .kind = WORD_TENANT, .optional = true}},
	.run = list,
};

const struct command cmd_abuse_show = {
	.name = "abuse show",
	.summary = "Show a case: what was measured, and what was done.",
	.args = {{.name = "NUMBER"}},
	.run = show,
};

const struct command cmd_abuse_lift = {
	.name = "abuse lift",
	.summary = "End a case now: its throttle or its hold goes.",
	.args = {{.name = "NUMBER"}},
	.run = lift,
};

const struct command cmd_abuse_rules = {
	.name = "abuse rules",
	.summary = "Show the rules about abuse that are in force.",
	.run = rules,
};

const struct command cmd_abuse_reload = {
	.name = "abuse reload",
	.summary = "Have croftd read its file of rules again; a wrong one changes nothing.",
	.run = reload,
};

const struct command cmd_abuse_check = {
	.name = "abuse check",
	.summary = "Say whether a file of rules is right, or which line is not.",
	.args = {{.name = "FILE", .kind = WORD_FILE}},
	.run = check,
};

const struct command cmd_abuse_defaults = {
	.name = "abuse defaults",
	.summary = "Print the built-in rules, as a file to begin with.",
	.run = defaults,
};
