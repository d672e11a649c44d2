/*
 * Tenants' and containers' directories: made, found, frozen, killed and removed alike on both
 * drivers. The cgroup2 directory is made first and removed last, so that it lists whatever a crash
 * may have left in the others. Must never remove a directory in which a process lives.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TREE_DESCENDANTS_MAX "1024"
#define TREE_DEPTH_MAX	     "32"

static int make_everywhere(
	const struct cgroup_root *root, const char *dir, bool *ret_new, struct err *err)
{
	for (size_t i = 0; i < root->n_hierarchies; i++) {
		if (mkdirat(root->fd[i], dir, 0755) == 0) {
			*ret_new |= i == 0;
			continue;
		}
		if (errno == ENOENT)
			return err_set(err, ERR_NOT_FOUND, "CGROUP_NOT_FOUND",
				"the tenant has no cgroup; it must be made first");
		if (errno != EEXIST)
			return err_sys(err, errno, "make a cgroup");
	}
	return 0;
}

static void remove_everywhere(const struct cgroup_root *root, const char *dir)
{
	for (size_t i = root->n_hierarchies; i-- > 0;)
		cgroup_tree_remove(root->fd[i], dir);
}

static int make_container(struct cgroup_root *root, const char *dir, bool *ret_new, struct err *err)
{
	char payload[CGROUP_DIR_SIZE];
	bool ignored = false;
	int r;

	r = make_everywhere(root, dir, ret_new, err);
	if (r < 0)
		return r;
	r = root->ops->prepare_container(root, dir, err);
	if (r < 0)
		return r;
	cgroup_payload_of(dir, payload);
	return make_everywhere(root, payload, &ignored, err);
}

int cgroup_make(struct cgroup_root *root, const struct cgroup_id *id, struct err *err)
{
	char dir[CGROUP_DIR_SIZE];
	bool is_new = false;
	int r = cgroup_dir_of(id, dir, err);

	if (r < 0)
		return r;
	if (!id->container[0]) {
		r = make_everywhere(root, dir, &is_new, err);
		if (r == 0)
			r = root->ops->prepare_tenant(root, dir, err);
	} else if (!strcmp(id->container, CGROUP_LEAF)) {
		r = make_everywhere(root, dir, &is_new, err);
	} else {
		r = make_container(root, dir, &is_new, err);
	}
	if (r < 0 && is_new)
		remove_everywhere(root, dir);
	return r;
}

/* The text of cgroup.events; -ENOENT or -ENODEV when there is no such cgroup. */
static int read_event(const struct cgroup_root *root, const char *dir, const char *key)
{
	char text[256];
	uint64_t value;
	ssize_t n = cgroup_read_text(root, CGROUP_CORE, dir, "cgroup.events", text, sizeof(text));
	int r = n < 0 ? (int)n : counter_parse(text, key, &value);

	return r < 0 ? r : value != 0;
}

static bool is_gone(int r)
{
	return r == -ENOENT || r == -ENODEV;
}

static int busy(const char *what, struct err *err)
{
	return err_set(err, ERR_FAILED_PRECONDITION, "CGROUP_BUSY", "%s", what);
}

static int is_container(const char *name, void *arg)
{
	(void)arg;
	return name_is_valid(name);
}

static int remove_one(int fd, const char *dir, const char *payload)
{
	if (payload && unlinkat(fd, payload, AT_REMOVEDIR) < 0 && errno != ENOENT && errno != EBUSY)
		return -errno;
	return cgroup_tree_remove(fd, dir);
}

int cgroup_remove(struct cgroup_root *root, const struct cgroup_id *id, struct err *err)
{
	char dir[CGROUP_DIR_SIZE];
	char payload[CGROUP_DIR_SIZE];
	bool is_tenant = !id->container[0];
	int r = cgroup_dir_of(id, dir, err);

	if (r < 0)
		return r;
	if (read_event(root, dir, "populated") > 0)
		return busy("processes are left in the cgroup", err);
	/* A container's last counters are read from its directory: nobody else may remove it. */
	if (is_tenant && cgroup_tree_each(root->fd[0], dir, is_container, NULL) > 0)
		return busy("the tenant's cgroup still has containers", err);
	cgroup_payload_of(dir, payload);
	for (size_t i = root->n_hierarchies; i-- > 0;) {
		r = remove_one(root->fd[i], dir, is_tenant ? NULL : payload);
		if (r == -EBUSY)
			return busy("processes are left in the cgroup", err);
		if (r < 0)
			return err_sys(err, r, "remove a cgroup");
	}
	return 0;
}

