/* Counters, against directories that look like cgroups. */
#include "tests/unit/unit.h"

#include "sandbox/counters.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct fixture {
	char path[64];
	int dir;
	int dirs[COUNTER_DIR_N];
	struct io_disk disk;
	struct err err;
};

static void put(const struct fixture *f, const char *file, const char *text)
{
	int fd = openat(f->dir, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static const char *const files[] = {"cpu.stat", "memory.current", "memory.stat", "memory.peak",
	"memory.events", "memory.events.local", "pids.current", "pids.peak", "pids.events",
	"pids.events.local", "cpuacct.usage", "memory.usage_in_bytes", "memory.max_usage_in_bytes",
	"memory.failcnt", "memory.oom_control", "payload/memory.oom_control", "payload/pids.events",
	"io.stat", "blkio.throttle.io_service_bytes_recursive",
	"blkio.throttle.io_serviced_recursive", "cpuacct.stat"};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	snprintf(f->path, sizeof(f->path), "/tmp/croft-test-counters-XXXXXX");
	if (!f || !mkdtemp(f->path))
		return -1;
	f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < COUNTER_DIR_N; i++)
		f->dirs[i] = f->dir;
	return mkdirat(f->dir, "payload", 0700);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlinkat(f->dir, files[i], 0);
	unlinkat(f->dir, "payload", AT_REMOVEDIR);
	close(f->dir);
	rmdir(f->path);
	free(f);
	return 0;
}

static void put_unified(const struct fixture *f)
{
	put(f, "cpu.stat",
		"usage_usec 123456\nuser_usec 100\nsystem_usec 23\nnr_periods 5\n"
		"nr_throttled 2\nthrottled_usec 777\n");
	put(f, "memory.current", "1000000\n");
	put(f, "memory.stat", "anon 5\nfile 9\ninactive_anon 1\ninactive_file 400000\n");
	put(f, "memory.peak", "2000000\n");
	put(f, "memory.events", "low 1\nhigh 2\nmax 31\noom 4\noom_kill 5\noom_group_kill 6\n");
	put(f, "pids.current", "7\n");
	put(f, "pids.peak", "9\n");
	put(f, "pids.events", "max 11\n");
}

