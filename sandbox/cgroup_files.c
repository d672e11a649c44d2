/*
 * One control file of one cgroup directory: open, read, write, parse. Paths are made of checked
 * names only, relative to a directory held open; an error names the file and never a path.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

/* v1 shows "no limit" as the largest number of whole pages that fits a signed 64-bit number. */
#define V1_UNLIMITED_MIN (UINT64_C(1) << 62)

int cgroup_dir_of(const struct cgroup_id *id, char ret[static CGROUP_DIR_SIZE], struct err *err)
{
	int r = 0;

	if (strcmp(id->tenant, CGROUP_VIEWS) != 0)
		r = name_check("tenant", id->tenant, err);
	if (r < 0)
		return r;
	if (id->container[0] && strcmp(id->container, CGROUP_LEAF) != 0 &&
		strcmp(id->container, CGROUP_REFUSER) != 0) {
		r = name_check("container", id->container, err);
		if (r < 0)
			return r;
	}
	snprintf(ret, CGROUP_DIR_SIZE, "%s%s%s", id->tenant, id->container[0] ? "/" : "",
		id->container);
	return 0;
}

void cgroup_payload_of(const char *dir, char ret[static CGROUP_DIR_SIZE])
{
	const int room = CGROUP_DIR_SIZE - sizeof("/" CGROUP_PAYLOAD);

	snprintf(ret, CGROUP_DIR_SIZE, "%.*s/" CGROUP_PAYLOAD, room, dir);
}

int cgroup_leaf_of(const struct cgroup_id *id, char ret[static CGROUP_DIR_SIZE], struct err *err)
{
	char dir[CGROUP_DIR_SIZE];
	int r = cgroup_dir_of(id, dir, err);

	if (r < 0)
		return r;
	if (!id->container[0])
		return err_set(err, ERR_INVALID_ARGUMENT, "INVALID_NAME",
			"no process may be in a tenant's own cgroup; name one of its containers");
	if (strcmp(id->container, CGROUP_LEAF) != 0)
		cgroup_payload_of(dir, ret);
	else
		memcpy(ret, dir, sizeof(dir));
	return 0;
}

int cgroup_hierarchy_fd(const struct cgroup_root *root, enum cgroup_controller controller)
{
	int8_t hierarchy = root->hierarchy[controller];

	return hierarchy < 0 ? -1 : root->fd[hierarchy];
}

