/* server/limits_text.h and convert.h: limits survive the database, and updates do what they say. */
#include "server/convert.h"
#include "server/limits_text.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static void text_brings_limits_back(void **state)
{
	char text[LIMITS_TEXT_SIZE];
	struct limits limits;
	struct limits back;
	struct err err;

	(void)state;
	limits_init(&limits);
	limits_text_write(&limits, text);
	assert_string_equal(text, "");
	assert_int_equal(limits_text_read(text, &back, &err), 0);
	assert_memory_equal(&limits, &back, sizeof(limits));
	for (int i = 0; i < LIMIT_N; i++)
		limits.value[i] = limit_rule((enum limit_id)i)->max - (uint64_t)i;
	limits.value[LIMIT_CORES] = LIMIT_UNSET;
	for (int cpu = 0; cpu < LIMITS_CPUS_MAX; cpu += 64)
		limits.core_mask[cpu / 64] = 5;
	assert_int_equal(limits_text_read(limits_text_write(&limits, text), &back, &err), 0);
	assert_memory_equal(&limits, &back, sizeof(limits));
}

static void auto_is_a_word(void **state)
{
	struct limits_message message;
	char text[LIMITS_TEXT_SIZE];
	struct limits limits;
	struct limits back;
	struct err err;

	(void)state;
	limits_init(&limits);
	limits.value[LIMIT_CPU] = 1500;
	limits.value[LIMIT_CORES] = LIMIT_CORES_AUTO;
	assert_string_equal(limits_text_write(&limits, text), "cpu=1500 cores=auto");
	assert_int_equal(limits_text_read(text, &back, &err), 0);
	assert_memory_equal(&limits, &back, sizeof(limits));
	convert_limits(&limits, &message);
	assert_true(message.msg.core_auto);
	assert_int_equal(message.msg.core_count, 0);
	assert_int_equal(convert_limits_back(&message.msg, false, &back, &err), 0);
	assert_memory_equal(&limits, &back, sizeof(limits));
}

static void unknown_words_are_damage(void **state)
{
	static const char *const texts[] = {"cpu", "cpu=", "cpu=x", "speed=1", "=1",
		"core-list=", "core-list=x", "memory=1x", "cores=automatic", "memory=auto"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct limits limits;
		struct err err;

		if (limits_text_read(texts[i], &limits, &err) == 0)
			fail_msg("\"%s\" was taken", texts[i]);
		assert_int_equal(err.code, ERR_DATA_LOSS);
	}
}

static void messages_bring_limits_back(void **state)
{
	struct limits_message message;
	struct limits limits;
	struct limits back;
	struct err err;

	(void)state;
	limits_init_tenant_default(&limits);
	limits.value[LIMIT_SWAP] = 4096;
	limits.core_mask[0] = 6;
	convert_limits(&limits, &message);
	assert_string_equal(message.msg.core_list, "1-2");
	assert_int_equal(convert_limits_back(&message.msg, true, &back, &err), 0);
	assert_memory_equal(&limits, &back, sizeof(limits));
}

static void bad_limits_are_refused(void **state)
{
	Croft__V1__Limits message = CROFT__V1__LIMITS__INIT;
	struct limits limits;
	struct err err;

	(void)state;
	message.containers = 3;
	assert_int_equal(convert_limits_back(&message, false, &limits, &err), -EINVAL);
	assert_string_equal(err.subject, "containers");
	assert_int_equal(convert_limits_back(&message, true, &limits, &err), 0);
	message.containers = 0;
	message.pids = UINT64_MAX;
	assert_int_equal(convert_limits_back(&message, false, &limits, &err), -EINVAL);
	assert_string_equal(err.subject, "pids");
	message.pids = 0;
	message.core_count = 1;
	message.core_list = (char *)"0";
	assert_int_equal(convert_limits_back(&message, false, &limits, &err), -EINVAL);
	message.core_count = 0;
	message.core_list = (char *)"3-1";
	assert_int_equal(convert_limits_back(&message, false, &limits, &err), -EINVAL);
	assert_string_equal(err.subject, "cores");
	message.core_auto = true;
	message.core_list = (char *)"1-3";
	assert_int_equal(convert_limits_back(&message, false, &limits, &err), -EINVAL);
	message.core_list = (char *)"";
	message.core_count = 1;
	assert_int_equal(convert_limits_back(&message, false, &limits, &err), -EINVAL);
	message.core_count = 0;
	assert_int_equal(convert_limits_back(&message, false, &limits, &err), 0);
	assert_true(limits.value[LIMIT_CORES] == LIMIT_CORES_AUTO);
	/* No number asks for what only the field can ask for. */
	message.core_auto = false;
	message.core_count = LIMIT_CORES_AUTO;
	assert_int_equal(convert_limits_back(&message, false, &limits, &err), -EINVAL);
}

static const char *const others[] = {"oom_group", NULL};