static void put_hybrid(const struct fixture *f)
{
	put(f, "cpuacct.usage", "123456789\n");
	put(f, "cpu.stat", "nr_periods 5\nnr_throttled 2\nthrottled_time 777999\n");
	put(f, "memory.usage_in_bytes", "1000000\n");
	put(f, "memory.stat", "inactive_file 1\ntotal_inactive_file 400000\n");
	put(f, "memory.max_usage_in_bytes", "2000000\n");
	put(f, "memory.failcnt", "31\n");
	put(f, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
	put(f, "payload/memory.oom_control", "oom_kill_disable 1\nunder_oom 1\noom_kill 5\n");
	put(f, "pids.current", "7\n");
	put(f, "pids.events", "max 0\n");
	put(f, "payload/pids.events", "max 11\n");
}

static int read_of(
	struct fixture *f, enum cgroup_kind kind, enum counters_of of, struct counters *ret)
{
	struct counter_files *opened;
	int r = counter_files_open(kind, of, f->dirs, &f->disk, &opened, &f->err);

	if (r < 0)
		return r;
	r = counters_read(opened, ret, &f->err);
	counter_files_close(opened);
	return r;
}

static int read_all(struct fixture *f, enum cgroup_kind kind, struct counters *ret)
{
	return read_of(f, kind, COUNTERS_OF_CONTAINER, ret);
}

static void assert_common(const struct counters *c)
{
	assert_int_equal(c->cpu_usec, 123456);
	assert_int_equal(c->cpu_throttled_usec, 777);
	assert_int_equal(c->memory_bytes, 1000000);
	assert_int_equal(c->memory_working_set_bytes, 600000);
	assert_int_equal(c->memory_peak_bytes, 2000000);
	assert_int_equal(c->memory_at_limit, 31);
	assert_int_equal(c->oom_kills, 5);
	assert_int_equal(c->pids, 7);
	assert_int_equal(c->pids_denied, 11);
}

static void test_unified(void **state)
{
	struct fixture *f = *state;
	struct counters c;

	put_unified(f);
	assert_int_equal(counters_n_dirs(CGROUP_UNIFIED), 1);
	assert_int_equal(read_all(f, CGROUP_UNIFIED, &c), 0);
	assert_common(&c);
	assert_int_equal(c.pids_peak, 9);
	assert_int_equal(c.cpu_user_usec, 100);
}

/* Where the kernel tells a tenant's own limits from its containers', only those are the tenant's.
 */
static void test_limits_of_a_tenant(void **state)
{
	struct fixture *f = *state;
	struct counters c;

	put_unified(f);
	assert_int_equal(read_of(f, CGROUP_UNIFIED, COUNTERS_OF_TENANT, &c), 0);
	assert_int_equal(c.pids_denied, 11);
	put(f, "pids.events.local", "max 3\n");
	put(f, "memory.events.local", "low 0\nhigh 0\nmax 2\noom 0\noom_kill 0\n");
	assert_int_equal(read_of(f, CGROUP_UNIFIED, COUNTERS_OF_TENANT, &c), 0);
	assert_int_equal(c.pids_denied, 3);
	assert_int_equal(c.memory_at_limit, 2);
	assert_int_equal(c.oom_kills, 0);
	assert_int_equal(read_all(f, CGROUP_UNIFIED, &c), 0);
	assert_common(&c);
}

static void test_hybrid(void **state)
{
	struct fixture *f = *state;
	struct counters c;

	put_hybrid(f);
	assert_int_equal(counters_n_dirs(CGROUP_HYBRID), COUNTER_DIR_N);
	assert_int_equal(read_all(f, CGROUP_HYBRID, &c), 0);
	assert_common(&c);
	assert_int_equal(c.pids_peak, UINT64_MAX); /* an older kernel has no pids.peak */
	assert_int_equal(c.cpu_user_usec, COUNTER_UNKNOWN);
	put(f, "cpuacct.stat", "user 7\nsystem 5\n");
	assert_int_equal(read_all(f, CGROUP_HYBRID, &c), 0);
	assert_int_equal(c.cpu_user_usec, 70000);
}

/* A tenant, and _croft, have no payload. */
static void test_hybrid_without_payload(void **state)
{
	struct fixture *f = *state;
	struct counters c;

	put_hybrid(f);
	unlinkat(f->dir, "payload/memory.oom_control", 0);
	unlinkat(f->dir, "payload/pids.events", 0);
	put(f, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
	put(f, "pids.events", "max 4\n");
	assert_int_equal(read_all(f, CGROUP_HYBRID, &c), 0);
	assert_int_equal(c.oom_kills, 3);
	assert_int_equal(c.pids_denied, 4);
}

static void test_cache_beyond_usage(void **state)
{
	struct fixture *f = *state;
	struct counters c;

	put_unified(f);
	put(f, "memory.current", "399999\n");
	assert_int_equal(read_all(f, CGROUP_UNIFIED, &c), 0);
	assert_int_equal(c.memory_working_set_bytes, 0);
}

/* Kernels without CPU bandwidth control count no throttling. */
static void test_missing_line_is_zero(void **state)
{
	struct fixture *f = *state;
	struct counters c;

	put_unified(f);
	put(f, "cpu.stat", "usage_usec 5\nnot_throttled_usec 6\n");
	assert_int_equal(read_all(f, CGROUP_UNIFIED, &c), 0);
	assert_int_equal(c.cpu_usec, 5);
	assert_int_equal(c.cpu_throttled_usec, 0);
}

/* What is empty or cut short is no usage of nothing. */
static void test_missing_line_is_a_fault(void **state)
{
	static const char *const bad[] = {"", "throttled_usec 6\n", "usage_use"};
	struct fixture *f = *state;
	struct counters c;

	put_unified(f);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put(f, "cpu.stat", bad[i]);
		assert_int_equal(read_all(f, CGROUP_UNIFIED, &c), -EBADMSG);
		assert_non_null(strstr(f->err.msg, "cpu.stat"));
	}
}

static void test_faults(void **state)
{
	static const char *const bad[] = {"", "max\n", "-1\n", "12x\n", "99999999999999999999\n"};
	struct fixture *f = *state;
	struct counters c;
	struct counters before;

	put_unified(f);
	memset(&c, 0x5a, sizeof(c));
	before = c;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put(f, "pids.current", bad[i]);
		assert_int_equal(read_all(f, CGROUP_UNIFIED, &c), -EBADMSG);
		assert_memory_equal(&c, &before, sizeof(c));
	}
	unlinkat(f->dir, "pids.current", 0);
	assert_int_equal(read_all(f, CGROUP_UNIFIED, &c), -ENOENT);
	assert_non_null(strstr(f->err.msg, "pids.current"));
	assert_memory_equal(&c, &before, sizeof(c));
}

