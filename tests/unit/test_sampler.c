/* server/sampler.h: what is told of limits while a sweep goes on, and of the clock. On a real
 * SQLite, with directories that look like cgroups. */
#include "server/sampler.h"

#include "server/ledger.h"
#include "server/store.h"
#include "server/traffic.h"

#include "tests/unit/unit.h"
#include "tests/unit/unit_db.h"

#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* More than a turn of the loop takes. */
#define CONTAINERS 40

static const char *const files[][2] = {
	{"cpu.stat", "usage_usec 123456\nuser_usec 100\nsystem_usec 23\nnr_periods 5\n"
		     "nr_throttled 2\nthrottled_usec 777\n"},
	{"memory.current", "1000000\n"},
	{"memory.stat", "inactive_file 400000\n"},
	{"memory.peak", "2000000\n"},
	{"memory.events", "low 0\nhigh 0\nmax 0\noom 1\noom_kill 1\noom_group_kill 0\n"},
	{"pids.current", "7\n"},
	{"pids.peak", "9\n"},
	{"pids.events", "max 0\n"},
};

struct fixture {
	char dir[64];
	char path[96];
	int dir_fd;
	struct config config;
	struct server server;
	struct container *first; /* which alone runs */
	bool swept;
	bool failed; /* that sweep */
};

static void add_container(struct tenant *t, int i)
{
	char name[NAME_SIZE];

	snprintf(name, sizeof(name), "c%02d", i);
	assert_non_null(model_add_container(t, name));
}

static void start_first(struct fixture *f, struct tenant *t)
{
	int dirs[COUNTER_DIR_N];
	struct run *run;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int fd = openat(f->dir_fd, files[i][0], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		assert_true(fd >= 0);
		assert_int_equal(write(fd, files[i][1], strlen(files[i][1])), strlen(files[i][1]));
		close(fd);
	}
	for (size_t i = 0; i < COUNTER_DIR_N; i++)
		dirs[i] = f->dir_fd;
	f->first = model_any_container(t, "c00");
	run = &f->first->run;
	run->key = 1;
	strcpy(run->id, "run");
	run->stored = true;
	run->confirmed = true;
	run->start_boot_usec = clock_boot_usec();
	run->last.boot_usec = run->start_boot_usec;
	run->last.wall_usec = clock_wall_usec();
	if (counter_files_open(
		    CGROUP_UNIFIED, COUNTERS_OF_CONTAINER, dirs, NULL, &run->files, &err) < 0)
		fail_msg("%s", err.msg);
}

