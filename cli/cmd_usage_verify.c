/* croft usage verify: proves what was billed. Exits 1 when anything is not as it was written. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "croft/v1/usage.pb-c.h"

static const char *result_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__VerifiedUsage *v = (const void *)m;

	(void)human;
	if (!v->n_problems)
		return "proven";
	snprintf(buf, COLUMN_TEXT_MAX, "%s", v->problems[0]);
	return buf;
}

static const struct column columns[] = {
	{"tenant", "TENANT", "tenant", COLUMN_PLAIN, NULL},
	{"tenant_uid", NULL, "tenant_uid", COLUMN_PLAIN, NULL},
	{"records", "RECORDS", "records", COLUMN_PLAIN, NULL},
	{"recomputed", "RECOMPUTED", "recomputed", COLUMN_PLAIN, NULL},
	{"problem_count", "PROBLEMS", "problem_count", COLUMN_PLAIN, NULL},
	{"head", NULL, "head", COLUMN_PLAIN, NULL},
	{"result", "RESULT", .kind = COLUMN_CUSTOM, .text = result_text},
	{0},
};

static int verify(struct cli *cli, struct err *err)
{
	Croft__V1__VerifyUsageRequest request = CROFT__V1__VERIFY_USAGE_REQUEST__INIT;
	_cleanup_output_ struct output *output = NULL;
	_cleanup_call_ struct call *call = NULL;
	char name[RESOURCE_SIZE] = "";
	size_t n = 0;
	int r = 0;

	if (cli_arg(cli, 0))
		r = cli_tenant_name(cli_arg(cli, 0), name, err);
	request.tenant = name;
	if (r == 0)
		r = cli_stream(cli, &croft__v1__usage__descriptor, "VerifyUsage", &request.base,
			&call, err);
	if (r == 0)
		r = output_create(cli->format, columns, stdout, &output, err);
	while (r == 0) {
		_cleanup_message_ ProtobufCMessage *reply = NULL;

		r = cli_receive(cli, call, &reply, err);
		if (r == CALL_END) {
			if (!n)
				fputs("croft: there is nothing to prove yet; hours are closed two "
				      "minutes after their end\n",
					stderr);
			return output_end(output, err);
		}
		if (r != CALL_MESSAGE)
			break;
		if (((const Croft__V1__VerifiedUsage *)(const void *)reply)->problem_count)
			cli->status = CLI_REFUSED;
		r = output_add(output, reply, err);
		n++;
	}
	return r;
}

const struct command cmd_usage_verify = {
	.name = "usage verify",
	.summary = "Prove the closed records: by their chain, and by the samples that are kept.",
	.args = {{.name = "TENANT", .kind = WORD_TENANT, .optional = true}},
	.run = verify,
};
