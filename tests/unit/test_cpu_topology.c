/* server/cpu_topology.h: what is online, and on which package, as sysfs tells, and without it. */
#include "server/cpu_topology.h"

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const uint64_t eight[LIMITS_CPU_WORDS] = {0xff};

struct sysfs {
	char dir[64];
};

static void put(const struct sysfs *sysfs, const char *path, const char *text)
{
	_cleanup_close_ int dir = open(sysfs->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_fclose_ FILE *f = NULL;

	f = fdopen(openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), "w");
	assert_non_null(f);
	fputs(text, f);
}

static void put_cpu(const struct sysfs *sysfs, unsigned cpu, const char *package)
{
	_cleanup_close_ int dir = open(sysfs->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char path[64];

	snprintf(path, sizeof(path), "cpu%u", cpu);
	mkdirat(dir, path, 0755);
	snprintf(path, sizeof(path), "cpu%u/topology", cpu);
	mkdirat(dir, path, 0755);
	snprintf(path, sizeof(path), "cpu%u/topology/physical_package_id", cpu);
	put(sysfs, path, package);
}

static int make_sysfs(void **state)
{
	struct sysfs *sysfs = calloc(1, sizeof(*sysfs));

	snprintf(sysfs->dir, sizeof(sysfs->dir), "/tmp/croft-test-cpus-XXXXXX");
	if (!mkdtemp(sysfs->dir))
		return -1;
	*state = sysfs;
	return 0;
}

static int drop_sysfs(void **state)
{
	struct sysfs *sysfs = *state;
	char command[128];
	int r;

	snprintf(command, sizeof(command), "rm -r %s", sysfs->dir);
	r = system(command);
	free(sysfs);
	return r;
}

static void reads_what_is_online_and_where(void **state)
{
	const struct sysfs *sysfs = *state;
	struct cpu_topology t = {0};

	put(sysfs, "online", "0-5,9\n");
	for (unsigned cpu = 0; cpu < 6; cpu++)
		put_cpu(sysfs, cpu, cpu < 3 ? "0\n" : "36\n");
	cpu_topology_look(&t, sysfs->dir, eight);
	/* Those of Croft's alone. */
	assert_int_equal(t.usable[0], 0x3f);
	assert_int_equal(t.package[2], 0);
	assert_int_equal(t.package[3], 36);
	/* One that comes is used, and one that goes is not. */
	put(sysfs, "online", "1-6\n");
	put_cpu(sysfs, 6, "36\n");
	cpu_topology_look(&t, sysfs->dir, eight);
	assert_int_equal(t.usable[0], 0x7e);
	assert_int_equal(t.package[6], 36);
}

static void without_sysfs_all_are_usable(void **state)
{
	const struct sysfs *sysfs = *state;
	static const char *const texts[] = {"", "\n", "0-", "all\n"};
	struct cpu_topology t = {0};

	cpu_topology_look(&t, "/nowhere/at/all", eight);
	assert_memory_equal(t.usable, eight, sizeof(eight));
	cpu_topology_look(&t, sysfs->dir, eight);
	assert_memory_equal(t.usable, eight, sizeof(eight));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		put(sysfs, "online", texts[i]);
		cpu_topology_look(&t, sysfs->dir, eight);
		assert_memory_equal(t.usable, eight, sizeof(eight));
	}
	assert_int_equal(t.package[0], 0);
}

/* The host's own: whatever it has, the one that this runs on is online. */
static void reads_this_host(void **state)
{
	uint64_t all[LIMITS_CPU_WORDS];
	struct cpu_topology t = {0};

	(void)state;
	memset(all, 0xff, sizeof(all));
	cpu_topology_look(&t, CPU_TOPOLOGY_DIR, all);
	assert_true(limits_count_cores(t.usable) > 0);
	assert_true(limits_count_cores(t.usable) <= LIMITS_CPUS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			reads_what_is_online_and_where, make_sysfs, drop_sysfs),
		cmocka_unit_test_setup_teardown(
			without_sysfs_all_are_usable, make_sysfs, drop_sysfs),
		cmocka_unit_test(reads_this_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
