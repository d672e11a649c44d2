/* server/abuse_measure.c: what happened between two samples is added up once. */
#include "tests/unit/unit.h"

#include "server/abuse_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define S UINT64_C(1000000)

static const char text[] = "[rule forks]\nsignal = forks-denied\nthreshold = 1000\nwindow = 1h\n"
			   "action = notify\n"
			   "[rule full]\nsignal = cpu-full\nper = tenant\nthreshold = 90\n"
			   "window = 1h\naction = notify\n"
			   "[rule all]\nsignal = forks-denied\nper = tenant\nthreshold = 1000\n"
			   "window = 1h\naction = notify\n";

enum {
	FORKS_DENIED,
	OOM_KILLS,
	MEMORY_STALL,
	DISK_WRITE,
	DISK_WRITE_OPS,
	NET_OUT,
	PACKETS_OUT,
	SECCOMP,
	SMTP_REFUSED,
	FLOWS_REFUSED,
	CONNECTIONS_REFUSED,
	PACKETS_REFUSED,
	CONNECTIONS_OUT,
	SMTP_OUT,
	RULES
};

/* A rule a signal. */
static const struct {
	const char *signal;
	const char *threshold;
} each_signal[RULES] = {
	[FORKS_DENIED] = {"forks-denied", "1000"},
	[OOM_KILLS] = {"oom-kills", "1000"},
	[MEMORY_STALL] = {"memory-stall", "90"},
	[DISK_WRITE] = {"disk-write", "1G"},
	[DISK_WRITE_OPS] = {"disk-write-ops", "1000"},
	[NET_OUT] = {"net-out", "1G"},
	[PACKETS_OUT] = {"packets-out", "1000"},
	[SECCOMP] = {"seccomp", "1000"},
	[SMTP_REFUSED] = {"smtp-refused", "1000"},
	[FLOWS_REFUSED] = {"flows-refused", "1000"},
	[CONNECTIONS_REFUSED] = {"connections-refused", "1000"},
	[PACKETS_REFUSED] = {"packets-refused", "1000"},
	[CONNECTIONS_OUT] = {"connections-out", "1000"},
	[SMTP_OUT] = {"smtp-out", "1000"},
};

struct fixture {
	struct config config;
	struct abuse abuse;
	struct server server;
	struct tenant *t;
	struct container *c;
};

static int make(void **state, const char *rules)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err;

	if (!f || abuse_rules_parse(rules, strlen(rules), "test", &f->abuse.rules, &err) < 0)
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

static int setup(void **state)
{
	return make(state, text);
}

