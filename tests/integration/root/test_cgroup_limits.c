/*
 * Limits on the real kernel: what is written, what is refused before anything is written, and that
 * each limit holds for what runs inside. The same expectations on both drivers.
 */
#include "tests/integration/root/cgroup_fixture.h"

#include "base/clock.h"

#include <inttypes.h>
#include <linux/magic.h>
#include <sys/vfs.h>

static int setup(void **state)
{
	return fixture_setup(state, "croft-test-limits");
}

static void set(struct fixture *f, const struct cgroup_id *id, enum limit_id limit, uint64_t value)
{
	f->limits.value[limit] = value;
	assert_ok(f, cgroup_set_limits(f->root, id, &f->limits, false, false, &f->err));
}

/* One limit, as the kernel shows it on each driver. */
static void assert_kernel(struct fixture *f, const struct cgroup_id *id,
	enum cgroup_controller controller, const char *v1_file, const char *v1_text,
	const char *v2_file, const char *v2_text)
{
	const char *file = is_v2(f) ? v2_file : v1_file;

	if (file)
		assert_string_equal(
			read_file(f, controller, id, file), is_v2(f) ? v2_text : v1_text);
}

static void test_applies_and_lifts(void **state)
{
	struct fixture *f = *state;
	struct limits none;

	limits_init(&none);
	f->limits.value[LIMIT_MEMORY] = 64 * MIB + 1; /* rounded to pages */
	f->limits.value[LIMIT_PIDS] = 50;
	f->limits.value[LIMIT_CPU] = 250;
	f->limits.value[LIMIT_CPU_WEIGHT] = 50;
	for (int i = 0; i < 2; i++) {
		assert_ok(f, cgroup_set_limits(f->root, &f->web, &f->limits, true, false, &f->err));
		assert_kernel(f, &f->web, CGROUP_MEMORY, "memory.limit_in_bytes", "67108864",
			"memory.max", "67108864");
		assert_kernel(f, &f->web, CGROUP_MEMORY, "memory.memsw.limit_in_bytes", "67112960",
			"memory.swap.max", "0");
		assert_kernel(f, &f->web, CGROUP_MEMORY, "memory.swappiness", "0",
			"memory.oom.group", "1");
		assert_kernel(f, &f->web, CGROUP_PIDS, "pids.max", "50", "pids.max", "50");
		assert_kernel(f, &f->web, CGROUP_CPU, "cpu.cfs_quota_us", "25000", "cpu.max",
			"25000 100000");
		assert_kernel(f, &f->web, CGROUP_CPU, "cpu.shares", "512", "cpu.weight", "50");
	}
	assert_ok(f, cgroup_set_limits(f->root, &f->web, &none, false, false, &f->err));
	assert_kernel(f, &f->web, CGROUP_MEMORY, "memory.limit_in_bytes", "9223372036854771712",
		"memory.max", "max");
	assert_kernel(f, &f->web, CGROUP_MEMORY, "memory.memsw.limit_in_bytes",
		"9223372036854771712", "memory.swap.max", "0");
	assert_kernel(f, &f->web, CGROUP_MEMORY, NULL, NULL, "memory.oom.group", "0");
	assert_kernel(f, &f->web, CGROUP_PIDS, "pids.max", "max", "pids.max", "max");
	assert_kernel(f, &f->web, CGROUP_CPU, "cpu.cfs_quota_us", "-1", "cpu.max", "max 100000");
	assert_kernel(f, &f->web, CGROUP_CPU, "cpu.shares", "1024", "cpu.weight", "100");
}

