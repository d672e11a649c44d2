/*
 * Launching croft-importer; see image_import.h. Makes its namespaces, maps its ids, hands it the
 * target as an id-mapped mount, and watches it. Must never parse the archive, nor believe a report
 * without checking it: what unpacks it may have been taken over by it.
 */
#include "sandbox/image_import.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "sandbox/idrange.h"
#include "sandbox/image_config.h"
#include "sandbox/importer/importer.h"
#include "sandbox/syscalls.h"

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SECONDS_DEFAULT 60u
#define SECONDS_MAX	86400u
#define CONFIG_WAIT_MS	10000
#define SPARE_FD	16 /* above every descriptor number that is fixed */

struct child {
	pid_t pid;
	int pidfd;
	int report_fd; /* our end */
};

struct child_args {
	int importer_fd;
	int archive_fd;
	int report_fd; /* its end */
	const struct image_limits *limits;
	const char *init;
	const char *reference;
};

static int place_fd(int fd, int number)
{
	return dup2(fd, number) == number ? 0 : -errno;
}

/* Gives the descriptors their numbers; they may lie in each other's place at first. */
static int arrange_fds(const struct child_args *args, int tree_fd, int *ret_importer)
{
	int archive = fcntl(args->archive_fd, F_DUPFD_CLOEXEC, SPARE_FD);
	int report = fcntl(args->report_fd, F_DUPFD_CLOEXEC, SPARE_FD);
	int tree = fcntl(tree_fd, F_DUPFD_CLOEXEC, SPARE_FD);
	int importer = fcntl(args->importer_fd, F_DUPFD_CLOEXEC, SPARE_FD);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int r;

	if (archive < 0 || report < 0 || tree < 0 || importer < 0 || null < 0)
		return -errno;
	null = fcntl(null, F_DUPFD_CLOEXEC, SPARE_FD);
	r = place_fd(archive, IMPORTER_ARCHIVE_FD);
	if (r == 0)
		r = place_fd(null, 1);
	if (r == 0)
		r = place_fd(null, 2);
	if (r == 0)
		r = place_fd(report, IMPORTER_REPORT_FD);
	if (r == 0)
		r = place_fd(tree, IMPORTER_TREE_FD);
	if (r < 0)
		return r;
	if (close_range(IMPORTER_TREE_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return -errno;
	*ret_importer = importer;
	return 0;
}

/* Waits for the mount: by then the parent has written the id maps. */
static int receive_tree(int report_fd, int *ret_fd)
{
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	char c;
	ssize_t n = fd_recv(report_fd, &c, 1, fds, &n_fds);

	if (n < 0)
		return (int)n;
	if (n_fds != 1)
		return -EPIPE;
	*ret_fd = fds[0];
	return 0;
}

static int become_root(struct err *err)
{
	sigset_t none;
	int r;

	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(err, errno, "become root of the importer's user namespace");
	/* After the change of ids, which clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_sys(err, errno, "ask to end with the supervisor");
	r = sys_join_session_keyring();
	if (r < 0 && r != -ENOSYS)
		return err_sys(err, r, "leave the supervisor's keyring");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

static int exec_importer(const struct child_args *args, struct err *err)
{
	char bytes[24];
	char entries[24];
	const char *argv[] = {"croft-importer", bytes, entries, args->init, args->reference, NULL};
	const char *envp[] = {NULL};
	int importer = -1;
	int tree = -1;
	int r;

	snprintf(bytes, sizeof(bytes), "%" PRIu64, args->limits->bytes);
	snprintf(entries, sizeof(entries), "%" PRIu64, args->limits->entries);
	r = receive_tree(args->report_fd, &tree);
	if (r < 0)
		return err_sys(err, r, "receive the image's directory");
	r = become_root(err);
	if (r < 0)
		return r;
	r = arrange_fds(args, tree, &importer);
	if (r < 0)
		return err_sys(err, r, "arrange the importer's descriptors");
	execveat(importer, "", (char *const *)argv, (char *const *)envp, AT_EMPTY_PATH);
	return err_sys(err, errno, "start the importer");
}

__attribute__((noreturn)) static void run_child(const struct child_args *args)
{
	struct image_report report = {.final = 1};

	exec_importer(args, &report.err);
	/* The number that arrange_fds() gives it, if it got so far, or its first one. */
	if (fd_send(args->report_fd, &report, sizeof(report), NULL, 0) < 0)
		fd_send(IMPORTER_REPORT_FD, &report, sizeof(report), NULL, 0);
	_exit(1);
}

static int write_maps(pid_t pid, uid_t base, struct err *err)
{
	static const char *const files[] = {"uid_map", "gid_map"};
	char path[48];
	char line[64];

	snprintf(line, sizeof(line), "0 %u %u", base, IDRANGE_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int r;

		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, files[i]);
		r = fd_write_text_at(AT_FDCWD, path, line);
		if (r < 0)
			return err_sys(err, r, "map the importer's ids");
	}
	return 0;
}

/* The target as a mount on which the child's ids 0 to 65535 are 0 to 65535 on disk. */
static int map_target(pid_t pid, int target_fd, int *ret_fd, struct err *err)
{
	_cleanup_close_ int userns = -1;
	_cleanup_close_ int fd = -1;
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			    MOUNT_ATTR_NOEXEC,
	};
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	userns = open(path, O_RDONLY | O_CLOEXEC);
	if (userns < 0)
		return err_sys(err, errno, "open the importer's user namespace");
	fd = open_tree(target_fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "clone the image's directory as a mount");
	attr.userns_fd = (uint64_t)userns;
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_sys(err, errno, "map the ids of the image's directory");
	*ret_fd = take_fd(&fd);
	return 0;
}

