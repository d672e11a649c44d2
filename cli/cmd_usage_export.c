/*
 * croft usage export: records, in the form that --format names. Forms are made here, of one stream:
 * the server knows records, not what they are read with (ADR 90).
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/focus.h"
#include "cli/list.h"
#include "cli/month.h"
#include "cli/usage.h"
#include "croft/v1/tenants.pb-c.h"
#include "croft/v1/usage.pb-c.h"
#include "proto/cloud_event.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define USAGE_CURSOR_MAX 128
#define SERVICE		 (&croft__v1__usage__descriptor)

/* The records of either stream, in order, and the cursor behind what was taken. */
struct source {
	struct call *call; /* owned */
	bool has_cursor;   /* messages are ClosedUsage */
	char cursor[USAGE_CURSOR_MAX];
	ProtobufCMessage *message; /* owned: that of the present record */
};

static void source_finish(struct source *source)
{
	cleanup_message(&source->message);
	cleanup_call(&source->call);
}

static void cleanup_focus(struct focus **focus)
{
	focus_destroy(*focus);
}

/* The next record, valid until the next call; NULL at the end. Returns 0 or -errno. */
static int next_record(
	struct cli *cli, struct source *source, const Croft__V1__UsageRecord **ret, struct err *err)
{
	const Croft__V1__ClosedUsage *closed;
	int r;

	cleanup_message(&source->message);
	source->message = NULL;
	*ret = NULL;
	r = cli_receive(cli, source->call, &source->message, err);
	if (r == CALL_END)
		return 0;
	if (r != CALL_MESSAGE)
		return r;
	*ret = (const void *)source->message;
	if (!source->has_cursor)
		return 0;
	closed = (const void *)source->message;
	if (!closed->record || strlen(closed->cursor) >= sizeof(source->cursor))
		return err_set(err, ERR_INTERNAL, "REPLY_INVALID",
			"the server sent a record that croft cannot read");
	if (*closed->cursor)
		snprintf(source->cursor, sizeof(source->cursor), "%s", closed->cursor);
	*ret = closed->record;
	return 0;
}

/* Prints the stream in its form, to its end. Returns 0 or -errno. */
typedef int (*print_fn)(struct cli *cli, struct source *source, struct err *err);

static int print_rows(
	struct cli *cli, struct source *source, enum output_format format, struct err *err)
{
	_cleanup_output_ struct output *output = NULL;
	const Croft__V1__UsageRecord *record;
	int r = output_create(format, usage_record_columns, stdout, &output, err);

	while (r == 0) {
		r = next_record(cli, source, &record, err);
		if (r == 0 && !record)
			return output_end(output, err);
		if (r == 0)
			r = output_add(output, &record->base, err);
	}
	return r;
}

static int print_csv(struct cli *cli, struct source *source, struct err *err)
{
	return print_rows(cli, source, OUTPUT_CSV, err);
}

static int print_jsonl(struct cli *cli, struct source *source, struct err *err)
{
	return print_rows(cli, source, OUTPUT_JSON, err);
}

/* Receivers know an event by its id and keep the first: what still changes is not sent to them. */
static int print_cloudevents(struct cli *cli, struct source *source, struct err *err)
{
	const Croft__V1__UsageRecord *record;
	int r = 0;

	while (r == 0) {
		r = next_record(cli, source, &record, err);
		if (r == 0 && !record)
			return output_flush(stdout, err);
		if (r == 0 && record->finalized_at)
			cloud_event_print(record, stdout);
		if (r == 0 && ferror(stdout))
			return output_flush(stdout, err);
	}
	return r;
}

/* --- a month's bill --- */

static int add_records(struct cli *cli, struct source *source, struct focus *focus,
	uint64_t *ret_open, struct err *err)
{
	const Croft__V1__UsageRecord *record;
	int r = 0;

	for (;;) {
		r = next_record(cli, source, &record, err);
		if (r < 0 || !record)
			break;
		*ret_open += !record->finalized_at;
		r = focus_add(focus, record, err);
		if (r < 0)
			return r;
	}
	return r;
}

static int add_tenant(void *arg, const Croft__V1__Tenant *tenant, struct err *err)
{
	return focus_add_tenant(arg, tenant, err);
}

