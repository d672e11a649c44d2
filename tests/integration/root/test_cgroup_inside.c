/*
 * What a container sees of its cgroups: built as the supervisor does it, in a user namespace of its
 * own (here the tenant is root of that very one, so that only cgroups' own guards are tested). And
 * the cgroup that systemd delegates.
 */
#include "tests/integration/root/cgroup_fixture.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define OUTER_UID 1000000

static int setup(void **state)
{
	return fixture_setup(state, "croft-test-inside");
}

struct inside {
	struct fixture *f;
	int map_fd[2]; /* the child asks for its maps, and goes on when they are written */
	int go_fd[2];
	int (*fn)(struct fixture *f);
	char target[32];
};

static void say(const char *what)
{
	fprintf(stderr, "# inside: %s: %s\n", what, strerror(errno));
}

static int do_inside(void *arg)
{
	struct inside *in = arg;
	struct err err = {0};
	char byte = 0;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP) < 0 ||
		write(in->map_fd[1], &byte, 1) != 1 || read(in->go_fd[0], &byte, 1) != 1 ||
		setgid(0) < 0 || setuid(0) < 0) {
		say("namespaces");
		return 100;
	}
	if (cgroup_mount_inside(cgroup_root_kind(in->f->root), in->target, &err) < 0) {
		fprintf(stderr, "# inside: %s\n", err.msg);
		return 101;
	}
	if (chdir(in->target) < 0)
		return 102;
	return in->fn(in->f);
}

static void write_map(pid_t pid, const char *file)
{
	char path[64];
	char text[64];
	int n = snprintf(text, sizeof(text), "0 %d 65536\n", OUTER_UID);
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, (size_t)n), n);
	close(fd);
}

static int run_inside(struct fixture *f, bool nesting, int (*fn)(struct fixture *f))
{
	struct inside in = {.f = f, .fn = fn, .target = "/tmp/croft-test-view-XXXXXX"};
	char byte = 0;
	int status;
	pid_t pid;

	assert_non_null(mkdtemp(in.target));
	assert_int_equal(pipe2(in.map_fd, O_CLOEXEC), 0);
	assert_int_equal(pipe2(in.go_fd, O_CLOEXEC), 0);
	assert_ok(f, cgroup_delegate(f->root, &f->web, OUTER_UID, OUTER_UID, nesting, &f->err));
	pid = spawn_in(f, &f->web, do_inside, &in);
	assert_true(pid > 0);
	close(in.map_fd[1]);
	if (read(in.map_fd[0], &byte, 1) == 1) {
		write_map(pid, "uid_map");
		write_map(pid, "gid_map");
		assert_int_equal(write(in.go_fd[1], &byte, 1), 1);
	}
	status = wait_last(f);
	rmdir(in.target);
	close(in.map_fd[0]);
	close(in.go_fd[0]);
	close(in.go_fd[1]);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Of each hierarchy in use, the container is the root. */
static int do_check_paths(struct fixture *f)
{
	char text[4096];
	char *save = NULL;

	if (fd_read_text_at(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text)) < 0)
		return 1;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!strstr(line, ":/") || strcmp(strstr(line, ":/"), ":/") != 0)
			return 2;
	/* And no other directory of the host can be seen. */
	if (access("acme", F_OK) == 0 || access("memory/acme", F_OK) == 0 ||
		access("systemd/acme", F_OK) == 0 || access("freezer", F_OK) == 0 ||
		access("payload", F_OK) == 0 || access("memory/payload", F_OK) == 0)
		return 3;
	if (is_v2(f))
		return access("cgroup.procs", F_OK) == 0 ? 0 : 4;
	return access("memory/tasks", F_OK) == 0 && access("unified/cgroup.events", F_OK) == 0 &&
			       access("unified/acme", F_OK) < 0 &&
			       access("unified/payload", F_OK) < 0
		       ? 0
		       : 5;
}

static void test_sees_itself_as_the_root(void **state)
{
	assert_int_equal(run_inside(*state, false, do_check_paths), 0);
}

static bool is_locked_down(const char *path, unsigned long extra)
{
	unsigned long want = ST_NOSUID | ST_NODEV | ST_NOEXEC | extra;
	struct statvfs fs;

	return statvfs(path, &fs) == 0 && (fs.f_flag & want) == want;
}

