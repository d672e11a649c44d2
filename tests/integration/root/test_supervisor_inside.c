/* What a tenant sees and can do: asked from inside, as the container's root and as its user. */
#include "tests/integration/root/supervisor_harness.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#define FOREVER "exec sleep 100000"

/* "/bin/probe call NR ..." answers "RETURN ERRNO". */
#define CALL(nr, args)	CALL_(nr, args)
#define CALL_(nr, args) "/bin/probe call " #nr " " args
#define DEV_ZERO_COPY	"0x105" /* makedev(1, 5) */
#define DISK		"0x800" /* makedev(8, 0) */

/* The same for both users, unless `user` says otherwise. */
static const struct {
	const char *what;
	const char *script;
	const char *root; /* whole output as root; NULL: not asked */
	const char *user; /* NULL: as root's */
} asked[] = {
	/* The masks cannot be lifted: they are locked together. */
	{"umount /proc/sys", CALL(__NR_umount2, "s:/proc/sys 0"), "-1 EINVAL\n", "-1 EPERM\n"},
	{"umount a mask", CALL(__NR_umount2, "s:/proc/interrupts 0"), "-1 EINVAL\n", "-1 EPERM\n"},
	{"umount /proc", CALL(__NR_umount2, "s:/proc 0"), "-1 EINVAL\n", "-1 EPERM\n"},
	{"umount /dev", CALL(__NR_umount2, "s:/dev 2"), "-1 EINVAL\n", "-1 EPERM\n"},
	{"fresh procfs", CALL(__NR_mount, "s:proc s:/tmp s:proc 0 0"), "-1 EPERM\n", NULL},
	{"fresh sysfs", CALL(__NR_mount, "s:sys s:/tmp s:sysfs 0 0"), "-1 EPERM\n", NULL},
	{"/proc/sys writable", CALL(__NR_mount, "s:x s:/proc/sys s: 0x1020 0"), "-1 EPERM\n", NULL},
	{"a disk's file system", CALL(__NR_mount, "s:/dev/null s:/tmp s:ext4 0 0"), "-1 EPERM\n",
		NULL},
	/* No device but those that are there. */
	{"mknod of a disk", CALL(__NR_mknod, "s:/tmp/disk 0x61b0 " DISK), "-1 EPERM\n", NULL},
	{"mknod of /dev/zero", CALL(__NR_mknod, "s:/tmp/zero 0x21b6 " DEV_ZERO_COPY), "-1 EPERM\n",
		NULL},
	/* Namespaces: no further user namespace, and no way to allow one. */
	{"unshare a user namespace", CALL(__NR_unshare, "0x10000000"), "-1 ENOSPC\n", NULL},
	{"raise the limit", "echo 100 > /proc/sys/user/max_user_namespaces; echo $?",
		"sh: can't create /proc/sys/user/max_user_namespaces: Read-only file system\n1\n",
		NULL},
	{"setns to the host's", CALL(__NR_setns, "0 0"), "-1 EINVAL\n", NULL},
	/* The host's kernel. */
	{"init_module", CALL(__NR_init_module, "0 0 s:"), "-1 EPERM\n", NULL},
	{"kexec_load", CALL(__NR_kexec_load, "0 0 0 0"), "-1 EPERM\n", NULL},
	{"settimeofday", CALL(__NR_settimeofday, "b:16 0"), "-1 EPERM\n", NULL},
	{"swapon", CALL(__NR_swapon, "s:/tmp/x 0"), "-1 EPERM\n", NULL},
	{"iopl", CALL(__NR_iopl, "3"), "-1 EPERM\n", NULL},
	{"bpf", CALL(__NR_bpf, "0 b:72 72"), "-1 EPERM\n", NULL},
	{"perf_event_open", CALL(__NR_perf_event_open, "b:128 0 -1 -1 0"), "-1 EPERM\n", NULL},
	{"the kernel's log", "cat /proc/kmsg", "", NULL},
	{"the kernel's symbols", "cat /proc/kallsyms", "", NULL},
	{"the host's interrupts", "cat /proc/interrupts", "", NULL},
	{"sysrq", "(echo h > /proc/sysrq-trigger) 2> /dev/null; echo $?", "1\n", NULL},
	{"core_pattern", "echo x > /proc/sys/kernel/core_pattern; echo $?",
		"sh: can't create /proc/sys/kernel/core_pattern: Read-only file system\n1\n", NULL},
	/* Who one is. */
	{"ids", "id -u; id -g", "0\n0\n", "1000\n1000\n"},
	{"other processes", "ls -d /proc/[0-9]* | wc -l | tr -d ' ' | sed 's/^[2-9]$/few/'",
		"few\n", NULL},
	{"pid 1", "tr '\\0' ' ' < /proc/1/cmdline", "sleep 100000 ", NULL},
	{"host name", "hostname", "web\n", NULL},
	{"no new network", "ls /sys/class/net", "lo\n", NULL},
	{"no_new_privs is the tenant's", "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t0\n",
		NULL},
	{"a filter is on", "grep Seccomp: /proc/self/status", "Seccomp:\t2\n", NULL},
	{"groups", "grep Groups: /proc/self/status", "Groups:\t \n", "Groups:\t2000 \n"},
};

