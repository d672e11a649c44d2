/* croft webhook ...: receivers that what was recorded is brought to. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/list.h"
#include "cli/schedule.h"
#include "cli/usage.h"
#include "croft/v1/webhooks.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define SERVICE	    (&croft__v1__webhooks__descriptor)
#define TYPES_MOST  64
#define CA_MOST	    (1u << 20)
#define SECRET_MOST 4096u
#define PATHS_MOST  4

/* --- columns --- */

static const char *source_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Webhook *w = (const void *)m;
	bool usage = w->source == CROFT__V1__WEBHOOK__SOURCE__USAGE;
	const char *slash = strrchr(w->tenant, '/');
	size_t n = (size_t)snprintf(buf, COLUMN_TEXT_MAX, "%s", usage ? "usage" : "events");

	if (!human)
		return buf;
	for (size_t i = 0; i < w->n_types && n < COLUMN_TEXT_MAX; i++)
		n += (size_t)snprintf(buf + n, COLUMN_TEXT_MAX - n, " %s", w->types[i]);
	if (slash && n < COLUMN_TEXT_MAX)
		snprintf(buf + n, COLUMN_TEXT_MAX - n, " of %s", slash + 1);
	return buf;
}

static const char *state_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Webhook *w = (const void *)m;

	(void)human;
	if (w->disabled)
		snprintf(buf, COLUMN_TEXT_MAX, "disabled: %s", w->disabled_reason);
	else
		snprintf(buf, COLUMN_TEXT_MAX, "%s", w->attempts ? "failing" : "ok");
	return buf;
}

static const char *waiting_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Webhook *w = (const void *)m;

	snprintf(buf, COLUMN_TEXT_MAX, "%" PRIu64 "%s", w->waiting,
		human && w->waiting_more ? " or more" : "");
	return buf;
}

static const char *ca_text(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Webhook *w = (const void *)m;

	(void)human;
	snprintf(buf, COLUMN_TEXT_MAX, "%s", *w->ca_pem ? "a file's" : "the host's");
	return buf;
}

const struct column webhook_list_columns[] = {
	{"name", "WEBHOOK", "name", COLUMN_RESOURCE, NULL},
	{"sends", "SENDS", .kind = COLUMN_CUSTOM, .text = source_text},
	{"state", "STATE", .kind = COLUMN_CUSTOM, .text = state_text},
	{"waiting", "WAITING", .kind = COLUMN_CUSTOM, .text = waiting_text},
	{"waiting_since", "SINCE", "waiting_since", COLUMN_TIME, NULL},
	{"last_success_time", "LAST TAKEN", "last_success_time", COLUMN_TIME, NULL},
	{"last_error", NULL, "last_error", COLUMN_PLAIN, NULL},
	{"url", "URL", "url", COLUMN_PLAIN, NULL},
	{0},
};

const struct column webhook_columns[] = {
	{"name", "webhook", "name", COLUMN_RESOURCE, NULL},
	{"uid", "uid", "uid", COLUMN_PLAIN, NULL},
	{"url", "url", "url", COLUMN_PLAIN, NULL},
	{"sends", "sends", .kind = COLUMN_CUSTOM, .text = source_text},
	{"tenant", NULL, "tenant", COLUMN_RESOURCE, NULL},
	{"insecure_http", "insecure http", "insecure_http", COLUMN_PLAIN, NULL},
	{"ca", "trusts", .kind = COLUMN_CUSTOM, .text = ca_text},
	{"create_time", "created", "create_time", COLUMN_TIME, NULL},
	{"secret", NULL, "secret", COLUMN_PLAIN, NULL},
	{"old_secret_until", "old secret until", "old_secret_until", COLUMN_TIME, NULL},
	{"state", "state", .kind = COLUMN_CUSTOM, .text = state_text},
	{"waiting", "waiting", .kind = COLUMN_CUSTOM, .text = waiting_text},
	{"waiting_since", "waiting since", "waiting_since", COLUMN_TIME, NULL},
	{"last_success_time", "last taken", "last_success_time", COLUMN_TIME, NULL},
	{"last_status", "last status", "last_status", COLUMN_ID, NULL},
	{"last_error", "last error", "last_error", COLUMN_PLAIN, NULL},
	{"last_error_time", "last error at", "last_error_time", COLUMN_TIME, NULL},
	{"attempts", "attempts", "attempts", COLUMN_PLAIN, NULL},
	{"failing_since", "failing since", "failing_since", COLUMN_TIME, NULL},
	{"next_attempt_time", "next attempt", "next_attempt_time", COLUMN_TIME, NULL},
	{0},
};

