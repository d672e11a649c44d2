/*
 * One invocation from argv to exit status; see cli.h. The only place that prints errors. Must
 * never print a server's text with control characters in it: err_sanitize() has seen it before.
 */
#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/dial.h"
#include "cli/usage.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

static int parse_format(const char *text, enum output_format *ret, struct err *err)
{
	static const char *const names[] = {
		[OUTPUT_TABLE] = "table", [OUTPUT_JSON] = "json", [OUTPUT_CSV] = "csv"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(text, names[i])) {
			*ret = (enum output_format)i;
			return 0;
		}
	}
	return usage_error(err, "\"%s\" is no output format; use table, json or csv", text);
}

static int take_globals(struct cli *cli, const struct options *o, struct err *err)
{
	const char *format = options_get(o, "output");

	if (options_has(o, "host"))
		cli->host = options_get(o, "host");
	return format ? parse_format(format, &cli->format, err) : 0;
}

static int report_error(const struct cli *cli, const struct err *err)
{
	const struct command *command = cli->command;
	bool usage = usage_is(err);
	struct err shown = *err;

	/* Names in it may come from a container. */
	err_sanitize(&shown);
	fprintf(stderr, "croft: %s\n", shown.msg);
	if (usage && command) {
		fputs("usage: ", stderr);
		command_print_usage(command, stderr);
	}
	if (cli->status)
		return cli->status;
	if (command && command->failure_status)
		return command->failure_status;
	return usage ? CLI_USAGE : CLI_REFUSED;
}

/* Help that was asked for goes to standard output, and is a success. */
static int show_help(const char *const *argv, size_t n, struct err *err)
{
	const struct command *command;
	size_t words;
	int r;

	if (!n || (n == 1 && command_is_group(argv[0])) ||
		(n > 1 && command_is_group(argv[0]) && argv[1][0] == '-')) {
		command_print_list(n ? argv[0] : NULL, stdout);
		return output_flush(stdout, err);
	}
	r = command_find(argv, n, &command, &words, err);
	if (r < 0)
		return r;
	command_print_help(command, stdout);
	return output_flush(stdout, err);
}

static bool asks_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h");
}

static int run_command(struct cli *cli, const char *const *argv, size_t n, struct err *err)
{
	size_t words;
	int r;

	if (n && !strcmp(argv[0], "help"))
		return show_help(argv + 1, n - 1, err);
	if (n == 2 && command_is_group(argv[0]) && asks_help(argv[1]))
		return show_help(argv, 1, err);
	r = command_find(argv, n, &cli->command, &words, err);
	if (r == 0)
		r = options_parse(cli->command, argv + words, n - words, &cli->options, err);
	if (r == 0 && cli->options.help)
		return show_help(argv, n, err);
	if (r == 0)
		r = take_globals(cli, &cli->options, err);
	return r < 0 ? r : cli->command->run(cli, err);
}

static int run(struct cli *cli, const char *const *argv, size_t n, struct err *err)
{
	struct options globals = {0};
	size_t words = 0;
	int r;

	if (n && !strcmp(argv[0], "--version")) {
		puts("croft " CROFT_VERSION);
		return output_flush(stdout, err);
	}
	r = options_parse_global(argv, n, &globals, &words, err);
	if (r == 0 && globals.help)
		r = show_help(NULL, 0, err);
	else if (r == 0)
		r = take_globals(cli, &globals, err);
	if (r == 0 && !globals.help)
		r = run_command(cli, argv + words, n - words, err);
	options_finish(&globals);
	return r;
}

int cli_run(int argc, char **argv)
{
	struct err err = {0};
	struct cli cli = {.host = getenv("CROFT_HOST")};
	size_t n = argc > 1 ? (size_t)argc - 1 : 0;
	int r;

	if (!cli.host || !*cli.host)
		cli.host = DIAL_DEFAULT;
	if (!n)
		command_print_list(NULL, stderr);
	r = n ? run(&cli, (const char *const *)argv + 1, n, &err) : 0;
	if (!n)
		cli.status = CLI_USAGE;
	else if (r < 0)
		cli.status = report_error(&cli, &err);
	client_destroy(cli.client);
	options_finish(&cli.options);
	return cli.status;
}

int cli_connect(struct cli *cli, struct client **ret, struct err *err)
{
	int r = cli->client ? 0 : client_connect(cli->host, &cli->client, err);

	if (r < 0)
		return r;
	*ret = cli->client;
	return 0;
}

int cli_call(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
	ProtobufCMessage *request, ProtobufCMessage **ret_reply, struct err *err)
{
	struct client *client;
	int r = cli_connect(cli, &client, err);

	return r < 0 ? r : call_unary(client, service, method, request, ret_reply, err);
}

