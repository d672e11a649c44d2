/* croft tenant ...: who may use how much. What a tenant may be is the server's to judge. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/holds.h"
#include "cli/limits_message.h"
#include "cli/list.h"
#include "cli/usage.h"
#include "croft/v1/tenants.pb-c.h"

#include <inttypes.h>
#include <string.h>

#define SERVICE (&croft__v1__tenants__descriptor)

static const char *state_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Tenant *tenant = (const void *)m;

	(void)human;
	(void)buf;
	return tenant->suspended ? "suspended" : "active";
}

static const char *uids_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Tenant *tenant = (const void *)m;
	size_t n = 0;

	(void)human;
	buf[0] = '\0';
	for (size_t i = 0; i < tenant->n_bound_uids && n < COLUMN_TEXT_MAX; i++)
		n += (size_t)snprintf(buf + n, COLUMN_TEXT_MAX - n, "%s%" PRIu32, i ? " " : "",
			tenant->bound_uids[i]);
	return buf;
}

static const char *own_text(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Tenant *tenant = (const void *)m;
	size_t n = 0;

	(void)human;
	buf[0] = '\0';
	for (size_t i = 0; i < tenant->n_own_limits && n < COLUMN_TEXT_MAX; i++)
		n += (size_t)snprintf(
			buf + n, COLUMN_TEXT_MAX - n, "%s%s", i ? " " : "", tenant->own_limits[i]);
	return buf;
}

const struct column tenant_list_columns[] = {
	{"name", "TENANT", "name", COLUMN_RESOURCE, NULL},
	{"state", "STATE", .kind = COLUMN_CUSTOM, .text = state_text},
	{"containers", "CONTAINERS", "container_count", COLUMN_PLAIN, NULL},
	{"running", "RUNNING", "running_count", COLUMN_PLAIN, NULL},
	{"cpu_milli", "CPU", .kind = COLUMN_CUSTOM, .text = columns_cpu},
	{"memory_bytes", "MEMORY", .kind = COLUMN_CUSTOM, .text = columns_memory},
	{"pids", "PIDS", .kind = COLUMN_CUSTOM, .text = columns_pids},
	{"disk_bytes", "DISK", .kind = COLUMN_CUSTOM, .text = columns_disk},
	{"account_ref", NULL, "account_ref", COLUMN_PLAIN, NULL},
	{"holds", NULL, .kind = COLUMN_CUSTOM, .text = holds_text},
	{0},
};

const struct column tenant_columns[] = {
	{"name", "tenant", "name", COLUMN_RESOURCE, NULL},
	{"uid", "uid", "uid", COLUMN_PLAIN, NULL},
	{"state", "state", .kind = COLUMN_CUSTOM, .text = state_text},
	{"holds", "holds", .kind = COLUMN_CUSTOM, .text = holds_text},
	{"billing_hold", "billing hold", .kind = COLUMN_CUSTOM, .text = holds_billing},
	{"abuse_hold", "abuse hold", .kind = COLUMN_CUSTOM, .text = holds_abuse},
	{"operator_hold", "operator hold", .kind = COLUMN_CUSTOM, .text = holds_operator},
	{"plan", "plan", "plan", COLUMN_PLAIN, NULL},
	{"own_limits", "own limits", .kind = COLUMN_CUSTOM, .text = own_text},
	{"account_ref", "account", "account_ref", COLUMN_PLAIN, NULL},
	{"nesting", "nesting", "nesting", COLUMN_PLAIN, NULL},
	{"create_time", "created", "create_time", COLUMN_TIME, NULL},
	{"container_count", "containers", "container_count", COLUMN_PLAIN, NULL},
	{"running_count", "running", "running_count", COLUMN_PLAIN, NULL},
	{"bound_uids", "local uids", .kind = COLUMN_CUSTOM, .text = uids_text},
	COLUMNS_LIMITS,
	{"cores_now", "cores now", "cores", COLUMN_PLAIN, NULL},
	{"disk_limit_enforced", "disk limit holds", "disk_limit_enforced", COLUMN_PLAIN, NULL},
	{"disk_used_bytes", "disk used", "disk_used_bytes", COLUMN_SIZE, NULL},
	COLUMNS_TENANT_LIMITS,
	{"log_bytes", "log size", .kind = COLUMN_CUSTOM, .text = columns_log},
	{"log_used_bytes", "log used", "log_used_bytes", COLUMN_SIZE, NULL},
	{"traffic_reset_day", "traffic reset day", "traffic_reset_day", COLUMN_PLAIN, NULL},
	{"traffic_period_start", "traffic since", "traffic.period_start", COLUMN_TIME, NULL},
	{"traffic_period_end", "traffic until", "traffic.period_end", COLUMN_TIME, NULL},
	{"traffic_in_bytes", "traffic in", "traffic.in_bytes", COLUMN_SIZE, NULL},
	{"traffic_out_used_bytes", "traffic sent", "traffic.out_bytes", COLUMN_SIZE, NULL},
	{"traffic_percent_used", "traffic used %", "traffic.percent_used", COLUMN_PLAIN, NULL},
	{"traffic_slowed_to_bytes", "slowed to", "traffic.slowed_to_bytes", COLUMN_SIZE, NULL},
	{0},
};

/* 0 where the option is not given. */
static int read_reset_day(const struct options *options, uint32_t *ret, struct err *err)
{
	const char *text = options_get(options, "traffic-reset-day");
	uint64_t day = 0;
	int r = text ? cli_number("--traffic-reset-day", text, UINT32_MAX, &day, err) : 0;

	if (r == 0 && text && !day)
		return usage_error(err, "--traffic-reset-day 0: days of a month begin with 1");
	*ret = (uint32_t)day;
	return r;
}