static void end_child(struct child *child, siginfo_t *ret_info)
{
	siginfo_t info = {0};

	if (child->pidfd < 0)
		return;
	syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
	while (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED) < 0 && errno == EINTR)
		;
	close_fd(&child->pidfd);
	close_fd(&child->report_fd);
	if (ret_info)
		*ret_info = info;
}

static void cleanup_child(struct child *child)
{
	end_child(child, NULL);
}

static int start(const struct image_import *import, const struct image_limits *limits,
	struct child *ret, struct err *err)
{
	_cleanup_close_ int ours = -1;
	_cleanup_close_ int theirs = -1;
	int sockets[2];
	int pidfd = -1;
	struct clone_args clone = {
		.flags = CLONE_PIDFD | CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID |
			 CLONE_NEWIPC | CLONE_NEWUTS,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return err_sys(err, errno, "make the importer's report socket");
	ours = sockets[0];
	theirs = sockets[1];
	pid = sys_clone3(&clone);
	if (pid == 0) {
		const struct child_args args = {
			.importer_fd = import->importer_fd,
			.archive_fd = import->archive_fd,
			.report_fd = theirs,
			.limits = limits,
			.init = import->init,
			.reference = import->reference,
		};

		close(ours);
		run_child(&args);
	}
	if (pid < 0)
		return err_sys(err, pid, "start the importer's process");
	*ret = (struct child){.pid = pid, .pidfd = pidfd, .report_fd = take_fd(&ours)};
	return 0;
}

static int release(const struct child *child, int target_fd, uid_t id_base, struct err *err)
{
	_cleanup_close_ int tree = -1;
	char c = 0;
	int r;

	r = write_maps(child->pid, id_base, err);
	if (r == 0)
		r = map_target(child->pid, target_fd, &tree, err);
	if (r < 0)
		return r;
	r = fd_send(child->report_fd, &c, 1, &tree, 1);
	return r < 0 ? err_sys(err, r, "hand the image's directory to the importer") : 0;
}

/* Makes a peer's report safe to use. Returns 0 or -EBADMSG. */
static int check_report(struct image_report *report)
{
	size_t length = strnlen(report->init_path, sizeof(report->init_path));

	if (report->final > 1 || report->init > IMAGE_INIT_SYSV ||
		report->config_size > IMAGE_CONFIG_BYTES_MAX ||
		length == sizeof(report->init_path) || (length && report->init_path[0] != '/'))
		return -EBADMSG;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)report->init_path[i] < ' ' || report->init_path[i] == 0x7f)
			return -EBADMSG;
	memset(report->init_path + length, 0, sizeof(report->init_path) - length);
	if (report->err.code != ERR_OK)
		err_sanitize(&report->err);
	return 0;
}

static int receive_report(const struct child *child, struct image_report *ret)
{
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t n = fd_recv(child->report_fd, ret, sizeof(*ret), fds, &n_fds);

	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (n < 0)
		return (int)n;
	if (n == 0)
		return -EPIPE;
	return (size_t)n == sizeof(*ret) ? check_report(ret) : -EBADMSG;
}

