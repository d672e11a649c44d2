/* croft policy ...: system call policies. `check` reads a profile here, without any server. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/list.h"
#include "cli/text_filter.h"
#include "cli/usage.h"
#include "croft/v1/policies.pb-c.h"
#include "policy/check.h"

#include <fcntl.h>
#include <string.h>

#define SERVICE (&croft__v1__policies__descriptor)

static const char *usable_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Policy *policy = (const void *)m;

	(void)human;
	(void)buf;
	return *policy->error ? "no" : "yes";
}

const struct column policy_columns[] = {
	{"name", "POLICY", "name", COLUMN_RESOURCE, NULL},
	{"usable", "USABLE", .kind = COLUMN_CUSTOM, .text = usable_text},
	{"instructions", "INSTRUCTIONS", "instructions", COLUMN_PLAIN, NULL},
	{"warnings", "WARNINGS", "warnings", COLUMN_PLAIN, NULL},
	{"error", "ERROR", "error", COLUMN_PLAIN, NULL},
	{0},
};

static int list(struct cli *cli, struct err *err)
{
	Croft__V1__ListPoliciesRequest request = CROFT__V1__LIST_POLICIES_REQUEST__INIT;

	return list_print(cli, SERVICE, "ListPolicies", &request.base, policy_columns, err);
}

/* For people the profile itself, so that it can be saved, changed and checked. */
static int show(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__GetPolicyRequest request = CROFT__V1__GET_POLICY_REQUEST__INIT;
	struct text_filter filter = {0};
	const char *text;
	char name[RESOURCE_SIZE];
	int r = cli_policy_name(cli_arg(cli, 0), name, err);

	request.name = name;
	if (r == 0)
		r = cli_call(cli, SERVICE, "GetPolicy", &request.base, &reply, err);
	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_one(cli->format, policy_columns, reply, stdout, err);
	text = ((const Croft__V1__Policy *)(const void *)reply)->json;
	if (isatty(STDOUT_FILENO))
		text_filter_write(&filter, (const uint8_t *)text, strlen(text), stdout);
	else
		fputs(text, stdout);
	return output_flush(stdout, err);
}

static void print_summary(const struct policy_summary *s)
{
	size_t shown = s->n_warnings < COMPILE_WARNINGS_MAX ? s->n_warnings : COMPILE_WARNINGS_MAX;

	printf("default action  %s\n", s->default_action);
	printf("architectures   %s\n", s->abis);
	printf("allowed         %u\n", s->counts.allow);
	printf("allowed, logged %u\n", s->counts.log);
	printf("refused         %u\n", s->counts.refuse);
	printf("killed          %u\n", s->counts.kill);
	printf("by arguments    %u\n", s->counts.conditional);
	printf("instructions    %zu\n", s->n_instructions);
	printf("warnings        %zu\n", s->n_warnings);
	for (size_t i = 0; i < shown; i++)
		printf("  %s\n", s->warnings[i]);
	if (shown < s->n_warnings)
		printf("  and %zu more\n", s->n_warnings - shown);
}

static int check(struct cli *cli, struct err *err)
{
	_cleanup_free_ struct policy_summary *summary = calloc(1, sizeof(*summary));
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	const char *path = cli_arg(cli, 0);
	size_t size;
	int r;

	if (!summary)
		return err_oom(err);
	if (cli->format != OUTPUT_TABLE)
		return usage_error(
			err, "policy check prints for people only; programs need its exit status");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
	r = policy_read(fd, &text, &size, err);
	if (r == 0)
		r = policy_check(text, size, NULL, summary, err);
	if (r < 0)
		return err_wrap(err, r, "%s", path);
	print_summary(summary);
	return output_flush(stdout, err);
}

const struct command cmd_policy_list = {
	.name = "policy list",
	.summary = "List the system call policies.",
	.run = list,
};

const struct command cmd_policy_show = {
	.name = "policy show",
	.summary = "Print a policy's profile.",
	.args = {{.name = "NAME", .kind = WORD_POLICY}},
	.run = show,
};

const struct command cmd_policy_check = {
	.name = "policy check",
	.summary = "Say what a profile would do on this host, or why it cannot be used.",
	.args = {{.name = "FILE", .kind = WORD_FILE}},
	.run = check,
};