/* v1 refuses memory above memsw at every moment: up, down, and both ways at once. */
static void test_moves_memory_and_swap(void **state)
{
	static const struct {
		uint64_t memory;
		uint64_t swap;
		const char *memsw; /* and a page */
	} steps[] = {{64 * MIB, 0, "67112960"}, {256 * MIB, 64 * MIB, "335548416"},
		{64 * MIB, 256 * MIB, "335548416"}, {320 * MIB, 0, "335548416"},
		{512 * MIB, 0, "536875008"}, {32 * MIB, 32 * MIB, "67112960"}};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		char memory[32];
		char swap[32];

		f->limits.value[LIMIT_SWAP] = steps[i].swap;
		set(f, &f->web, LIMIT_MEMORY, steps[i].memory);
		snprintf(memory, sizeof(memory), "%" PRIu64, steps[i].memory);
		snprintf(swap, sizeof(swap), "%" PRIu64, steps[i].swap);
		assert_kernel(f, &f->web, CGROUP_MEMORY, "memory.limit_in_bytes", memory,
			"memory.max", memory);
		assert_kernel(f, &f->web, CGROUP_MEMORY, "memory.memsw.limit_in_bytes",
			steps[i].memsw, "memory.swap.max", swap);
	}
	f->limits.value[LIMIT_MEMORY] = LIMIT_UNSET;
	if (!is_v2(f))
		assert_refused(f,
			cgroup_set_limits(f->root, &f->web, &f->limits, false, false, &f->err),
			"LIMIT_UNSUPPORTED", "swap");
	f->limits.value[LIMIT_SWAP] = LIMIT_UNSET;
	set(f, &f->web, LIMIT_MEMORY, LIMIT_UNSET);
}

static void test_refuses_above_the_tenant(void **state)
{
	static const struct {
		enum limit_id limit;
		uint64_t tenant;
		uint64_t above;
	} rows[] = {{LIMIT_MEMORY, 128 * MIB, 129 * MIB}, {LIMIT_SWAP, 8 * MIB, 9 * MIB},
		{LIMIT_PIDS, 100, 101}, {LIMIT_CPU, 500, 501}};
	struct fixture *f = *state;
	struct limits exact = f->limits;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		f->limits.value[rows[i].limit] = rows[i].tenant;
	exact = f->limits;
	exact.value[LIMIT_MEMORY] += 100; /* rounds down to the tenant's */
	assert_ok(f, cgroup_set_limits(f->root, &f->tenant, &exact, false, false, &f->err));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct limits asked = f->limits;

		asked.value[rows[i].limit] = rows[i].above;
		if (rows[i].limit == LIMIT_PIDS) /* nor is another written first */
			asked.value[LIMIT_MEMORY] = 64 * MIB;
		assert_refused(f, cgroup_set_limits(f->root, &f->web, &asked, false, true, &f->err),
			"LIMIT_ABOVE_TENANT", limit_rule(rows[i].limit)->name);
		assert_kernel(f, &f->web, CGROUP_MEMORY, "memory.limit_in_bytes",
			"9223372036854771712", "memory.max", "max");
		assert_kernel(f, &f->web, CGROUP_PIDS, "pids.max", "max", "pids.max", "max");
		assert_kernel(
			f, &f->web, CGROUP_CPU, "cpu.cfs_quota_us", "-1", "cpu.max", "max 100000");
	}
	assert_ok(f, cgroup_set_limits(f->root, &f->web, &exact, false, false, &f->err));
	/* The sum of two containers may be above the tenant's. */
	assert_ok(f, cgroup_make(f->root, &f->db, &f->err));
	assert_ok(f, cgroup_set_limits(f->root, &f->db, &f->limits, false, false, &f->err));
}