static bool write_fails(const char *path, const char *text)
{
	int r = fd_write_text_at(AT_FDCWD, path, text);

	if (r == 0)
		fprintf(stderr, "# inside: %s could be written\n", path);
	return r == -EROFS || r == -EACCES || r == -EPERM || r == -ENOENT;
}

static int do_attack_v1(void)
{
	static const char *const dirs[] = {
		".", "cpu", "cpuacct", "cpuset", "memory", "pids", "devices"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		char sub[64];

		snprintf(sub, sizeof(sub), "%s/sub", dirs[i]);
		if (!is_locked_down(dirs[i], ST_RDONLY) || mkdir(sub, 0755) == 0)
			return 1;
	}
	if (!write_fails("memory/memory.limit_in_bytes", "-1") ||
		!write_fails("memory/memory.swappiness", "100") ||
		!write_fails("pids/pids.max", "max") ||
		!write_fails("cpu/cpu.cfs_quota_us", "-1") ||
		!write_fails("cpu/cpu.shares", "262144") ||
		!write_fails("cpuset/cpuset.cpus", "0") ||
		!write_fails("devices/devices.allow", "a") || !write_fails("memory/tasks", "0") ||
		!write_fails("memory/notify_on_release", "1") ||
		!write_fails("memory/cgroup.event_control", "0 0") ||
		!write_fails("memory/release_agent", "/bin/sh"))
		return 2;
	/* Nor by mounting it once more. */
	if (mount(NULL, "memory", NULL, MS_REMOUNT, NULL) == 0 &&
		!write_fails("memory/memory.limit_in_bytes", "-1"))
		return 3;
	if (mount("x", "memory", "cgroup", 0, "memory") == 0 &&
		!write_fails("memory/memory.limit_in_bytes", "-1"))
		return 4;
	if (access("systemd", F_OK) < 0)
		return 0;
	if (!is_locked_down("systemd", 0) || mkdir("systemd/init.scope", 0755) < 0 ||
		fd_write_text_at(AT_FDCWD, "systemd/init.scope/cgroup.procs", "0") < 0)
		return 5;
	return write_fails("systemd/release_agent", "/bin/sh") ? 0 : 6;
}

static int do_attack_v2(void)
{
	if (!is_locked_down(".", 0))
		return 11;
	if (!write_fails("memory.max", "max") || !write_fails("pids.max", "max") ||
		!write_fails("cpu.max", "max") || !write_fails("cgroup.max.descendants", "max") ||
		!write_fails("cgroup.max.depth", "max") || !write_fails("cgroup.freeze", "0") ||
		!write_fails("cgroup.subtree_control", "+memory"))
		return 12;
	/* Nor by making them its own, or by the directory, which is. */
	if (chmod("cpu.max", 0666) == 0 || chown("memory.max", 0, 0) == 0 ||
		chmod("cgroup.subtree_control", 0666) == 0 || unlink("memory.max") == 0 ||
		rename("memory.max", "memory.low") == 0)
		return 13;
	/* Its own tree is its own, without controllers. */
	if (mkdir("init.scope", 0755) < 0 ||
		fd_write_text_at(AT_FDCWD, "init.scope/cgroup.procs", "0") < 0)
		return 14;
	if (!write_fails("init.scope/memory.max", "max"))
		return 15;
	/* Nor with controllers for threads. */
	if (fd_write_text_at(AT_FDCWD, "cgroup.procs", "0") < 0 || rmdir("init.scope") < 0 ||
		mkdir("threads", 0755) < 0 ||
		fd_write_text_at(AT_FDCWD, "threads/cgroup.type", "threaded") < 0)
		return 16;
	return write_fails("cgroup.subtree_control", "+cpu") &&
			       write_fails("threads/cpu.max", "max")
		       ? 0
		       : 17;
}

/* The control of the above: what is refused there the kernel would do. */
static int do_divide(struct fixture *f)
{
	/* v1 has none there to divide. */
	if (!is_v2(f))
		return chdir("unified") == 0 && write_fails("cgroup.subtree_control", "+memory")
			       ? 0
			       : 20;
	if (mkdir("init.scope", 0755) < 0 ||
		fd_write_text_at(AT_FDCWD, "init.scope/cgroup.procs", "0") < 0)
		return 1;
	if (fd_write_text_at(AT_FDCWD, "cgroup.subtree_control", "+memory +cpu +pids") < 0)
		return 2;
	if (fd_write_text_at(AT_FDCWD, "init.scope/memory.max", "max") < 0 ||
		fd_write_text_at(AT_FDCWD, "init.scope/cpu.max", "20000 100000") < 0 ||
		fd_write_text_at(AT_FDCWD, "init.scope/pids.max", "7") < 0)
		return 3;
	return write_fails("memory.max", "max") && write_fails("cpu.max", "max") &&
			       write_fails("pids.max", "max")
		       ? 0
		       : 4;
}

