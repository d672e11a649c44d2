/* croft network ...: a tenant's network. */
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/usage.h"
#include "croft/v1/networks.pb-c.h"

#include <string.h>

#define SERVICE (&croft__v1__networks__descriptor)

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

static int set(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__UpdateNetworkRequest request = CROFT__V1__UPDATE_NETWORK_REQUEST__INIT;
	Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
	Croft__V1__Network network = CROFT__V1__NETWORK__INIT;
	const char *smtp = options_get(&cli->options, "smtp");
	char *paths[] = {(char *)"smtp"};
	char tenant[RESOURCE_SIZE];
	int r = cli_tenant_name(cli_arg(cli, 0), tenant, err);

	if (r < 0)
		return r;
	if (!smtp)
		return usage_error(err, "nothing to set: give --smtp");
	if (strcmp(smtp, "on") != 0 && strcmp(smtp, "off") != 0)
		return usage_error(err, "--smtp takes on or off, not \"%.40s\"", smtp);
	network.tenant = tenant;
	network.smtp = !strcmp(smtp, "on");
	mask.paths = paths;
	mask.n_paths = 1;
	request.network = &network;
	request.update_mask = &mask;
	r = cli_call(cli, SERVICE, "UpdateNetwork", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, network_columns, reply, err, "set the network of %s",
			       cli_arg(cli, 0));
}

static const struct option_rule set_options[] = {
	{.name = "smtp",
		.value = "on|off",
		.kind = WORD_CHOICE,
		.help = "whether containers may connect to port 25 outside"},
	{0},
};

const struct command cmd_network_set = {
	.name = "network set",
	.summary = "Change what a tenant may do in the network.",
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
