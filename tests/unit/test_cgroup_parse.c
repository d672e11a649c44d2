/* The cgroup library's parsers: mountinfo, control files, names; against text and a fake tree. */
#include "tests/unit/unit.h"

#include "sandbox/cgroup_internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define V1(n, list)                                                                                \
	"3" n " 31 0:2" n " / /sys/fs/cgroup/" list " rw,relatime - cgroup cgroup rw," list "\n"
#define V1_ALL                                                                                     \
	V1("2", "cpu")                                                                             \
	V1("3", "cpuacct") V1("4", "cpuset") V1("5", "memory") V1("6", "devices") V1("7", "pids")
#define CGROUP2                                                                                    \
	"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 "              \
	"rw,nsdelegate\n"

static void test_detects_hybrid(void **state)
{
	struct cgroup_layout l;
	struct err err;

	(void)state;
	assert_int_equal(cgroup_detect("22 1 8:1 / / rw - ext4 /dev/sda rw\n" V1_ALL CGROUP2,
				 "/sys/fs/cgroup", &l, &err),
		0);
	assert_int_equal(l.kind, CGROUP_HYBRID);
	assert_string_equal(l.mount[0], "/sys/fs/cgroup/unified");
	assert_int_equal(l.n_mounts, 7);
	assert_int_equal(l.hierarchy[CGROUP_CORE], 0);
	assert_int_equal(l.hierarchy[CGROUP_SYSTEMD], -1);
	assert_string_equal(l.mount[l.hierarchy[CGROUP_PIDS]], "/sys/fs/cgroup/pids");
	assert_string_equal(l.mount[l.hierarchy[CGROUP_CPU]], "/sys/fs/cgroup/cpu");
	/* The one that a host need not have. */
	assert_int_equal(l.hierarchy[CGROUP_IO], -1);
	assert_int_equal(
		cgroup_detect(V1_ALL V1("9", "blkio") CGROUP2, "/sys/fs/cgroup", &l, &err), 0);
	assert_string_equal(l.mount[l.hierarchy[CGROUP_IO]], "/sys/fs/cgroup/blkio");
}

static void test_detects_shared_hierarchies(void **state)
{
	static const char text[] =
		"30 25 0:26 / /sys/fs/cgroup/systemd rw shared:9 - cgroup cgroup "
		"rw,xattr,name=systemd\n"
		"34 25 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:15 master:3 - cgroup cgroup "
		"rw,cpu,cpuacct\n" V1("4", "cpuset") V1("5", "memory") V1("6", "devices")
			V1("7", "pids") V1("8", "net_cls,net_prio")
		/* shown a second time, and something of another name before its place */
		"50 25 0:30 / /sys/fs/cgroup/again rw - cgroup cgroup rw,cpu,cpuacct\n"
		"51 25 0:77 / /sys/fs/cgroup/a\\040b rw - cgroup cgroup "
		"rw,xattr,name=systemd2\n" CGROUP2;
	struct cgroup_layout l;
	struct err err;

	(void)state;
	assert_int_equal(cgroup_detect(text, "/sys/fs/cgroup", &l, &err), 0);
	assert_int_equal(l.hierarchy[CGROUP_CPU], l.hierarchy[CGROUP_CPUACCT]);
	assert_string_equal(l.mount[l.hierarchy[CGROUP_CPU]], "/sys/fs/cgroup/cpu,cpuacct");
	assert_string_equal(l.mount[l.hierarchy[CGROUP_SYSTEMD]], "/sys/fs/cgroup/systemd");
	assert_int_equal(l.n_mounts, 7);
}

static void assert_lacks(const char *text, const char *sysfs, const char *what)
{
	struct cgroup_layout l = {.n_mounts = 99};
	struct err err = {0};

	assert_true(cgroup_detect(text, sysfs, &l, &err) < 0);
	assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
	assert_string_equal(err.reason, "CGROUP_UNSUPPORTED");
	assert_string_equal(err.subject, what);
	assert_int_equal(l.n_mounts, 99);
}

static void test_names_what_is_missing(void **state)
{
	(void)state;
	assert_lacks("", "/sys/fs/cgroup", "cgroup2");
	assert_lacks(V1_ALL, "/sys/fs/cgroup", "cgroup2");
	assert_lacks(V1_ALL CGROUP2, "/sys/fs/cgrou", "cgroup2");
	assert_lacks(V1_ALL CGROUP2, "/elsewhere", "cgroup2");
	assert_lacks(V1("2", "cpu") V1("3", "cpuacct") V1("4", "cpuset") V1("5", "memory")
			     V1("6", "devices") CGROUP2,
		"/sys/fs/cgroup", "pids");
	assert_lacks(V1("2", "cpu") CGROUP2, "/sys/fs/cgroup", "cpuacct");
}

