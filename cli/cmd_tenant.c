/* croft tenant ...: who may use how much. What a tenant may be is the server's to judge. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
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
	{0},
};

const struct column tenant_columns[] = {
	{"name", "tenant", "name", COLUMN_RESOURCE, NULL},
	{"uid", "uid", "uid", COLUMN_PLAIN, NULL},
	{"state", "state", .kind = COLUMN_CUSTOM, .text = state_text},
	{"suspend_reason", "reason", "suspend_reason", COLUMN_PLAIN, NULL},
	{"plan", "plan", "plan", COLUMN_PLAIN, NULL},
	{"own_limits", "own limits", .kind = COLUMN_CUSTOM, .text = own_text},
	{"account_ref", "account", "account_ref", COLUMN_PLAIN, NULL},
	{"nesting", "nesting", "nesting", COLUMN_PLAIN, NULL},
	{"create_time", "created", "create_time", COLUMN_TIME, NULL},
	{"container_count", "containers", "container_count", COLUMN_PLAIN, NULL},
	{"running_count", "running", "running_count", COLUMN_PLAIN, NULL},
	{"bound_uids", "local uids", .kind = COLUMN_CUSTOM, .text = uids_text},
	COLUMNS_LIMITS,
	{"disk_limit_enforced", "disk limit holds", "disk_limit_enforced", COLUMN_PLAIN, NULL},
	{"max_containers", "max containers", .kind = COLUMN_CUSTOM, .text = columns_max_containers},
	{"log_bytes", "log size", .kind = COLUMN_CUSTOM, .text = columns_log},
	{"log_used_bytes", "log used", "log_used_bytes", COLUMN_SIZE, NULL},
	{0},
};

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
static int read_resets(const struct options *options, const char *ret_names[static LIMIT_N],
	size_t *ret_n, struct err *err)
{
	const char *name;
	uint32_t seen = 0;
	size_t pos = 0;
	size_t n = 0;

	while ((name = options_next(options, "reset", &pos))) {
		enum limit_id id;

		if (limit_find(name, &id) < 0)
			return usage_error(err, "--reset %.40s: there is no such limit", name);
		if (!(seen & (1u << id)))
			ret_names[n++] = name;
		seen |= 1u << id;
		if (limit_rule(id)->kind != LIMIT_KIND_IO)
			continue;
		id = limit_rule(id)->ops;
		if (!(seen & (1u << id)))
			ret_names[n++] = limit_rule(id)->name;
		seen |= 1u << id;
	}
	*ret_n = n;
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
	const char *paths[LIMIT_N + 4];
	const char *resets[LIMIT_N];
	char name[RESOURCE_SIZE];
	struct limits_message limits;
	bool on = false;
	int r = cli_tenant_name(cli_arg(cli, 0), name, err);

	if (r == 0)
		r = limits_message_read(&cli->options, true, &limits, err);
	if (r == 0 && nesting)
		r = cli_switch("nesting", nesting, &on, err);
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

static int suspend(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__SuspendTenantRequest request = CROFT__V1__SUSPEND_TENANT_REQUEST__INIT;
	const char *reason = options_get(&cli->options, "reason");
	char name[RESOURCE_SIZE];
	int r = cli_tenant_name(cli_arg(cli, 0), name, err);

	if (r == 0 && (!reason || !*reason))
		return usage_error(err, "--reason is missing: say why the tenant is suspended");
	request.name = name;
	request.reason = (char *)reason;
	if (r == 0)
		r = cli_call(cli, SERVICE, "SuspendTenant", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, tenant_columns, reply, err, "suspended tenant %s",
			       cli_arg(cli, 0));
}

static int resume(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__ResumeTenantRequest request = CROFT__V1__RESUME_TENANT_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = cli_tenant_name(cli_arg(cli, 0), name, err);

	request.name = name;
	if (r == 0)
		r = cli_call(cli, SERVICE, "ResumeTenant", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, tenant_columns, reply, err, "resumed tenant %s",
			       cli_arg(cli, 0));
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
	{.name = "nesting",
		.value = "on|off",
		.kind = WORD_CHOICE,
		.help = "whether its containers may have containers inside"},
	{.name = "force", .help = "lower memory and disk below what is in use"},
	{0},
};

static const struct option_rule suspend_options[] = {
	{.name = "reason", .value = "TEXT", .help = "why; the tenant is told (required)"},
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

const struct command cmd_tenant_suspend = {
	.name = "tenant suspend",
	.summary = "Freeze all that a tenant runs, and refuse every start.",
	.args = {{.name = "NAME", .kind = WORD_TENANT}},
	.options = suspend_options,
	.run = suspend,
};

const struct command cmd_tenant_resume = {
	.name = "tenant resume",
	.summary = "Let a suspended tenant go on.",
	.args = {{.name = "NAME", .kind = WORD_TENANT}},
	.run = resume,
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
