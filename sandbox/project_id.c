/*
 * Numbers for projects; see project_group.h. The next one is noted on the pool's root before this
 * one is used, so that a crash may lose a number and never gives one out twice. Must never hand
 * out one that anything has: a file that was removed while it is open still counts to its project.
 */
#include "sandbox/project_group.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/xattr.h>

/* Far from what people write into /etc/projid; each pool begins somewhere else in it. */
#define ID_FIRST UINT32_C(0x40000000)
#define ID_LAST	 UINT32_C(0x7fffffff)
/* Taken ones in a row, after which something is wrong. */
#define ID_TRIES 65536
/* On the pool's root: the next number, as a uint32_t. */
#define NEXT_XATTR "trusted.croft.next-project"

static int read_next(int root_fd, uint32_t *ret)
{
	uint32_t next;
	ssize_t n = fgetxattr(root_fd, NEXT_XATTR, &next, sizeof(next));

	if (n < 0 && errno != ENODATA)
		return -errno;
	if (n != sizeof(next)) {
		if (getrandom(&next, sizeof(next), 0) != sizeof(next))
			return -EAGAIN;
		next |= ID_FIRST;
	}
	*ret = next >= ID_FIRST && next <= ID_LAST ? next : ID_FIRST | (next & (ID_FIRST - 1));
	return 0;
}

static int write_next(int root_fd, uint32_t next)
{
	if (fsetxattr(root_fd, NEXT_XATTR, &next, sizeof(next), 0) < 0 || fsync(root_fd) < 0)
		return -errno;
	return 0;
}

static int is_free(int root_fd, uint32_t id, bool *ret)
{
	struct project_quota q;
	int r = project_quota_get(root_fd, id, &q);

	if (r == 0)
		*ret = q.limit_bytes == UINT64_MAX && q.limit_inodes == UINT64_MAX &&
		       !q.used_bytes && !q.used_inodes;
	return r;
}

static int take(int root_fd, uint32_t *ret)
{
	uint32_t id = 0;
	int r = read_next(root_fd, &id);

	for (int i = 0; r == 0 && i < ID_TRIES; i++) {
		uint32_t next = id == ID_LAST ? ID_FIRST : id + 1;
		bool free_one;

		r = is_free(root_fd, id, &free_one);
		if (r == 0 && free_one) {
			*ret = id;
			return write_next(root_fd, next);
		}
		id = next;
	}
	return r < 0 ? r : -ENOSPC;
}

int project_take_id(int root_fd, uint32_t *ret_id, struct err *err)
{
	_cleanup_close_ int fd = openat(
		root_fd, ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_sys(err, errno, "open the pool");
	r = fd_lock(fd);
	if (r == 0)
		r = take(fd, ret_id);
	return r < 0 ? err_sys(err, r, "take a number for a quota") : 0;
}
