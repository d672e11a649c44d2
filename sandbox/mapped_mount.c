/* Id-mapped clones of mounts; see mapped_mount.h. By descriptor: follows no name. */
#include "sandbox/mapped_mount.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>

int mapped_mount_clone(int dir_fd, int userns_fd, uint64_t attributes)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_IDMAP | attributes,
		.userns_fd = (uint64_t)userns_fd,
	};
	_cleanup_close_ int fd = open_tree(
		dir_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	return take_fd(&fd);
}