static const struct column test_columns[] = {
	{"taken", "taken", "taken", COLUMN_PLAIN, NULL},
	{"status", "status", "status", COLUMN_ID, NULL},
	{"error", "error", "error", COLUMN_PLAIN, NULL},
	{"webhook_id", "message", "webhook_id", COLUMN_PLAIN, NULL},
	{0},
};

/* --- what the command line says --- */

/* A whole small file as text. Returns 0 with *ret the caller's, "" where none is named. */
static int read_text(const char *path, size_t most, char **ret, struct err *err)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = calloc(1, most + 2);
	ssize_t n = 0;

	if (!text)
		return err_oom(err);
	if (path) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(err, errno, "open %.100s", path);
		n = fd_read_full(fd, text, most + 1);
	}
	if (n < 0)
		return err_sys(err, (int)-n, "read %.100s", path);
	if (path && !n)
		return err_set(err, ERR_INVALID_ARGUMENT, "FILE_EMPTY", "%.100s is empty", path);
	if ((size_t)n > most)
		return err_set(err, ERR_INVALID_ARGUMENT, "FILE_TOO_LARGE",
			"%.100s has more than %zu bytes", path, most);
	*ret = take_ptr(text);
	return 0;
}

static int read_secret(const struct cli *cli, char **ret, struct err *err)
{
	int r = read_text(options_get(&cli->options, "secret-file"), SECRET_MOST, ret, err);

	if (r == 0)
		(*ret)[strcspn(*ret, "\r\n")] = '\0';
	return r;
}

static int read_source(const struct cli *cli, Croft__V1__Webhook *w, struct err *err)
{
	bool usage = options_has(&cli->options, "usage");

	if (usage == options_has(&cli->options, "events"))
		return usage_error(err, "say what it is sent: --usage or --events");
	w->source = usage ? CROFT__V1__WEBHOOK__SOURCE__USAGE : CROFT__V1__WEBHOOK__SOURCE__EVENTS;
	return 0;
}

static int read_types(const struct cli *cli, const char *types[static TYPES_MOST],
	Croft__V1__Webhook *w, struct err *err)
{
	const char *type;
	size_t pos = 0;

	while ((type = options_next(&cli->options, "type", &pos))) {
		if (w->n_types == TYPES_MOST)
			return usage_error(err, "too many times --type");
		types[w->n_types++] = type;
	}
	w->types = (char **)types;
	return 0;
}

/* --- commands --- */

static int create(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	_cleanup_free_ char *secret = NULL;
	_cleanup_free_ char *ca = NULL;
	Croft__V1__CreateWebhookRequest request = CROFT__V1__CREATE_WEBHOOK_REQUEST__INIT;
	Croft__V1__Webhook webhook = CROFT__V1__WEBHOOK__INIT;
	const char *tenant = options_get(&cli->options, "tenant");
	const char *types[TYPES_MOST];
	char tenant_name[RESOURCE_SIZE] = "";
	char name[RESOURCE_SIZE];
	int r = cli_webhook_name(cli_arg(cli, 0), name, err);

	if (r == 0 && tenant)
		r = cli_tenant_name(tenant, tenant_name, err);
	if (r == 0)
		r = read_source(cli, &webhook, err);
	if (r == 0)
		r = read_types(cli, types, &webhook, err);
	if (r == 0)
		r = read_secret(cli, &secret, err);
	if (r == 0)
		r = read_text(options_get(&cli->options, "ca-file"), CA_MOST, &ca, err);
	if (r < 0)
		return r;
	webhook.url = (char *)cli_arg(cli, 1);
	webhook.tenant = tenant_name;
	webhook.insecure_http = options_has(&cli->options, "insecure-http");
	webhook.ca_pem = ca;
	request.webhook_id = (char *)cli_arg(cli, 0);
	request.webhook = &webhook;
	request.secret = secret;
	request.from_start = options_has(&cli->options, "from-start");
	r = cli_call(cli, SERVICE, "CreateWebhook", &request.base, &reply, err);
	if (r < 0)
		return r;
	return cli_report(cli, webhook_columns, reply, err,
		"made webhook %s; its secret, which is not shown again:\n%s", cli_arg(cli, 0),
		((const Croft__V1__Webhook *)reply)->secret);
}

