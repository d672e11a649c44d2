/* proto/cloud_event.h: events of records and of events, whatever the host is called. */
#include "proto/cloud_event.h"

#include "tests/unit/unit.h"

#include <string.h>

static void expect(const Croft__V1__UsageRecord *record, const char *want)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	cloud_event_print(record, out);
	fclose(out);
	assert_string_equal(text, want);
}

static void a_record_is_an_event(void **state)
{
	Croft__V1__UsageRecord record = CROFT__V1__USAGE_RECORD__INIT;
	Google__Protobuf__Timestamp start = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	(void)state;
	start.seconds = 1700000000;
	start.nanos = 250000000;
	record.record_id = (char *)"abc";
	record.tenant = (char *)"acme";
	record.meter = (char *)"cpu.used";
	record.quantity = (char *)"340282366920938463463374607431768211455";
	record.host = (char *)"h1.example";
	record.window_start = &start;
	expect(&record,
		"{\"specversion\":\"1.0\",\"id\":\"abc\",\"source\":\"/croft/hosts/h1.example\","
		"\"type\":\"croft.usage.cpu.used.v1\",\"subject\":\"acme\","
		"\"time\":\"2023-11-14T22:13:20.250Z\",\"datacontenttype\":\"application/json\","
		"\"data\":{\"recordId\":\"abc\",\"tenant\":\"acme\",\"meter\":\"cpu.used\","
		"\"quantity\":\"340282366920938463463374607431768211455\","
		"\"windowStart\":\"2023-11-14T22:13:20.250Z\",\"host\":\"h1.example\"}}\n");
}

static void an_event_is_one_too(void **state)
{
	Croft__V1__Event event = CROFT__V1__EVENT__INIT;
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	event.number = 7;
	event.type = (char *)"container.oom";
	event.resource = (char *)"tenants/acme/containers/web";
	event.details_json = (char *)"{\"count\":1}";
	cloud_event_print_event(&event, "7-1", "h", out);
	cloud_event_print_test("x", "h", out);
	fclose(out);
	assert_string_equal(text,
		"{\"specversion\":\"1.0\",\"id\":\"7-1\",\"source\":\"/croft/hosts/h\","
		"\"type\":\"croft.event.container.oom.v1\","
		"\"subject\":\"tenants/acme/containers/web\","
		"\"datacontenttype\":\"application/json\",\"data\":{\"number\":\"7\","
		"\"type\":\"container.oom\",\"resource\":\"tenants/acme/containers/web\","
		"\"detailsJson\":\"{\\\"count\\\":1}\"}}\n"
		"{\"specversion\":\"1.0\",\"id\":\"x\",\"source\":\"/croft/hosts/h\","
		"\"type\":\"croft.webhook.test.v1\"}\n");
}

static void sources_are_uris(void **state)
{
	static const struct {
		const char *host;
		const char *want;
	} rows[] = {
		{"", "\"source\":\"/croft/hosts/\""},
		{"a b/c?d", "\"source\":\"/croft/hosts/a%20b%2Fc%3Fd\""},
		{"..\"\n\xff", "\"source\":\"/croft/hosts/..%22%0A%FF\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		Croft__V1__UsageRecord record = CROFT__V1__USAGE_RECORD__INIT;
		_cleanup_free_ char *text = NULL;
		size_t size = 0;
		FILE *out = open_memstream(&text, &size);

		assert_non_null(out);
		record.host = (char *)rows[i].host;
		cloud_event_print(&record, out);
		fclose(out);
		assert_non_null(strstr(text, rows[i].want));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_an_event),
		cmocka_unit_test(an_event_is_one_too),
		cmocka_unit_test(sources_are_uris),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
