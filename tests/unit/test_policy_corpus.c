/*
 * Replays the fuzzer's corpus for profiles, and Croft's own profile, through the fuzz target: what
 * once made it abort must never do so again.
 */
#include "tests/unit/policy_util.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replay(const char *dir_path)
{
	_cleanup_closedir_ DIR *dir = opendir(dir_path);
	struct dirent *entry;
	unsigned n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		_cleanup_free_ char *text = NULL;
		char path[4096];

		if (entry->d_type != DT_REG)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir_path, entry->d_name);
		text = policy_util_read(path);
		assert_non_null(text);
		LLVMFuzzerTestOneInput((const uint8_t *)text, strlen(text));
		n++;
	}
	return n;
}

static void replays_the_corpus(void **state)
{
	(void)state;
	assert_true(replay(POLICY_CORPUS) >= 8);
}

static void replays_every_prefix_of_the_default_profile(void **state)
{
	_cleanup_free_ char *text = policy_util_read(POLICY_DIR "/default.json");
	size_t size;

	(void)state;
	assert_non_null(text);
	size = strlen(text);
	for (size_t cut = 0; cut < size; cut += 97)
		LLVMFuzzerTestOneInput((const uint8_t *)text, cut);
	LLVMFuzzerTestOneInput((const uint8_t *)text, size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replays_the_corpus),
		cmocka_unit_test(replays_every_prefix_of_the_default_profile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
