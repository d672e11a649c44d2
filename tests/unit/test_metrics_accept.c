/* server/metrics_accept.h: what scrapers send, and what nobody should. */
#include "server/metrics_accept.h"

#include "tests/unit/unit.h"

#include <string.h>

static void openmetrics_is_for_who_asks(void **state)
{
	static const struct {
		const char *header;
		enum metrics_format wanted;
	} rows[] = {
		{NULL, METRICS_PROMETHEUS},
		{"", METRICS_PROMETHEUS},
		{"*/*", METRICS_PROMETHEUS},
		{"text/html, */*;q=0.1", METRICS_PROMETHEUS},
		{"text/plain", METRICS_PROMETHEUS},
		{"application/openmetrics-text", METRICS_OPENMETRICS},
		{"Application/OpenMetrics-Text ; Version=1.0.0", METRICS_OPENMETRICS},
		{"application/openmetrics-text; version=\"1.0.0\"", METRICS_OPENMETRICS},
		/* Prometheus' own. */
		{"application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;"
		 "version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
			METRICS_OPENMETRICS},
		{"application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5",
			METRICS_PROMETHEUS},
		{"application/openmetrics-text;q=0", METRICS_PROMETHEUS},
		{"application/openmetrics-text;q=0.000", METRICS_PROMETHEUS},
		{"application/openmetrics-text;q=0.001", METRICS_OPENMETRICS},
		{"text/plain;q=0.9,application/openmetrics-text;q=0.8", METRICS_PROMETHEUS},
		{"text/plain;q=0.8,application/openmetrics-text;q=0.8", METRICS_OPENMETRICS},
		{"application/openmetrics-text;q=x", METRICS_PROMETHEUS},
		{"application/openmetrics-text;q=", METRICS_PROMETHEUS},
		{"application/openmetrics-text;q=9", METRICS_OPENMETRICS},
		{"application/openmetrics-texts", METRICS_PROMETHEUS},
		{",;,;;q=1,=,", METRICS_PROMETHEUS},
		{";application/openmetrics-text", METRICS_PROMETHEUS},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (metrics_accept(rows[i].header) != rows[i].wanted)
			fail_msg("%s", rows[i].header);
}

static void content_types(void **state)
{
	(void)state;
	assert_string_equal(metrics_content_type(METRICS_PROMETHEUS),
		"text/plain; version=0.0.4; charset=utf-8");
	assert_string_equal(metrics_content_type(METRICS_OPENMETRICS),
		"application/openmetrics-text; version=1.0.0; charset=utf-8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(openmetrics_is_for_who_asks),
		cmocka_unit_test(content_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