bool cgroup_exists(struct cgroup_root *root, const struct cgroup_id *id)
{
	char dir[CGROUP_DIR_SIZE];

	return cgroup_dir_of(id, dir, NULL) == 0 && faccessat(root->fd[0], dir, F_OK, 0) == 0;
}

static int control(struct cgroup_root *root, const struct cgroup_id *id, const char *file,
	const char *text, struct err *err)
{
	char dir[CGROUP_DIR_SIZE];
	int r = cgroup_dir_of(id, dir, err);

	if (r < 0)
		return r;
	r = cgroup_write_text(root, CGROUP_CORE, dir, file, text);
	if (is_gone(r))
		return err_set(err, ERR_NOT_FOUND, "CGROUP_NOT_FOUND",
			"there is no cgroup of that tenant or container");
	return r < 0 ? err_sys(err, r, "write %s", file) : 0;
}

int cgroup_freeze(struct cgroup_root *root, const struct cgroup_id *id, struct err *err)
{
	return control(root, id, "cgroup.freeze", "1", err);
}

int cgroup_thaw(struct cgroup_root *root, const struct cgroup_id *id, struct err *err)
{
	return control(root, id, "cgroup.freeze", "0", err);
}

/*
 * What waits for the disk dies when it has been served, which under a limit takes as long as its
 * queue is: so a container that is to die is held no longer. Nor is this a reason not to kill it.
 */
static void lift_io_limits(const struct cgroup_root *root, const struct cgroup_id *id)
{
	struct limits none;
	char dir[CGROUP_DIR_SIZE];

	limits_init(&none);
	if (root->has_io_limit && id->container[0] && cgroup_dir_of(id, dir, NULL) == 0)
		root->ops->write_io(root, dir, &none, NULL);
}

int cgroup_kill(struct cgroup_root *root, const struct cgroup_id *id, struct err *err)
{
	int r = control(root, id, "cgroup.kill", "1", err);

	if (r == 0)
		lift_io_limits(root, id);
	return r;
}

int cgroup_is_frozen(struct cgroup_root *root, const struct cgroup_id *id)
{
	char dir[CGROUP_DIR_SIZE];
	int r = cgroup_dir_of(id, dir, NULL);

	return r < 0 ? r : read_event(root, dir, "frozen");
}

int cgroup_is_told_to_freeze(struct cgroup_root *root, const struct cgroup_id *id)
{
	char dir[CGROUP_DIR_SIZE];
	uint64_t value;
	int r = cgroup_dir_of(id, dir, NULL);

	if (r == 0)
		r = cgroup_read_u64(root, CGROUP_CORE, dir, "cgroup.freeze", &value);
	return r < 0 ? r : value != 0;
}

static int read_event_fd(int events_fd, const char *key)
{
	char text[256];
	uint64_t value;
	ssize_t n = fd_pread_text(events_fd, text, sizeof(text));
	int r = n < 0 ? (int)n : counter_parse(text, key, &value);

	return r < 0 ? r : value != 0;
}

