/* croft plan ...: bundles of limits that tenants are put on. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/limits_message.h"
#include "cli/list.h"
#include "cli/usage.h"
#include "croft/v1/plans.pb-c.h"

#include <string.h>

#define SERVICE (&croft__v1__plans__descriptor)

static const char *tenant_of(const Croft__V1__PlanRefusal *refusal)
{
	const char *slash = strrchr(refusal->tenant, '/');

	return slash ? slash + 1 : refusal->tenant;
}

/* "acme globex": who does not have the plan's limits yet. */
static const char *behind_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Plan *plan = (const void *)m;
	size_t n = 0;

	(void)human;
	buf[0] = '\0';
	for (size_t i = 0; i < plan->n_behind && n < COLUMN_TEXT_MAX; i++)
		n += (size_t)snprintf(buf + n, COLUMN_TEXT_MAX - n, "%s%s", i ? " " : "",
			tenant_of(plan->behind[i]));
	return buf;
}

const struct column plan_list_columns[] = {
	{"name", "PLAN", "name", COLUMN_RESOURCE, NULL},
	{"tenant_count", "TENANTS", "tenant_count", COLUMN_PLAIN, NULL},
	{"cpu_milli", "CPU", .kind = COLUMN_CUSTOM, .text = columns_cpu},
	{"memory_bytes", "MEMORY", .kind = COLUMN_CUSTOM, .text = columns_memory},
	{"pids", "PIDS", .kind = COLUMN_CUSTOM, .text = columns_pids},
	{"disk_bytes", "DISK", .kind = COLUMN_CUSTOM, .text = columns_disk},
	{"containers", "CONTAINERS", .kind = COLUMN_CUSTOM, .text = columns_max_containers},
	{"behind", NULL, .kind = COLUMN_CUSTOM, .text = behind_text},
	{0},
};

const struct column plan_columns[] = {
	{"name", "plan", "name", COLUMN_RESOURCE, NULL},
	{"uid", "uid", "uid", COLUMN_PLAIN, NULL},
	{"create_time", "created", "create_time", COLUMN_TIME, NULL},
	{"tenant_count", "tenants", "tenant_count", COLUMN_PLAIN, NULL},
	{"behind", "behind it", .kind = COLUMN_CUSTOM, .text = behind_text},
	COLUMNS_LIMITS,
	COLUMNS_TENANT_LIMITS,
	{"log_bytes", "log size", .kind = COLUMN_CUSTOM, .text = columns_log},
	{0},
};

static int create(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__CreatePlanRequest request = CROFT__V1__CREATE_PLAN_REQUEST__INIT;
	Croft__V1__Plan plan = CROFT__V1__PLAN__INIT;
	char name[RESOURCE_SIZE];
	struct limits_message limits;
	int r = cli_plan_name(cli_arg(cli, 0), name, err);

	if (r == 0)
		r = limits_message_read(&cli->options, false, &limits, err);
	if (r < 0)
		return r;
	plan.limits = &limits.message;
	request.plan_id = (char *)cli_arg(cli, 0);
	request.plan = &plan;
	r = cli_call(cli, SERVICE, "CreatePlan", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(
			       cli, plan_columns, reply, err, "created plan %s", cli_arg(cli, 0));
}

static int list(struct cli *cli, struct err *err)
{
	Croft__V1__ListPlansRequest request = CROFT__V1__LIST_PLANS_REQUEST__INIT;

	return list_print(cli, SERVICE, "ListPlans", &request.base, plan_list_columns, err);
}

static int show(struct cli *cli, struct err *err)
{
	Croft__V1__GetPlanRequest request = CROFT__V1__GET_PLAN_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = cli_plan_name(cli_arg(cli, 0), name, err);

	request.name = name;
	return r < 0 ? r : cli_show(cli, SERVICE, "GetPlan", &request.base, plan_columns, err);
}

/* For people, on stderr: which tenants kept their former limits, and why. */
static void tell_refusals(const Croft__V1__Plan *plan)
{
	for (size_t i = 0; i < plan->n_behind; i++)
		fprintf(stderr, "croft: %s keeps its former limits: %s\n",
			tenant_of(plan->behind[i]), plan->behind[i]->message);
}

static int set(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__UpdatePlanRequest request = CROFT__V1__UPDATE_PLAN_REQUEST__INIT;
	Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
	Croft__V1__Plan plan = CROFT__V1__PLAN__INIT;
	char name[RESOURCE_SIZE];
	struct limits_message limits;
	int r = cli_plan_name(cli_arg(cli, 0), name, err);

	if (r == 0)
		r = limits_message_read(&cli->options, true, &limits, err);
	if (r < 0)
		return r;
	if (!limits.n_paths)
		return usage_error(err, "nothing to set: give a limit");
	mask.n_paths = limits.n_paths;
	mask.paths = (char **)limits.paths;
	plan.name = name;
	plan.limits = &limits.message;
	request.plan = &plan;
	request.update_mask = &mask;
	request.force = options_has(&cli->options, "force");
	r = cli_call(cli, SERVICE, "UpdatePlan", &request.base, &reply, err);
	if (r < 0)
		return r;
	tell_refusals((const void *)reply);
	return cli_report(cli, plan_columns, reply, err, "set plan %s", cli_arg(cli, 0));
}

static int delete (struct cli *cli, struct err *err)
{
	Croft__V1__DeletePlanRequest request = CROFT__V1__DELETE_PLAN_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = cli_plan_name(cli_arg(cli, 0), name, err);

	request.name = name;
	if (r == 0)
		r = cli_call_only(cli, SERVICE, "DeletePlan", &request.base, err);
	return r < 0 ? r : cli_report(cli, NULL, NULL, err, "deleted plan %s", cli_arg(cli, 0));
}

static const struct option_rule set_options[] = {
	{.name = "force", .help = "lower memory and disk below what is in use"},
	{0},
};

const struct command cmd_plan_create = {
	.name = "plan create",
	.summary = "Make a plan; what is not given is as in the plan default.",
	.args = {{.name = "NAME"}},
	.limits = COMMAND_LIMITS_TENANT,
	.run = create,
};

const struct command cmd_plan_list = {
	.name = "plan list",
	.summary = "List the plans.",
	.run = list,
};

const struct command cmd_plan_show = {
	.name = "plan show",
	.summary = "Show one plan, its limits, and which tenants are behind it.",
	.args = {{.name = "NAME", .kind = WORD_PLAN}},
	.run = show,
};

const struct command cmd_plan_set = {
	.name = "plan set",
	.summary = "Change a plan and, live, the tenants on it; \"none\" takes a limit off.",
	.args = {{.name = "NAME", .kind = WORD_PLAN}},
	.options = set_options,
	.limits = COMMAND_LIMITS_TENANT,
	.run = set,
};

const struct command cmd_plan_delete = {
	.name = "plan delete",
	.summary = "Delete a plan that no tenant is on.",
	.args = {{.name = "NAME", .kind = WORD_PLAN}},
	.run = delete,
};