static void test_refuses_a_tenant_below_its_child(void **state)
{
	struct fixture *f = *state;
	struct limits tenant = f->limits;

	assert_ok(f, cgroup_make(f->root, &f->db, &f->err));
	f->limits.value[LIMIT_PIDS] = 60;
	f->limits.value[LIMIT_CPU] = 300;
	set(f, &f->db, LIMIT_MEMORY, 64 * MIB);
	tenant.value[LIMIT_PIDS] = 59;
	assert_refused(f, cgroup_set_limits(f->root, &f->tenant, &tenant, false, true, &f->err),
		"LIMIT_BELOW_CHILD", "pids");
	assert_non_null(strstr(f->err.msg, "container db"));
	assert_kernel(f, &f->tenant, CGROUP_PIDS, "pids.max", "max", "pids.max", "max");
	tenant.value[LIMIT_PIDS] = 60;
	tenant.value[LIMIT_MEMORY] = 63 * MIB;
	assert_refused(f, cgroup_set_limits(f->root, &f->tenant, &tenant, false, false, &f->err),
		"LIMIT_BELOW_CHILD", "memory");
	tenant.value[LIMIT_MEMORY] = 64 * MIB;
	tenant.value[LIMIT_CPU] = 299;
	assert_refused(f, cgroup_set_limits(f->root, &f->tenant, &tenant, false, false, &f->err),
		"LIMIT_BELOW_CHILD", "cpu");
	tenant.value[LIMIT_CPU] = 300;
	assert_ok(f, cgroup_set_limits(f->root, &f->tenant, &tenant, false, false, &f->err));
}

struct memory_job {
	size_t bytes;
	int ready_fd;
};

