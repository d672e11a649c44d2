/* cli/output.h, csv.h, text_filter.h: columns, CSV, and text that a terminal can bear. */
#include "cli/output.h"

#include "tests/unit/unit.h"

#include "cli/columns.h"
#include "cli/csv.h"
#include "cli/text_filter.h"
#include "croft/v1/abuse.pb-c.h"
#include "croft/v1/containers.pb-c.h"
#include "croft/v1/events.pb-c.h"
#include "croft/v1/host.pb-c.h"
#include "croft/v1/images.pb-c.h"
#include "croft/v1/networks.pb-c.h"
#include "croft/v1/plans.pb-c.h"
#include "croft/v1/policies.pb-c.h"
#include "croft/v1/tenants.pb-c.h"
#include "croft/v1/usage.pb-c.h"
#include "croft/v1/volumes.pb-c.h"

#include <string.h>

static const struct column columns[] = {
	{"name", "CONTAINER", "name", COLUMN_RESOURCE, NULL},
	{"state", "STATE", "state", COLUMN_PLAIN, NULL},
	{"memory_bytes", "MEMORY", .kind = COLUMN_CUSTOM, .text = columns_memory},
	{"disk_used_bytes", "DISK", "disk_used_bytes", COLUMN_SIZE, NULL},
	{"start_time", "STARTED", "run.start_time", COLUMN_TIME, NULL},
	{"pid", NULL, "run.host_pid", COLUMN_PLAIN, NULL},
	{0},
};

static char *print_two(enum output_format format)
{
	Croft__V1__Container c = CROFT__V1__CONTAINER__INIT;
	Google__Protobuf__Timestamp start = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Croft__V1__Limits limits = CROFT__V1__LIMITS__INIT;
	Croft__V1__Run run = CROFT__V1__RUN__INIT;
	_cleanup_output_ struct output *output = NULL;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(output_create(format, columns, out, &output, NULL), 0);
	c.name = (char *)"tenants/acme/containers/web";
	assert_int_equal(output_add(output, &c.base, NULL), 0);
	c.state = CROFT__V1__CONTAINER__STATE__RUNNING;
	limits.memory_bytes = 64 << 20;
	c.limits = &limits;
	c.disk_used_bytes = 1536;
	start.seconds = 1700000000;
	start.nanos = 5000;
	run.start_time = &start;
	run.host_pid = 77;
	c.run = &run;
	assert_int_equal(output_add(output, &c.base, NULL), 0);
	assert_int_equal(output_end(output, NULL), 0);
	fclose(out);
	return text;
}

static void csv_lists(void **state)
{
	_cleanup_free_ char *text = print_two(OUTPUT_CSV);

	(void)state;
	assert_string_equal(text, "name,state,memory_bytes,disk_used_bytes,start_time,pid\r\n"
				  "acme/web,,,0,,\r\n"
				  "acme/web,running,67108864,1536,"
				  "2023-11-14T22:13:20.000005Z,77\r\n");
}

static void json_lists_one_object_a_line(void **state)
{
	_cleanup_free_ char *text = print_two(OUTPUT_JSON);
	char *newline = strchr(text, '\n');

	(void)state;
	assert_string_equal(newline + 1 + strlen(newline + 1) - 1, "\n");
	assert_int_equal(strncmp(text, "{\"name\":\"tenants/acme/containers/web\"}\n", 39), 0);
	assert_ptr_equal(strchr(newline + 1, '\n') + 1, newline + 1 + strlen(newline + 1));
}

static void tables_are_for_people(void **state)
{
	_cleanup_free_ char *text = print_two(OUTPUT_TABLE);

	(void)state;
	assert_non_null(strstr(text, "CONTAINER"));
	assert_non_null(strstr(text, "64 MiB"));
	assert_non_null(strstr(text, "1.5 KiB"));
	assert_non_null(strstr(text, "2023-11-14T22:13:20Z"));
	assert_null(strstr(text, "77"));   /* the pid has no title */
	assert_null(strchr(text, '\033')); /* no terminal, no colour */
}