static void test_parse(void **state)
{
	uint64_t value = 42;

	(void)state;
	assert_int_equal(counter_parse("a 1\nab 2\n", "a", &value), 0);
	assert_int_equal(value, 1);
	assert_int_equal(counter_parse("a 1\nab 2\n", "ab", &value), 0);
	assert_int_equal(value, 2);
	assert_int_equal(counter_parse("18446744073709551615", NULL, &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(counter_parse("a 1\n", "b", &value), -ENOENT);
	assert_int_equal(counter_parse("ba 1\n", "a", &value), -ENOENT);
	assert_int_equal(counter_parse("", "a", &value), -ENOENT);
	assert_int_equal(counter_parse("a", "a", &value), -ENOENT);
	assert_int_equal(counter_parse("a \n", "a", &value), -EBADMSG);
	assert_int_equal(counter_parse("a  1\n", "a", &value), -EBADMSG);
	assert_true(value == UINT64_MAX);
}

static void assert_io(const struct counters *c, uint64_t read, uint64_t written)
{
	assert_int_equal(c->has_io, 1);
	assert_int_equal(c->io.read_bytes, read);
	assert_int_equal(c->io.read_ops, read / 4096);
	assert_int_equal(c->io.write_bytes, written);
	assert_int_equal(c->io.write_ops, written / 4096);
}

/* One disk's, whichever others there are: what lies on it would be counted twice. */
static void io_is_counted_of_one_disk(void **state)
{
	struct fixture *f = *state;
	struct counters c;

	f->disk = (struct io_disk){7, 1};
	put_unified(f);
	put(f, "io.stat",
		"17:1 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n"
		"7:1 rbytes=8192 wbytes=40960 rios=2 wios=10 dbytes=4096 dios=1\n"
		"7:10 rbytes=9 wbytes=9 rios=9 wios=9 dbytes=9 dios=9\n");
	assert_int_equal(read_all(f, CGROUP_UNIFIED, &c), 0);
	assert_io(&c, 8192, 40960);
	put(f, "io.stat", "7:10 rbytes=9 wbytes=9 rios=9 wios=9\n7:1 \n");
	assert_int_equal(read_all(f, CGROUP_UNIFIED, &c), 0);
	assert_io(&c, 0, 0);
	put_hybrid(f);
	put(f, "blkio.throttle.io_service_bytes_recursive",
		"7:10 Read 9\n7:10 Write 9\n7:1 Read 8192\n7:1 Write 40960\n7:1 Sync 1\n"
		"7:1 Total 49152\nTotal 49170\n");
	put(f, "blkio.throttle.io_serviced_recursive", "7:1 Read 2\n7:1 Write 10\nTotal 12\n");
	assert_int_equal(read_all(f, CGROUP_HYBRID, &c), 0);
	assert_io(&c, 8192, 40960);
}

static void io_that_is_not_counted_is_not_known(void **state)
{
	struct fixture *f = *state;
	struct counters c;

	f->disk = (struct io_disk){7, 1};
	put_hybrid(f);
	put(f, "blkio.throttle.io_service_bytes_recursive", "7:1 Read 8192\n7:1 Write 4096\n");
	assert_int_equal(read_all(f, CGROUP_HYBRID, &c), 0);
	assert_int_equal(c.has_io | c.io.read_bytes, 0);
	put_unified(f);
	assert_int_equal(read_all(f, CGROUP_UNIFIED, &c), 0);
	assert_int_equal(c.has_io, 0);
	put(f, "io.stat", "7:1 rbytes=1 wbytes=2 rios=3 wios=4\n");
	f->disk = (struct io_disk){0};
	assert_int_equal(read_all(f, CGROUP_UNIFIED, &c), 0);
	assert_int_equal(c.has_io | c.io.read_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(io_is_counted_of_one_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(
			io_that_is_not_counted_is_not_known, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unified, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits_of_a_tenant, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hybrid, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hybrid_without_payload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cache_beyond_usage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_line_is_zero, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_line_is_a_fault, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
		cmocka_unit_test(test_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