static void test_skips_malformed_lines(void **state)
{
	struct cgroup_layout l;
	struct err err;

	(void)state;
	assert_int_equal(cgroup_detect("\n-\n1 2 3\n31 30 0:1 / /sys/fs/cgroup/x rw - cgroup\n"
				       "31 30 0:1 / /sys/fs/cgroup/x rw shared:1\n" V1_ALL CGROUP2,
				 "/sys/fs/cgroup", &l, &err),
		0);
}

static void put_at(int dir, const char *file, const char *text)
{
	int fd = openat(dir, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

struct fake {
	char path[64];
	int dir;
	struct cgroup_root root;
	struct err err;
};

static int setup(void **state)
{
	struct fake *f = calloc(1, sizeof(*f));

	*state = f;
	snprintf(f->path, sizeof(f->path), "/tmp/croft-test-parse-XXXXXX");
	if (!f || !mkdtemp(f->path))
		return -1;
	f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->root = (struct cgroup_root){.n_hierarchies = 1,
		.page_bytes = 4096,
		.device_prog_fd = -1,
		.has_swap = true,
		.has_cpu_quota = true};
	f->root.fd[0] = f->root.mount_fd[0] = f->dir;
	if (mkdirat(f->dir, "acme", 0700) < 0 || mkdirat(f->dir, "acme/web", 0700) < 0)
		return -1;
	return 0;
}

static int remove_files(int dir)
{
	_cleanup_closedir_ DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_CLOEXEC));
	const struct dirent *entry;

	while (d && (entry = readdir(d)))
		unlinkat(dir, entry->d_name, 0);
	return d ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const dirs[] = {"acme/web/payload", "acme/web", "acme", "."};
	struct fake *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_cleanup_close_ int dir = openat(f->dir, dirs[i], O_RDONLY | O_CLOEXEC);

		if (dir < 0)
			continue;
		remove_files(dir);
		unlinkat(f->dir, dirs[i], AT_REMOVEDIR);
	}
	rmdir(f->path);
	close(f->dir);
	free(f);
	return 0;
}

static void test_detects_unified(void **state)
{
	struct fake *f = *state;
	struct cgroup_layout l;
	char text[256];

	snprintf(text, sizeof(text), "29 23 0:25 /sub %s rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
		f->path);
	put_at(f->dir, "cgroup.controllers", "cpuset cpu io memory hugetlb pids\n");
	assert_int_equal(cgroup_detect(text, f->path, &l, &f->err), 0);
	assert_int_equal(l.kind, CGROUP_UNIFIED);
	assert_int_equal(l.n_mounts, 1);
	assert_int_equal(l.hierarchy[CGROUP_MEMORY], 0);
	assert_int_equal(l.hierarchy[CGROUP_SYSTEMD], -1);
	assert_string_equal(l.mount_root, "/sub");
	put_at(f->dir, "cgroup.controllers", "cpuset cpu io hugetlb pidss memory\n");
	assert_lacks(text, f->path, "pids");
	put_at(f->dir, "cgroup.controllers", "hugetlb\n"); /* a hybrid host without its v1 half */
	assert_lacks(text, f->path, "cpu");
}

static void test_lists_and_paths(void **state)
{
	char path[16];

	(void)state;
	assert_true(cgroup_list_has("cpu,cpuacct", ',', "cpu"));
	assert_true(cgroup_list_has("cpu,cpuacct", ',', "cpuacct"));
	assert_false(cgroup_list_has("cpuacct", ',', "cpu"));
	assert_false(cgroup_list_has("", ',', "cpu"));
	assert_int_equal(cgroup_parse_own_path("9:pids:/x\n0::/a/b\n", path, sizeof(path)), 0);
	assert_string_equal(path, "/a/b");
	assert_int_equal(cgroup_parse_own_path("9:pids:/x\n10::/y\n", path, sizeof(path)), -ENOENT);
	assert_int_equal(
		cgroup_parse_own_path("0::/0123456789abcdef\n", path, sizeof(path)), -ENAMETOOLONG);
}

static void test_values(void **state)
{
	static const char *const bad[] = {
		"", "-2", " 1", "1 ", "x", "maxi", "99999999999999999999"};
	uint64_t mask[LIMITS_CPU_WORDS];
	uint64_t value = 5;

	(void)state;
	assert_int_equal(cgroup_parse_value("67108864", &value), 0);
	assert_int_equal(value, 67108864);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(cgroup_parse_value(bad[i], &value), -EINVAL);
	assert_int_equal(value, 67108864);
	assert_int_equal(cgroup_parse_value("max", &value), 0);
	assert_true(value == LIMIT_UNSET);
	assert_int_equal(cgroup_parse_value("9223372036854771712", &value), 0);
	assert_true(value == LIMIT_UNSET);
	assert_int_equal(cgroup_parse_cpus("", mask), 0);
	assert_int_equal(mask[0], 0);
	assert_int_equal(cgroup_parse_cpus("0-1,3", mask), 0);
	assert_int_equal(mask[0], 11);
	assert_int_equal(cgroup_parse_cpus("3-1", mask), -EINVAL);
}