static int setup_each(void **state)
{
	char rules[4096];
	size_t n = 0;

	for (size_t i = 0; i < RULES; i++)
		n += (size_t)snprintf(rules + n, sizeof(rules) - n,
			"[rule r%zu]\nsignal = %s\nthreshold = %s\nwindow = 1h\naction = notify\n",
			i, each_signal[i].signal, each_signal[i].threshold);
	return make(state, rules);
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

/* What its own limit refused is counted for no container, and is in the sum beside theirs. */
static void forks_refused_to_a_tenant_are_in_its_sum(void **state)
{
	struct fixture *f = *state;
	struct usage_point from = point(5000, 0);
	struct usage_point to = point(5010, 100);

	abuse_take(&f->server, f->c, &from, &to);
	assert_int_equal(sum(f->t->abuse, 2, 5010), 100);
	to.counters.pids_denied = 7;
	abuse_take_own(&f->server, f->t, &from, &to);
	assert_int_equal(sum(f->t->abuse, 2, 5010), 107);
	assert_int_equal(sum(f->c->abuse, 0, 5010), 100);
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

/* Of this rule so much was measured, of the container or of its tenant, and of no other anything.
 */
static void expect_alone(struct fixture *f, size_t rule, uint64_t amount)
{
	bool of_tenant = rule >= SMTP_REFUSED;
	uint64_t now = clock_boot_usec() / S;

	for (size_t i = 0; i < RULES; i++) {
		uint64_t of_c = f->c->abuse ? sum(f->c->abuse, i, now) : 0;
		uint64_t of_t = f->t->abuse ? sum(f->t->abuse, i, now) : 0;

		assert_int_equal(of_c, i == rule && !of_tenant ? amount : 0);
		assert_int_equal(of_t, i == rule && of_tenant ? amount : 0);
	}
}

static void forget(struct fixture *f)
{
	abuse_subject_free(f->c->abuse);
	abuse_subject_free(f->t->abuse);
	f->c->abuse = f->t->abuse = NULL;
}

static void each_counter_is_its_signal(void **state)
{
	struct fixture *f = *state;
	uint64_t now = clock_boot_usec();
	struct usage_point from = {.boot_usec = now - 2 * S};
	struct usage_point to = {.boot_usec = now - S};
	const struct {
		size_t rule;
		uint64_t *figure;
	} rows[] = {
		{FORKS_DENIED, &to.counters.pids_denied},
		{OOM_KILLS, &to.counters.oom_kills},
		{DISK_WRITE, &to.counters.io.write_bytes},
		{DISK_WRITE_OPS, &to.counters.io.write_ops},
		{NET_OUT, &to.counters.net.outside_out.bytes},
		{PACKETS_OUT, &to.counters.net.outside_out.packets},
		{SECCOMP, &to.counters.refused_calls},
	};

	from.counters.has_io = from.counters.has_net = 1;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		to.counters = from.counters;
		*rows[i].figure = 7;
		abuse_take(&f->server, f->c, &from, &to);
		expect_alone(f, rows[i].rule, 7);
		forget(f);
	}
}

static void thrashing_is_time_since_the_last_look(void **state)
{
	struct fixture *f = *state;
	const struct timespec pause = {.tv_nsec = 2000000};

	f->c->run.stalled_known = true;
	f->c->run.stalled.full_usec[STALL_MEMORY] = 5000;
	abuse_take_stalls(&f->server, f->t, f->c);
	expect_alone(f, MEMORY_STALL, 0);
	nanosleep(&pause, NULL);
	f->c->run.stalled.full_usec[STALL_MEMORY] += 1234;
	abuse_take_stalls(&f->server, f->t, f->c);
	expect_alone(f, MEMORY_STALL, 1234);
	nanosleep(&pause, NULL);
	/* Of another run what it had waited before is not known to be of now. */
	f->c->run.key = 3;
	f->c->run.stalled.full_usec[STALL_MEMORY] = 99999;
	abuse_take_stalls(&f->server, f->t, f->c);
	expect_alone(f, MEMORY_STALL, 1234);
}

static void each_counter_of_the_filter_is_its_signal(void **state)
{
	static const struct {
		uint32_t reason;
		size_t rule;
	} rows[] = {
		{NET_REFUSED_SMTP, SMTP_REFUSED},
		{NET_REFUSED_FLOWS, FLOWS_REFUSED},
		{NET_REFUSED_CONNECTIONS, CONNECTIONS_REFUSED},
		{NET_REFUSED_PACKETS, PACKETS_REFUSED},
		{NET_OPENED_CONNECTIONS, CONNECTIONS_OUT},
		{NET_OPENED_SMTP, SMTP_OUT},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		/* What was told before is of before; a counter that fell begins at 0. */
		abuse_take_counted(&f->server, f->t, rows[i].reason, 10, 4);
		expect_alone(f, rows[i].rule, 6);
		abuse_take_counted(&f->server, f->t, rows[i].reason, 2, 4);
		expect_alone(f, rows[i].rule, 8);
		forget(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(intervals_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(what_comes_again_counts_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			forks_refused_to_a_tenant_are_in_its_sum, setup, teardown),
		cmocka_unit_test_setup_teardown(another_run_is_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(each_counter_is_its_signal, setup_each, teardown),
		cmocka_unit_test_setup_teardown(
			thrashing_is_time_since_the_last_look, setup_each, teardown),
		cmocka_unit_test_setup_teardown(
			each_counter_of_the_filter_is_its_signal, setup_each, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