static int do_hold_memory(void *arg)
{
	const struct memory_job *job = arg;
	char *p = mmap(
		NULL, job->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 1;
	memset(p, 1, job->bytes);
	if (write(job->ready_fd, "", 1) != 1)
		return 1;
	return do_pause(NULL);
}

static void hold_memory(struct fixture *f, const struct cgroup_id *id, size_t bytes)
{
	int ready[2];
	char byte;
	struct memory_job job = {.bytes = bytes};

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	job.ready_fd = ready[1];
	assert_true(spawn_in(f, id, do_hold_memory, &job) > 0);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
}

static void assert_killed(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void test_refuses_memory_below_use(void **state)
{
	struct fixture *f = *state;
	uint64_t kills;

	set(f, &f->web, LIMIT_MEMORY, 128 * MIB);
	hold_memory(f, &f->web, 40 * MIB);
	f->limits.value[LIMIT_MEMORY] = 16 * MIB;
	f->limits.value[LIMIT_PIDS] = 20;
	assert_refused(f, cgroup_set_limits(f->root, &f->web, &f->limits, false, false, &f->err),
		"LIMIT_BELOW_USE", "memory");
	assert_non_null(strstr(f->err.msg, "16 MiB is below the 40"));
	assert_kernel(f, &f->web, CGROUP_MEMORY, "memory.limit_in_bytes", "134217728", "memory.max",
		"134217728");
	assert_kernel(f, &f->web, CGROUP_PIDS, "pids.max", "max", "pids.max", "max");
	assert_int_equal(kill(f->pids[0], 0), 0);

	/*
	 * Forced, the larger one is killed, which counts, and on v1 no other. v2's kernel may find
	 * nothing given back yet of one that is dying, and then takes the next.
	 */
	hold_memory(f, &f->web, 4 * MIB);
	assert_ok(f, cgroup_set_limits(f->root, &f->web, &f->limits, false, true, &f->err));
	assert_killed(f->pids[0]);
	kills = read_counters(f, &f->web).oom_kills;
	assert_in_range(kills, 1, is_v2(f) ? 2 : 1);
	if (kills == 2)
		assert_killed(f->pids[1]);
	else
		assert_int_equal(waitpid(f->pids[1], NULL, WNOHANG), 0);
	if (kills == 1)
		f->pids[0] = f->pids[1];
	f->n_pids -= kills;
	assert_kernel(f, &f->web, CGROUP_MEMORY, "memory.limit_in_bytes", "16777216", "memory.max",
		"16777216");
}

static int do_fill_file(void *arg)
{
	static char block[1 << 20];

	for (int i = 0; i < 40; i++)
		if (write(*(int *)arg, block, sizeof(block)) != sizeof(block))
			return 1;
	return do_pause(NULL);
}

/* What is shared with the world outside stays in use, whoever is killed: no limit can be below. */
static void test_a_forced_limit_in_vain_is_refused(void **state)
{
	int fd = memfd_create("croft-test", MFD_CLOEXEC);
	uint64_t deadline = clock_boot_usec() + WAIT_MS * UINT64_C(1000);
	struct fixture *f = *state;

	set(f, &f->web, LIMIT_MEMORY, 128 * MIB);
	assert_true(spawn_in(f, &f->web, do_fill_file, &fd) > 0);
	while (lseek(fd, 0, SEEK_CUR) < (off_t)(40 * MIB))
		assert_true(clock_boot_usec() < deadline);
	f->limits.value[LIMIT_MEMORY] = 16 * MIB;
	f->limits.value[LIMIT_PIDS] = 20;
	assert_refused(f, cgroup_set_limits(f->root, &f->web, &f->limits, false, true, &f->err),
		"LIMIT_BELOW_USE", "memory");
	assert_non_null(strstr(f->err.msg, "unchanged"));
	assert_int_equal(WTERMSIG(wait_last(f)), SIGKILL);
	assert_int_equal(read_counters(f, &f->web).oom_kills, 1);
	assert_kernel(f, &f->web, CGROUP_MEMORY, "memory.limit_in_bytes", "134217728", "memory.max",
		"134217728");
	assert_kernel(f, &f->web, CGROUP_PIDS, "pids.max", "max", "pids.max", "max");
	close(fd);
}

/* A file that was read fills the limit, but is no reason to refuse a lower one. */
static int do_read_file(void *arg)
{
	static char buf[1 << 20];
	int fd = *(int *)arg;
	ssize_t n;

	for (int i = 0; i < 40; i++)
		if (write(fd, buf, sizeof(buf)) != sizeof(buf))
			return 1;
	if (fsync(fd) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return 1;
	do
		n = read(fd, buf, sizeof(buf));
	while (n > 0);
	return n < 0;
}

static void test_lowers_memory_over_page_cache(void **state)
{
	struct fixture *f = *state;
	char path[] = "/var/tmp/croft-test-cache-XXXXXX";
	struct statfs fs;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(fstatfs(fd, &fs), 0);
	if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC) {
		close(fd);
		skip_because("/var/tmp is no disk, so it has no page cache");
	}
	set(f, &f->web, LIMIT_MEMORY, 128 * MIB);
	assert_int_equal(run_in(f, &f->web, do_read_file, &fd), 0);
	assert_true(read_counters(f, &f->web).memory_bytes > 30 * MIB);
	assert_true(read_counters(f, &f->web).memory_working_set_bytes < 20 * MIB);
	set(f, &f->web, LIMIT_MEMORY, 24 * MIB);
	assert_int_equal(read_counters(f, &f->web).oom_kills, 0);
	close(fd);
}

static int do_eat_memory(void *arg)
{
	for (;;) {
		char *p = mmap(
			NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return 1;
		memset(p, 1, MIB);
	}
	return arg != NULL;
}

/* How many of the watch's descriptors have something to tell within the time. */
static int poll_watch(const struct cgroup_watch *watch, int timeout_ms)
{
	struct pollfd pollfds[1 + CGROUP_WATCH_FILES] = {{.fd = watch->oom_fd, .events = POLLIN}};

	for (size_t i = 0; i < watch->n_files; i++)
		pollfds[1 + i] = (struct pollfd){.fd = watch->file_fds[i], .events = POLLPRI};
	return poll(pollfds, (nfds_t)(1 + watch->n_files), timeout_ms);
}

/*
 * Drains the watch until it stays quiet. Once is not enough: the kernel holds back what follows a
 * notification within 10 ms of it (CGROUP_FILE_NOTIFY_MIN_INTV) and tells it when they are over.
 */
static void drain_until_quiet(const struct cgroup_watch *watch)
{
	int waits = 0;

	do {
		assert_true(waits++ < 100);
		cgroup_watch_drain(watch);
	} while (poll_watch(watch, 100) > 0);
}

static void test_memory_limit_kills_inside(void **state)
{
	struct fixture *f = *state;
	struct cgroup_watch watch;
	struct counters c;

	set(f, &f->web, LIMIT_MEMORY, 16 * MIB);
	assert_ok(f, cgroup_watch_open(f->root, &f->web, &watch, &f->err));
	assert_int_equal(poll_watch(&watch, 0), 0);
	assert_true(spawn_in(f, &f->web, do_eat_memory, NULL) > 0);
	assert_int_equal(WTERMSIG(wait_last(f)), SIGKILL);
	assert_true(poll_watch(&watch, WAIT_MS) > 0);
	drain_until_quiet(&watch);
	cgroup_watch_close(&watch);
	c = read_counters(f, &f->web);
	assert_int_equal(c.oom_kills, 1);
	assert_true(c.memory_at_limit > 0);
	assert_in_range(c.memory_peak_bytes, 15 * MIB, 16 * MIB);
}

/* The tenant's limit holds the sum; the kill is counted where it happened. */
static void test_tenant_memory_holds_all(void **state)
{
	struct fixture *f = *state;

	assert_ok(f, cgroup_make(f->root, &f->db, &f->err));
	set(f, &f->tenant, LIMIT_MEMORY, 32 * MIB);
	hold_memory(f, &f->db, 8 * MIB);
	assert_true(spawn_in(f, &f->web, do_eat_memory, NULL) > 0);
	assert_int_equal(WTERMSIG(wait_last(f)), SIGKILL);
	assert_int_equal(read_counters(f, &f->web).oom_kills, 1);
	assert_int_equal(read_counters(f, &f->db).oom_kills, 0);
	assert_true(read_counters(f, &f->tenant).memory_at_limit > 0);
}

static void test_oom_group_takes_all(void **state)
{
	struct fixture *f = *state;

	f->limits.value[LIMIT_MEMORY] = 24 * MIB;
	assert_ok(f, cgroup_set_limits(f->root, &f->web, &f->limits, true, false, &f->err));
	assert_true(spawn_in(f, &f->web, do_pause, NULL) > 0);
	assert_true(spawn_in(f, &f->web, do_eat_memory, NULL) > 0);
	assert_int_equal(WTERMSIG(wait_last(f)), SIGKILL);
	if (!is_v2(f)) /* left to the supervisor, which the watch tells */
		assert_int_equal(cgroup_kill(f->root, &f->web, &f->err), 0);
	assert_int_equal(WTERMSIG(wait_last(f)), SIGKILL);
}

/* Forks so often, or until refused, and leaves them behind; the result is how many. */
static int do_fork(void *arg)
{
	int count = *(int *)arg;
	int n = 0;
	pid_t pid;

	for (; n < count; n++) {
		pid = fork();
		if (pid < 0)
			return errno == EAGAIN ? n : 254;
		if (pid == 0)
			do_pause(NULL);
	}
	return n;
}

static void test_pids_limit_holds(void **state)
{
	struct fixture *f = *state;
	struct cgroup_watch watch;
	struct counters c;
	int many = 100;

	set(f, &f->web, LIMIT_PIDS, 10);
	assert_ok(f, cgroup_watch_open(f->root, &f->web, &watch, &f->err));
	/* The first process counts itself. */
	assert_int_equal(run_in(f, &f->web, do_fork, &many), 9);
	/* Linux 6.18 counts on v1, but does not tell: pids_event() notifies another file. */
	if (is_v2(f))
		assert_true(poll_watch(&watch, WAIT_MS) > 0);
	cgroup_watch_close(&watch);
	c = read_counters(f, &f->web);
	assert_int_equal(c.pids, 9);
	assert_int_equal(c.pids_denied, 1);
	assert_true(c.pids_peak == UINT64_MAX || c.pids_peak >= 10);
	assert_ok(f, cgroup_kill(f->root, &f->web, &f->err));
}

/*
 * Where the tenant's limit refuses, v1 and kernels up to 6.10 tell in which container; later ones
 * count it at the tenant alone.
 */
static void test_tenant_pids_limit_holds_all(void **state)
{
	struct fixture *f = *state;
	int many = 100;
	bool told;

	assert_ok(f, cgroup_make(f->root, &f->db, &f->err));
	set(f, &f->tenant, LIMIT_PIDS, 20);
	many = 12;
	assert_int_equal(run_in(f, &f->db, do_fork, &many), 12);
	many = 100;
	assert_int_equal(run_in(f, &f->web, do_fork, &many), 7);
	told = !is_v2(f) ||
	       strchr(read_file(f, CGROUP_PIDS, &f->web, "pids.events.local"), '<') != NULL;
	assert_int_equal(read_counters(f, &f->web).pids_denied, told ? 1 : 0);
	assert_int_equal(read_counters(f, &f->db).pids_denied, 0);
	if (is_v2(f) && !told)
		assert_int_equal(read_counters(f, &f->tenant).pids_denied, 1);
}

static void test_refuses_to_join_a_full_container(void **state)
{
	struct fixture *f = *state;
	int count = 4;

	set(f, &f->web, LIMIT_PIDS, 4);
	assert_int_equal(run_in(f, &f->web, do_fork, &count), 3);
	assert_int_equal(read_counters(f, &f->web).pids, 3);
	assert_true(spawn_in(f, &f->web, do_pause, NULL) > 0);
	assert_int_equal(spawn_in(f, &f->web, do_pause, NULL), -EAGAIN);
	assert_int_equal(read_counters(f, &f->web).pids, 4);
	set(f, &f->web, LIMIT_PIDS, 5);
	assert_true(spawn_in(f, &f->web, do_pause, NULL) > 0);
	/* A full tenant refuses just so, and limits may be lowered below what runs. */
	f->limits.value[LIMIT_PIDS] = LIMIT_UNSET;
	set(f, &f->web, LIMIT_MEMORY, 64 * MIB);
	set(f, &f->tenant, LIMIT_PIDS, 4);
	assert_int_equal(spawn_in(f, &f->web, do_pause, NULL), -EAGAIN);
}

static int do_burn(void *arg)
{
	burn_cpu(*(uint64_t *)arg);
	return 0;
}

static void test_cpu_quota_throttles(void **state)
{
	struct fixture *f = *state;
	uint64_t usec = 150 * 1000;
	struct counters c;

	assert_int_equal(run_in(f, &f->web, do_burn, &usec), 0);
	assert_int_equal(read_counters(f, &f->web).cpu_throttled_usec, 0);
	set(f, &f->web, LIMIT_CPU, 100);
	assert_int_equal(run_in(f, &f->web, do_burn, &usec), 0);
	c = read_counters(f, &f->web);
	assert_true(c.cpu_usec >= 2 * usec);
	assert_true(c.cpu_throttled_usec >= 100 * 1000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_applies_and_lifts),
		CASE(test_moves_memory_and_swap),
		CASE(test_refuses_above_the_tenant),
		CASE(test_refuses_a_tenant_below_its_child),
		CASE(test_refuses_memory_below_use),
		CASE(test_a_forced_limit_in_vain_is_refused),
		CASE(test_lowers_memory_over_page_cache),
		CASE(test_memory_limit_kills_inside),
		CASE(test_tenant_memory_holds_all),
		CASE(test_oom_group_takes_all),
		CASE(test_pids_limit_holds),
		CASE(test_tenant_pids_limit_holds_all),
		CASE(test_refuses_to_join_a_full_container),
		CASE(test_cpu_quota_throttles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
