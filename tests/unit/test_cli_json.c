/* cli/json.h: protobuf JSON of messages, whatever a server put into them. */
#include "proto/json.h"

#include "tests/unit/unit.h"

#include "croft/v1/containers.pb-c.h"
#include "croft/v1/tenants.pb-c.h"
#include "croft/v1/usage.pb-c.h"
#include "google/protobuf/descriptor.pb-c.h"

#include <string.h>

static void expect(const ProtobufCMessage *message, const char *want)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	json_print(message, out);
	fclose(out);
	assert_string_equal(text, want);
}

static void defaults_are_left_out(void **state)
{
	Croft__V1__Tenant tenant = CROFT__V1__TENANT__INIT;

	(void)state;
	expect(&tenant.base, "{}\n");
}

static void names_numbers_and_enums(void **state)
{
	Croft__V1__Container c = CROFT__V1__CONTAINER__INIT;
	Croft__V1__Limits limits = CROFT__V1__LIMITS__INIT;
	Croft__V1__Run run = CROFT__V1__RUN__INIT;
	Croft__V1__Exit e = CROFT__V1__EXIT__INIT;
	char *args[] = {(char *)"/bin/sh", (char *)"-c"};

	(void)state;
	c.name = (char *)"tenants/a/containers/b";
	limits.memory_bytes = UINT64_MAX;
	limits.cpu_milli = 500;
	c.limits = &limits;
	c.n_init_args = 2;
	c.init_args = args;
	c.oom_group = 1;
	c.state = CROFT__V1__CONTAINER__STATE__RUNNING;
	run.host_pid = 4000000000u;
	e.kind = CROFT__V1__EXIT__KIND__SIGNALLED;
	e.status = -7;
	run.exit = &e;
	c.run = &run;
	expect(&c.base,
		"{\"name\":\"tenants/a/containers/b\","
		"\"limits\":{\"cpuMilli\":\"500\",\"memoryBytes\":\"18446744073709551615\"},"
		"\"initArgs\":[\"/bin/sh\",\"-c\"],\"oomGroup\":true,\"state\":\"RUNNING\","
		"\"run\":{\"hostPid\":4000000000,"
		"\"exit\":{\"kind\":\"SIGNALLED\",\"status\":-7}}}\n");
}

static void unknown_enum_is_a_number(void **state)
{
	Croft__V1__Exit e = CROFT__V1__EXIT__INIT;

	(void)state;
	e.kind = (Croft__V1__Exit__Kind)99;
	expect(&e.base, "{\"kind\":99}\n");
}

