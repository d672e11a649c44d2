/* croft version: this command's version and the server's. */
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "croft/v1/host.pb-c.h"

const struct column version_columns[] = {
	{"version", "croftd", "version", COLUMN_PLAIN, NULL},
	{0},
};

static int version(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Google__Protobuf__Empty request = GOOGLE__PROTOBUF__EMPTY__INIT;
	int r;

	if (cli->format == OUTPUT_TABLE)
		puts("croft " CROFT_VERSION);
	r = cli_call(cli, &croft__v1__host__descriptor, "GetVersion", &request.base, &reply, err);
	if (r < 0)
		return r;
	if (cli->format == OUTPUT_TABLE)
		return cli_report(cli, version_columns, reply, err, "croftd %s",
			((const Croft__V1__Version *)(const void *)reply)->version);
	return output_one(cli->format, version_columns, reply, stdout, err);
}

const struct command cmd_version = {
	.name = "version",
	.summary = "Print the versions of croft and of the server.",
	.run = version,
};
