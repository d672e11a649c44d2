/*
 * Builds the busybox image; see busybox.h. Uses nothing but one file of this host, runs it only to
 * list its applets, and takes from that list nothing but plain names below bin and sbin.
 */
#include "cli/busybox.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/tar.h"

#include <elf.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BUSYBOX_IN_TAR "bin/busybox" /* where BUSYBOX_PATH is, from the root */
#define BINARY_MAX     (64u << 20)
#define APPLETS_MAX    65536u

static const struct {
	const char *path;
	mode_t mode;
} directories[] = {
	{"bin", 0755},
	{"dev", 0755},
	{"etc", 0755},
	{"etc/init.d", 0755},
	{"home", 0755},
	{"mnt", 0755},
	{"opt", 0755},
	{"proc", 0555},
	{"root", 0700},
	{"run", 0755},
	{"sbin", 0755},
	{"srv", 0755},
	{"sys", 0555},
	{"tmp", 01777},
	{"usr", 0755},
	{"usr/bin", 0755},
	{"usr/sbin", 0755},
	{"var", 0755},
	{"var/cache", 0755},
	{"var/lib", 0755},
	{"var/log", 0755},
	{"var/spool", 0755},
	{"var/tmp", 01777},
};

static const struct {
	const char *path;
	mode_t mode;
	const char *text;
} files[] = {
	{"etc/group", 0644,
		"root:x:0:\n"
		"daemon:x:1:\n"
		"tty:x:5:\n"
		"utmp:x:43:\n"
		"nogroup:x:65534:\n"},
	{"etc/hostname", 0644, "busybox\n"},
	{"etc/hosts", 0644,
		"127.0.0.1\tlocalhost\n"
		"::1\tlocalhost\n"},
	{"etc/init.d/rcK", 0755,
		"#!/bin/sh\n"
		"# Stops the services in /etc/init.d/S*, the last first.\n"
		"for script in $(ls -r /etc/init.d/S* 2>/dev/null); do\n"
		"\t[ -x \"$script\" ] && \"$script\" stop\n"
		"done\n"
		"exit 0\n"},
	{"etc/init.d/rcS", 0755,
		"#!/bin/sh\n"
		"# Starts the services in /etc/init.d/S*, in order.\n"
		"for script in /etc/init.d/S*; do\n"
		"\t[ -x \"$script\" ] && \"$script\" start\n"
		"done\n"
		"exit 0\n"},
	/* No getty: nobody sits before a container; a shell comes by exec. */
	{"etc/inittab", 0644,
		"::sysinit:/etc/init.d/rcS\n"
		"::ctrlaltdel:/sbin/reboot\n"
		"::shutdown:/etc/init.d/rcK\n"},
	{"etc/nsswitch.conf", 0644,
		"passwd: files\n"
		"group: files\n"
		"shadow: files\n"
		"hosts: files dns\n"},
	{"etc/os-release", 0644,
		"ID=busybox\n"
		"NAME=BusyBox\n"
		"PRETTY_NAME=\"BusyBox (Croft image)\"\n"},
	{"etc/passwd", 0644,
		"root:x:0:0:root:/root:/bin/sh\n"
		"daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
		"nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"},
	{"etc/profile", 0644,
		"export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
		"PS1='\\u@\\h:\\w\\$ '\n"
		"umask 022\n"},
	/* "*" is no password's hash: nobody can log in by one. */
	{"etc/shadow", 0600,
		"root:*:19000:0:99999:7:::\n"
		"daemon:*:19000:0:99999:7:::\n"
		"nobody:*:19000:0:99999:7:::\n"},
	{"etc/shells", 0644,
		"/bin/sh\n"
		"/bin/ash\n"},
};

static bool has_interpreter(const uint8_t *p, size_t size, uint64_t offset, size_t entry, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t type; /* p_type is the first member in both classes */
		uint64_t at = offset + i * entry;

		if (entry < sizeof(type) || at > size - sizeof(type) || at < offset)
			return true;
		memcpy(&type, p + at, sizeof(type));
		if (type == PT_INTERP)
			return true;
	}
	return false;
}

bool busybox_is_static(const void *binary, size_t size)
{
	const uint8_t *p = binary;
	Elf64_Ehdr e64;
	Elf32_Ehdr e32;

	if (size < sizeof(e64) || memcmp(p, ELFMAG, SELFMAG) != 0)
		return false;
	if (p[EI_CLASS] == ELFCLASS64) {
		memcpy(&e64, p, sizeof(e64));
		return !has_interpreter(p, size, e64.e_phoff, e64.e_phentsize, e64.e_phnum);
	}
	memcpy(&e32, p, sizeof(e32));
	return !has_interpreter(p, size, e32.e_phoff, e32.e_phentsize, e32.e_phnum);
}

