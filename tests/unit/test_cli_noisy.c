/* cli/noisy_print.h, short_text.h: lines that fit. */
#include "cli/noisy_print.h"
#include "cli/short_text.h"

#include "tests/unit/unit.h"

#include <string.h>

static Croft__V1__NoisyNeighbour row(void)
{
	Croft__V1__NoisyNeighbour row = CROFT__V1__NOISY_NEIGHBOUR__INIT;

	row.victim = (char *)"tenants/acme/containers/web";
	row.culprit = (char *)"tenants/other/containers/miner";
	row.waits_for = (char *)"cpu";
	row.within = (char *)"host";
	row.waited_permyriad = 4512;
	row.held_up_permyriad = 3999;
	row.used = 1904;
	row.share_permyriad = 9500;
	row.fair_permyriad = 5000;
	row.above_fair_share = 1;
	return row;
}

static void lines_say_what_is_there(void **state)
{
	Croft__V1__NoisyNeighbour r = row();
	char line[NOISY_LINE_MAX];

	(void)state;
	assert_string_equal(noisy_print_heading(80, line),
		"WHO                    WAITS OTHERS FOR      USES SHARE  FAIR");
	assert_string_equal(
		noisy_print_victim(&r, 80, line), "acme/web                 45%    40% cpu");
	assert_string_equal(noisy_print_culprit(&r, 80, line),
		"  other/miner                                190%   95%   50% above");
	r.within = (char *)"tenant";
	r.same_tenant = 1;
	assert_string_equal(noisy_print_victim(&r, 80, line),
		"acme/web                 45%    40% cpu                       its tenant's limit");
	assert_string_equal(noisy_print_culprit(&r, 80, line),
		"  other/miner                                190%   95%   50% above, same tenant");
	r.above_fair_share = 0;
	r.waits_for = (char *)"io";
	r.used = 12 << 20;
	assert_string_equal(noisy_print_culprit(&r, 80, line),
		"  other/miner                               12M/s   95%   50% same tenant");
	r.waits_for = (char *)"memory";
	r.same_tenant = 0;
	assert_string_equal(noisy_print_culprit(&r, 80, line),
		"  other/miner                                 12M   95%   50%");
	r.culprit = (char *)"tenants/other";
	assert_string_equal(noisy_print_culprit(&r, 80, line),
		"  other/*                                     12M   95%   50%");
	r.culprit = (char *)"outside";
	assert_string_equal(noisy_print_culprit(&r, 80, line),
		"  outside                                     12M   95%       no container");
	r.culprit = (char *)"";
	assert_string_equal(noisy_print_culprit(&r, 80, line),
		"  -                                                           it is not known");
}

/* Whatever a server says. */
static void lines_fit(void **state)
{
	Croft__V1__NoisyNeighbour r = row();
	char line[NOISY_LINE_MAX];

	(void)state;
	r.victim = (char *)"tenants/a234567890123456789012345678901\033[/containers/"
			   "b23456789012345678901234567890\n";
	r.culprit = r.victim;
	r.same_tenant = 1;
	r.waits_for = (char *)"io\nand a long word";
	r.within = (char *)"tenant";
	r.waited_permyriad = r.held_up_permyriad = r.share_permyriad = r.fair_permyriad =
		UINT32_MAX;
	r.used = UINT64_MAX;
	for (unsigned columns = 1; columns <= 300; columns++) {
		noisy_print_heading(columns, line);
		assert_true(strlen(line) <= columns);
		for (int which = 0; which < 2; which++) {
			if (which)
				noisy_print_victim(&r, columns, line);
			else
				noisy_print_culprit(&r, columns, line);
			assert_true(strlen(line) <= columns);
			for (const char *p = line; *p; p++)
				assert_true(*p >= ' ' && *p <= '~');
		}
	}
	assert_non_null(strstr(noisy_print_victim(&r, 80, line), "a23456789012345678901~ "));
}

static void victims_are_told_apart(void **state)
{
	Croft__V1__NoisyNeighbour a = row();
	Croft__V1__NoisyNeighbour b = row();

	(void)state;
	b.culprit = (char *)"tenants/other/containers/second";
	assert_true(noisy_same_victim(&a, &b));
	b.within = (char *)"tenant";
	assert_false(noisy_same_victim(&a, &b));
	b = row();
	b.waits_for = (char *)"io";
	assert_false(noisy_same_victim(&a, &b));
	b = row();
	b.victim = (char *)"tenants/acme/containers/db";
	assert_false(noisy_same_victim(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_say_what_is_there),
		cmocka_unit_test(lines_fit),
		cmocka_unit_test(victims_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