static void hostile_text_is_escaped_in_tables(void **state)
{
	static const struct column plan[] = {{"plan", "PLAN", "plan", COLUMN_PLAIN, NULL}, {0}};
	Croft__V1__Tenant tenant = CROFT__V1__TENANT__INIT;
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	tenant.plan = (char *)"a\033]0;evil\007b\nc";
	assert_int_equal(output_one(OUTPUT_TABLE, plan, &tenant.base, out, NULL), 0);
	fclose(out);
	assert_null(strchr(text, '\033'));
	assert_null(strchr(text, '\007'));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void json_needs_no_columns(void **state)
{
	Croft__V1__GetLogsResponse response = CROFT__V1__GET_LOGS_RESPONSE__INIT;
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	response.data.data = (uint8_t *)"hi\n";
	response.data.len = 3;
	assert_int_equal(output_one(OUTPUT_JSON, NULL, &response.base, out, NULL), 0);
	fclose(out);
	assert_string_equal(text, "{\"data\":\"aGkK\"}\n");
}

static void csv_quotes_what_it_must(void **state)
{
	static const char *const fields[] = {"plain", "", "a,b", "say \"x\"", "two\nlines", "cr\r"};
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	csv_print(fields, ARRAY_SIZE(fields), out);
	fclose(out);
	assert_string_equal(text, "plain,,\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\"cr\r\"\r\n");
}

static void usec_and_resource_texts(void **state)
{
	static const struct column cpu = {"cpu", "CPU", "cpu_usec", COLUMN_USEC, NULL};
	static const struct column name = {"name", "NAME", "name", COLUMN_RESOURCE, NULL};
	Croft__V1__ResourceUsage u = CROFT__V1__RESOURCE_USAGE__INIT;
	char buf[COLUMN_TEXT_MAX];
	char longest[2 * COLUMN_TEXT_MAX];

	(void)state;
	u.cpu_usec = 999;
	assert_string_equal(column_text(&cpu, &u.base, true, buf), "999 us");
	u.cpu_usec = 1500;
	assert_string_equal(column_text(&cpu, &u.base, true, buf), "1.5 ms");
	u.cpu_usec = 61000001;
	assert_string_equal(column_text(&cpu, &u.base, true, buf), "61.000 s");
	assert_string_equal(column_text(&cpu, &u.base, false, buf), "61000001");
	u.name = (char *)"tenants/acme";
	assert_string_equal(column_text(&name, &u.base, true, buf), "acme");
	u.name = (char *)"odd";
	assert_string_equal(column_text(&name, &u.base, true, buf), "odd");
	u.name = (char *)"";
	assert_string_equal(column_text(&name, &u.base, true, buf), "-");
	assert_string_equal(column_text(&name, &u.base, false, buf), "");
	/* A name longer than any may be does not overrun. */
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	longest[3] = '/';
	u.name = longest;
	column_text(&name, &u.base, true, buf);
}

static void people_read_yes_no_and_nothing(void **state)
{
	Croft__V1__Container c = CROFT__V1__CONTAINER__INIT;
	Croft__V1__Run run = CROFT__V1__RUN__INIT;
	static const struct column pid = {"pid", "pid", "run.host_pid", COLUMN_ID, NULL};
	static const struct column flag = {"e", "e", "ephemeral", COLUMN_PLAIN, NULL};
	char buf[COLUMN_TEXT_MAX];

	(void)state;
	c.run = &run;
	assert_string_equal(column_text(&pid, &c.base, true, buf), "-");
	assert_string_equal(column_text(&pid, &c.base, false, buf), "0");
	assert_string_equal(column_text(&flag, &c.base, true, buf), "no");
	assert_string_equal(column_text(&flag, &c.base, false, buf), "false");
	run.host_pid = 7;
	c.ephemeral = 1;
	assert_string_equal(column_text(&pid, &c.base, true, buf), "7");
	assert_string_equal(column_text(&flag, &c.base, true, buf), "yes");
	assert_string_equal(column_text(&flag, &c.base, false, buf), "true");
	/* Left out, swap is none at all, and everything else unlimited. */
	assert_string_equal(columns_swap(&c.base, true, buf), "0");
	assert_string_equal(columns_pids(&c.base, true, buf), "none");
}

static void patterns_are_filled(void **state)
{
	Croft__V1__Container c = CROFT__V1__CONTAINER__INIT;
	char longest[COLUMN_TEXT_MAX];
	char buf[COLUMN_TEXT_MAX];

	(void)state;
	c.name = (char *)"tenants/a/containers/b";
	column_fill(columns, "", &c.base, buf);
	assert_string_equal(buf, "");
	column_fill(columns, "{name}: {disk_used_bytes} of{memory_bytes}.", &c.base, buf);
	assert_string_equal(buf, "a/b: 0 ofnone.");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	c.name = longest;
	column_fill(columns, "{name}{name} and more", &c.base, buf);
	assert_string_equal(buf, longest);
}

static char *filtered(const char *const *pieces, size_t n)
{
	struct text_filter f = {0};
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = 0; i < n; i++)
		text_filter_write(&f, (const uint8_t *)pieces[i], strlen(pieces[i]), out);
	text_filter_end(&f, out);
	fclose(out);
	return text;
}