/* Waits until a key of cgroup.events has the value; a cgroup that is gone has no process left. */
static int wait_event(struct cgroup_root *root, const struct cgroup_id *id, const char *key,
	bool wanted, int timeout_ms, struct err *err)
{
	uint64_t deadline = clock_boot_usec() + (uint64_t)timeout_ms * 1000;
	char dir[CGROUP_DIR_SIZE];
	_cleanup_close_ int fd = -1;
	int r = cgroup_dir_of(id, dir, err);

	if (r < 0)
		return r;
	fd = cgroup_open_file(root, CGROUP_CORE, dir, "cgroup.events", O_RDONLY);
	if (fd < 0)
		return is_gone(fd) ? 0 : err_sys(err, fd, "open cgroup.events");
	for (;;) {
		/* Reading arms the next POLLPRI, so a change between the two is not lost. */
		struct pollfd pollfd = {.fd = fd, .events = POLLPRI};
		uint64_t now;

		r = read_event_fd(fd, key);
		if (r == wanted || is_gone(r))
			return 0;
		if (r < 0)
			return err_sys(err, r, "read cgroup.events");
		now = clock_boot_usec();
		if (now >= deadline)
			return err_sys(err, ETIMEDOUT, "wait for the container's processes");
		if (poll(&pollfd, 1, (int)((deadline - now + 999) / 1000)) < 0 && errno != EINTR)
			return err_sys(err, errno, "poll cgroup.events");
	}
}

int cgroup_wait_empty(
	struct cgroup_root *root, const struct cgroup_id *id, int timeout_ms, struct err *err)
{
	return wait_event(root, id, "populated", false, timeout_ms, err);
}

int cgroup_wait_frozen(struct cgroup_root *root, const struct cgroup_id *id, bool frozen,
	int timeout_ms, struct err *err)
{
	return wait_event(root, id, "frozen", frozen, timeout_ms, err);
}

/* The bounds stay in the host's directory: payload and one level more are part of them. */
static int bound_tree(const struct cgroup_root *root, const char *dir, struct err *err)
{
	int r = cgroup_write_text(
		root, CGROUP_CORE, dir, "cgroup.max.descendants", TREE_DESCENDANTS_MAX);

	if (r == 0)
		r = cgroup_write_text(root, CGROUP_CORE, dir, "cgroup.max.depth", TREE_DEPTH_MAX);
	return r < 0 ? err_sys(err, r, "bound the container's cgroups") : 0;
}