static int make(void **state)
{
	static const struct db_config db_config = {0};
	struct fixture *f = calloc(1, sizeof(*f));
	struct server *server = &f->server;
	struct tenant *t;
	struct err err;

	strcpy(f->dir, "/tmp/croft-test-sampler-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(f->path, sizeof(f->path), "%s/croft.db", f->dir);
	f->config.sample_interval_ms = 3600000;
	server->config = &f->config;
	strcpy(server->boot_id, "boot");
	server->forks_fd = -1;
	server->base = event_base_new();
	t = model_add_tenant(&server->model, "acme");
	limits_init_tenant_default(&t->limits);
	for (int i = 0; i < CONTAINERS; i++)
		add_container(t, i);
	start_first(f, t);
	if (db_open(f->path, &server->db, &err) < 0 ||
		db_query(server->db,
			"INSERT INTO runs (key, id, tenant_uid, tenant, account_ref, container_uid,"
			" container, boot_id, start_boot, start_wall)"
			" VALUES (1, 'run', '', 'acme', '', 'c', 'c00', 'boot', 1, 1)",
			NULL, NULL, &err, "") < 0 ||
		db_start(server->db, server->base, &db_config, &err) < 0 ||
		traffic_create(server, &err) < 0 || sampler_create(server, &err) < 0)
		fail_msg("%s", err.msg);
	*state = f;
	return 0;
}

static int drop(void **state)
{
	struct fixture *f = *state;

	sampler_destroy(&f->server);
	traffic_destroy(&f->server);
	db_close(f->server.db);
	model_finish(&f->server.model);
	event_base_free(f->server.base);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlinkat(f->dir_fd, files[i][0], 0);
	close(f->dir_fd);
	unit_remove_db(f->dir, f->path);
	free(f);
	return 0;
}

static void on_swept(void *arg, const struct err *err)
{
	struct fixture *f = arg;

	f->failed = err;
	f->swept = true;
}

static int take_number(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = db_column_u64(row, 0);
	return 0;
}

static int take_told(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	store_read_reported((const char *)sqlite3_column_text(row, 0), arg);
	return 0;
}

static uint64_t events_of(struct fixture *f, const char *type)
{
	uint64_t n = 0;
	struct err err;

	assert_int_equal(db_query(f->server.db, "SELECT count(*) FROM events WHERE type = ?1",
				 take_number, &n, &err, "s", type),
		0);
	return n;
}

/* A sweep is many turns of the loop: what it has said of a run may be old when it is committed. */
static void what_a_limit_was_met_by_during_a_sweep_stays_told(void **state)
{
	struct fixture *f = *state;
	struct msg_limit_hit hit = {.tenant = "acme", .container = "c00", .run_id = "run"};
	struct run read = {0};
	struct err err;

	assert_int_equal(sampler_catch_up(&f->server, NULL, on_swept, f, &err), 0);
	while (!f->first->run.last.sequence)
		event_base_loop(f->server.base, EVLOOP_ONCE);
	/* It has its sample, others have not. */
	assert_false(f->swept);
	assert_int_equal(f->first->run.reported.told[FAULT_OOM], 1);
	hit.counters = f->first->run.last.counters;
	hit.counters.pids_denied = 3;
	sampler_limit_hit(&f->server, &hit);
	while (!f->swept)
		event_base_loop(f->server.base, EVLOOP_ONCE);
	assert_false(f->failed);
	db_stop(f->server.db);
	assert_int_equal(events_of(f, "container.oom"), 1);
	assert_int_equal(events_of(f, "container.pids_denied"), 1);
	/* The next croftd does not say it again. */
	assert_int_equal(
		db_query(f->server.db, "SELECT told FROM runs", take_told, &read, &err, ""), 0);
	assert_int_equal(read.reported.told[FAULT_OOM], 1);
	assert_int_equal(read.reported.told[FAULT_PIDS], 3);
}

/* What its own limit refused; OOM kills are its containers', and its directory's count of them too.
 */
static void forks_refused_to_a_tenant_are_told_of_it(void **state)
{
	struct fixture *f = *state;
	struct tenant *t = f->first->tenant;
	struct usage_point point = {.sequence = 1, .boot_usec = clock_boot_usec()};
	struct db_tx *tx = db_tx_new();

	t->own.key = 2;
	strcpy(t->own.id, "own");
	store_add_run(tx, &t->own, t, NULL);
	point.wall_usec = clock_wall_usec();
	point.counters.pids_denied = 5;
	point.counters.oom_kills = 1;
	t->own.last.boot_usec = point.boot_usec;
	ledger_add_own_sample(&f->server, tx, t, &point, 1);
	point.sequence = 2;
	ledger_add_own_sample(&f->server, tx, t, &point, 2);
	db_commit(f->server.db, tx, NULL, NULL);
	db_stop(f->server.db);
	assert_int_equal(events_of(f, "tenant.pids_denied"), 1);
	assert_int_equal(events_of(f, "container.oom"), 0);
	assert_int_equal(t->own.reported.told[FAULT_PIDS], 5);
}

/* --- the clock --- */

#define SECOND INT64_C(1000000)

/* Whether it is committed. */
static bool sweep(struct fixture *f)
{
	struct err err;

	f->swept = false;
	assert_int_equal(sampler_catch_up(&f->server, NULL, on_swept, f, &err), 0);
	while (!f->swept)
		event_base_loop(f->server.base, EVLOOP_ONCE);
	return !f->failed;
}

static void on_ran(void *arg, const struct err *err)
{
	if (err)
		fail_msg("%s", err->msg);
	event_base_loopbreak(arg);
}

static void change(struct fixture *f, const char *sql)
{
	struct db_tx *tx = db_tx_new();

	db_tx_write(tx, sql, "");
	db_commit(f->server.db, tx, on_ran, f->server.base);
	event_base_dispatch(f->server.base);
}

/* A look of an hour ago, by a clock that has been set since. */
static struct clock_look look_before(int64_t set_by_usec)
{
	return (struct clock_look){.boot_usec = clock_boot_usec() - (uint64_t)(3600 * SECOND),
		.wall_usec = clock_wall_usec() - 3600 * SECOND - set_by_usec};
}

static uint64_t steps_of(struct fixture *f)
{
	uint64_t n = 0;
	struct err err;

	assert_int_equal(db_query(f->server.db,
				 "SELECT count(*) FROM clock_steps WHERE boot_id = 'boot'"
				 " AND abs(wall - wall_expected - 60000000) < 1000000",
				 take_number, &n, &err, ""),
		0);
	return n;
}

static void a_step_is_found_again_until_it_is_committed(void **state)
{
	struct fixture *f = *state;

	f->server.clock.last = look_before(60 * SECOND);
	change(f, "INSERT INTO samples (run, sequence, boot, wall, ids, packed)"
		  " VALUES (1, 1, 1, 1, 0, x'')");
	assert_false(sweep(f));
	change(f, "DELETE FROM samples");
	assert_true(sweep(f));
	assert_true(sweep(f));
	db_stop(f->server.db);
	assert_int_equal(events_of(f, "host.clock_set"), 1);
	assert_int_equal(steps_of(f), 1);
}

/* What a croftd that begins now finds of the one before. */
static struct clock_watch load_clock(struct fixture *f, const char *boot_id)
{
	struct clock_watch watch = {0};
	struct err err;

	assert_int_equal(clock_watch_load(&watch, f->server.db, boot_id, &err), 0);
	return watch;
}

static void the_last_look_is_on_record_for_the_next_croftd(void **state)
{
	struct fixture *f = *state;
	struct clock_watch watch;
	struct clock_look now;

	assert_true(sweep(f));
	db_stop(f->server.db);
	watch = load_clock(f, "another");
	assert_int_equal(watch.last.boot_usec, 0);
	watch = load_clock(f, "boot");
	assert_int_equal(watch.last.boot_usec, f->server.clock.last.boot_usec);
	assert_int_equal(watch.last.wall_usec, f->server.clock.last.wall_usec);

	/* Three days, in which the clock went faster by what the kernel slews: 500 ppm. */
	now = watch.last;
	now.boot_usec += (uint64_t)(3 * 86400 * SECOND);
	now.wall_usec += 3 * 86400 * SECOND + 3 * 86400 * SECOND / 2000;
	assert_false(clock_watch_look(&watch, NULL, "boot", &now));
	now.boot_usec += (uint64_t)SECOND;
	now.wall_usec -= 60 * SECOND;
	assert_true(clock_watch_look(&watch, NULL, "boot", &now));
	/* That one's end has to be known first. */
	assert_false(clock_watch_look(&watch, NULL, "boot", &now));
	clock_watch_end(&watch, true);
	assert_false(clock_watch_look(&watch, NULL, "boot", &now));
}

static void nothing_is_told_of_a_first_look(void **state)
{
	struct fixture *f = *state;

	assert_true(sweep(f));
	db_stop(f->server.db);
	assert_int_equal(events_of(f, "host.clock_set"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_a_limit_was_met_by_during_a_sweep_stays_told, make, drop),
		cmocka_unit_test_setup_teardown(
			forks_refused_to_a_tenant_are_told_of_it, make, drop),
		cmocka_unit_test_setup_teardown(
			a_step_is_found_again_until_it_is_committed, make, drop),
		cmocka_unit_test_setup_teardown(
			the_last_look_is_on_record_for_the_next_croftd, make, drop),
		cmocka_unit_test_setup_teardown(nothing_is_told_of_a_first_look, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