static int create(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__CreateTenantRequest request = CROFT__V1__CREATE_TENANT_REQUEST__INIT;
	Croft__V1__Tenant tenant = CROFT__V1__TENANT__INIT;
	const char *plan = options_get(&cli->options, "plan");
	const char *account = options_get(&cli->options, "account");
	char name[RESOURCE_SIZE];
	struct limits_message limits;
	int r = cli_tenant_name(cli_arg(cli, 0), name, err);

	if (r == 0)
		r = limits_message_read(&cli->options, false, &limits, err);
	if (r == 0)
		r = read_reset_day(&cli->options, &tenant.traffic_reset_day, err);
	if (r < 0)
		return r;
	tenant.limits = &limits.message;
	tenant.nesting = options_has(&cli->options, "nesting");
	if (plan)
		tenant.plan = (char *)plan;
	if (account)
		tenant.account_ref = (char *)account;
	request.tenant_id = (char *)cli_arg(cli, 0);
	request.tenant = &tenant;
	r = cli_call(cli, SERVICE, "CreateTenant", &request.base, &reply, err);
	if (r < 0)
		return r;
	return cli_report(cli, tenant_columns, reply, err, "created tenant %s", cli_arg(cli, 0));
}

static int list(struct cli *cli, struct err *err)
{
	Croft__V1__ListTenantsRequest request = CROFT__V1__LIST_TENANTS_REQUEST__INIT;

	return list_print(cli, SERVICE, "ListTenants", &request.base, tenant_list_columns, err);
}

static int show(struct cli *cli, struct err *err)
{
	Croft__V1__GetTenantRequest request = CROFT__V1__GET_TENANT_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = cli_tenant_name(cli_arg(cli, 0), name, err);

	request.name = name;
	return r < 0 ? r : cli_show(cli, SERVICE, "GetTenant", &request.base, tenant_columns, err);
}

/* The names behind --reset: each a limit's, once. */
struct resets {
	const char **names; /* LIMIT_N */
	size_t n;
	uint32_t seen; /* 1 << limit_id */
};

static void reset(struct resets *resets, enum limit_id id)
{
	if (!(resets->seen & (1u << id)))
		resets->names[resets->n++] = limit_rule(id)->name;
	resets->seen |= 1u << id;
}

static int read_resets(const struct options *options, const char *ret_names[static LIMIT_N],
	size_t *ret_n, struct err *err)
{
	struct resets resets = {.names = ret_names};
	const char *name;
	size_t pos = 0;

	while ((name = options_next(options, "reset", &pos))) {
		enum limit_id id;

		if (limit_find(name, &id) < 0)
			return usage_error(err, "--reset %.40s: there is no such limit", name);
		reset(&resets, id);
		if (limit_rule(id)->kind == LIMIT_KIND_IO)
			reset(&resets, limit_rule(id)->ops);
	}
	*ret_n = resets.n;
	return 0;
}