static int list(struct cli *cli, struct err *err)
{
	Croft__V1__ListWebhooksRequest request = CROFT__V1__LIST_WEBHOOKS_REQUEST__INIT;

	return list_print(cli, SERVICE, "ListWebhooks", &request.base, webhook_list_columns, err);
}

static int show(struct cli *cli, struct err *err)
{
	Croft__V1__GetWebhookRequest request = CROFT__V1__GET_WEBHOOK_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = cli_webhook_name(cli_arg(cli, 0), name, err);

	request.name = name;
	return r < 0 ? r
		     : cli_show(cli, SERVICE, "GetWebhook", &request.base, webhook_columns, err);
}

/* A new secret; whoever is not told of it in time would refuse what comes. */
static int rotate(struct cli *cli, char *name, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	_cleanup_free_ char *secret = NULL;
	Croft__V1__RotateWebhookSecretRequest request =
		CROFT__V1__ROTATE_WEBHOOK_SECRET_REQUEST__INIT;
	Google__Protobuf__Duration overlap = GOOGLE__PROTOBUF__DURATION__INIT;
	const char *text = options_get(&cli->options, "overlap");
	int r = read_secret(cli, &secret, err);

	if (r == 0 && text) {
		request.overlap = &overlap;
		if (strcmp(text, "0") != 0)
			r = schedule_span("overlap", text, &overlap, err);
	}
	if (r < 0)
		return r;
	request.name = name;
	request.secret = secret;
	r = cli_call(cli, SERVICE, "RotateWebhookSecret", &request.base, &reply, err);
	if (r < 0)
		return r;
	return cli_report(cli, webhook_columns, reply, err,
		"webhook %s has a new secret, which is not shown again:\n%s", cli_arg(cli, 0),
		((const Croft__V1__Webhook *)reply)->secret);
}

static int read_changes(const struct cli *cli, Croft__V1__Webhook *w, char **ca,
	Google__Protobuf__FieldMask *mask, struct err *err)
{
	const char *url = options_get(&cli->options, "url");
	const char *file = options_get(&cli->options, "ca-file");
	const char *plain = options_get(&cli->options, "insecure-http");
	bool disable = options_has(&cli->options, "disable");
	bool enable = options_has(&cli->options, "enable");
	int r = 0;

	if (disable && enable)
		return usage_error(err, "--enable and --disable exclude each other");
	if (url) {
		w->url = (char *)url;
		mask->paths[mask->n_paths++] = (char *)"url";
	}
	if (plain) {
		r = cli_switch("insecure-http", plain, &(bool){false}, err);
		w->insecure_http = !strcmp(plain, "on");
		mask->paths[mask->n_paths++] = (char *)"insecure_http";
	}
	if (disable || enable) {
		w->disabled = disable;
		mask->paths[mask->n_paths++] = (char *)"disabled";
	}
	if (r == 0 && file) {
		r = read_text(strcmp(file, "none") ? file : NULL, CA_MOST, ca, err);
		w->ca_pem = *ca;
		mask->paths[mask->n_paths++] = (char *)"ca_pem";
	}
	return r;
}