static void test_dirs(void **state)
{
	static const struct cgroup_id bad[] = {{"", "web"}, {"_croft", ""}, {"acme", "_other"},
		{"acme", "tasks"}, {"..", ""}, {"acme", "a/b"}, {"acme", "payload/"}};
	struct cgroup_id tenant = {"acme", ""};
	struct cgroup_id web = {"acme", "web"};
	struct cgroup_id leaf = {"acme", "_croft"};
	char dir[CGROUP_DIR_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(cgroup_dir_of(&bad[i], dir, NULL), -EINVAL);
	assert_int_equal(cgroup_dir_of(&tenant, dir, NULL), 0);
	assert_string_equal(dir, "acme");
	assert_int_equal(cgroup_leaf_of(&web, dir, NULL), 0);
	assert_string_equal(dir, "acme/web/payload");
	assert_int_equal(cgroup_leaf_of(&leaf, dir, NULL), 0);
	assert_string_equal(dir, "acme/_croft");
	assert_int_equal(cgroup_leaf_of(&tenant, dir, NULL), -EINVAL);
	memset(web.tenant, 'a', NAME_LEN_MAX);
	memset(web.container, 'b', NAME_LEN_MAX);
	assert_int_equal(cgroup_leaf_of(&web, dir, NULL), 0);
	assert_int_equal(strlen(dir), 2 * NAME_LEN_MAX + strlen("//payload"));
}

static void test_reads_v2_limits(void **state)
{
	struct fake *f = *state;
	struct limits l;
	int web = openat(f->dir, "acme/web", O_RDONLY | O_CLOEXEC);

	f->root.ops = &cgroup_unified_ops;
	put_at(web, "memory.max", "67108864\n");
	put_at(web, "memory.swap.max", "max\n");
	put_at(web, "pids.max", "50\n");
	put_at(web, "cpu.max", "25000 50000\n");
	put_at(web, "cpu.weight", "70\n");
	put_at(web, "cpuset.cpus", "\n");
	limits_init(&l);
	assert_int_equal(f->root.ops->read_limits(&f->root, "acme/web", LIMIT_BITS_ALL, &l), 0);
	assert_int_equal(l.value[LIMIT_MEMORY], 67108864);
	assert_true(l.value[LIMIT_SWAP] == LIMIT_UNSET);
	assert_int_equal(l.value[LIMIT_PIDS], 50);
	assert_int_equal(l.value[LIMIT_CPU], 500);
	assert_int_equal(l.value[LIMIT_CPU_WEIGHT], 70);
	assert_false(limits_has_core_mask(&l));
	put_at(web, "cpu.max", "25000\n");
	assert_true(f->root.ops->read_limits(&f->root, "acme/web", LIMIT_BITS_ALL, &l) < 0);
	close(web);
}

static void test_reads_v1_limits(void **state)
{
	struct fake *f = *state;
	struct limits l;
	int web = openat(f->dir, "acme/web", O_RDONLY | O_CLOEXEC);

	f->root.ops = &cgroup_hybrid_ops;
	put_at(web, "memory.limit_in_bytes", "67108864\n");
	put_at(web, "memory.memsw.limit_in_bytes", "71307264\n"); /* and 4 MiB, and a page */
	put_at(web, "pids.max", "max\n");
	put_at(web, "cpu.cfs_quota_us", "25000\n");
	put_at(web, "cpu.cfs_period_us", "100000\n");
	put_at(web, "cpu.shares", "717\n");
	put_at(web, "cpuset.cpus", "0-3\n");
	put_at(f->dir, "acme/cpuset.cpus", "0-3\n");
	limits_init(&l);
	assert_int_equal(f->root.ops->read_limits(&f->root, "acme/web", LIMIT_BITS_ALL, &l), 0);
	assert_int_equal(l.value[LIMIT_MEMORY], 67108864);
	assert_int_equal(l.value[LIMIT_SWAP], 4194304);
	assert_true(l.value[LIMIT_PIDS] == LIMIT_UNSET);
	assert_int_equal(l.value[LIMIT_CPU], 250);
	assert_int_equal(l.value[LIMIT_CPU_WEIGHT], 70);
	assert_false(limits_has_core_mask(&l)); /* as the tenant's: none of its own */
	put_at(web, "cpuset.cpus", "1\n");
	assert_int_equal(f->root.ops->read_limits(&f->root, "acme/web", LIMIT_BITS_ALL, &l), 0);
	assert_int_equal(l.core_mask[0], 2);
	close(web);
}

/* A file that keeps its end is a kernel that did not take the value. */
static void test_reads_back_what_it_writes(void **state)
{
	struct fake *f = *state;

	f->root.ops = &cgroup_unified_ops;
	put_at(f->dir, "acme/pids.max", "max\n");
	assert_int_equal(cgroup_write_limit(&f->root, CGROUP_PIDS, "acme", "pids.max", 500, "max",
				 LIMIT_PIDS, &f->err),
		0);
	put_at(f->dir, "acme/pids.max", "123456\n");
	assert_true(cgroup_write_limit(&f->root, CGROUP_PIDS, "acme", "pids.max", 500, "max",
			    LIMIT_PIDS, &f->err) < 0);
	assert_string_equal(f->err.reason, "LIMIT_NOT_APPLIED");
	assert_string_equal(f->err.subject, "pids");
	assert_non_null(strstr(f->err.msg, "500456"));
}

/* Lines of other disks are not the pool's; and a disk that is not known has none. */
static void test_reads_io_limits_of_one_disk(void **state)
{
	struct fake *f = *state;
	struct limits l;
	int web;

	put_at(f->dir, "acme/io.max",
		"7:1 rbps=1048576 wbps=max riops=max wiops=max\n"
		"7:10 rbps=3145728 wbps=max riops=max wiops=500\n");
	f->root.has_io_limit = true;
	f->root.disk = (struct block_device){.major = 7, .minor = 10};
	limits_init(&l);
	assert_int_equal(cgroup_unified_read_io(&f->root, "acme", &l), 0);
	assert_true(l.value[LIMIT_IO_READ] == 3145728);
	assert_true(l.value[LIMIT_IO_WRITE] == LIMIT_UNSET);
	assert_true(l.value[LIMIT_IO_READ_OPS] == LIMIT_UNSET);
	assert_true(l.value[LIMIT_IO_WRITE_OPS] == 500);
	web = openat(f->dir, "acme/web", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(web, "payload", 0700), 0);
	put_at(web, "payload/blkio.throttle.read_bps_device", "7:1 1048576\n7:10 2097152\n");
	put_at(web, "payload/blkio.throttle.read_iops_device", "");
	limits_init(&l);
	assert_int_equal(cgroup_hybrid_read_io(&f->root, "acme/web", &l), 0);
	assert_true(l.value[LIMIT_IO_READ] == 2097152);
	assert_true(l.value[LIMIT_IO_READ_OPS] == LIMIT_UNSET);
	f->root.disk.unknown = "it is on none";
	assert_int_equal(cgroup_hybrid_read_io(&f->root, "acme/web", &l), 0);
	assert_true(l.value[LIMIT_IO_READ] == LIMIT_UNSET);
	close(web);
}

static void test_refuses_what_the_kernel_lacks(void **state)
{
	struct fake *f = *state;
	struct cgroup_id id = {"acme", ""};
	struct limits l;

	limits_init(&l);
	f->root.ops = &cgroup_unified_ops;
	f->root.has_swap = f->root.has_cpu_quota = false;
	put_at(f->dir, "acme/memory.max", "max\n");
	put_at(f->dir, "acme/pids.max", "max\n");
	put_at(f->dir, "acme/cpu.weight", "100\n");
	put_at(f->dir, "acme/cpuset.cpus", "\n");
	l.value[LIMIT_SWAP] = 4096;
	assert_int_equal(cgroup_set_limits(&f->root, &id, &l, false, false, &f->err), -EOPNOTSUPP);
	assert_string_equal(f->err.reason, "LIMIT_UNSUPPORTED");
	assert_string_equal(f->err.subject, "swap");
	l.value[LIMIT_SWAP] = 0;
	l.value[LIMIT_CPU] = 500;
	assert_int_equal(cgroup_set_limits(&f->root, &id, &l, false, false, &f->err), -EOPNOTSUPP);
	assert_string_equal(f->err.subject, "cpu");
	l.value[LIMIT_PIDS] = 1; /* below what the table allows */
	assert_int_equal(cgroup_set_limits(&f->root, &id, &l, false, false, &f->err), -EINVAL);
	assert_string_equal(f->err.reason, "LIMIT_INVALID");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_detects_hybrid),
		cmocka_unit_test(test_detects_shared_hierarchies),
		cmocka_unit_test(test_names_what_is_missing),
		cmocka_unit_test(test_skips_malformed_lines),
		cmocka_unit_test_setup_teardown(test_detects_unified, setup, teardown),
		cmocka_unit_test(test_lists_and_paths),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_dirs),
		cmocka_unit_test_setup_teardown(test_reads_v2_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reads_v1_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reads_back_what_it_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reads_io_limits_of_one_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_refuses_what_the_kernel_lacks, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
