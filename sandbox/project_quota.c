/* Project quotas; see project_quota.h. Must never be asked for a project that Croft does not own.
 */
#include "sandbox/project_quota.h"

#include "base/cleanup.h"

#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/quota.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#define XFS_MAGIC 0x58465342 /* "XFSB": the kernel's fs/xfs/libxfs/xfs_format.h */

static int quotactl_fd(int fd, unsigned command, uint32_t id, void *arg)
{
	return syscall(__NR_quotactl_fd, fd, QCMD(command, PRJQUOTA), id, arg) < 0 ? -errno : 0;
}

bool project_quota_enforced(int fd)
{
	struct fs_quota_statv state = {.qs_version = FS_QSTATV_VERSION1};
	struct statfs st;

	if (fstatfs(fd, &st) < 0 || (st.f_type != XFS_MAGIC && st.f_type != EXT4_SUPER_MAGIC))
		return false;
	return quotactl_fd(fd, Q_XGETQSTATV, 0, &state) == 0 &&
	       (state.qs_flags & FS_QUOTA_PDQ_ENFD);
}

int project_of(int dir_fd, uint32_t *ret_id)
{
	struct fsxattr attr;

	if (ioctl(dir_fd, FS_IOC_FSGETXATTR, &attr) < 0)
		return -errno;
	*ret_id = attr.fsx_projid;
	return 0;
}

int project_set(int dir_fd, uint32_t id, bool inherit)
{
	struct fsxattr attr;

	if (ioctl(dir_fd, FS_IOC_FSGETXATTR, &attr) < 0)
		return -errno;
	attr.fsx_projid = id;
	attr.fsx_xflags &= ~(uint32_t)FS_XFLAG_PROJINHERIT;
	if (inherit)
		attr.fsx_xflags |= FS_XFLAG_PROJINHERIT;
	return ioctl(dir_fd, FS_IOC_FSSETXATTR, &attr) < 0 ? -errno : 0;
}

int project_quota_get(int fd, uint32_t id, struct project_quota *ret)
{
	struct if_dqblk block = {0};
	int r = quotactl_fd(fd, Q_GETQUOTA, id, &block);

	/* XFS has no record of a project that never had anything. */
	if (r < 0 && r != -ENOENT)
		return r;
	*ret = (struct project_quota){
		.limit_bytes = block.dqb_bhardlimit ? block.dqb_bhardlimit * QIF_DQBLKSIZE
						    : UINT64_MAX,
		.limit_inodes = block.dqb_ihardlimit ? block.dqb_ihardlimit : UINT64_MAX,
		.used_bytes = block.dqb_curspace,
		.used_inodes = block.dqb_curinodes,
	};
	return 0;
}

/* The kernel's 0 is no limit at all. */
static uint64_t at_least_one(uint64_t n)
{
	return n ? n : 1;
}

int project_quota_limit(int fd, uint32_t id, uint64_t bytes, uint64_t inodes)
{
	struct if_dqblk block = {.dqb_valid = QIF_LIMITS};

	if (bytes != UINT64_MAX)
		block.dqb_bhardlimit = at_least_one(bytes / QIF_DQBLKSIZE);
	if (inodes != UINT64_MAX)
		block.dqb_ihardlimit = at_least_one(inodes);
	return quotactl_fd(fd, Q_SETQUOTA, id, &block);
}

int project_quota_settle(int fd)
{
	struct if_dqblk block;
	int r;

	/* XFS lets go of removed inodes in the background, and hurries where the first project of
	 * all is asked about: so a report begins. ext4 counts at once. */
	r = quotactl_fd(fd, Q_GETQUOTA, 0, &block);
	return r == -ENOENT ? 0 : r;
}