/* Who used nothing pays a minimum as well. name: "": all. */
static int add_tenants(struct cli *cli, const char *name, struct focus *focus, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__GetTenantRequest request = CROFT__V1__GET_TENANT_REQUEST__INIT;
	int r;

	if (!*name)
		return list_each_tenant(cli, add_tenant, focus, err);
	request.name = (char *)name;
	r = cli_call(cli, &croft__v1__tenants__descriptor, "GetTenant", &request.base, &reply, err);
	if (r < 0 && err->code == ERR_NOT_FOUND)
		return 0; /* it is gone: its records say what there is to say */
	return r < 0 ? r : focus_add_tenant(focus, (const void *)reply, err);
}

static int export_month(struct cli *cli, const char *tenant, int64_t from, int64_t to,
	const struct rate_card *card, struct err *err)
{
	Croft__V1__ExportUsageRequest request = CROFT__V1__EXPORT_USAGE_REQUEST__INIT;
	_cleanup_(source_finish) struct source source = {.has_cursor = false};
	_cleanup_(cleanup_focus) struct focus *focus = NULL;
	Google__Protobuf__Timestamp start = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Google__Protobuf__Timestamp end = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	char name[RESOURCE_SIZE] = "";
	uint64_t open = 0;
	int r = tenant ? cli_tenant_name(tenant, name, err) : 0;

	start.seconds = from;
	end.seconds = to;
	request.tenant = name;
	request.from = &start;
	request.to = &end;
	if (r == 0)
		r = focus_create(card, from, to, &focus, err);
	if (r == 0)
		r = cli_stream(cli, SERVICE, "ExportUsage", &request.base, &source.call, err);
	if (r == 0)
		r = add_records(cli, &source, focus, &open, err);
	if (r == 0)
		r = add_tenants(cli, name, focus, err);
	if (r == 0)
		r = focus_print(focus, stdout, err);
	if (r == 0)
		r = output_flush(stdout, err);
	if (r == 0 && open)
		fprintf(stderr,
			"croft: %" PRIu64
			" records of that month are not closed; ask again later for "
			"the bill that stands\n",
			open);
	return r;
}

static int export_focus(struct cli *cli, struct err *err)
{
	const char *month = options_get(&cli->options, "month");
	const char *path = options_get(&cli->options, "rate-card");
	_cleanup_(rate_card_finish) struct rate_card card = {.n_plans = 0};
	int64_t from = 0;
	int64_t to = 0;
	int r;

	if (!month || !path || options_get(&cli->options, "from") ||
		options_get(&cli->options, "to") || options_get(&cli->options, "new-since"))
		return usage_error(err,
			"--format focus is a month's bill: it takes --month and --rate-card, and "
			"neither --from nor --to nor --new-since");
	r = month_read(month, &from, &to, err);
	if (r == 0)
		r = rate_card_load(path, &card, err);
	return r < 0 ? r
		     : export_month(
			       cli, options_get(&cli->options, "tenant"), from, to, &card, err);
}

static const struct form {
	const char *name;
	print_fn print;
} forms[] = {
	{"csv", print_csv}, {"jsonl", print_jsonl}, {"cloudevents", print_cloudevents},
	{"focus", NULL}, /* has a way of its own */
};

static int read_form(const struct cli *cli, const struct form **ret, struct err *err)
{
	const char *name = options_get(&cli->options, "format");

	if (!name)
		name = cli->format == OUTPUT_JSON ? "jsonl" : "csv";
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (strcmp(name, forms[i].name) != 0)
			continue;
		*ret = &forms[i];
		return 0;
	}
	return usage_error(
		err, "--format takes csv, jsonl, cloudevents or focus, not \"%.40s\"", name);
}

/* --- what is new --- */

/* A file that is not there yet begins with the first record. */
static int read_cursor(const char *path, char ret[static USAGE_CURSOR_MAX], struct err *err)
{
	ssize_t n = fd_read_text_at(AT_FDCWD, path, ret, USAGE_CURSOR_MAX);

	if (n == -ENOENT) {
		ret[0] = '\0';
		return 0;
	}
	if (n < 0)
		return err_sys(err, (int)-n, "read the cursor in %.100s", path);
	ret[strcspn(ret, "\n")] = '\0';
	if (!*ret)
		return err_set(err, ERR_FAILED_PRECONDITION, "CURSOR_EMPTY",
			"there is no cursor in %.100s; delete it to begin with the first record",
			path);
	return 0;
}

