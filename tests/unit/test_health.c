/* server/health.h: what a check may be, as it is kept, and what is shown of its output. */
#include "server/health.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static void what_is_not_said_has_a_default(void **state)
{
	Croft__V1__HealthCheck msg = CROFT__V1__HEALTH_CHECK__INIT;
	struct health_check check;

	(void)state;
	assert_int_equal(health_read(NULL, false, &check, NULL), 0);
	assert_string_equal(check.command, "");
	msg.command = (char *)"true";
	assert_int_equal(health_read(&msg, true, &check, NULL), 0);
	assert_string_equal(check.command, "true");
	assert_int_equal(check.interval_s, 30);
	assert_int_equal(check.timeout_s, 30);
	assert_int_equal(check.start_period_s, 0);
	assert_int_equal(check.retries, 3);
	assert_false(check.restart);
}

static void bounds_hold(void **state)
{
	Google__Protobuf__Duration interval = GOOGLE__PROTOBUF__DURATION__INIT;
	Google__Protobuf__Duration timeout = GOOGLE__PROTOBUF__DURATION__INIT;
	Google__Protobuf__Duration period = GOOGLE__PROTOBUF__DURATION__INIT;
	Croft__V1__HealthCheck msg = CROFT__V1__HEALTH_CHECK__INIT;
	char command[HEALTH_COMMAND_MAX + 2];
	struct health_check check;

	(void)state;
	memset(command, 'x', sizeof(command));
	command[HEALTH_COMMAND_MAX + 1] = '\0';
	msg.command = command;
	assert_int_equal(health_read(&msg, false, &check, NULL), -EINVAL);
	command[HEALTH_COMMAND_MAX] = '\0';
	assert_int_equal(health_read(&msg, false, &check, NULL), 0);
	command[3] = '\n';
	assert_int_equal(health_read(&msg, false, &check, NULL), -EINVAL);
	msg.command = (char *)"true";
	msg.interval = &interval;
	interval.seconds = 0;
	assert_int_equal(health_read(&msg, false, &check, NULL), -EINVAL);
	interval.seconds = 1;
	assert_int_equal(health_read(&msg, false, &check, NULL), 0);
	interval.seconds = 86401;
	assert_int_equal(health_read(&msg, false, &check, NULL), -EINVAL);
	interval.seconds = 86400;
	interval.nanos = 1;
	assert_int_equal(health_read(&msg, false, &check, NULL), -EINVAL);
	interval.nanos = 0;
	timeout.seconds = 0;
	msg.timeout = &timeout;
	assert_int_equal(health_read(&msg, false, &check, NULL), -EINVAL);
	timeout.seconds = 301;
	assert_int_equal(health_read(&msg, false, &check, NULL), -EINVAL);
	timeout.seconds = 300;
	period.seconds = -1;
	msg.start_period = &period;
	assert_int_equal(health_read(&msg, false, &check, NULL), -EINVAL);
	period.seconds = 86401;
	assert_int_equal(health_read(&msg, false, &check, NULL), -EINVAL);
	period.seconds = 86400;
	msg.retries = 101;
	assert_int_equal(health_read(&msg, false, &check, NULL), -EINVAL);
	msg.retries = 100;
	msg.restart = true;
	assert_int_equal(health_read(&msg, false, &check, NULL), 0);
	assert_int_equal(health_read(&msg, true, &check, NULL), -EINVAL);
}

static void it_comes_back_from_the_database(void **state)
{
	static const char *const commands[] = {"", "true", " a b ", "3 4 5", "x\t'$y'"};
	static const char *const bad[] = {"0 30 3 0 0 true", "30 0 3 0 0 true", "30 301 3 0 0 true",
		"30 30 0 0 0 true", "30 30 3 86401 0 true", "30 30 3 0 2 true", "30 30 3 0 0 ",
		"30 30 3 0 true", "x"};
	struct health_check back;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct health_check check = {.interval_s = 30,
			.timeout_s = 5,
			.retries = 3,
			.start_period_s = (uint32_t)i,
			.restart = i % 2};
		char text[HEALTH_TEXT_SIZE];

		strcpy(check.command, commands[i]);
		assert_int_equal(health_parse(health_write(&check, text), &back), 0);
		assert_string_equal(back.command, commands[i]);
		assert_true(!*commands[i] || health_equal(&check, &back));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (health_parse(bad[i], &back) != -EBADMSG)
			fail_msg("\"%s\" was taken", bad[i]);
}

static void the_last_line_is_shown(void **state)
{
	static const struct {
		const char *output;
		const char *line;
	} cases[] = {
		{"", ""},
		{"one", "one"},
		{"one\ntwo\n", "two"},
		{"one\ntwo\r\n\n  \n", "two"},
		{"\n\n", ""},
		{"a\tb\033[2Jc\n", "a?b?[2Jc"},
		{"gr\xc3\xbc\xc3\x9f\n", "gr\xc3\xbc\xc3\x9f"},
		{"bad\xff\xc3\n", "bad??"},
	};
	char line[HEALTH_OUTPUT_MAX + 1];
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		strcpy(text, cases[i].output);
		health_last_line(text, line);
		assert_string_equal(line, cases[i].line);
	}
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	health_last_line(text, line);
	assert_int_equal(strlen(line), HEALTH_OUTPUT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_said_has_a_default),
		cmocka_unit_test(bounds_hold),
		cmocka_unit_test(it_comes_back_from_the_database),
		cmocka_unit_test(the_last_line_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