static void ask(struct sup *s, size_t i, const char *user, const char *wanted)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)asked[i].script, NULL};

	exec_as(s, "web", user, argv);
	if (strcmp(s->output, wanted) != 0)
		print_error("%s as %s: \"%s\" instead of \"%s\"\n", asked[i].what, user, s->output,
			wanted);
}

static void the_kernel_answers_as_it_should(void **state)
{
	struct sup *s = sup_begin(state);
	int wrong = 0;

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		const char *user = asked[i].user ? asked[i].user : asked[i].root;

		ask(s, i, "root", asked[i].root);
		wrong += strcmp(s->output, asked[i].root) != 0;
		ask(s, i, "user", user);
		wrong += strcmp(s->output, user) != 0;
	}
	assert_int_equal(wrong, 0);
	/* The control: what a tenant's root may do, it can. */
	assert_int_equal(exec_sh(s, "web", "mount -t tmpfs none /tmp && umount /tmp"), 0);
	assert_int_equal(exec_sh(s, "web", "hostname other && hostname web"), 0);
	assert_int_equal(exec_sh(s, "web", "chown 5:6 /etc/group && chmod 4755 /bin/probe"), 0);
	sup_discard(s, "web");
	sup_shutdown(s);
}

static uint64_t capabilities(struct sup *s, const char *user, const char *set)
{
	char script[64];
	char *argv[] = {(char *)"sh", (char *)"-c", script, NULL};
	unsigned long long value = 0;

	snprintf(script, sizeof(script), "grep %s: /proc/self/status", set);
	assert_int_equal(exec_as(s, "web", user, argv), 0);
	assert_int_equal(sscanf(strchr(s->output, ':'), ":\t%llx", &value), 1);
	return value;
}

/* A second list, so that one added to the product's is noticed. */
static const int allowed[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,
	CAP_FSETID, CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP, CAP_NET_BIND_SERVICE,
	CAP_NET_BROADCAST, CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK, CAP_IPC_OWNER, CAP_SYS_CHROOT,
	CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_SYS_BOOT, CAP_SYS_NICE, CAP_SYS_RESOURCE,
	CAP_SYS_TTY_CONFIG, CAP_MKNOD, CAP_LEASE, CAP_SETFCAP};

static void capabilities_are_those_of_the_list(void **state)
{
	static const char *const users[] = {"root", "user"};
	struct sup *s = sup_begin(state);
	uint64_t mask = 0;

	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		mask |= UINT64_C(1) << allowed[i];
	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		uint64_t held = i == 0 ? mask : 0;

		assert_int_equal(capabilities(s, users[i], "CapBnd"), mask);
		assert_int_equal(capabilities(s, users[i], "CapPrm"), held);
		assert_int_equal(capabilities(s, users[i], "CapEff"), held);
		assert_int_equal(capabilities(s, users[i], "CapInh"), 0);
		assert_int_equal(capabilities(s, users[i], "CapAmb"), 0);
	}
	/* And of init. */
	assert_int_equal(exec_sh(s, "web", "grep CapBnd: /proc/1/status"), 0);
	assert_int_equal(strtoull(strchr(s->output, ':') + 2, NULL, 16), mask);
	sup_discard(s, "web");
	sup_shutdown(s);
}

