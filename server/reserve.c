/* The reserve file; see reserve.h. Its blocks are allocated: a hole would reserve nothing. */
#include "server/reserve.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define RESERVE_MAX  (UINT64_C(16) << 20)
#define RESERVE_PART 8	 /* of the disk, where that is less */
#define BLOCK	     512 /* the unit of st_blocks, stat(2) */

/* File systems without fallocate(2) are written to. */
static int allocate(int fd, uint64_t size)
{
	static const uint8_t zeroes[65536];
	int r = 0;

	if (fallocate(fd, 0, 0, (off_t)size) == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS)
		return -errno;
	for (uint64_t done = 0; r == 0 && done < size; done += sizeof(zeroes))
		r = fd_write_full(fd, zeroes, sizeof(zeroes));
	return r;
}

int reserve_make(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct statvfs disk;
	struct stat st;
	uint64_t size;
	int r;

	if (fd < 0)
		return -errno;
	if (fstatvfs(fd, &disk) < 0 || fstat(fd, &st) < 0)
		return -errno;
	size = disk.f_blocks * disk.f_frsize / RESERVE_PART;
	if (size > RESERVE_MAX)
		size = RESERVE_MAX;
	if ((uint64_t)st.st_blocks * BLOCK >= size)
		return 0;
	r = disk.f_bavail * disk.f_frsize < 2 * size ? -ENOSPC : allocate(fd, size);
	if (r < 0)
		reserve_release(path);
	return r;
}

void reserve_release(const char *path)
{
	unlink(path);
}