static void test_control_with_nesting_it_divides(void **state)
{
	struct fixture *f = *state;

	f->limits.value[LIMIT_PIDS] = 30;
	assert_ok(f, cgroup_set_limits(f->root, &f->web, &f->limits, false, false, &f->err));
	assert_int_equal(run_inside(f, true, do_divide), 0);
	assert_string_equal(read_file(f, CGROUP_PIDS, &f->web, "pids.max"), "30");
}

static int do_attack(struct fixture *f)
{
	int r = is_v2(f) ? 0 : do_attack_v1();

	/* Beside v1 the cgroup2 tree is the container's in the same way. */
	if (r == 0 && !is_v2(f) && chdir("unified") < 0)
		return 20;
	return r ? r : do_attack_v2();
}

static void test_cannot_change_its_limits(void **state)
{
	struct fixture *f = *state;

	f->limits.value[LIMIT_MEMORY] = 64 * MIB;
	f->limits.value[LIMIT_PIDS] = 30;
	f->limits.value[LIMIT_CPU] = 500;
	assert_ok(f, cgroup_set_limits(f->root, &f->web, &f->limits, false, false, &f->err));
	assert_int_equal(run_inside(f, false, do_attack), 0);
	assert_string_equal(read_file(f, CGROUP_PIDS, &f->web, "pids.max"), "30");
	assert_string_equal(read_file(f, CGROUP_MEMORY, &f->web,
				    is_v2(f) ? "memory.max" : "memory.limit_in_bytes"),
		"67108864");
	/* Its tree goes with the container. */
	assert_ok(f, cgroup_wait_empty(f->root, &f->web, WAIT_MS, &f->err));
	assert_ok(f, cgroup_remove(f->root, &f->web, &f->err));
}

/* Stands where systemd would have started it: in a cgroup of its own below the top. */
static int do_use_delegated(void)
{
	struct cgroup_id tenant = {"acme", ""};
	struct cgroup_id web = {"acme", "web"};
	struct cgroup_root *root;
	struct limits limits;
	struct err err = {0};
	char text[4096];
	char path[4096];

	limits_init(&limits);
	limits.value[LIMIT_MEMORY] = 64 * MIB;
	for (int i = 0; i < 2; i++) { /* and once more, as after a restart */
		if (cgroup_root_open(SYSFS, "", &root, &err) < 0 ||
			cgroup_make(root, &tenant, &err) < 0 || cgroup_make(root, &web, &err) < 0 ||
			cgroup_set_limits(root, &web, &limits, false, false, &err) < 0 ||
			cgroup_remove(root, &web, &err) < 0 ||
			cgroup_remove(root, &tenant, &err) < 0 ||
			cgroup_root_remove(root, &err) < 0) {
			fprintf(stderr, "# delegated: %s\n", err.msg);
			return 1;
		}
		cgroup_root_close(root);
	}
	if (fd_read_text_at(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text)) < 0 ||
		cgroup_parse_own_path(text, path, sizeof(path)) < 0)
		return 2;
	return strcmp(path, "/croft-test-own/" CGROUP_SELF) != 0;
}

static void test_uses_a_delegated_cgroup(void **state)
{
	struct fixture *f = *state;
	struct cgroup_root *root;
	int top = f->root->mount_fd[0];
	char text[32];
	int status;
	pid_t pid;

	if (!is_v2(f)) {
		assert_refused(
			f, cgroup_root_open(SYSFS, "", &root, &f->err), "CGROUP_UNSUPPORTED", "");
		return;
	}
	assert_int_equal(mkdirat(top, "croft-test-own", 0755), 0);
	pid = fork();
	if (pid == 0) {
		snprintf(text, sizeof(text), "%d", getpid());
		if (fd_write_text_at(top, "croft-test-own/cgroup.procs", text) < 0)
			_exit(100);
		_exit(do_use_delegated());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(cgroup_tree_remove(top, "croft-test-own"), 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_sees_itself_as_the_root, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			test_cannot_change_its_limits, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			test_control_with_nesting_it_divides, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			test_uses_a_delegated_cgroup, setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
