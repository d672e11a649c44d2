/* Every file of tests/fuzz/corpus/text through the fuzzing function. */
#include "tests/unit/corpus.h"

static void corpus_replays(void **state)
{
	(void)state;
	corpus_replay(TEXT_CORPUS, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(corpus_replays)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
