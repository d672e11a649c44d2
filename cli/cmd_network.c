/* croft network ...: a tenant's network. */
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/limits_message.h"
#include "cli/usage.h"
#include "croft/v1/networks.pb-c.h"
#include "croft/v1/tenants.pb-c.h"

#include <inttypes.h>
#include <string.h>

#define SERVICE (&croft__v1__networks__descriptor)

static const char *rate_text(
	uint64_t rate, enum limit_id id, bool human, char buf[static COLUMN_TEXT_MAX])
{
	if (human)
		return limit_format(id, rate ? rate : LIMIT_UNSET, buf);
	snprintf(buf, COLUMN_TEXT_MAX, "%" PRIu64, rate);
	return rate ? buf : "";
}

static const char *rate_in_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	return rate_text(((const Croft__V1__Network *)m)->rate_in_bytes, LIMIT_RATE_IN, human, buf);
}

static const char *rate_out_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	return rate_text(
		((const Croft__V1__Network *)m)->rate_out_bytes, LIMIT_RATE_OUT, human, buf);
}

const struct column network_columns[] = {
	{"tenant", "tenant", "tenant", COLUMN_RESOURCE, NULL},
	{"number", "number", "number", COLUMN_PLAIN, NULL},
	{"ipv4_subnet", "ipv4 subnet", "ipv4_subnet", COLUMN_PLAIN, NULL},
	{"ipv4_gateway", "ipv4 gateway", "ipv4_gateway", COLUMN_PLAIN, NULL},
	{"ipv6_subnet", "ipv6 subnet", "ipv6_subnet", COLUMN_PLAIN, NULL},
	{"ipv6_gateway", "ipv6 gateway", "ipv6_gateway", COLUMN_PLAIN, NULL},
	{"bridge", "bridge", "bridge", COLUMN_PLAIN, NULL},
	{"addresses_used", "addresses used", "addresses_used", COLUMN_PLAIN, NULL},
	{"addresses_max", "of", "addresses_max", COLUMN_PLAIN, NULL},
	{"smtp", "smtp", "smtp", COLUMN_PLAIN, NULL},
	{"rate_in_bytes", "rate in", .kind = COLUMN_CUSTOM, .text = rate_in_text},
	{"rate_out_bytes", "rate out", .kind = COLUMN_CUSTOM, .text = rate_out_text},
	{0},
};

static int show(struct cli *cli, struct err *err)
{
	Croft__V1__GetNetworkRequest request = CROFT__V1__GET_NETWORK_REQUEST__INIT;
	char tenant[RESOURCE_SIZE];
	int r = cli_tenant_name(cli_arg(cli, 0), tenant, err);

	request.tenant = tenant;
	return r < 0 ? r
		     : cli_show(cli, SERVICE, "GetNetwork", &request.base, network_columns, err);
}

/* On or off, or NULL: not given. */
static int read_smtp(struct cli *cli, const char **ret, struct err *err)
{
	const char *smtp = options_get(&cli->options, "smtp");

	if (smtp && strcmp(smtp, "on") != 0 && strcmp(smtp, "off") != 0)
		return usage_error(err, "--smtp takes on or off, not \"%.40s\"", smtp);
	*ret = smtp;
	return 0;
}

/* The rates are limits of the tenant. */
static int set_rates(
	struct cli *cli, char *tenant_name, struct limits_message *limits, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__UpdateTenantRequest request = CROFT__V1__UPDATE_TENANT_REQUEST__INIT;
	Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
	Croft__V1__Tenant tenant = CROFT__V1__TENANT__INIT;

	tenant.name = tenant_name;
	tenant.limits = &limits->message;
	mask.paths = (char **)limits->paths;
	mask.n_paths = limits->n_paths;
	request.tenant = &tenant;
	request.update_mask = &mask;
	return cli_call(
		cli, &croft__v1__tenants__descriptor, "UpdateTenant", &request.base, &reply, err);
}

static int set_smtp(
	struct cli *cli, char *tenant, bool smtp, ProtobufCMessage **ret_reply, struct err *err)
{
	Croft__V1__UpdateNetworkRequest request = CROFT__V1__UPDATE_NETWORK_REQUEST__INIT;
	Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
	Croft__V1__Network network = CROFT__V1__NETWORK__INIT;
	char *paths[] = {(char *)"smtp"};

	network.tenant = tenant;
	network.smtp = smtp;
	mask.paths = paths;
	mask.n_paths = 1;
	request.network = &network;
	request.update_mask = &mask;
	return cli_call(cli, SERVICE, "UpdateNetwork", &request.base, ret_reply, err);
}

static int set(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__GetNetworkRequest get = CROFT__V1__GET_NETWORK_REQUEST__INIT;
	struct limits_message limits;
	char tenant[RESOURCE_SIZE];
	const char *smtp = NULL;
	int r = cli_tenant_name(cli_arg(cli, 0), tenant, err);

	if (r == 0)
		r = read_smtp(cli, &smtp, err);
	if (r == 0)
		r = limits_message_read(&cli->options, true, &limits, err);
	if (r < 0)
		return r;
	if (!smtp && !limits.n_paths)
		return usage_error(err, "nothing to set: give --rate-in, --rate-out or --smtp");
	if (limits.n_paths)
		r = set_rates(cli, tenant, &limits, err);
	get.tenant = tenant;
	if (r == 0 && smtp)
		r = set_smtp(cli, tenant, !strcmp(smtp, "on"), &reply, err);
	else if (r == 0)
		r = cli_call(cli, SERVICE, "GetNetwork", &get.base, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, network_columns, reply, err, "set the network of %s",
			       cli_arg(cli, 0));
}

static const struct option_rule set_options[] = {
	{.name = "rate-in",
		.value = "RATE",
		.help = "what may come from outside in bytes a second, such as 10MiB; \"none\": "
			"any"},
	{.name = "rate-out", .value = "RATE", .help = "the same of what is sent"},
	{.name = "smtp",
		.value = "on|off",
		.kind = WORD_CHOICE,
		.help = "whether containers may connect to port 25 outside"},
	{0},
};

const struct command cmd_network_set = {
	.name = "network set",
	.summary = "Change what a tenant may do in the network, and how fast.",
	.args = {{.name = "TENANT", .kind = WORD_TENANT}},
	.options = set_options,
	.run = set,
};

const struct command cmd_network_show = {
	.name = "network show",
	.summary = "Show a tenant's network: its addresses and its bridge.",
	.args = {{.name = "TENANT", .kind = WORD_TENANT}},
	.run = show,
};
