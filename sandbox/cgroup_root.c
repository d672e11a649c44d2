/*
 * Opens the parent directory below which everything of Croft lives, on every hierarchy that the
 * host has. Must never write outside of it, but for the controllers of the cgroup2 tree's top on a
 * host where nobody else (systemd) manages them.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define MOUNTINFO_MAX (16 << 20)
#define TOP_INODE     1 /* of every kernfs, of which cgroup2 is one: __kernfs_new_node() */
#define DEPTH_MAX     64

/* A file of /proc, whose size is not known beforehand. */
static int read_proc(const char *path, char **ret, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	size_t size = 64 << 10;
	size_t done = 0;

	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
	for (;;) {
		char *bigger = realloc(text, size);
		ssize_t n;

		if (!bigger)
			return err_oom(err);
		text = bigger;
		n = fd_read_full(fd, text + done, size - done - 1);
		if (n < 0)
			return err_sys(err, (int)n, "read %s", path);
		done += (size_t)n;
		if (done < size - 1)
			break;
		size *= 2;
		if (size > MOUNTINFO_MAX)
			return err_sys(err, EFBIG, "read %s", path);
	}
	text[done] = '\0';
	*ret = take_ptr(text);
	return 0;
}

static int make_and_open(int mount_fd, const char *parent, struct err *err)
{
	int fd;

	if (mkdirat(mount_fd, parent, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make the cgroup %s", parent);
	fd = fd_open_dir_at(mount_fd, parent);
	return fd < 0 ? err_sys(err, fd, "open the cgroup %s", parent) : fd;
}

/*
 * The cgroup that the caller was started in. Only cgroup v2 has delegation: a v1 hierarchy knows
 * no such thing, and most of them would give the root here.
 */
static int open_own(
	const struct cgroup_root *root, const struct cgroup_layout *layout, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	char path[4096];
	const char *below = path;
	size_t top = strlen(layout->mount_root);
	int fd;
	int r;

	if (layout->kind != CGROUP_UNIFIED)
		return err_set(err, ERR_FAILED_PRECONDITION, "CGROUP_UNSUPPORTED",
			"a delegated cgroup needs cgroup v2; on this host, name a cgroup parent");
	r = read_proc("/proc/self/cgroup", &text, err);
	if (r < 0)
		return r;
	r = cgroup_parse_own_path(text, path, sizeof(path));
	if (r < 0)
		return err_sys(err, r, "find the daemon's own cgroup");
	if (top > 1 && !strncmp(path, layout->mount_root, top))
		below += top;
	while (*below == '/')
		below++;
	if (!*below || strstr(below, ".."))
		return err_set(err, ERR_FAILED_PRECONDITION, "CGROUP_UNSUPPORTED",
			"no cgroup was delegated to this process (Delegate=yes in its unit); or "
			"name a cgroup parent");
	/* A daemon that restarts within its unit may still be in the leaf that it made before. */
	r = (int)strlen(below) - (int)strlen("/" CGROUP_SELF);
	if (r > 0 && !strcmp(below + r, "/" CGROUP_SELF))
		path[below - path + r] = '\0';
	fd = fd_open_dir_at(root->mount_fd[0], below);
	return fd < 0 ? err_sys(err, fd, "open the daemon's own cgroup") : fd;
}

static int open_hierarchies(struct cgroup_root *root, const struct cgroup_layout *layout,
	const char *parent, struct err *err)
{
	for (size_t i = 0; i < layout->n_mounts; i++) {
		int fd = fd_open_dir_at(AT_FDCWD, layout->mount[i]);

		if (fd < 0)
			return err_sys(err, fd, "open a cgroup hierarchy");
		root->mount_fd[i] = fd;
		root->n_hierarchies = i + 1;
		fd = *parent ? make_and_open(fd, parent, err) : open_own(root, layout, err);
		if (fd < 0)
			return fd;
		root->fd[i] = fd;
	}
	return 0;
}

static void cleanup_root(struct cgroup_root **root)
{
	cgroup_root_close(*root);
}

int cgroup_root_open(
	const char *sysfs, const char *parent, struct cgroup_root **ret, struct err *err)
{
	_cleanup_(cleanup_root) struct cgroup_root *root = calloc(1, sizeof(*root));
	_cleanup_free_ char *mountinfo = NULL;
	struct cgroup_layout layout;
	int r;

	if (!root)
		return err_oom(err);
	memset(root->fd, -1, sizeof(root->fd));
	memset(root->mount_fd, -1, sizeof(root->mount_fd));
	root->device_prog_fd = -1;
	root->disk.unknown = "the pool is not there yet";
	root->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	if (*parent) {
		r = name_check("cgroup parent", parent, err);
		if (r < 0)
			return r;
		memcpy(root->parent, parent, strlen(parent) + 1); /* name_check() bounds it */
	}
	r = read_proc("/proc/self/mountinfo", &mountinfo, err);
	if (r < 0)
		return r;
	r = cgroup_detect(mountinfo, sysfs, &layout, err);
	if (r < 0)
		return r;
	memcpy(root->hierarchy, layout.hierarchy, sizeof(root->hierarchy));
	root->ops = layout.kind == CGROUP_UNIFIED ? &cgroup_unified_ops : &cgroup_hybrid_ops;
	r = open_hierarchies(root, &layout, parent, err);
	if (r < 0)
		return r;
	r = root->ops->prepare_parent(root, err);
	if (r < 0)
		return r;
	*ret = take_ptr(root);
	return 0;
}

void cgroup_root_close(struct cgroup_root *root)
{
	if (!root)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(root->fd); i++) {
		close_fd(&root->fd[i]);
		close_fd(&root->mount_fd[i]);
	}
	close_fd(&root->device_prog_fd);
	free(root);
}

void cgroup_root_list_fds(const struct cgroup_root *root, struct fd_list *list)
{
	for (size_t i = 0; i < ARRAY_SIZE(root->fd); i++) {
		fd_list_add(list, root->fd[i]);
		fd_list_add(list, root->mount_fd[i]);
	}
	fd_list_add(list, root->device_prog_fd);
}

/* Upwards, as far as the file system goes; what is mounted may be a part of the tree. */
int cgroup_root_depth(const struct cgroup_root *root)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	dev_t device;

	if (fstat(cgroup_hierarchy_fd(root, CGROUP_CORE), &st) < 0)
		return -errno;
	device = st.st_dev;
	fd = fcntl(cgroup_hierarchy_fd(root, CGROUP_CORE), F_DUPFD_CLOEXEC, 0);
	for (int depth = 0; depth < DEPTH_MAX && fd >= 0; depth++) {
		int up;

		if (st.st_ino == TOP_INODE)
			return depth;
		up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close_fd(&fd);
		fd = up;
		if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != device)
			break;
	}
	return -ENOENT;
}

enum cgroup_kind cgroup_root_kind(const struct cgroup_root *root)
{
	return root->ops->kind;
}

int cgroup_root_remove(struct cgroup_root *root, struct err *err)
{
	/* A delegated cgroup is its giver's to remove. */
	if (!root->parent[0])
		return 0;
	for (size_t i = root->n_hierarchies; i-- > 0;) {
		if (unlinkat(root->mount_fd[i], root->parent, AT_REMOVEDIR) == 0 || errno == ENOENT)
			continue;
		if (errno == EBUSY)
			return err_set(err, ERR_FAILED_PRECONDITION, "CGROUP_BUSY",
				"the cgroup %s still holds tenants or processes", root->parent);
		return err_sys(err, errno, "remove the cgroup %s", root->parent);
	}
	return 0;
}

int cgroup_host_cpus(
	struct cgroup_root *root, uint64_t ret_mask[static LIMITS_CPU_WORDS], struct err *err)
{
	return cgroup_read_effective_cpus(root, "", ret_mask, err);
}