static void times(void **state)
{
	static const struct {
		int64_t seconds;
		int32_t nanos;
		const char *want;
	} rows[] = {
		{0, 1, "{\"createTime\":\"1970-01-01T00:00:00.000000001Z\"}\n"},
		{1700000000, 0, "{\"createTime\":\"2023-11-14T22:13:20Z\"}\n"},
		{1700000000, 500000000, "{\"createTime\":\"2023-11-14T22:13:20.500Z\"}\n"},
		{1700000000, 123456000, "{\"createTime\":\"2023-11-14T22:13:20.123456Z\"}\n"},
		{-1, 0, "{\"createTime\":\"1969-12-31T23:59:59Z\"}\n"},
		{-62135596800, 0, "{\"createTime\":\"0001-01-01T00:00:00Z\"}\n"},
		/* What RFC 3339 cannot say must not become something else, or crash. */
		{INT64_MAX, 0, "{\"createTime\":null}\n"},
		{INT64_MIN, 0, "{\"createTime\":null}\n"},
		{0, -1, "{\"createTime\":null}\n"},
		{0, 1000000000, "{\"createTime\":null}\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
		Croft__V1__Tenant tenant = CROFT__V1__TENANT__INIT;

		t.seconds = rows[i].seconds;
		t.nanos = rows[i].nanos;
		tenant.create_time = &t;
		expect(&tenant.base, rows[i].want);
	}
}

static void durations_and_masks(void **state)
{
	Croft__V1__StopContainerRequest stop = CROFT__V1__STOP_CONTAINER_REQUEST__INIT;
	Croft__V1__UpdateTenantRequest update = CROFT__V1__UPDATE_TENANT_REQUEST__INIT;
	Google__Protobuf__Duration d = GOOGLE__PROTOBUF__DURATION__INIT;
	Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
	char *paths[] = {(char *)"limits.memory_bytes", (char *)"account_ref", (char *)"x\"\n"};

	(void)state;
	d.seconds = -1;
	d.nanos = -500000000;
	stop.timeout = &d;
	expect(&stop.base, "{\"timeout\":\"-1.500s\"}\n");
	d.nanos = 500000000;
	expect(&stop.base, "{\"timeout\":null}\n");
	mask.paths = paths;
	mask.n_paths = 3;
	update.update_mask = &mask;
	expect(&update.base, "{\"updateMask\":\"limits.memoryBytes,accountRef,x\"}\n");
}

static void bytes_and_oneofs(void **state)
{
	static const char *const encoded[] = {"", "AA==", "AP8=", "AP9m"};
	Croft__V1__ExecRequest request = CROFT__V1__EXEC_REQUEST__INIT;
	uint8_t data[] = {0x00, 0xff, 0x66};

	(void)state;
	request.kind_case = CROFT__V1__EXEC_REQUEST__KIND_STDIN;
	for (size_t n = 0; n < ARRAY_SIZE(encoded); n++) {
		char want[64];

		request.stdin = (ProtobufCBinaryData){.data = data, .len = n};
		snprintf(want, sizeof(want), "{\"stdin\":\"%s\"}\n", encoded[n]);
		expect(&request.base, want);
	}
	/* The member that is set is shown even when it is zero. */
	request.kind_case = CROFT__V1__EXEC_REQUEST__KIND_SIGNAL;
	request.signal = 0;
	expect(&request.base, "{\"signal\":0}\n");
}

static void doubles(void **state)
{
	Google__Protobuf__UninterpretedOption option = GOOGLE__PROTOBUF__UNINTERPRETED_OPTION__INIT;

	(void)state;
	option.has_double_value = 1;
	option.double_value = 0.5;
	expect(&option.base, "{\"doubleValue\":0.5}\n");
	option.double_value = __builtin_nan("");
	expect(&option.base, "{\"doubleValue\":\"NaN\"}\n");
	option.double_value = -__builtin_inf();
	expect(&option.base, "{\"doubleValue\":\"-Infinity\"}\n");
}

static void strings_are_always_valid(void **state)
{
	static const struct {
		const char *text;
		const char *json;
	} rows[] = {
		{"a\"b\\c", "a\\\"b\\\\c"},
		{"\b\t\n\v\f\r\x1b\x7f", "\\b\\t\\n\\u000b\\f\\r\\u001b\\u007f"},
		{"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x91",
			"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x91"},
		{"\xc2\x9b", "\\u009b"}, {"\xff\xfe", "\\ufffd\\ufffd"},
		{"\xc0\x80", "\\ufffd\\ufffd"},			      /* overlong */
		{"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},	      /* surrogate */
		{"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"}, /* above U+10FFFF */
		{"x\xe2\x82", "x\\ufffd\\ufffd"},		      /* cut off */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		Croft__V1__Tenant tenant = CROFT__V1__TENANT__INIT;
		char want[128];

		tenant.plan = (char *)rows[i].text;
		snprintf(want, sizeof(want), "{\"plan\":\"%s\"}\n", rows[i].json);
		expect(&tenant.base, want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_left_out),
		cmocka_unit_test(names_numbers_and_enums),
		cmocka_unit_test(unknown_enum_is_a_number),
		cmocka_unit_test(times),
		cmocka_unit_test(durations_and_masks),
		cmocka_unit_test(bytes_and_oneofs),
		cmocka_unit_test(doubles),
		cmocka_unit_test(strings_are_always_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