static void terminals_are_protected(void **state)
{
	static const struct {
		const char *pieces[3];
		const char *want;
	} rows[] = {
		{{"plain\ttext\r\n"}, "plain\ttext\r\n"},
		{{"\033[1;31mred\033[0m"}, "\033[1;31mred\033[0m"},
		{{"\033[", "3", "2mx"}, "\033[32mx"}, /* cut anywhere */
		{{"\033]52;c;aGk=\007"}, "^[]52;c;aGk=^G"},
		{{"\033[2J"}, "^[[2J"},
		{{"\033\033[0m"}, "^[\033[0m"},
		{{"\033[11111111111111111111111111111m"}, "^[[11111111111111111111111111111m"},
		{{"fake\rreal"}, "fake^Mreal"},
		{{"a\r"}, "a^M"},
		{{"\xc2\x9b"
		  "2J"},
			"^[[2J"},
		{{"\xc2", "\xa9"}, "\xc2\xa9"},
		{{"\b\x7f"}, "^H^?"},
		{{"end\033["}, "end^[["},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t n = 0;
		char *text;

		while (n < 3 && rows[i].pieces[n])
			n++;
		text = filtered(rows[i].pieces, n);
		assert_string_equal(text, rows[i].want);
		free(text);
	}
}

static void column_paths_are_fields(void **state)
{
	static const struct {
		const struct column *columns;
		const ProtobufCMessageDescriptor *message;
	} tables[] = {
		{tenant_list_columns, &croft__v1__tenant__descriptor},
		{tenant_columns, &croft__v1__tenant__descriptor},
		{plan_list_columns, &croft__v1__plan__descriptor},
		{plan_columns, &croft__v1__plan__descriptor},
		{container_list_columns, &croft__v1__container__descriptor},
		{container_columns, &croft__v1__container__descriptor},
		{image_list_columns, &croft__v1__image__descriptor},
		{image_columns, &croft__v1__image__descriptor},
		{usage_columns, &croft__v1__resource_usage__descriptor},
		{usage_record_columns, &croft__v1__usage_record__descriptor},
		{live_usage_columns, &croft__v1__live_usage__descriptor},
		{noisy_columns, &croft__v1__noisy_neighbour__descriptor},
		{forward_columns, &croft__v1__forward__descriptor},
		{volume_list_columns, &croft__v1__volume__descriptor},
		{volume_columns, &croft__v1__volume__descriptor},
		{network_columns, &croft__v1__network__descriptor},
		{event_columns, &croft__v1__event__descriptor},
		{policy_columns, &croft__v1__policy__descriptor},
		{abuse_list_columns, &croft__v1__abuse_case__descriptor},
		{abuse_columns, &croft__v1__abuse_case__descriptor},
		{abuse_rule_columns, &croft__v1__abuse_rule__descriptor},
		{abuse_evidence_columns, &croft__v1__abuse_evidence__descriptor},
		{host_columns, &croft__v1__host_info__descriptor},
		{version_columns, &croft__v1__version__descriptor},
		{finding_columns, &croft__v1__finding__descriptor},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		for (const struct column *c = tables[i].columns; c->name; c++) {
			assert_true((c->kind == COLUMN_CUSTOM) == (c->text != NULL));
			if (c->path && !message_path_exists(tables[i].message, c->path))
				fail_msg("%s has no %s", tables[i].message->name, c->path);
		}
	}
}

/* Invoices are made from these: only the end may grow. */
static void the_export_keeps_its_columns(void **state)
{
	static const char *const names[] = {"record_id", "tenant", "account_ref", "resource",
		"resource_uid", "run_id", "meter", "quantity", "unit", "aggregation",
		"window_start", "window_end", "boot_id", "counter_start", "counter_end", "samples",
		"final"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_string_equal(usage_record_columns[i].name, names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(column_paths_are_fields),
		cmocka_unit_test(the_export_keeps_its_columns),
		cmocka_unit_test(csv_lists),
		cmocka_unit_test(json_lists_one_object_a_line),
		cmocka_unit_test(tables_are_for_people),
		cmocka_unit_test(hostile_text_is_escaped_in_tables),
		cmocka_unit_test(json_needs_no_columns),
		cmocka_unit_test(csv_quotes_what_it_must),
		cmocka_unit_test(usec_and_resource_texts),
		cmocka_unit_test(people_read_yes_no_and_nothing),
		cmocka_unit_test(patterns_are_filled),
		cmocka_unit_test(terminals_are_protected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
