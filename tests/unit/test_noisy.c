/* server/noisy.h: who is a victim, of whom, and who is not. */
#include "server/noisy.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define S      UINT64_C(1000000)
#define MIB    (UINT64_C(1) << 20)
#define WINDOW (10 * S)

/* A host of two CPUs and 1 GiB; tenants with equal weights, and without limits of their own. */
struct lab {
	struct noisy_container list[100];
	struct noisy_tenant tenants[100];
	uint64_t cpus[LIMITS_CPU_WORDS];
	uint64_t first_cpu[LIMITS_CPU_WORDS];
	uint64_t second_cpu[LIMITS_CPU_WORDS];
	struct noisy_scene scene;
	struct noisy_verdict verdicts[NOISY_VERDICTS_MAX];
	size_t left_out;
};

static struct noisy_container *add(struct lab *lab, size_t tenant)
{
	struct noisy_container *c = &lab->list[lab->scene.n++];

	*c = (struct noisy_container){.tenant = tenant,
		.interval_usec = WINDOW,
		.weight = {100, 1024 * MIB, 1},
		.most = {LIMIT_UNSET, LIMIT_UNSET, LIMIT_UNSET}};
	for (size_t i = lab->scene.n_tenants; i <= tenant; i++)
		lab->tenants[i] = (struct noisy_tenant){.weight = {100, 1024 * MIB, 1},
			.most = {LIMIT_UNSET, LIMIT_UNSET, LIMIT_UNSET}};
	if (lab->scene.n_tenants <= tenant)
		lab->scene.n_tenants = tenant + 1;
	return c;
}

static int setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	if (!lab)
		return -1;
	lab->cpus[0] = 3;
	lab->first_cpu[0] = 1;
	lab->second_cpu[0] = 2;
	lab->scene.containers = lab->list;
	lab->scene.tenants = lab->tenants;
	lab->scene.cpus = lab->cpus;
	lab->scene.capacity[STALL_CPU] = 2000;
	lab->scene.capacity[STALL_MEMORY] = 1024 * MIB;
	*state = lab;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static size_t judge(struct lab *lab)
{
	return noisy_judge(&lab->scene, lab->verdicts, &lab->left_out);
}

/* Waits for two fifths of the window, and uses a tenth of a core. */
static struct noisy_container *add_waiting(struct lab *lab, size_t tenant)
{
	struct noisy_container *c = add(lab, tenant);

	c->waited_usec[STALL_CPU] = 4 * S;
	c->used[STALL_CPU] = 100;
	return c;
}

static void where_nobody_waits_there_is_nothing(void **state)
{
	struct lab *lab = *state;

	assert_int_equal(judge(lab), 0);
	add(lab, 0)->used[STALL_CPU] = 1900;
	/* A little is no matter, whoever uses how much. */
	add(lab, 1)->waited_usec[STALL_CPU] = WINDOW / 11;
	assert_int_equal(judge(lab), 0);
	assert_int_equal(lab->left_out, 0);
}

static void a_culprit_is_named(void **state)
{
	struct lab *lab = *state;
	struct noisy_container *victim = add_waiting(lab, 0);
	struct noisy_container *culprit = add(lab, 1);
	const struct noisy_verdict *v = lab->verdicts;

	culprit->used[STALL_CPU] = 1900;
	add(lab, 2)->used[STALL_CPU] = 5;
	assert_int_equal(judge(lab), 1);
	assert_ptr_equal(v->victim, victim);
	assert_int_equal(v->of, STALL_CPU);
	assert_false(v->in_tenant);
	assert_int_equal(v->waited, 4000);
	/* It used a twentieth of what was used itself. */
	assert_in_range(v->held_up, 3750, 3850);
	assert_int_equal(v->own, 4000 - v->held_up);
	assert_int_equal(v->n_culprits, 1);
	assert_ptr_equal(v->culprits[0].one, culprit);
	assert_in_range(v->culprits[0].share, 9400, 9550);
	/* Two who want some have a core each: the third wants none. */
	assert_in_range(v->culprits[0].fair, 4900, 5050);
	assert_true(v->culprits[0].above_fair);
}

