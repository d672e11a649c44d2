/*
 * Limits of block I/O on the real kernel and a pool of its own: that they hold what runs inside,
 * buffered or not, and that what a driver cannot hold is refused with the reason.
 */
#include "tests/integration/root/cgroup_fixture.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "sandbox/pool.h"

#include <dirent.h>
#include <linux/loop.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define POOL_BYTES (512 * MIB)
/* The kernel gives some of the first second at once; what is left takes at least so long. */
#define RATE	   IO_RATE_MIN
#define SLOW_BYTES (4 * RATE)
#define SLOW_USEC  2000000u
#define BLOCK	   (64u << 10)
#define BLOCKS	   (SLOW_BYTES / BLOCK)
/* More, each of a MiB, than anything here waits for: the queue of these takes 48 s. */
#define READERS 512
#define QUEUED	384

struct pool_fixture {
	char dir[64];
	struct pool_config config;
	struct pool *pool;
	struct block_device disk;
	int root_fd;
};

static struct pool_fixture pool = {.root_fd = -1};

static int setup(void **state)
{
	int r = fixture_setup(state, "croft-test-io");

	if (r == 0)
		cgroup_limit_io_of(((struct fixture *)*state)->root, &pool.disk);
	return r;
}

static int setup_pool(void **state)
{
	struct err err = {0};

	(void)state;
	strcpy(pool.dir, "/tmp/croft-test-io-XXXXXX");
	if (!mkdtemp(pool.dir))
		return -1;
	strcpy(pool.config.driver, "btrfs");
	pool.config.size_bytes = POOL_BYTES;
	pool.config.state_fd = fd_open_dir_at(AT_FDCWD, pool.dir);
	if (pool_attach(&pool.config, &pool.pool, &err) < 0) {
		print_error("pool: %s\n", err.msg);
		return -1;
	}
	pool.disk = pool_disk(pool.pool);
	pool.root_fd = openat(pool.config.state_fd, "pool", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return pool.root_fd < 0 ? -1 : 0;
}

static int teardown_pool(void **state)
{
	char command[128];
	struct err err = {0};
	int r;

	(void)state;
	close_fd(&pool.root_fd);
	pool_close(pool.pool);
	r = pool_detach(&pool.config, &err);
	if (r < 0)
		print_error("detach: %s\n", err.msg);
	close(pool.config.state_fd);
	snprintf(command, sizeof(command), "rm -rf --one-file-system %s", pool.dir);
	return r < 0 ? r : system(command);
}

static bool has_limits(const struct fixture *f)
{
	return f->root->has_io_limit;
}

static void set(struct fixture *f, const struct cgroup_id *id, enum limit_id limit, uint64_t value)
{
	struct limits limits;

	limits_init(&limits);
	limits.value[limit] = value;
	assert_ok(f, cgroup_set_limits(f->root, id, &limits, false, false, &f->err));
}

static void refused(struct fixture *f, const struct cgroup_id *id, enum limit_id limit,
	uint64_t value, const char *reason, const char *words)
{
	struct limits limits;

	limits_init(&limits);
	limits.value[limit] = value;
	assert_refused(f, cgroup_set_limits(f->root, id, &limits, false, false, &f->err), reason,
		limit_rule(limit)->name);
	if (!strstr(f->err.msg, words))
		fail_msg("\"%s\" does not say \"%s\"", f->err.msg, words);
}

static uint64_t held(struct fixture *f, const char *dir, enum limit_id limit)
{
	struct limits limits;

	limits_init(&limits);
	assert_int_equal(f->root->ops->read_limits(f->root, dir, LIMIT_BITS_ALL, &limits), 0);
	return limits.value[limit];
}

static void fill_file(const char *name)
{
	_cleanup_close_ int fd = openat(pool.root_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	static char block[BLOCK];

	assert_true(fd >= 0);
	for (size_t i = 0; i < BLOCKS; i++) {
		memset(block, (int)i + 1, sizeof(block));
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	}
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
}

static int do_read(void *arg)
{
	bool direct = *(bool *)arg;
	_cleanup_close_ int fd = openat(
		pool.root_fd, "data", O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0));
	static char block[BLOCK] __attribute__((aligned(4096)));

	for (size_t i = 0; fd >= 0 && i < BLOCKS; i++)
		if (read(fd, block, sizeof(block)) != sizeof(block))
			return 1;
	return fd < 0;
}

/* Into the cache, and where `arg` says so out of it. */
static int do_write(void *arg)
{
	bool wait = *(bool *)arg;
	_cleanup_close_ int fd = openat(
		pool.root_fd, "written", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	static char block[BLOCK];

	for (size_t i = 0; fd >= 0 && i < BLOCKS; i++) {
		memset(block, (int)i + 1, sizeof(block));
		if (write(fd, block, sizeof(block)) != sizeof(block))
			return 1;
	}
	return fd < 0 || (wait && fsync(fd) < 0);
}

static uint64_t time_of(
	struct fixture *f, const struct cgroup_id *id, int (*fn)(void *arg), void *arg)
{
	uint64_t start = clock_boot_usec();

	assert_int_equal(run_in(f, id, fn, arg), 0);
	return clock_boot_usec() - start;
}

static void test_the_pool_is_on_a_disk(void **state)
{
	(void)state;
	if (pool.disk.unknown)
		fail_msg("no disk: %s", pool.disk.unknown);
	assert_int_equal(pool.disk.major, 7); /* devices.txt: loop */
}

static void test_applies_and_lifts(void **state)
{
	struct fixture *f = *state;

	if (!has_limits(f))
		skip();
	for (int i = 0; i < 2; i++) {
		set(f, &f->web, LIMIT_IO_READ, 3 * RATE);
		assert_true(held(f, "acme/web", LIMIT_IO_READ) == 3 * RATE);
		assert_true(held(f, "acme/web", LIMIT_IO_READ_OPS) == LIMIT_UNSET);
	}
	set(f, &f->web, LIMIT_IO_READ_OPS, 500);
	assert_true(held(f, "acme/web", LIMIT_IO_READ) == LIMIT_UNSET);
	assert_true(held(f, "acme/web", LIMIT_IO_READ_OPS) == 500);
	set(f, &f->web, LIMIT_PIDS, 50);
	assert_true(held(f, "acme/web", LIMIT_IO_READ_OPS) == LIMIT_UNSET);
}

/* What is wrong with one limit leaves the others as they were. */
static void test_is_put_back(void **state)
{
	struct fixture *f = *state;
	struct limits limits;

	if (!has_limits(f))
		skip();
	set(f, &f->web, LIMIT_IO_READ, 3 * RATE);
	limits_init(&limits);
	limits.value[LIMIT_IO_READ] = IO_RATE_MIN - 1;
	limits.value[LIMIT_PIDS] = 50;
	assert_refused(f, cgroup_set_limits(f->root, &f->web, &limits, false, false, &f->err),
		"LIMIT_INVALID", "io-read");
	assert_true(held(f, "acme/web", LIMIT_IO_READ) == 3 * RATE);
	assert_true(held(f, "acme/web", LIMIT_PIDS) == LIMIT_UNSET);
}

static void test_holds_reading(void **state)
{
	struct fixture *f = *state;

	if (!has_limits(f))
		skip();
	set(f, &f->web, LIMIT_IO_READ, RATE);
	for (int direct = 0; direct < 2; direct++) {
		bool arg = direct;
		uint64_t took;

		fill_file("data");
		took = time_of(f, &f->web, do_read, &arg);
		if (took < SLOW_USEC)
			fail_msg("%s: only %u ms", direct ? "direct" : "buffered",
				(unsigned)(took / 1000));
	}
}

static void test_holds_requests(void **state)
{
	struct fixture *f = *state;
	bool direct = true;
	uint64_t took = 0;

	if (!has_limits(f))
		skip();
	fill_file("data");
	/* Each round reads about so many blocks; the later ones cannot all be of one second. */
	set(f, &f->web, LIMIT_IO_READ_OPS, IO_OPS_MIN);
	for (int i = 0; i < 4; i++)
		took += time_of(f, &f->web, do_read, &direct);
	assert_true(took > SLOW_USEC);
}

static void test_holds_writing(void **state)
{
	struct fixture *f = *state;
	bool wait = true;
	uint64_t start;

	if (!has_limits(f))
		skip();
	if (!is_v2(f)) {
		refused(f, &f->web, LIMIT_IO_WRITE, RATE, "LIMIT_UNSUPPORTED", "cgroup v1");
		refused(f, &f->web, LIMIT_IO_WRITE_OPS, 500, "LIMIT_UNSUPPORTED", "cgroup v1");
		return;
	}
	set(f, &f->web, LIMIT_IO_WRITE, RATE);
	assert_true(time_of(f, &f->web, do_write, &wait) > SLOW_USEC);
	/* Nor does it matter who has the cache written out, and that the writer is gone. */
	wait = false;
	assert_int_equal(run_in(f, &f->web, do_write, &wait), 0);
	start = clock_boot_usec();
	assert_int_equal(syncfs(pool.root_fd), 0);
	assert_true(clock_boot_usec() - start > SLOW_USEC);
}

static void test_a_tenant_s_holds_all(void **state)
{
	struct fixture *f = *state;
	bool direct = true;

	if (!has_limits(f))
		skip();
	if (!is_v2(f)) {
		refused(f, &f->tenant, LIMIT_IO_READ, RATE, "LIMIT_UNSUPPORTED", "each container");
		return;
	}
	set(f, &f->tenant, LIMIT_IO_READ, RATE);
	refused(f, &f->web, LIMIT_IO_READ, 2 * RATE, "LIMIT_ABOVE_TENANT", "above the tenant's");
	fill_file("data");
	assert_true(time_of(f, &f->web, do_read, &direct) > SLOW_USEC);
	set(f, &f->tenant, LIMIT_IO_READ, 3 * RATE);
	set(f, &f->web, LIMIT_IO_READ, 2 * RATE);
	refused(f, &f->tenant, LIMIT_IO_READ, RATE, "LIMIT_BELOW_CHILD", "container web");
}

static int open_disk(void)
{
	dev_t device = makedev(pool.disk.major, pool.disk.minor);
	int dir = pool.config.state_fd;
	int fd;

	assert_int_equal(mknodat(dir, "disk", S_IFBLK | 0600, device), 0);
	fd = openat(dir, "disk", O_RDONLY | O_CLOEXEC | O_DIRECT);
	assert_int_equal(unlinkat(dir, "disk", 0), 0);
	assert_true(fd >= 0);
	return fd;
}

/* A MiB in one call, which no signal ends. Of the disk itself: a filesystem has locks to wait for.
 */
static void *read_part(void *arg)
{
	static char to[MIB] __attribute__((aligned(4096)));
	int disk = *(int *)arg;

	return pread(disk, to, sizeof(to), 0) < 0 ? arg : NULL;
}

/* A loop device that nobody has had, so that nobody has limited it, of a MiB. Returns its number.
 */
static int make_disk(int control, int *ret_fd)
{
	_cleanup_close_ int file = openat(
		pool.config.state_fd, "image", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int number = 1000 + (int)getpid() % 100000;
	char path[32];

	assert_int_equal(ftruncate(file, MIB), 0);
	assert_int_equal(ioctl(control, LOOP_CTL_ADD, number), number);
	snprintf(path, sizeof(path), "/dev/loop%d", number);
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
	assert_true(*ret_fd >= 0);
	assert_int_equal(ioctl(*ret_fd, LOOP_SET_FD, file), 0);
	return number;
}

static int read_mib(void *arg)
{
	return read_part(arg) ? 1 : 0;
}

static void test_counts_a_disk_that_nobody_has_limited(void **state)
{
	_cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct fixture *f = *state;
	struct block_device disk = {.major = 7};
	struct counters counters;
	int number;
	int fd;

	if (!has_limits(f))
		skip();
	number = make_disk(control, &fd);
	disk.minor = (uint32_t)number;
	cgroup_limit_io_of(f->root, &disk);
	assert_ok(f, cgroup_count_io_of(f->root, &disk, &f->err));
	assert_int_equal(run_in(f, &f->web, read_mib, &fd), 0);
	counters = read_counters(f, &f->web);
	assert_int_equal(ioctl(fd, LOOP_CLR_FD, 0), 0);
	close(fd);
	assert_int_equal(ioctl(control, LOOP_CTL_REMOVE, number), 0);
	assert_true(counters.has_io);
	assert_int_equal(counters.io.read_bytes, MIB);
	assert_true(counters.io.read_ops > 0);
	assert_int_equal(counters.io.write_bytes, 0);
}

static int read_much(void *arg)
{
	pthread_t thread;

	for (size_t i = 0; i < READERS; i++)
		if (pthread_create(&thread, NULL, read_part, arg) != 0)
			return 1;
	pause();
	return 0;
}

/* Threads of it in a wait that only the disk ends. */
static unsigned waiting(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	struct dirent *task;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	assert_non_null(tasks);
	while ((task = readdir(tasks))) {
		char stat[64];
		char state = 0;
		FILE *file;

		snprintf(stat, sizeof(stat), "%.20s/stat", task->d_name);
		file = fdopen(openat(dirfd(tasks), stat, O_RDONLY | O_CLOEXEC), "re");
		if (!file)
			continue;
		n += fscanf(file, "%*d (%*[^)]) %c", &state) == 1 && state == 'D';
		fclose(file);
	}
	closedir(tasks);
	return n;
}

/* Even of who queued up for its disk; a kill that is none of Croft's shows how long that takes. */
static void test_who_waits_can_die(void **state)
{
	struct fixture *f = *state;
	int disk;
	pid_t pid;

	if (!has_limits(f))
		skip();
	disk = open_disk();
	set(f, &f->web, LIMIT_IO_READ, RATE);
	pid = spawn_in(f, &f->web, read_much, &disk);
	assert_true(pid > 0);
	while (waiting(pid) < QUEUED)
		usleep(10000);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(cgroup_wait_empty(f->root, &f->web, 3000, NULL), -ETIMEDOUT);
	assert_ok(f, cgroup_kill(f->root, &f->web, &f->err));
	assert_ok(f, cgroup_wait_empty(f->root, &f->web, WAIT_MS, &f->err));
	wait_last(f);
	close(disk);
}

/* A limit of a disk where the pool has been before goes with the next change. */
static void test_follows_the_pool(void **state)
{
	struct fixture *f = *state;
	struct block_device now = pool.disk;
	struct block_device before = {.major = 7, .minor = pool.disk.minor ? 0 : 1};

	if (!has_limits(f))
		skip();
	cgroup_limit_io_of(f->root, &before);
	set(f, &f->web, LIMIT_IO_READ, 5 * RATE);
	cgroup_limit_io_of(f->root, &now);
	assert_true(held(f, "acme/web", LIMIT_IO_READ) == LIMIT_UNSET);
	set(f, &f->web, LIMIT_IO_READ, 5 * RATE);
	assert_true(held(f, "acme/web", LIMIT_IO_READ) == 5 * RATE);
	cgroup_limit_io_of(f->root, &before);
	assert_true(held(f, "acme/web", LIMIT_IO_READ) == LIMIT_UNSET);
}

static void test_refuses_without_a_disk(void **state)
{
	struct fixture *f = *state;
	struct block_device none = {.unknown = "the pool is on no disk"};

	if (!has_limits(f)) {
		refused(f, &f->web, LIMIT_IO_READ, RATE, "LIMIT_UNSUPPORTED", "kernel");
		return;
	}
	set(f, &f->web, LIMIT_IO_READ, 5 * RATE);
	cgroup_limit_io_of(f->root, &none);
	refused(f, &f->web, LIMIT_IO_READ, RATE, "LIMIT_UNSUPPORTED", "the pool is on no disk");
	/* Nor is what is there in the way of anything else. */
	set(f, &f->web, LIMIT_PIDS, 50);
}

/* /proc is on no disk; a directory of a tmpfs neither. */
static void test_tells_what_is_on_no_disk(void **state)
{
	_cleanup_close_ int fd = fd_open_dir_at(AT_FDCWD, "/proc/self");
	struct block_device disk = block_device_of(fd);

	(void)state;
	assert_non_null(disk.unknown);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_the_pool_is_on_a_disk),
		CASE(test_counts_a_disk_that_nobody_has_limited),
		CASE(test_applies_and_lifts),
		CASE(test_is_put_back),
		CASE(test_holds_reading),
		CASE(test_holds_requests),
		CASE(test_holds_writing),
		CASE(test_a_tenant_s_holds_all),
		CASE(test_who_waits_can_die),
		CASE(test_follows_the_pool),
		CASE(test_refuses_without_a_disk),
		CASE(test_tells_what_is_on_no_disk),
	};

	return cmocka_run_group_tests(tests, setup_pool, teardown_pool);
}