static void no_descriptor_of_the_host_leaks(void **state)
{
	static const char *const users[] = {"root", "user"};
	char *fds[] = {(char *)"/bin/probe", (char *)"fds", NULL};
	struct sup *s = sup_begin(state);

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	assert_int_equal(exec_sh(s, "web", "cd /proc/1/fd; echo *"), 0);
	assert_string_equal(s->output, "0 1 2\n");
	assert_int_equal(exec_sh(s, "web", "readlink /proc/1/fd/0"), 0);
	assert_string_equal(s->output, "/dev/null\n");
	/* Reopening it works, as programs that log to /dev/stdout want. */
	assert_int_equal(exec_sh(s, "web", "echo more > /proc/1/fd/1"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		assert_int_equal(exec_as(s, "web", users[i], fds), 0);
		for (const char *line = s->output; *line;) {
			assert_in_range(strtoul(line, NULL, 10), 0, 3);
			line = strchr(line, '\n') + 1;
		}
	}
	sup_discard(s, "web");
	sup_shutdown(s);
}

static void nothing_names_the_host(void **state)
{
	static const char *const scripts[] = {
		"cat /proc/self/mounts /proc/1/mounts /proc/self/mountinfo /proc/1/mountinfo",
		"ls -l /proc/1/fd /proc/self/fd; readlink /proc/1/cwd /proc/1/root /proc/1/exe",
		"cat /proc/self/cgroup /proc/1/cgroup; ls /sys/fs/cgroup /sys/fs/cgroup/*",
		"cat /proc/1/environ /proc/1/cmdline /proc/self/environ | tr '\\0' '\\n'",
		"cat /proc/1/maps /proc/self/maps",
	};
	struct sup *s = sup_begin(state);
	const char *forbidden[] = {s->dir, strrchr(s->dir, '/') + 1, s->parent, "state/pool",
		"fifos", "supervisor", TENANT "."};
	int wrong = 0;

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		exec_sh(s, "web", scripts[i]);
		assert_true(strlen(s->output) > 16);
		for (size_t k = 0; k < ARRAY_SIZE(forbidden); k++) {
			const char *at = strstr(s->output, forbidden[k]);

			if (!at)
				continue;
			wrong++;
			print_error("%s: shows \"%.120s\"\n", scripts[i], at);
		}
	}
	assert_int_equal(wrong, 0);
	sup_discard(s, "web");
	sup_shutdown(s);
}

/* Two containers of one tenant are strangers to each other. */
static void containers_do_not_see_each_other(void **state)
{
	struct sup *s = sup_begin(state);
	struct msg_started web;
	struct msg_started db;
	char script[64];

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", "echo secret > /secret; " FOREVER, &web));
	assert_done(s, sup_run(s, "db", FOREVER, &db));
	assert_int_not_equal(web.id_base, db.id_base);
	assert_int_equal(exec_sh(s, "db", "test -e /secret"), 1);
	assert_int_equal(exec_sh(s, "db", "ps | grep -c 'sleep 10000[0]'"), 0);
	assert_string_equal(s->output, "1\n");
	snprintf(script, sizeof(script), "kill -0 %d", web.pid);
	assert_int_equal(exec_sh(s, "db", script), 1);
	/* The image is the same for both, and neither writes to it. */
	assert_int_equal(exec_sh(s, "web", "echo x > /bin/not-executable; rm /bin/ls"), 0);
	assert_int_equal(exec_sh(s, "db", "ls /bin/ls; cat /bin/not-executable"), 0);
	assert_string_equal(s->output, "/bin/ls\ndata\n");
	sup_discard(s, "web");
	sup_discard(s, "db");
	sup_shutdown(s);
}

#define with_supervisor(t) cmocka_unit_test_setup_teardown(t, supervisor_setup, supervisor_teardown)

/* Starts "db" with that as its data for cloud-init; seed_fd is closed. */
static int start_seeded(struct sup *s, int seed_fd)
{
	char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)FOREVER, NULL};
	struct spawn_args args = {.argv = argv, .envp = argv + 3, .user = "", .working_dir = ""};
	struct msg_container_start msg = sup_start_msg(s, "db");
	int fds[2] = {-1, seed_fd};
	int r;

	msg.create = 1;
	assert_done(s, spawn_args_pack(&args, &fds[0], &s->err));
	r = sup_call(s, MSG_CONTAINER_START, &msg, fds, 2);
	close(fds[0]);
	close(fds[1]);
	return r;
}

static void data_for_cloud_init_are_whole_or_none(void **state)
{
	static const struct cloud_seed seed = {.files = {{"hello", 5}, {"", 0}, {"", 0}}};
	static const uint32_t cut[CLOUD_SEED_N] = {5};
	struct sup *s = sup_begin(state);
	int fd = -1;

	assert_done(s, sup_tenant_set(s));
	assert_true(start_seeded(s, open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0);
	assert_true(start_seeded(s, memfd_create("unsealed", MFD_CLOEXEC)) < 0);
	assert_true(start_seeded(s, fd_sealed_memfd("cut", cut, sizeof(cut))) < 0);
	assert_int_equal(sup_ranges_held(s), 0);
	assert_int_equal(sup_count_files(s, "state/pool/tenants/" TENANT), 0);
	/* Control: a sound one is there. */
	assert_done(s, cloud_seed_pack(&seed, &fd, &s->err));
	assert_done(s, start_seeded(s, fd));
	assert_int_equal(exec_sh(s, "db", "grep -qx hello " CLOUD_SEED_PATH "/user-data"), 0);
	sup_discard(s, "db");
	sup_shutdown(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_supervisor(the_kernel_answers_as_it_should),
		with_supervisor(capabilities_are_those_of_the_list),
		with_supervisor(no_descriptor_of_the_host_leaks),
		with_supervisor(nothing_names_the_host),
		with_supervisor(containers_do_not_see_each_other),
		with_supervisor(data_for_cloud_init_are_whole_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
