/* croft tenant suspend, resume: setting and lifting holds. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/holds.h"
#include "cli/schedule.h"
#include "cli/usage.h"

#include <string.h>

#define SERVICE (&croft__v1__tenants__descriptor)
#define TYPES	"billing|abuse|operator"

/* What --type says; unspecified when it is not given. */
static int read_type(const struct cli *cli, Croft__V1__Hold__Type *ret, struct err *err)
{
	static const char *const names[] = {
		[CROFT__V1__HOLD__TYPE__BILLING] = "billing",
		[CROFT__V1__HOLD__TYPE__ABUSE] = "abuse",
		[CROFT__V1__HOLD__TYPE__OPERATOR] = "operator",
	};
	const char *text = options_get(&cli->options, "type");

	*ret = CROFT__V1__HOLD__TYPE__TYPE_UNSPECIFIED;
	if (!text)
		return 0;
	for (size_t i = 1; i < ARRAY_SIZE(names); i++)
		if (!strcmp(text, names[i])) {
			*ret = (Croft__V1__Hold__Type)i;
			return 0;
		}
	return usage_error(err, "--type is billing, abuse or operator, not \"%.40s\"", text);
}

/* "never", "0" or a time such as 12h. */
static int read_grace(const struct cli *cli, Croft__V1__SuspendTenantRequest *request,
	Google__Protobuf__Duration *grace, struct err *err)
{
	const char *text = options_get(&cli->options, "grace");
	int r = 0;

	if (!text)
		return 0;
	if (!strcmp(text, "never")) {
		request->keep_frozen = true;
		return 0;
	}
	google__protobuf__duration__init(grace);
	if (strcmp(text, "0") != 0)
		r = schedule_span("grace", text, grace, err);
	request->grace = grace;
	return r;
}

static int suspend(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__SuspendTenantRequest request = CROFT__V1__SUSPEND_TENANT_REQUEST__INIT;
	const char *reason = options_get(&cli->options, "reason");
	Google__Protobuf__Duration grace;
	char name[RESOURCE_SIZE];
	char holds[COLUMN_TEXT_MAX];
	int r = cli_tenant_name(cli_arg(cli, 0), name, err);

	if (r == 0)
		r = read_type(cli, &request.type, err);
	if (r == 0)
		r = read_grace(cli, &request, &grace, err);
	if (r < 0)
		return r;
	if ((!reason || !*reason) && (request.type == CROFT__V1__HOLD__TYPE__TYPE_UNSPECIFIED ||
					     request.type == CROFT__V1__HOLD__TYPE__OPERATOR))
		return usage_error(err, "--reason is missing: say why the tenant is suspended");
	request.name = name;
	request.tell = options_has(&cli->options, "tell");
	if (reason)
		request.reason = (char *)reason;
	r = cli_call(cli, SERVICE, "SuspendTenant", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, tenant_columns, reply, err, "suspended tenant %s: %s",
			       cli_arg(cli, 0), holds_text(reply, true, holds));
}

static int resume(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__ResumeTenantRequest request = CROFT__V1__RESUME_TENANT_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	char holds[COLUMN_TEXT_MAX];
	int r = cli_tenant_name(cli_arg(cli, 0), name, err);

	if (r == 0)
		r = read_type(cli, &request.type, err);
	if (r < 0)
		return r;
	request.name = name;
	r = cli_call(cli, SERVICE, "ResumeTenant", &request.base, &reply, err);
	if (r < 0)
		return r;
	if (!*holds_text(reply, true, holds))
		return cli_report(
			cli, tenant_columns, reply, err, "resumed tenant %s", cli_arg(cli, 0));
	return cli_report(cli, tenant_columns, reply, err, "tenant %s is still suspended: %s",
		cli_arg(cli, 0), holds);
}

static const struct option_rule suspend_options[] = {
	{.name = "type",
		.value = TYPES,
		.kind = WORD_CHOICE,
		.help = "what for (default: operator); a tenant may have one hold of each"},
	{.name = "reason",
		.value = "TEXT",
		.help = "why, for whoever resumes it; needed by an operator hold"},
	{.name = "grace",
		.value = "TIME",
		.help = "stop what is frozen after 0, 30m, 12h, 7d, or never (default: croftd's)"},
	{.name = "tell", .help = "the tenant may know the reason, not just the type"},
	{0},
};

static const struct option_rule resume_options[] = {
	{.name = "type",
		.value = TYPES,
		.kind = WORD_CHOICE,
		.help = "the hold to lift (default: operator)"},
	{0},
};

const struct command cmd_tenant_suspend = {
	.name = "tenant suspend",
	.summary = "Freeze all that a tenant runs, then stop it, and refuse every start.",
	.args = {{.name = "NAME", .kind = WORD_TENANT}},
	.options = suspend_options,
	.run = suspend,
};

const struct command cmd_tenant_resume = {
	.name = "tenant resume",
	.summary = "Lift a hold; after the last one a tenant goes on as it was.",
	.args = {{.name = "NAME", .kind = WORD_TENANT}},
	.options = resume_options,
	.run = resume,
};