static void its_own_limit_is_its_own_doing(void **state)
{
	struct lab *lab = *state;
	struct noisy_container *c = add_waiting(lab, 0);

	add(lab, 1)->used[STALL_CPU] = 1900;
	c->held_usec = 4 * S;
	assert_int_equal(judge(lab), 0);
}

/* The control of the above, and of what follows: the same without the limit is a verdict. */
static void what_a_limit_does_not_explain_is_left(void **state)
{
	struct lab *lab = *state;
	struct noisy_container *c = add_waiting(lab, 0);

	add(lab, 1)->used[STALL_CPU] = 1900;
	c->held_usec = 1 * S;
	assert_int_equal(judge(lab), 1);
	assert_in_range(lab->verdicts[0].held_up, 2800, 2900);
}

static void memory_and_io_at_its_own_limit_likewise(void **state)
{
	struct lab *lab = *state;
	struct noisy_container *c = add(lab, 0);
	struct noisy_container *other = add(lab, 1);

	for (int of = STALL_MEMORY; of <= STALL_IO; of++) {
		c->used[of] = 10 * MIB;
		c->waited_usec[of] = 5 * S;
		other->used[of] = 900 * MIB;
		c->at_limit[of] = true;
		assert_int_equal(judge(lab), 0);
		c->at_limit[of] = false;
		assert_int_equal(judge(lab), 1);
		assert_int_equal(lab->verdicts[0].of, of);
		assert_ptr_equal(lab->verdicts[0].culprits[0].one, other);
		c->waited_usec[of] = 0;
	}
}

/* With more tasks than CPUs one waits for oneself, all the time. */
static void who_competes_with_itself_is_no_victim(void **state)
{
	struct lab *lab = *state;
	struct noisy_container *c = add(lab, 0);

	c->used[STALL_CPU] = 1950;
	c->waited_usec[STALL_CPU] = WINDOW;
	add(lab, 1)->used[STALL_CPU] = 50;
	assert_int_equal(judge(lab), 0);
}

static void equals_hold_up_each_other_within_their_share(void **state)
{
	struct lab *lab = *state;

	for (size_t i = 0; i < 2; i++) {
		add(lab, i)->used[STALL_CPU] = 1000;
		lab->list[i].waited_usec[STALL_CPU] = WINDOW;
	}
	assert_int_equal(judge(lab), 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(lab->verdicts[i].held_up, 5000);
		assert_int_equal(lab->verdicts[i].culprits[0].share, 5000);
		assert_false(lab->verdicts[i].culprits[0].above_fair);
	}
}

static void a_weight_makes_more_fair(void **state)
{
	struct lab *lab = *state;

	add_waiting(lab, 0);
	add(lab, 1)->used[STALL_CPU] = 1500;
	lab->tenants[1].weight[STALL_CPU] = 300;
	assert_int_equal(judge(lab), 1);
	assert_false(lab->verdicts[0].culprits[0].above_fair);
	/* But no more than its limit. */
	lab->list[1].most[STALL_CPU] = 500;
	assert_int_equal(judge(lab), 1);
	assert_true(lab->verdicts[0].culprits[0].above_fair);
}

/* Held by its tenant's limit: not by who uses more of the host, but by its own neighbours. */
static void a_tenants_limit_is_its_own_containers_doing(void **state)
{
	struct lab *lab = *state;
	struct noisy_container *victim = add_waiting(lab, 0);
	struct noisy_container *sibling = add(lab, 0);

	sibling->used[STALL_CPU] = 400;
	add(lab, 1)->used[STALL_CPU] = 1500;
	lab->tenants[0].most[STALL_CPU] = 500;
	lab->tenants[0].held_usec = 9 * S;
	assert_int_equal(judge(lab), 1);
	assert_true(lab->verdicts[0].in_tenant);
	assert_ptr_equal(lab->verdicts[0].victim, victim);
	assert_int_equal(lab->verdicts[0].held_up, 3200); /* four fifths of it */
	assert_int_equal(lab->verdicts[0].n_culprits, 1);
	assert_ptr_equal(lab->verdicts[0].culprits[0].one, sibling);
	assert_true(lab->verdicts[0].culprits[0].above_fair);
}

static void alone_at_its_tenants_limit_there_is_nobody(void **state)
{
	struct lab *lab = *state;

	add_waiting(lab, 0);
	add(lab, 1)->used[STALL_CPU] = 1900;
	lab->tenants[0].held_usec = 9 * S;
	assert_int_equal(judge(lab), 0);
}