static void without_a_mask_what_is_set_changes(void **state)
{
	Croft__V1__Limits message = CROFT__V1__LIMITS__INIT;
	struct limits limits;
	struct limits_update update;
	struct err err;

	(void)state;
	limits_init_tenant_default(&limits);
	message.pids = 99;
	assert_int_equal(
		convert_limits_update(&message, NULL, true, others, &limits, &update, &err), 0);
	assert_int_equal(limits.value[LIMIT_PIDS], 99);
	assert_int_equal(limits.value[LIMIT_CPU], 1000);
	assert_int_equal(update.others, 0);
	assert_int_equal(update.limits, 1u << LIMIT_PIDS);
}

static void a_mask_names_what_changes(void **state)
{
	Croft__V1__Limits message = CROFT__V1__LIMITS__INIT;
	char *paths[] = {(char *)"limits.pids", (char *)"oom_group", (char *)"limits.core_list"};
	Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
	struct limits limits;
	struct limits_update update;
	struct err err;

	(void)state;
	mask.paths = paths;
	mask.n_paths = ARRAY_SIZE(paths);
	limits_init_tenant_default(&limits);
	limits.value[LIMIT_CORES] = 1;
	message.cpu_milli = 500;
	message.core_list = (char *)"0-1";
	assert_int_equal(
		convert_limits_update(&message, &mask, true, others, &limits, &update, &err), 0);
	/* Named and unset: lifted. Set and not named: as before. A list takes a number's place. */
	assert_true(limits.value[LIMIT_PIDS] == LIMIT_UNSET);
	assert_int_equal(limits.value[LIMIT_CPU], 1000);
	assert_true(limits.value[LIMIT_CORES] == LIMIT_UNSET);
	assert_int_equal(limits.core_mask[0], 3);
	assert_int_equal(update.others, 1);
	assert_int_equal(update.limits, 1u << LIMIT_PIDS | 1u << LIMIT_CORES);
}

/* The three of them are one limit: naming one of them says what all are. */
static void auto_takes_the_place_of_a_list_and_goes_again(void **state)
{
	Croft__V1__Limits message = CROFT__V1__LIMITS__INIT;
	char *path[] = {(char *)"limits.core_auto"};
	Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
	struct limits_update update;
	struct limits limits;
	struct err err;

	(void)state;
	mask.paths = path;
	mask.n_paths = 1;
	limits_init(&limits);
	limits.core_mask[0] = 5;
	message.core_auto = true;
	assert_int_equal(
		convert_limits_update(&message, &mask, true, others, &limits, &update, &err), 0);
	assert_true(limits.value[LIMIT_CORES] == LIMIT_CORES_AUTO);
	assert_false(limits_has_core_mask(&limits));
	assert_int_equal(update.limits, 1u << LIMIT_CORES);
	message.core_auto = false;
	assert_int_equal(
		convert_limits_update(&message, &mask, true, others, &limits, &update, &err), 0);
	assert_true(limits.value[LIMIT_CORES] == LIMIT_UNSET);
}

static void an_unknown_path_changes_nothing(void **state)
{
	Croft__V1__Limits message = CROFT__V1__LIMITS__INIT;
	char *paths[] = {(char *)"limits.pids", (char *)"state"};
	Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
	struct limits before;
	struct limits limits;
	struct limits_update update;
	struct err err;

	(void)state;
	mask.paths = paths;
	mask.n_paths = ARRAY_SIZE(paths);
	limits_init_tenant_default(&limits);
	before = limits;
	assert_int_equal(
		convert_limits_update(&message, &mask, true, others, &limits, &update, &err),
		-EINVAL);
	assert_string_equal(err.subject, "update_mask");
	assert_memory_equal(&before, &limits, sizeof(limits));
}

static void names_of_limits_come_back(void **state)
{
	char text[LIMITS_TEXT_SIZE];
	struct err err;
	uint32_t set;

	(void)state;
	limits_text_write_names(1u << LIMIT_PIDS | 1u << LIMIT_CPU_WEIGHT, text);
	assert_string_equal(text, "cpu-weight pids");
	assert_int_equal(limits_text_read_names(text, &set, &err), 0);
	assert_int_equal(set, 1u << LIMIT_PIDS | 1u << LIMIT_CPU_WEIGHT);
	assert_int_equal(limits_text_read_names("", &set, &err), 0);
	assert_int_equal(set, 0);
	assert_int_equal(limits_text_read_names("cpu speed", &set, &err), -EBADMSG);
	assert_int_equal(err.code, ERR_DATA_LOSS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_brings_limits_back),
		cmocka_unit_test(auto_is_a_word),
		cmocka_unit_test(unknown_words_are_damage),
		cmocka_unit_test(messages_bring_limits_back),
		cmocka_unit_test(bad_limits_are_refused),
		cmocka_unit_test(without_a_mask_what_is_set_changes),
		cmocka_unit_test(a_mask_names_what_changes),
		cmocka_unit_test(names_of_limits_come_back),
		cmocka_unit_test(auto_takes_the_place_of_a_list_and_goes_again),
		cmocka_unit_test(an_unknown_path_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