int cli_stream(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
	const ProtobufCMessage *request, struct call **ret, struct err *err)
{
	_cleanup_call_ struct call *call = NULL;
	struct client *client;
	int r = cli_connect(cli, &client, err);

	if (r == 0)
		r = call_open(client, service, method, &call, err);
	if (r == 0)
		r = call_send(call, request, err);
	if (r == 0)
		r = call_half_close(call, err);
	if (r < 0)
		return r;
	*ret = take_ptr(call);
	return 0;
}

int cli_receive(struct cli *cli, struct call *call, ProtobufCMessage **ret_message, struct err *err)
{
	for (;;) {
		struct pollfd out = {.fd = STDOUT_FILENO};
		int r = call_next(call, ret_message, err);

		if (r != CALL_NOTHING)
			return r;
		r = client_wait(cli->client, &out, 1, -1, err);
		if (r < 0)
			return r;
		if (out.revents & POLLERR) {
			raise(SIGPIPE);
			return err_sys(err, EPIPE, "write to standard output");
		}
	}
}

int cli_show(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
	ProtobufCMessage *request, const struct column *columns, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	int r = cli_call(cli, service, method, request, &reply, err);

	return r < 0 ? r : output_one(cli->format, columns, reply, stdout, err);
}

int cli_call_only(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
	ProtobufCMessage *request, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;

	return cli_call(cli, service, method, request, &reply, err);
}

const char *cli_arg(const struct cli *cli, size_t i)
{
	return i < cli->options.n_args ? cli->options.args[i] : NULL;
}

static int single_name(const char *what, const char *collection, const char *text,
	char ret[static RESOURCE_SIZE], struct err *err)
{
	if (name_check(what, text, err) < 0)
		return usage_from(err);
	snprintf(ret, RESOURCE_SIZE, "%s/%s", collection, text);
	return 0;
}

int cli_tenant_name(const char *text, char ret[static RESOURCE_SIZE], struct err *err)
{
	return single_name("tenant", "tenants", text, ret, err);
}

int cli_image_name(const char *text, char ret[static RESOURCE_SIZE], struct err *err)
{
	return single_name("image", "images", text, ret, err);
}

int cli_plan_name(const char *text, char ret[static RESOURCE_SIZE], struct err *err)
{
	return single_name("plan", "plans", text, ret, err);
}

int cli_webhook_name(const char *text, char ret[static RESOURCE_SIZE], struct err *err)
{
	return single_name("webhook", "webhooks", text, ret, err);
}

int cli_policy_name(const char *text, char ret[static RESOURCE_SIZE], struct err *err)
{
	return single_name("policy", "policies", text, ret, err);
}

int cli_split_container(const char *text, char ret_parent[static RESOURCE_SIZE],
	char ret_id[static NAME_SIZE], struct err *err)
{
	const char *slash = strchr(text, '/');
	char tenant[64];

	if (!slash || slash == text || !slash[1] || strchr(slash + 1, '/'))
		return usage_error(err, "\"%.80s\" is not of the form TENANT/NAME", text);
	snprintf(tenant, sizeof(tenant), "%.*s", (int)(slash - text), text);
	if (name_check("container", slash + 1, err) < 0)
		return usage_from(err);
	if (cli_tenant_name(tenant, ret_parent, err) < 0)
		return -EINVAL;
	snprintf(ret_id, NAME_SIZE, "%s", slash + 1);
	return 0;
}

int cli_container_name(const char *text, char ret[static RESOURCE_SIZE], struct err *err)
{
	char id[NAME_SIZE];
	size_t len;

	if (cli_split_container(text, ret, id, err) < 0)
		return -EINVAL;
	len = strlen(ret);
	snprintf(ret + len, RESOURCE_SIZE - len, "/containers/%s", id);
	return 0;
}

int cli_number(const char *what, const char *text, uint64_t max, uint64_t *ret, struct err *err)
{
	uint64_t n = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		unsigned digit = (unsigned)(*p - '0');

		if (digit > max || n > (max - digit) / 10)
			break;
		n = n * 10 + digit;
	}
	if (p == text || *p)
		return usage_error(err, "%s \"%.40s\" is not a whole number from 0 to %" PRIu64,
			what, text, max);
	*ret = n;
	return 0;
}

int cli_switch(const char *option, const char *text, bool *ret, struct err *err)
{
	if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
		return usage_error(err, "--%s takes on or off, not \"%.40s\"", option, text);
	*ret = !strcmp(text, "on");
	return 0;
}

int cli_report(struct cli *cli, const struct column *columns, const ProtobufCMessage *reply,
	struct err *err, const char *fmt, ...)
{
	va_list ap;

	if (cli->format != OUTPUT_TABLE && columns)
		return output_one(cli->format, columns, reply, stdout, err);
	if (cli->format == OUTPUT_TABLE) {
		va_start(ap, fmt);
		vprintf(fmt, ap);
		va_end(ap);
		putchar('\n');
	} else if (cli->format == OUTPUT_JSON) {
		puts("{}");
	}
	return output_flush(stdout, err);
}
