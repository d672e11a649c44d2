/* cli/doctor.h: hosts of several kinds, as directories that stand for /. */
#include "cli/doctor.h"

#include "base/fd.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FINDINGS_MAX 64

struct host {
	char dir[32];
	struct doctor doctor;
	struct finding found[FINDINGS_MAX];
	size_t n;
};

static void note(void *data, const struct finding *f)
{
	struct host *host = data;

	assert_true(host->n < FINDINGS_MAX);
	/* Whoever is told of a fault is told what to do, and nobody else. */
	assert_int_equal(f->level != DOCTOR_OK, f->advice[0] != '\0');
	assert_true(f->found[0] != '\0');
	host->found[host->n++] = *f;
}

static void put(struct host *host, const char *path, const char *text)
{
	char copy[128];
	FILE *f;
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *p = strchr(copy, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdirat(host->doctor.root_fd, copy, 0755);
		*p = '/';
	}
	fd = openat(host->doctor.root_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	f = fdopen(fd, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static const struct finding *find(const struct host *host, const char *check)
{
	for (size_t i = 0; i < host->n; i++)
		if (!strcmp(host->found[i].check, check))
			return &host->found[i];
	return NULL;
}

static void expect(
	const struct host *host, const char *check, enum doctor_level level, const char *found)
{
	const struct finding *f = find(host, check);

	assert_non_null(f);
	assert_int_equal(f->level, level);
	assert_string_equal(f->found, found);
}

static int make_host(void **state)
{
	struct host *host = calloc(1, sizeof(*host));

	if (!host)
		return -1;
	snprintf(host->dir, sizeof(host->dir), "/tmp/croft-doctor-XXXXXX");
	if (!mkdtemp(host->dir))
		return -1;
	host->doctor = (struct doctor){
		open(host->dir, O_PATH | O_DIRECTORY | O_CLOEXEC), note, host};
	*state = host;
	return 0;
}

static int drop_host(void **state)
{
	struct host *host = *state;
	char command[64];

	close(host->doctor.root_fd);
	snprintf(command, sizeof(command), "rm -rf %s", host->dir);
	free(host);
	return system(command);
}

static void an_empty_host_cannot_run_containers(void **state)
{
	struct host *host = *state;

	doctor_kernel(&host->doctor);
	expect(host, "cgroups", DOCTOR_FAIL, "hybrid (v1), without cpu, memory, pids");
	expect(host, "user namespaces", DOCTOR_FAIL, "this kernel has none");
	expect(host, "overlay", DOCTOR_FAIL, "this kernel has none");
	expect(host, "disk quotas", DOCTOR_WARN, "no btrfs in this kernel");
	expect(host, "lxcfs", DOCTOR_WARN,
		"not there: /proc/meminfo in containers shows the host's figures");
}

static void a_unified_host(void **state)
{
	struct host *host = *state;

	put(host, "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids\n");
	put(host, "proc/filesystems", "nodev\tproc\nnodev\toverlay\n\tbtrfs\n");
	put(host, "usr/sbin/mkfs.btrfs", "");
	put(host, "dev/loop-control", "");
	put(host, "dev/fuse", "");
	put(host, "usr/bin/lxcfs", "");
	put(host, "proc/self/ns/user", "");
	put(host, "proc/sys/user/max_user_namespaces", "100\n");
	doctor_kernel(&host->doctor);
	expect(host, "cgroups", DOCTOR_OK, "unified (v2)");
	expect(host, "overlay", DOCTOR_OK, "there");
	expect(host, "disk quotas", DOCTOR_OK, "btrfs on a loop device");
	expect(host, "lxcfs", DOCTOR_OK, "there");
	expect(host, "user namespaces", DOCTOR_OK, "there");
	assert_null(find(host, "cgroup2 beside v1"));
}

static void controllers_are_words(void **state)
{
	struct host *host = *state;

	/* cpuset is no cpu. */
	put(host, "sys/fs/cgroup/cgroup.controllers", "cpuset io memory pids\n");
	put(host, "proc/self/ns/user", "");
	put(host, "proc/sys/user/max_user_namespaces", "1\n");
	doctor_kernel(&host->doctor);
	expect(host, "cgroups", DOCTOR_FAIL, "unified (v2), without cpu");
	expect(host, "user namespaces", DOCTOR_FAIL, "at most 1");
}

static void a_hybrid_host(void **state)
{
	struct host *host = *state;

	put(host, "sys/fs/cgroup/cpu/tasks", "");
	put(host, "sys/fs/cgroup/memory/tasks", "");
	put(host, "sys/fs/cgroup/pids/tasks", "");
	put(host, "dev/fuse", "");
	put(host, "usr/bin/lxcfs", "");
	doctor_kernel(&host->doctor);
	expect(host, "cgroups", DOCTOR_WARN, "hybrid (v1), without cpuset");
	expect(host, "lxcfs", DOCTOR_OK, "there");
	expect(host, "cgroup2 beside v1", DOCTOR_WARN, "not mounted");
}

static void settings_have_bounds(void **state)
{
	struct host *host = *state;

	put(host, "proc/sys/dev/tty/legacy_tiocsti", "1\n");
	put(host, "proc/sys/kernel/dmesg_restrict", "1\n");
	put(host, "proc/sys/kernel/pid_max", "32768\n");
	put(host, "proc/sys/net/bridge/bridge-nf-call-iptables", "1\n");
	doctor_settings(&host->doctor);
	expect(host, "dev.tty.legacy_tiocsti", DOCTOR_WARN, "1");
	expect(host, "kernel.dmesg_restrict", DOCTOR_OK, "1");
	expect(host, "kernel.pid_max", DOCTOR_WARN, "32768");
	/* What a kernel lacks cannot be misused; what every kernel has should be readable. */
	expect(host, "kernel.io_uring_disabled", DOCTOR_OK, "not there");
	expect(host, "kernel.kptr_restrict", DOCTOR_WARN, "not there");
	assert_int_equal(find(host, "br_netfilter")->level, DOCTOR_WARN);
	host->n = 0;
	put(host, "proc/sys/dev/tty/legacy_tiocsti", "0\n");
	put(host, "proc/sys/kernel/pid_max", "4194304\n");
	put(host, "proc/sys/net/bridge/bridge-nf-call-iptables", "0\n");
	doctor_settings(&host->doctor);
	expect(host, "dev.tty.legacy_tiocsti", DOCTOR_OK, "0");
	expect(host, "kernel.pid_max", DOCTOR_OK, "4194304");
	assert_int_equal(find(host, "br_netfilter")->level, DOCTOR_OK);
}

static void space_is_that_of_the_nearest_directory(void **state)
{
	struct host *host = *state;
	const struct finding *f;

	doctor_resources(&host->doctor, "/var/lib/not/yet");
	f = find(host, "space");
	assert_non_null(f);
	assert_non_null(strstr(f->found, " free for /var/lib/not/yet"));
	assert_non_null(find(host, "clock"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			an_empty_host_cannot_run_containers, make_host, drop_host),
		cmocka_unit_test_setup_teardown(a_unified_host, make_host, drop_host),
		cmocka_unit_test_setup_teardown(controllers_are_words, make_host, drop_host),
		cmocka_unit_test_setup_teardown(a_hybrid_host, make_host, drop_host),
		cmocka_unit_test_setup_teardown(settings_have_bounds, make_host, drop_host),
		cmocka_unit_test_setup_teardown(
			space_is_that_of_the_nearest_directory, make_host, drop_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