static int explain_death(struct child *child, struct err *err)
{
	siginfo_t info = {0};

	/* Its end of the socket is closed: it has ended, or is about to. */
	end_child(child, &info);
	return err_set(err, ERR_INTERNAL, "IMPORTER_DIED",
		"the importer ended before the image was complete (%s %d); if the host was short "
		"of memory, try again later",
		info.si_code == CLD_EXITED ? "status" : "signal", info.si_status);
}

static int stalled(const struct image_limits *limits, struct err *err)
{
	return err_set(err, ERR_DEADLINE_EXCEEDED, "IMPORT_STALLED",
		"nothing of the archive was unpacked for %u seconds; send it without pauses, or "
		"check that it is a proper archive",
		limits->seconds);
}

/* Reads reports until the final one. */
static int watch(struct child *child, const struct image_import *import,
	const struct image_limits *limits, struct image_report *ret, struct err *err)
{
	uint64_t timeout_usec = limits->seconds * 1000000ull;
	uint64_t last = clock_boot_usec();
	struct image_report report = {0};
	uint64_t done = 0;

	for (;;) {
		struct pollfd p = {.fd = child->report_fd, .events = POLLIN};
		uint64_t idle = clock_boot_usec() - last;
		int n;
		int r;

		if (idle >= timeout_usec)
			return stalled(limits, err);
		n = poll(&p, 1, (int)((timeout_usec - idle) / 1000 + 1));
		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "wait for the importer");
		if (n <= 0)
			continue;
		r = receive_report(child, &report);
		if (r == -EPIPE || r == -ECONNRESET)
			return explain_death(child, err);
		if (r < 0)
			return err_sys(err, r, "read the importer's report");
		if (report.final) {
			*ret = report;
			return 0;
		}
		if (report.bytes + report.entries != done)
			last = clock_boot_usec();
		done = report.bytes + report.entries;
		if (import->progress)
			import->progress(&report, import->arg);
	}
}

/*
 * The config that follows the final report, checked: an importer that was taken over may send
 * anything, or nothing.
 */
static int receive_config(struct child *child, size_t size, int *ret_fd, struct err *err)
{
	_cleanup_free_ uint8_t *data = malloc(IMAGE_CONFIG_BYTES_MAX);
	struct pollfd p = {.fd = child->report_fd, .events = POLLIN};
	struct image_config *config = NULL;
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t n;
	int r;

	if (!data)
		return err_oom(err);
	n = poll(&p, 1, CONFIG_WAIT_MS) == 1
		    ? fd_recv(child->report_fd, data, IMAGE_CONFIG_BYTES_MAX, fds, &n_fds)
		    : -ETIMEDOUT;
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (n != (ssize_t)size)
		return err_sys(err, n < 0 ? (int)n : EBADMSG, "read the image's config");
	r = image_config_parse(data, size, &config, err);
	if (r < 0)
		return r;
	image_config_free(config);
	r = fd_sealed_memfd("croft-image-config", data, size);
	if (r < 0)
		return err_sys(err, r, "keep the image's config");
	*ret_fd = r;
	return 0;
}

int image_import_run(const struct image_import *import, struct image_report *ret, int *ret_config,
	struct err *err)
{
	_cleanup_(cleanup_child) struct child child = {.pidfd = -1, .report_fd = -1};
	struct image_limits bounded = import->limits;
	struct image_report report = {0};
	_cleanup_close_ int config = -1;
	int r;

	if (bounded.seconds == 0)
		bounded.seconds = SECONDS_DEFAULT;
	if (bounded.seconds > SECONDS_MAX)
		bounded.seconds = SECONDS_MAX;
	r = start(import, &bounded, &child, err);
	if (r == 0)
		r = release(&child, import->target_fd, import->id_base, err);
	if (r == 0)
		r = watch(&child, import, &bounded, &report, err);
	if (r < 0)
		return r;
	if (report.err.code != ERR_OK) {
		if (err)
			*err = report.err;
		return err_code_to_errno((enum err_code)report.err.code);
	}
	r = report.config_size ? receive_config(&child, report.config_size, &config, err) : 0;
	if (r < 0)
		return r;
	*ret = report;
	*ret_config = take_fd(&config);
	return 0;
}