/* "bin/ls", "usr/sbin/arping": in a directory that the image has, and a name without tricks. */
static bool is_applet_path(const char *path, size_t len)
{
	static const char *const parents[] = {"bin/", "sbin/", "usr/bin/", "usr/sbin/"};

	for (size_t i = 0; i < ARRAY_SIZE(parents); i++) {
		size_t n = strlen(parents[i]);
		const char *name = path + n;

		if (len <= n || len >= TAR_PATH_MAX || memcmp(path, parents[i], n) != 0)
			continue;
		if (memchr(name, '/', len - n) || name[0] == '.')
			return false;
		return len != strlen(BUSYBOX_IN_TAR) || memcmp(path, BUSYBOX_IN_TAR, len) != 0;
	}
	return false;
}

static size_t add_applets(struct tar *tar, const char *applets)
{
	size_t n = 0;

	while (*applets) {
		size_t len = strcspn(applets, "\n");
		char path[TAR_PATH_MAX];

		if (is_applet_path(applets, len)) {
			memcpy(path, applets, len);
			path[len] = '\0';
			tar_add_symlink(tar, path, BUSYBOX_PATH);
			n++;
		}
		applets += len + (applets[len] == '\n');
	}
	return n;
}

int busybox_write_tar(const void *binary, size_t size, const char *applets, int64_t mtime,
	struct buffer *ret_tar, struct err *err)
{
	struct tar tar = {.mtime = mtime};
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
		tar_add_directory(&tar, directories[i].path, directories[i].mode);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		tar_add_file(
			&tar, files[i].path, files[i].mode, files[i].text, strlen(files[i].text));
	tar_add_file(&tar, BUSYBOX_IN_TAR, 0755, binary, size);
	n = add_applets(&tar, applets);
	if (tar_end(&tar) < 0) {
		buffer_finish(&tar.out);
		return err_sys(err, tar.error, "write the archive");
	}
	if (!n) {
		buffer_finish(&tar.out);
		return err_set(err, ERR_FAILED_PRECONDITION, "BUSYBOX_UNUSABLE",
			"this busybox lists no applets; install Debian's busybox-static");
	}
	*ret_tar = tar.out;
	return 0;
}

/* Runs "busybox --list-full". The text is the caller's to free. */
static int list_applets(const char *path, char **ret_text, struct err *err)
{
	char *const argv[] = {(char *)"busybox", (char *)"--list-full", NULL};
	char *const envp[] = {NULL};
	_cleanup_free_ char *text = calloc(1, APPLETS_MAX + 1);
	_cleanup_close_ int read_end = -1;
	_cleanup_close_ int write_end = -1;
	posix_spawn_file_actions_t actions;
	int fds[2];
	int status;
	ssize_t n;
	pid_t pid;
	int r;

	if (!text)
		return err_oom(err);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make a pipe");
	read_end = fds[0];
	write_end = fds[1];
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, write_end, STDOUT_FILENO);
	r = posix_spawn(&pid, path, &actions, NULL, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	if (r)
		return err_sys(err, r, "run %s", path);
	close_fd(&write_end);
	n = fd_read_full(read_end, text, APPLETS_MAX);
	close_fd(&read_end);
	if (waitpid(pid, &status, 0) != pid || status != 0 || n < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, "BUSYBOX_UNUSABLE",
			"%s cannot list its applets (--list-full); install Debian's "
			"busybox-static",
			path);
	*ret_text = take_ptr(text);
	return 0;
}

static int read_binary(const char *path, struct buffer *ret, int64_t *ret_mtime, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buffer b = {0};
	struct stat st;
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "BUSYBOX_MISSING",
			"there is no %s; install Debian's busybox-static", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "open %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > BINARY_MAX)
		return err_set(err, ERR_FAILED_PRECONDITION, "BUSYBOX_UNUSABLE",
			"%s is not a program of at most 64 MiB", path);
	if (!buffer_reserve(&b, (size_t)st.st_size))
		return err_oom(err);
	n = fd_read_full(fd, b.data, (size_t)st.st_size);
	if (n < 0) {
		buffer_finish(&b);
		return err_sys(err, (int)n, "read %s", path);
	}
	b.end = (size_t)n;
	*ret = b;
	*ret_mtime = st.st_mtim.tv_sec;
	return 0;
}

int busybox_build(const char *path, struct buffer *ret_tar, struct err *err)
{
	_cleanup_free_ char *applets = NULL;
	struct buffer binary = {0};
	int64_t mtime = 0;
	int r = read_binary(path, &binary, &mtime, err);

	if (r == 0 && !busybox_is_static(buffer_bytes(&binary), buffer_size(&binary)))
		r = err_set(err, ERR_FAILED_PRECONDITION, "BUSYBOX_UNUSABLE",
			"%s needs libraries, and the image has none; install Debian's "
			"busybox-static",
			path);
	if (r == 0)
		r = list_applets(path, &applets, err);
	if (r == 0)
		r = busybox_write_tar(
			buffer_bytes(&binary), buffer_size(&binary), applets, mtime, ret_tar, err);
	buffer_finish(&binary);
	return r;
}