static void other_tenants_come_first(void **state)
{
	struct lab *lab = *state;
	const struct noisy_culprit *culprits = lab->verdicts[0].culprits;

	add_waiting(lab, 0);
	add(lab, 0)->used[STALL_CPU] = 700;
	add(lab, 1)->used[STALL_CPU] = 300;
	add(lab, 2)->used[STALL_CPU] = 400;
	add(lab, 3)->used[STALL_CPU] = 250;
	assert_int_equal(judge(lab), 1);
	assert_int_equal(lab->verdicts[0].n_culprits, NOISY_CULPRITS_MAX);
	assert_ptr_equal(culprits[0].one, &lab->list[3]);
	assert_ptr_equal(culprits[1].one, &lab->list[2]);
	assert_ptr_equal(culprits[2].one, &lab->list[4]);
}

static void who_runs_on_other_cpus_is_in_nobodys_way(void **state)
{
	struct lab *lab = *state;
	struct noisy_container *victim = add_waiting(lab, 0);
	struct noisy_container *culprit = add(lab, 1);

	victim->cpus = lab->first_cpu;
	culprit->cpus = lab->first_cpu;
	culprit->used[STALL_CPU] = 900;
	add(lab, 2)->used[STALL_CPU] = 1000;
	lab->list[2].cpus = lab->second_cpu;
	assert_int_equal(judge(lab), 1);
	assert_int_equal(lab->verdicts[0].n_culprits, 1);
	assert_ptr_equal(lab->verdicts[0].culprits[0].one, culprit);
	assert_int_equal(lab->verdicts[0].culprits[0].share, 9000);
}

static void what_is_no_container_is_named_as_such(void **state)
{
	struct lab *lab = *state;

	add_waiting(lab, 0);
	lab->scene.outside[STALL_CPU] = 1900;
	assert_int_equal(judge(lab), 1);
	assert_int_equal(lab->verdicts[0].n_culprits, 1);
	assert_int_equal(lab->verdicts[0].culprits[0].who, NOISY_OUTSIDE);
	assert_int_equal(lab->verdicts[0].culprits[0].share, 9500);
	assert_false(lab->verdicts[0].culprits[0].above_fair);
}

/* What is spread over twenty containers comes from one tenant all the same. */
static void who_hides_in_many_is_found(void **state)
{
	struct lab *lab = *state;
	const struct noisy_culprit *culprits = lab->verdicts[0].culprits;

	add_waiting(lab, 0);
	for (size_t i = 0; i < 20; i++)
		add(lab, 1)->used[STALL_CPU] = 80;
	for (size_t i = 2; i < 5; i++)
		add(lab, i)->used[STALL_CPU] = 50;
	assert_int_equal(judge(lab), 1);
	assert_int_equal(lab->verdicts[0].n_culprits, 1);
	assert_int_equal(culprits[0].who, NOISY_TENANT);
	assert_int_equal(culprits[0].tenant, 1);
	assert_in_range(culprits[0].share, 8600, 8700);
	assert_true(culprits[0].above_fair);
	/* Where one of them is enough, it is that one. */
	lab->list[1].used[STALL_CPU] = 400;
	assert_int_equal(judge(lab), 1);
	assert_int_equal(lab->verdicts[0].n_culprits, 1);
	assert_ptr_equal(culprits[0].one, &lab->list[1]);
}

/* A backup of the host's, which no cgroup counts. */
static void where_nobody_used_any_it_is_not_known_who(void **state)
{
	struct lab *lab = *state;

	add(lab, 0)->waited_usec[STALL_IO] = 5 * S;
	assert_int_equal(judge(lab), 1);
	assert_int_equal(lab->verdicts[0].held_up, 5000);
	assert_int_equal(lab->verdicts[0].n_culprits, 0);
}

static void what_is_not_known_accuses_nobody(void **state)
{
	struct lab *lab = *state;

	for (int of = 0; of < STALL_N; of++)
		add_waiting(lab, 0)->waited_usec[of] = STALLS_UNKNOWN;
	for (size_t i = 0; i < lab->scene.n; i++)
		lab->list[i].waited_usec[STALL_CPU] = STALLS_UNKNOWN;
	add(lab, 1)->used[STALL_CPU] = 1900;
	assert_int_equal(judge(lab), 0);
}