/* Its directory, in which it can be replaced: found out before anything is printed. */
static int open_place(const char *path, int *ret_fd, struct err *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	_cleanup_close_ int fd = -1;

	if (!dir)
		return err_oom(err);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return err_sys(err, errno, "write the cursor to %.100s", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* Only once everything before it is where standard output leads: what is lost comes again. */
static int write_cursor(int dir, const char *path, const char *cursor, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char line[USAGE_CURSOR_MAX + 1];
	int n = snprintf(line, sizeof(line), "%s\n", cursor);
	int r;

	if (fsync(STDOUT_FILENO) < 0 && errno != EINVAL && errno != EROFS)
		return err_sys(err, errno, "write to standard output");
	r = fd_replace_file_at(dir, slash ? slash + 1 : path, line, (size_t)n, true);
	return r < 0 ? err_sys(err, -r, "write the cursor to %.100s", path) : 0;
}

static int export_new(struct cli *cli, const struct form *form, const char *path, struct err *err)
{
	Croft__V1__ListClosedUsageRequest request = CROFT__V1__LIST_CLOSED_USAGE_REQUEST__INIT;
	_cleanup_(source_finish) struct source source = {.has_cursor = true};
	_cleanup_close_ int dir = -1;
	int r = read_cursor(path, source.cursor, err);

	if (r == 0)
		r = open_place(path, &dir, err);
	request.after = source.cursor;
	if (r == 0)
		r = cli_stream(cli, SERVICE, "ListClosedUsage", &request.base, &source.call, err);
	if (r == 0)
		r = form->print(cli, &source, err);
	return r < 0 || !*source.cursor ? r : write_cursor(dir, path, source.cursor, err);
}

/* --- a period --- */

static int export_period(struct cli *cli, const struct form *form, struct err *err)
{
	Croft__V1__ExportUsageRequest request = CROFT__V1__EXPORT_USAGE_REQUEST__INIT;
	_cleanup_(source_finish) struct source source = {.has_cursor = false};
	const char *tenant = options_get(&cli->options, "tenant");
	Google__Protobuf__Timestamp from;
	Google__Protobuf__Timestamp to;
	char name[RESOURCE_SIZE] = "";
	int r = tenant ? cli_tenant_name(tenant, name, err) : 0;

	if (r == 0)
		r = cli_time(cli, "from", &from, &request.from, err);
	if (r == 0)
		r = cli_time(cli, "to", &to, &request.to, err);
	request.tenant = name;
	if (r == 0)
		r = cli_stream(cli, SERVICE, "ExportUsage", &request.base, &source.call, err);
	return r < 0 ? r : form->print(cli, &source, err);
}

static int export_records(struct cli *cli, struct err *err)
{
	const char *path = options_get(&cli->options, "new-since");
	const struct form *form = NULL;
	int r = read_form(cli, &form, err);

	if (r < 0)
		return r;
	if (!form->print)
		return export_focus(cli, err);
	if (options_get(&cli->options, "month") || options_get(&cli->options, "rate-card"))
		return usage_error(err, "--month and --rate-card are for --format focus");
	if (!path)
		return export_period(cli, form, err);
	if (options_get(&cli->options, "from") || options_get(&cli->options, "to") ||
		options_get(&cli->options, "tenant"))
		return usage_error(err,
			"--new-since has all that is new, so neither --from nor --to nor --tenant");
	return export_new(cli, form, path, err);
}

static const struct option_rule options[] = {
	{.name = "from",
		.value = "TIME",
		.help = "only windows that begin then or later (RFC 3339)"},
	{.name = "to", .value = "TIME", .help = "only windows that begin before then (RFC 3339)"},
	{.name = "tenant", .value = "TENANT", .kind = WORD_TENANT, .help = "only this tenant's"},
	{.name = "new-since",
		.value = "FILE",
		.kind = WORD_FILE,
		.help = "what was closed since the cursor in FILE, of all tenants; FILE then has "
			"the next"},
	{.name = "format",
		.value = "csv|jsonl|cloudevents|focus",
		.kind = WORD_CHOICE,
		.help = "the export's form (default: csv); cloudevents has closed records only"},
	{.name = "month", .value = "YYYY-MM", .help = "of --format focus: the month, in UTC"},
	{.name = "rate-card",
		.value = "FILE",
		.kind = WORD_FILE,
		.help = "of --format focus: the prices"},
	{0},
};

const struct command cmd_usage_export = {
	.name = "usage export",
	.summary = "Print usage records, one for each hour, run and meter.",
	.options = options,
	.run = export_records,
};