int cgroup_open_file(const struct cgroup_root *root, enum cgroup_controller controller,
	const char *dir, const char *file, int flags)
{
	char path[CGROUP_FILE_SIZE];
	int fd;

	if (root->hierarchy[controller] < 0)
		return -ENOENT;
	if ((size_t)snprintf(path, sizeof(path), "%s%s%s", dir, dir[0] ? "/" : "", file) >=
		sizeof(path))
		return -ENAMETOOLONG;
	fd = openat(cgroup_hierarchy_fd(root, controller), path, flags | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

bool cgroup_has_file(const struct cgroup_root *root, enum cgroup_controller controller,
	const char *dir, const char *file)
{
	_cleanup_close_ int fd = cgroup_open_file(root, controller, dir, file, O_PATH);

	return fd >= 0;
}

ssize_t cgroup_read_text(const struct cgroup_root *root, enum cgroup_controller controller,
	const char *dir, const char *file, char *buf, size_t size)
{
	_cleanup_close_ int fd = cgroup_open_file(root, controller, dir, file, O_RDONLY);

	return fd < 0 ? fd : fd_pread_text(fd, buf, size);
}

int cgroup_parse_value(const char *text, uint64_t *ret)
{
	unsigned long long value;
	char *end;

	if (!strcmp(text, "max") || !strcmp(text, "-1")) {
		*ret = LIMIT_UNSET;
		return 0;
	}
	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end)
		return -EINVAL;
	*ret = value >= V1_UNLIMITED_MIN ? LIMIT_UNSET : value;
	return 0;
}

int cgroup_read_u64(const struct cgroup_root *root, enum cgroup_controller controller,
	const char *dir, const char *file, uint64_t *ret)
{
	char text[64];
	ssize_t n = cgroup_read_text(root, controller, dir, file, text, sizeof(text));

	return n < 0 ? (int)n : cgroup_parse_value(text, ret);
}

/* Control files take a value in one write(2). */
static int write_once(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t n;

	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int cgroup_write_text(const struct cgroup_root *root, enum cgroup_controller controller,
	const char *dir, const char *file, const char *text)
{
	_cleanup_close_ int fd = cgroup_open_file(root, controller, dir, file, O_WRONLY);

	return fd < 0 ? fd : write_once(fd, text);
}

int cgroup_write_back(const struct cgroup_root *root, enum cgroup_controller controller,
	const char *dir, const char *file, const char *text, char *ret_back, size_t size)
{
	_cleanup_close_ int fd = cgroup_open_file(root, controller, dir, file, O_RDWR);
	ssize_t n;
	int r;

	if (fd < 0)
		return fd;
	r = write_once(fd, text);
	if (r < 0)
		return r;
	n = fd_pread_text(fd, ret_back, size);
	return n < 0 ? (int)n : 0;
}

int cgroup_not_applied(enum limit_id limit, const char *back, struct err *err)
{
	const char *name = limit_rule(limit)->name;

	return err_set_subject(err, ERR_INTERNAL, "LIMIT_NOT_APPLIED", name,
		"the kernel did not take the %s limit: it now reads \"%.80s\"", name, back);
}

int cgroup_write_limit(const struct cgroup_root *root, enum cgroup_controller controller,
	const char *dir, const char *file, uint64_t value, const char *unlimited,
	enum limit_id limit, struct err *err)
{
	char text[32];
	char back[64];
	uint64_t got;
	int r;

	if (value == LIMIT_UNSET)
		snprintf(text, sizeof(text), "%s", unlimited);
	else
		snprintf(text, sizeof(text), "%" PRIu64, value);
	r = cgroup_write_back(root, controller, dir, file, text, back, sizeof(back));
	if (r < 0)
		return err_sys(err, r, "write %s to %s", text, file);
	if (cgroup_parse_value(back, &got) < 0 || got != value)
		return cgroup_not_applied(limit, back, err);
	return 0;
}

int cgroup_parse_cpus(const char *text, uint64_t ret_mask[static LIMITS_CPU_WORDS])
{
	if (*text)
		return limits_parse_cores(text, ret_mask);
	memset(ret_mask, 0, LIMITS_CPU_WORDS * sizeof(*ret_mask));
	return 0;
}

bool cgroup_mask_within(
	const uint64_t mask[static LIMITS_CPU_WORDS], const uint64_t outer[static LIMITS_CPU_WORDS])
{
	for (size_t i = 0; i < LIMITS_CPU_WORDS; i++)
		if (mask[i] & ~outer[i])
			return false;
	return true;
}

int cgroup_read_working_set(const struct cgroup_root *root, const char *dir, uint64_t use_bytes,
	uint64_t *ret, struct err *err)
{
	const char *key = root->ops->kind == CGROUP_UNIFIED ? "inactive_file"
							    : "total_inactive_file";
	char stat[CGROUP_TEXT_MAX];
	uint64_t inactive;
	ssize_t n = cgroup_read_text(root, CGROUP_MEMORY, dir, "memory.stat", stat, sizeof(stat));
	int r = n < 0 ? (int)n : counter_parse(stat, key, &inactive);

	if (r < 0)
		return err_sys(err, r, "read memory.stat");
	*ret = use_bytes > inactive ? use_bytes - inactive : 0;
	return 0;
}

int cgroup_read_effective_cpus(const struct cgroup_root *root, const char *dir,
	uint64_t ret_mask[static LIMITS_CPU_WORDS], struct err *err)
{
	char text[CGROUP_TEXT_MAX];
	ssize_t n = cgroup_read_text(
		root, CGROUP_CPUSET, dir, root->ops->effective_cpus_file, text, sizeof(text));
	int r = n < 0 ? (int)n : limits_parse_cores(text, ret_mask);

	return r < 0 ? err_sys(err, r, "read the CPUs that may be used") : 0;
}
