/* server/abuse_measure.c: what happened between two samples is added up once. */
#include "tests/unit/unit.h"

#include "server/abuse_internal.h"

#include <stdlib.h>
#include <string.h>

#define S UINT64_C(1000000)

static const char text[] = "[rule forks]\nsignal = forks-denied\nthreshold = 1000\nwindow = 1h\n"
			   "action = notify\n"
			   "[rule full]\nsignal = cpu-full\nper = tenant\nthreshold = 90\n"
			   "window = 1h\naction = notify\n";

struct fixture {
	struct config config;
	struct abuse abuse;
	struct server server;
	struct tenant *t;
	struct container *c;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err;

	if (!f || abuse_rules_parse(text, strlen(text), "test", &f->abuse.rules, &err) < 0)
		return -1;
	f->config.sample_interval_ms = 10000;
	f->server.config = &f->config;
	f->server.abuse = &f->abuse;
	f->server.cpus.usable[0] = 1;
	f->t = model_add_tenant(&f->server.model, "acme");
	f->c = model_add_container(f->t, "web");
	limits_init_tenant_default(&f->t->limits);
	limits_init(&f->c->limits);
	f->c->run.key = 1;
	f->t->own.key = 2;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	model_finish(&f->server.model);
	free(f->abuse.rules);
	free(f);
	return 0;
}

static struct usage_point point(uint64_t seconds, uint64_t denied)
{
	return (struct usage_point){.boot_usec = seconds * S,
		.counters = {.pids_denied = denied, .cpu_usec = denied * 1000}};
}

static void take(struct fixture *f, struct usage_point from, struct usage_point to)
{
	abuse_take(&f->server, f->c, &from, &to);
	abuse_take_own(&f->server, f->t, &from, &to);
}

static uint64_t sum(const struct abuse_subject *s, size_t rule, uint64_t seconds)
{
	return s->tracks[rule].window ? abuse_window_sum(s->tracks[rule].window, seconds * S) : 0;
}

static void expect(struct fixture *f, uint64_t seconds, uint64_t denied)
{
	assert_int_equal(sum(f->c->abuse, 0, seconds), denied);
	assert_int_equal(sum(f->t->abuse, 1, seconds), denied * 1000);
}

static void intervals_add_up(void **state)
{
	struct fixture *f = *state;

	take(f, point(5000, 0), point(5010, 100));
	take(f, point(5010, 100), point(5020, 150));
	expect(f, 5020, 150);
}

/* The ledger has taken back a sample, and begins where it was before. */
static void what_comes_again_counts_once(void **state)
{
	struct fixture *f = *state;

	take(f, point(5000, 0), point(5010, 100));
	take(f, point(5000, 0), point(5020, 150));
	expect(f, 5020, 150);
	take(f, point(5000, 0), point(5020, 150));
	expect(f, 5020, 150);
	take(f, point(5020, 150), point(5030, 160));
	expect(f, 5030, 160);
}

/* Its counters are from 0, though the clock goes on. */
static void another_run_is_its_own(void **state)
{
	struct fixture *f = *state;

	take(f, point(5000, 0), point(5010, 100));
	f->c->run.key = 3;
	f->t->own.key = 4;
	take(f, point(5005, 0), point(5020, 30));
	expect(f, 5020, 130);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(intervals_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(what_comes_again_counts_once, setup, teardown),
		cmocka_unit_test_setup_teardown(another_run_is_its_own, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
