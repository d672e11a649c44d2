/*
 * Stands in for croft-importer in test_image_import.c: says what it can still do, where the real
 * one would unpack. The number of entries picks the question; the answer is the final report's
 * message, "" when all is as it should be.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sanitizer.h"
#include "sandbox/image_import.h"
#include "sandbox/importer/importer.h"
#include "sandbox/importer/jail.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static struct image_report report;
static const char noise[100] = "\xff\xff\xff\xff";

__attribute__((format(printf, 1, 2))) static void complain(const char *fmt, ...)
{
	size_t n = strlen(report.err.msg);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(report.err.msg + n, sizeof(report.err.msg) - n, fmt, ap);
	va_end(ap);
	strncat(report.err.msg, "; ", sizeof(report.err.msg) - strlen(report.err.msg) - 1);
	report.err.code = ERR_INTERNAL;
}

#define expect(condition)                                                                          \
	do {                                                                                       \
		if (!(condition))                                                                  \
			complain("%s (errno %d)", #condition, errno);                              \
	} while (0)

static void check_descriptors(void)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (fd > IMPORTER_TREE_FD && fd != dirfd(dir))
			complain("descriptor %d is open", fd);
	}
}

/* As it is started, before it shuts itself in. */
static void check_start(void)
{
	char text[256];
	struct stat st;

	expect(getpid() == 1);
	expect(getuid() == 0 && geteuid() == 0 && getgid() == 0 && getegid() == 0);
	expect(getgroups(0, NULL) == 0);
	expect(syscall(SYS_keyctl, 0, -3, 0) >= 0); /* a session keyring of its own */
	expect(fstat(IMPORTER_TREE_FD, &st) == 0 && st.st_uid == 0);
	/* The host's root is somebody else's. */
	expect(stat("/", &st) == 0 && st.st_uid == 65534);
	expect(fd_read_text_at(AT_FDCWD, "/proc/net/route", text, sizeof(text)) >= 0 &&
		!strchr(text, '\n'));
	expect(prctl(PR_GET_PDEATHSIG, text) == 0 && *(int *)text == 9);
	check_descriptors();
}

static void check_filter(void)
{
	expect(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == ENOSYS);
	expect(fork() < 0);
	expect(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
	expect(unshare(CLONE_NEWUSER) < 0 && errno == ENOSYS);
	expect(mount("none", "/", "tmpfs", 0, NULL) < 0 && errno == ENOSYS);
	expect(chroot("/") < 0 && errno == ENOSYS);
	expect(ioctl(0, 0) < 0 && errno == ENOSYS);
	expect(syscall(SYS_keyctl, 0, -3, 0) < 0 && errno == ENOSYS);
	expect(execl("/x", "x", NULL) < 0 && errno == ENOSYS);
	expect(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			MAP_FAILED &&
		errno == EPERM);
	expect(fcntl(0, F_SETFL, O_NONBLOCK) < 0 && errno == EPERM);
	expect(mknod("/null", S_IFCHR | 0666, 0x103) < 0 && errno == EPERM);
}

/* Once it has. */
static void check_jail(void)
{
	struct err err = {0};
	struct stat st;
	int fd;

	if (jail_enter(IMPORTER_TREE_FD, JAIL_IMPORTER, &err) < 0) {
		complain("jail: %s", err.msg);
		return;
	}
	expect(open("/etc/passwd", O_RDONLY) < 0 && errno == ENOENT);
	expect(open("/proc/self/status", O_RDONLY) < 0 && errno == ENOENT);
	expect(open("../../../../etc/passwd", O_RDONLY) < 0 && errno == ENOENT);
	expect(stat("/", &st) == 0 && st.st_uid == 0);
	/* Sanitizers make calls of their own, so that there is no filter with them. */
	if (!SANITIZED)
		check_filter();
	/* The control: what unpacking needs works. */
	expect(mkfifoat(AT_FDCWD, "/fifo", 0600) == 0);
	fd = open("/file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	expect(fd >= 0 && fchown(fd, 1000, 65535) == 0 && fchmod(fd, 06755) == 0);
	expect(fstat(fd, &st) == 0 && st.st_uid == 1000 && (st.st_mode & 07777) == 06755);
	expect(fchown(fd, 65536, 0) < 0 && errno == EINVAL);
}

/* A report that lies. */
static void lie(void)
{
	memset(report.init_path, 'x', sizeof(report.init_path));
	report.init = 77;
}

int main(int argc, char **argv)
{
	/* Started in any other way, it must not pass for one that found nothing wrong. */
	int question = argc == 8 ? atoi(argv[2]) : 4;

	report.final = 1;
	if (question == 1)
		check_start();
	else if (question == 2)
		check_jail();
	else if (question == 3)
		lie();
	else if (question == 4)
		_exit(3);
	else if (question == 5)
		fd_send(IMPORTER_REPORT_FD, "short", 5, NULL, 0);
	else if (question >= 6)
		report.config_size = 100;
	fd_send(IMPORTER_REPORT_FD, &report, sizeof(report), NULL, 0);
	/* Of an application: too little, or nonsense. */
	if (question >= 6)
		fd_send(IMPORTER_REPORT_FD, noise, question == 6 ? 5 : 100, NULL, 0);
	_exit(0);
}