static void the_worst_come_first_and_the_rest_is_counted(void **state)
{
	struct lab *lab = *state;

	for (size_t i = 0; i < 80; i++)
		add(lab, i)->waited_usec[STALL_CPU] = (2 * S + (i * 37 % 80) * S / 20);
	add(lab, 80)->used[STALL_CPU] = 2000;
	assert_int_equal(judge(lab), NOISY_VERDICTS_MAX);
	assert_int_equal(lab->left_out, 80 - NOISY_VERDICTS_MAX);
	for (size_t i = 1; i < NOISY_VERDICTS_MAX; i++)
		assert_true(lab->verdicts[i - 1].held_up >= lab->verdicts[i].held_up);
	assert_int_equal(lab->verdicts[0].held_up, 5950);
	/* The last of those there is room for. */
	assert_int_equal(lab->verdicts[NOISY_VERDICTS_MAX - 1].held_up, 2000 + 16 * 50);
}

static void figures_may_be_as_large_as_they_are(void **state)
{
	struct lab *lab = *state;

	for (int of = 0; of < STALL_N; of++) {
		add(lab, 0)->used[of] = UINT64_MAX / 8;
		add(lab, 1)->used[of] = 1;
	}
	for (size_t i = 0; i < lab->scene.n; i++)
		for (int of = 0; of < STALL_N; of++)
			lab->list[i].waited_usec[of] = UINT64_MAX - 1;
	assert_true(judge(lab) > 0);
	for (size_t i = 0; i < NOISY_VERDICTS_MAX; i++)
		assert_true(lab->verdicts[i].held_up <= 10000 && lab->verdicts[i].waited <= 10000 &&
			    lab->verdicts[i].culprits[0].share <= 10000);
}

static void the_hosts_files_are_read(void **state)
{
	static const char *const bad[] = {"", "cpu", "cpu 1 2 3", "cpu0 1 2 3 4 5 6 7 8",
		"cpu  1 2 3 4 5 6 7 x", "cpu  1 2 -3 4 5 6 7 8"};
	uint64_t value = 17;

	(void)state;
	assert_int_equal(
		noisy_parse_busy("cpu  1 20 300 4 5 6000 70000 800000 9 9\ncpu0 1\n", &value), 0);
	assert_int_equal(value, 876321);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(noisy_parse_busy(bad[i], &value), -EBADMSG);
	assert_int_equal(
		noisy_parse_memory("MemTotal:  8 kB\nMemFree: 3 kB\n", "MemFree", &value), 0);
	assert_int_equal(value, 3 * 1024);
	assert_int_equal(noisy_parse_memory("MemTotal:  8 kB\n", "Mem", &value), -ENOENT);
	assert_int_equal(noisy_parse_memory("MemTotal:  8\n", "MemTotal", &value), -EBADMSG);
	assert_int_equal(noisy_parse_memory("MemTotal:  x kB\n", "MemTotal", &value), -EBADMSG);
	assert_int_equal(value, 3 * 1024);
}

#define with_lab(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_lab(where_nobody_waits_there_is_nothing),
		with_lab(a_culprit_is_named),
		with_lab(its_own_limit_is_its_own_doing),
		with_lab(what_a_limit_does_not_explain_is_left),
		with_lab(memory_and_io_at_its_own_limit_likewise),
		with_lab(who_competes_with_itself_is_no_victim),
		with_lab(equals_hold_up_each_other_within_their_share),
		with_lab(a_weight_makes_more_fair),
		with_lab(a_tenants_limit_is_its_own_containers_doing),
		with_lab(alone_at_its_tenants_limit_there_is_nobody),
		with_lab(other_tenants_come_first),
		with_lab(who_runs_on_other_cpus_is_in_nobodys_way),
		with_lab(what_is_no_container_is_named_as_such),
		with_lab(who_hides_in_many_is_found),
		with_lab(where_nobody_used_any_it_is_not_known_who),
		with_lab(what_is_not_known_accuses_nobody),
		with_lab(the_worst_come_first_and_the_rest_is_counted),
		with_lab(figures_may_be_as_large_as_they_are),
		cmocka_unit_test(the_hosts_files_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