static int set(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	_cleanup_free_ char *ca = NULL;
	Croft__V1__UpdateWebhookRequest request = CROFT__V1__UPDATE_WEBHOOK_REQUEST__INIT;
	Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
	Croft__V1__Webhook webhook = CROFT__V1__WEBHOOK__INIT;
	bool new_secret = options_has(&cli->options, "new-secret");
	char *paths[PATHS_MOST];
	char name[RESOURCE_SIZE];
	int r = cli_webhook_name(cli_arg(cli, 0), name, err);

	mask.paths = paths;
	if (r == 0)
		r = read_changes(cli, &webhook, &ca, &mask, err);
	if (r < 0)
		return r;
	if (!new_secret && (options_has(&cli->options, "secret-file") ||
				   options_has(&cli->options, "overlap")))
		return usage_error(err, "--secret-file and --overlap go with --new-secret");
	if (!mask.n_paths)
		return new_secret ? rotate(cli, name, err)
				  : usage_error(err, "nothing to set: give an option");
	if (new_secret)
		return usage_error(err, "set a new secret by itself");
	webhook.name = name;
	request.webhook = &webhook;
	request.update_mask = &mask;
	r = cli_call(cli, SERVICE, "UpdateWebhook", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(
			       cli, webhook_columns, reply, err, "set webhook %s", cli_arg(cli, 0));
}

static int delete (struct cli *cli, struct err *err)
{
	Croft__V1__DeleteWebhookRequest request = CROFT__V1__DELETE_WEBHOOK_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = cli_webhook_name(cli_arg(cli, 0), name, err);

	request.name = name;
	if (r == 0)
		r = cli_call_only(cli, SERVICE, "DeleteWebhook", &request.base, err);
	return r < 0 ? r : cli_report(cli, NULL, NULL, err, "deleted webhook %s", cli_arg(cli, 0));
}

static int test(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__TestWebhookRequest request = CROFT__V1__TEST_WEBHOOK_REQUEST__INIT;
	const Croft__V1__TestWebhookResponse *response;
	char name[RESOURCE_SIZE];
	int r = cli_webhook_name(cli_arg(cli, 0), name, err);

	request.name = name;
	if (r == 0)
		r = cli_call(cli, SERVICE, "TestWebhook", &request.base, &reply, err);
	if (r < 0)
		return r;
	response = (const void *)reply;
	if (!response->taken)
		cli->status = CLI_REFUSED;
	if (!response->taken && cli->format == OUTPUT_TABLE) {
		fprintf(stderr, "croft: the message was not taken: %s\n", response->error);
		return 0;
	}
	return cli_report(cli, test_columns, reply, err, "the receiver took message %s",
		response->webhook_id);
}

static const struct option_rule create_options[] = {
	{.name = "usage", .help = "send closed records of usage"},
	{.name = "events", .help = "send events"},
	{.name = "type",
		.value = "PREFIX",
		.repeated = true,
		.help = "of events, those whose type begins so (all)"},
	{.name = "tenant", .value = "T", .kind = WORD_TENANT, .help = "only of this tenant (all)"},
	{.name = "from-start", .help = "begin with the oldest on record (what comes from now on)"},
	{.name = "secret-file",
		.value = "FILE",
		.kind = WORD_FILE,
		.help = "whsec_ and base64 in a file (one is made)"},
	{.name = "ca-file",
		.value = "FILE",
		.kind = WORD_FILE,
		.help = "certificates that the receiver's must lead to (the host's)"},
	{.name = "insecure-http", .help = "the URL may be http:// to another host"},
	{0},
};

static const struct option_rule set_options[] = {
	{.name = "url", .value = "URL", .help = "where it leads"},
	{.name = "ca-file",
		.value = "FILE|none",
		.kind = WORD_FILE,
		.help = "certificates that the receiver's must lead to"},
	{.name = "insecure-http",
		.value = "on|off",
		.kind = WORD_CHOICE,
		.help = "the URL may be http:// to another host"},
	{.name = "enable", .help = "send again, from where it stood"},
	{.name = "disable", .help = "send nothing; what waits stays"},
	{.name = "new-secret", .help = "make a new secret, or take that of --secret-file"},
	{.name = "secret-file",
		.value = "FILE",
		.kind = WORD_FILE,
		.help = "whsec_ and base64 in a file"},
	{.name = "overlap",
		.value = "TIME",
		.help = "the old secret signs too for so long, as 12h; or 0 (1d)"},
	{0},
};

const struct command cmd_webhook_create = {
	.name = "webhook create",
	.summary = "Bring what is recorded to a receiver, signed and at least once.",
	.args = {{.name = "NAME"}, {.name = "URL"}},
	.options = create_options,
	.run = create,
};

const struct command cmd_webhook_list = {
	.name = "webhook list",
	.summary = "List the webhooks, and what waits for each.",
	.run = list,
};

const struct command cmd_webhook_show = {
	.name = "webhook show",
	.summary = "Show one webhook, and how it goes.",
	.args = {{.name = "NAME", .kind = WORD_WEBHOOK}},
	.run = show,
};

const struct command cmd_webhook_set = {
	.name = "webhook set",
	.summary = "Change a webhook; what it sends stays as it was made.",
	.args = {{.name = "NAME", .kind = WORD_WEBHOOK}},
	.options = set_options,
	.run = set,
};

const struct command cmd_webhook_delete = {
	.name = "webhook delete",
	.summary = "Delete a webhook; what waits is not sent any more.",
	.args = {{.name = "NAME", .kind = WORD_WEBHOOK}},
	.run = delete,
};

const struct command cmd_webhook_test = {
	.name = "webhook test",
	.summary = "Send one message that is only a test, and say what came of it.",
	.args = {{.name = "NAME", .kind = WORD_WEBHOOK}},
	.run = test,
};