int cgroup_give_payload(int hierarchy_fd, const char *dir, const char *const *files, uid_t uid,
	gid_t gid, struct err *err)
{
	for (; *files; files++) {
		char path[CGROUP_FILE_SIZE];

		snprintf(path, sizeof(path), "%s/" CGROUP_PAYLOAD "%s", dir, *files);
		if (fchownat(hierarchy_fd, path, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
			return err_sys(err, errno, "give the container its cgroup");
	}
	return 0;
}

int cgroup_delegate(struct cgroup_root *root, const struct cgroup_id *id, uid_t uid, gid_t gid,
	bool nesting, struct err *err)
{
	const char *const files[] = {"", "/cgroup.procs", "/cgroup.threads",
		nesting ? "/cgroup.subtree_control" : NULL, NULL};
	char dir[CGROUP_DIR_SIZE];
	int r = cgroup_dir_of(id, dir, err);

	if (r < 0)
		return r;
	if (!id->container[0] || !strcmp(id->container, CGROUP_LEAF))
		return err_set(err, ERR_INVALID_ARGUMENT, "INVALID_NAME",
			"only a container's cgroup can be given to its init");
	r = bound_tree(root, dir, err);
	if (r == 0 && nesting && root->ops->pass_controllers)
		r = root->ops->pass_controllers(root, dir, err);
	if (r == 0)
		r = cgroup_give_payload(root->fd[0], dir, files, uid, gid, err);
	return r < 0 || !root->ops->delegate ? r : root->ops->delegate(root, dir, uid, gid, err);
}

int cgroup_set_devices(struct cgroup_root *root, const struct cgroup_id *id, struct err *err)
{
	char dir[CGROUP_DIR_SIZE];
	int r = cgroup_dir_of(id, dir, err);

	return r < 0 ? r : root->ops->set_devices(root, dir, err);
}

int cgroup_inode(struct cgroup_root *root, const struct cgroup_id *id, uint64_t *ret)
{
	char dir[CGROUP_DIR_SIZE];
	struct stat st;

	if (cgroup_dir_of(id, dir, NULL) < 0)
		return -EINVAL;
	if (fstatat(cgroup_hierarchy_fd(root, CGROUP_CORE), dir, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*ret = st.st_ino;
	return 0;
}

int cgroup_open_dirs(struct cgroup_root *root, const struct cgroup_id *id,
	int ret_fds[static COUNTER_DIR_N], struct err *err)
{
	static const enum cgroup_controller controllers[COUNTER_DIR_N] = {
		[COUNTER_DIR_UNIFIED] = CGROUP_CORE,
		[COUNTER_DIR_CPU] = CGROUP_CPU,
		[COUNTER_DIR_CPUACCT] = CGROUP_CPUACCT,
		[COUNTER_DIR_MEMORY] = CGROUP_MEMORY,
		[COUNTER_DIR_PIDS] = CGROUP_PIDS,
		[COUNTER_DIR_IO] = CGROUP_IO,
	};
	size_t n = counters_n_dirs(root->ops->kind);
	char dir[CGROUP_DIR_SIZE];
	int fds[COUNTER_DIR_N];
	int r = cgroup_dir_of(id, dir, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		enum cgroup_controller c = controllers[i];

		fds[i] = fd_open_dir_at(
			cgroup_hierarchy_fd(root, root->hierarchy[c] < 0 ? CGROUP_CORE : c), dir);
		if (fds[i] < 0) {
			r = fds[i];
			while (i-- > 0)
				close(fds[i]);
			return err_sys(err, r, "open the cgroup's counters");
		}
	}
	memcpy(ret_fds, fds, n * sizeof(*fds));
	return 0;
}

/* Names are collected before fn sees one, since it may remove what it is called for. */
struct name_list {
	char (*names)[NAME_SIZE];
	size_t n;
	size_t capacity;
};

static void cleanup_names(struct name_list *list)
{
	free(list->names);
}

static int collect_name(const char *name, void *arg)
{
	struct name_list *list = arg;

	if (!name_is_valid(name) && strcmp(name, CGROUP_REFUSER) != 0)
		return 0;
	if (list->n == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 64;
		void *bigger = reallocarray(list->names, capacity, sizeof(*list->names));

		if (!bigger)
			return -ENOMEM;
		list->names = bigger;
		list->capacity = capacity;
	}
	memcpy(list->names[list->n++], name, strlen(name) + 1); /* name_is_valid() bounds it */
	return 0;
}

static int list_names(
	const struct cgroup_root *root, const char *dir, struct name_list *list, struct err *err)
{
	int r = cgroup_tree_each(root->fd[0], dir, collect_name, list);

	return r == 0 || r == -ENOENT ? 0 : err_sys(err, r, "list cgroups");
}

/* A tenant's containers, and then the tenant. */
static int each_of(struct cgroup_root *root, const char *tenant,
	int (*fn)(const struct cgroup_id *id, void *arg, struct err *err), void *arg,
	struct err *err)
{
	_cleanup_(cleanup_names) struct name_list containers = {0};
	struct cgroup_id id = {0};
	int r = list_names(root, tenant, &containers, err);

	snprintf(id.tenant, sizeof(id.tenant), "%s", tenant);
	for (size_t c = 0; r == 0 && c < containers.n; c++) {
		memcpy(id.container, containers.names[c], NAME_SIZE);
		r = fn(&id, arg, err);
	}
	id.container[0] = '\0';
	return r == 0 ? fn(&id, arg, err) : r;
}

int cgroup_for_each(struct cgroup_root *root,
	int (*fn)(const struct cgroup_id *id, void *arg, struct err *err), void *arg,
	struct err *err)
{
	_cleanup_(cleanup_names) struct name_list tenants = {0};
	int r = list_names(root, ".", &tenants, err);

	for (size_t t = 0; r == 0 && t < tenants.n; t++)
		r = each_of(root, tenants.names[t], fn, arg, err);
	return r;
}

int cgroup_for_each_view(struct cgroup_root *root,
	int (*fn)(const struct cgroup_id *id, void *arg, struct err *err), void *arg,
	struct err *err)
{
	return each_of(root, CGROUP_VIEWS, fn, arg, err);
}
