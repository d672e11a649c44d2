/*
 * Descriptor helpers; see fd.h. Every descriptor made here is close-on-exec at birth, and nothing
 * here allocates, so a forked child may use it.
 */
#include "base/fd.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define SEAL_TRIES 20

ssize_t fd_read_full(int fd, void *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, (char *)buf + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int fd_write_full(int fd, const void *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(fd, (const char *)buf + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

ssize_t fd_pread_text(int fd, char *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, buf + done, size - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	if (done == size)
		return -EFBIG;
	if (done && buf[done - 1] == '\n')
		done--;
	buf[done] = '\0';
	return (ssize_t)done;
}

ssize_t fd_read_text_at(int dirfd, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd_pread_text(fd, buf, size);
}

int fd_write_text_at(int dirfd, const char *path, const char *text)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int fd_read_u64_at(int dirfd, const char *path, uint64_t *ret)
{
	char text[64];
	char *end;
	ssize_t n = fd_read_text_at(dirfd, path, text, sizeof(text));
	unsigned long long value;

	if (n < 0)
		return (int)n;
	if (!strcmp(text, "max")) {
		*ret = UINT64_MAX;
		return 0;
	}
	/* strtoull() itself takes leading space and signs. */
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end)
		return -EINVAL;
	*ret = value;
	return 0;
}

int fd_write_u64_at(int dirfd, const char *path, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return fd_write_text_at(dirfd, path, text);
}

int fd_open_dir_at(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int write_new_file(int dirfd, const char *name, const void *data, size_t size, bool sync)
{
	_cleanup_close_ int fd = openat(
		dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = fd_write_full(fd, data, size);
	if (r < 0)
		return r;
	return sync && fdatasync(fd) < 0 ? -errno : 0;
}

int fd_replace_file_at(int dirfd, const char *name, const void *data, size_t size, bool sync)
{
	char temporary[NAME_MAX];
	int r;

	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.new", name) >= sizeof(temporary))
		return -ENAMETOOLONG;
	r = write_new_file(dirfd, temporary, data, size, sync);
	if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dirfd, temporary, 0);
		return r;
	}
	if (sync) {
		_cleanup_close_ int dir = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (dir < 0 || fsync(dir) < 0)
			return -errno;
	}
	return 0;
}

int fd_send(int sock, const void *data, size_t size, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)data, .iov_len = size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (n_fds > FD_PASS_MAX)
		return -E2BIG;
	if (n_fds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EIO;
}

static size_t collect_fds(struct msghdr *msg, int ret_fds[static FD_PASS_MAX])
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (n < FD_PASS_MAX)
				ret_fds[n++] = fd;
			else
				close(fd);
		}
	}
	return n;
}

ssize_t fd_recv(
	int sock, void *buf, size_t size, int ret_fds[static FD_PASS_MAX], size_t *ret_n_fds)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
	} control;
	struct iovec iov = {.iov_base = buf, .iov_len = size};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	size_t n_fds;
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	n_fds = collect_fds(&msg, ret_fds);
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		for (size_t i = 0; i < n_fds; i++)
			close(ret_fds[i]);
		return -EMSGSIZE;
	}
	*ret_n_fds = n_fds;
	return n;
}

void fd_list_add(struct fd_list *list, int fd)
{
	if (fd < 0 || list->n > FD_LIST_MAX)
		return;
	if (list->n < FD_LIST_MAX)
		list->fds[list->n] = fd;
	list->n++;
}

/* Few enough, and qsort(3) may allocate. */
static void sort_list(struct fd_list *list)
{
	for (size_t i = 1; i < list->n; i++) {
		int fd = list->fds[i];
		size_t at = i;

		for (; at > 0 && list->fds[at - 1] > fd; at--)
			list->fds[at] = list->fds[at - 1];
		list->fds[at] = fd;
	}
}

static int close_between(unsigned first, unsigned last)
{
	if (first > last)
		return 0;
	return syscall(SYS_close_range, first, last, 0) < 0 ? -errno : 0;
}

int fd_close_all_but(struct fd_list *list)
{
	unsigned first = STDERR_FILENO + 1;
	int r = 0;

	if (list->n > FD_LIST_MAX)
		return -EOVERFLOW;
	sort_list(list);
	for (size_t i = 0; i < list->n && r == 0; i++) {
		unsigned fd = (unsigned)list->fds[i];

		if (fd < first)
			continue;
		r = close_between(first, fd - 1);
		first = fd + 1;
	}
	return r < 0 ? r : close_between(first, ~0u);
}

int fd_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int fd_lock(int fd)
{
	int r;

	do
		r = flock(fd, LOCK_EX) < 0 ? -errno : 0;
	while (r == -EINTR);
	return r;
}

int fd_seal(int fd)
{
	int r;

	/* The kernel waits for some 150 ms each time. */
	for (int tries = 0; tries < SEAL_TRIES; tries++) {
		r = fcntl(fd, F_ADD_SEALS, FD_SEALS) < 0 ? -errno : 0;
		if (r != -EBUSY)
			break;
	}
	return r;
}

int fd_sealed_memfd(const char *name, const void *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return -errno;
	r = fd_write_full(fd, data, size);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	r = fd_seal(fd);
	return r < 0 ? r : take_fd(&fd);
}