static int set(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__UpdateTenantRequest request = CROFT__V1__UPDATE_TENANT_REQUEST__INIT;
	Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
	Croft__V1__Tenant tenant = CROFT__V1__TENANT__INIT;
	const char *account = options_get(&cli->options, "account");
	const char *plan = options_get(&cli->options, "plan");
	const char *nesting = options_get(&cli->options, "nesting");
	const char *paths[LIMIT_N + 5];
	const char *resets[LIMIT_N];
	char name[RESOURCE_SIZE];
	struct limits_message limits;
	bool on = false;
	int r = cli_tenant_name(cli_arg(cli, 0), name, err);

	if (r == 0)
		r = limits_message_read(&cli->options, true, &limits, err);
	if (r == 0 && nesting)
		r = cli_switch("nesting", nesting, &on, err);
	if (r == 0)
		r = read_reset_day(&cli->options, &tenant.traffic_reset_day, err);
	if (r < 0)
		return r;
	memcpy(paths, limits.paths, limits.n_paths * sizeof(*paths));
	mask.n_paths = limits.n_paths;
	if (account) {
		tenant.account_ref = (char *)account;
		paths[mask.n_paths++] = "account_ref";
	}
	if (plan) {
		tenant.plan = (char *)plan;
		paths[mask.n_paths++] = "plan";
	}
	if (nesting) {
		tenant.nesting = on;
		paths[mask.n_paths++] = "nesting";
	}
	if (tenant.traffic_reset_day)
		paths[mask.n_paths++] = "traffic_reset_day";
	r = read_resets(&cli->options, resets, &request.n_reset_limits, err);
	if (r < 0)
		return r;
	request.reset_limits = (char **)resets;
	if (!mask.n_paths && !request.n_reset_limits)
		return usage_error(err, "nothing to set: give a limit or another option");
	mask.paths = (char **)paths;
	tenant.name = name;
	tenant.limits = &limits.message;
	request.tenant = &tenant;
	request.update_mask = &mask;
	request.force = options_has(&cli->options, "force");
	r = cli_call(cli, SERVICE, "UpdateTenant", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(
			       cli, tenant_columns, reply, err, "set tenant %s", cli_arg(cli, 0));
}

static int bind_uid(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__BindTenantRequest request = CROFT__V1__BIND_TENANT_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	uint64_t uid;
	int r = cli_tenant_name(cli_arg(cli, 0), name, err);

	if (r == 0) /* UINT32_MAX is (uid_t)-1, which is nobody's */
		r = cli_number("UID", cli_arg(cli, 1), UINT32_MAX - 1, &uid, err);
	if (r < 0)
		return r;
	request.name = name;
	request.uid = (uint32_t)uid;
	r = cli_call(cli, SERVICE, "BindTenant", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, tenant_columns, reply, err, "bound uid %s to tenant %s",
			       cli_arg(cli, 1), cli_arg(cli, 0));
}

static int delete (struct cli *cli, struct err *err)
{
	Croft__V1__DeleteTenantRequest request = CROFT__V1__DELETE_TENANT_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = cli_tenant_name(cli_arg(cli, 0), name, err);

	request.name = name;
	request.force = options_has(&cli->options, "force");
	if (r == 0)
		r = cli_call_only(cli, SERVICE, "DeleteTenant", &request.base, err);
	return r < 0 ? r : cli_report(cli, NULL, NULL, err, "deleted tenant %s", cli_arg(cli, 0));
}

static const struct option_rule create_options[] = {
	{.name = "plan",
		.value = "PLAN",
		.help = "the plan whose limits it has",
		.kind = WORD_PLAN},
	{.name = "account", .value = "REF", .help = "your own customer reference, kept on usage"},
	{.name = "traffic-reset-day",
		.value = "DAY",
		.help = "day of the month on which its traffic counts from 0 again (default 1)"},
	{.name = "nesting", .help = "its containers may have containers inside (launch --nesting)"},
	{0},
};

static const struct option_rule set_options[] = {
	{.name = "plan",
		.value = "PLAN",
		.help = "another plan; limits of its own stay",
		.kind = WORD_PLAN},
	{.name = "reset",
		.value = "LIMIT",
		.help = "a limit of its own (cpu, memory...) that goes back to its plan's",
		.repeated = true},
	{.name = "account", .value = "REF", .help = "your own customer reference, kept on usage"},
	{.name = "traffic-reset-day",
		.value = "DAY",
		.help = "day of the month on which its traffic counts from 0 again (default 1)"},
	{.name = "nesting",
		.value = "on|off",
		.kind = WORD_CHOICE,
		.help = "whether its containers may have containers inside"},
	{.name = "force", .help = "lower memory and disk below what is in use"},
	{0},
};

static const struct option_rule delete_options[] = {
	{.name = "force", .help = "stop and delete its containers first"},
	{0},
};

const struct command cmd_tenant_create = {
	.name = "tenant create",
	.summary = "Make a tenant with limits that hold over all its containers.",
	.args = {{.name = "NAME"}},
	.options = create_options,
	.limits = COMMAND_LIMITS_TENANT,
	.run = create,
};

const struct command cmd_tenant_list = {
	.name = "tenant list",
	.summary = "List the tenants.",
	.run = list,
};

const struct command cmd_tenant_show = {
	.name = "tenant show",
	.summary = "Show one tenant and its limits.",
	.args = {{.name = "NAME", .kind = WORD_TENANT}},
	.run = show,
};

const struct command cmd_tenant_set = {
	.name = "tenant set",
	.summary = "Change a tenant's limits while its containers run; \"none\" takes one off.",
	.args = {{.name = "NAME", .kind = WORD_TENANT}},
	.options = set_options,
	.limits = COMMAND_LIMITS_TENANT,
	.run = set,
};

const struct command cmd_tenant_bind = {
	.name = "tenant bind",
	.summary = "Let a local user id act as a tenant.",
	.args = {{.name = "NAME", .kind = WORD_TENANT}, {.name = "UID"}},
	.run = bind_uid,
};

const struct command cmd_tenant_delete = {
	.name = "tenant delete",
	.summary = "Delete a tenant.",
	.args = {{.name = "NAME", .kind = WORD_TENANT}},
	.options = delete_options,
	.run = delete,
};
