/*
 * Finds which driver this host needs and where its hierarchies are mounted, from mountinfo alone:
 * names of directories mean nothing. Must never make, mount or write anything.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <fcntl.h>
#include <string.h>

static const char *const names[CGROUP_CONTROLLER_N] = {
	[CGROUP_CORE] = "cgroup2",
	[CGROUP_CPU] = "cpu",
	[CGROUP_CPUACCT] = "cpuacct",
	[CGROUP_CPUSET] = "cpuset",
	[CGROUP_MEMORY] = "memory",
	[CGROUP_PIDS] = "pids",
	[CGROUP_DEVICES] = "devices",
	[CGROUP_IO] = "blkio",
	[CGROUP_SYSTEMD] = "name=systemd",
};

/* What each driver cannot do without; on v2 cpuacct and devices are part of the kernel's core. */
static const enum cgroup_controller hybrid_required[] = {
	CGROUP_CPU, CGROUP_CPUACCT, CGROUP_CPUSET, CGROUP_MEMORY, CGROUP_PIDS, CGROUP_DEVICES};
static const enum cgroup_controller unified_required[] = {
	CGROUP_CPU, CGROUP_CPUSET, CGROUP_MEMORY, CGROUP_PIDS};

const char *cgroup_controller_name(enum cgroup_controller controller)
{
	return names[controller];
}

const char *cgroup_controller_v2_name(enum cgroup_controller controller)
{
	return controller == CGROUP_IO ? "io" : names[controller];
}

bool cgroup_list_has(const char *list, char separator, const char *word)
{
	size_t len = strlen(word);

	while (*list) {
		const char *end = strchrnul(list, separator);

		if ((size_t)(end - list) == len && !memcmp(list, word, len))
			return true;
		list = *end ? end + 1 : end;
	}
	return false;
}

int cgroup_parse_own_path(const char *text, char *ret, size_t size)
{
	for (const char *line = text; *line;) {
		const char *end = strchrnul(line, '\n');

		if (!strncmp(line, "0::", 3)) {
			size_t len = (size_t)(end - line) - 3;

			if (len >= size)
				return -ENAMETOOLONG;
			memcpy(ret, line + 3, len);
			ret[len] = '\0';
			return 0;
		}
		line = *end ? end + 1 : end;
	}
	return -ENOENT;
}

struct mount_line {
	char *root;
	char *point;
	char *type;
	char *options; /* the superblock's */
};

/* proc(5): space, tab, newline and backslash are written as three octal digits. */
static void unescape(char *text)
{
	char *out = text;

	for (const char *p = text; *p; out++) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
			p[3] >= '0' && p[3] <= '7') {
			*out = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 4;
		} else {
			*out = *p++;
		}
	}
	*out = '\0';
}

/*
 * "31 23 0:28 ROOT POINT options [optional...] - TYPE source SUPEROPTIONS" (proc(5)). Cuts the
 * line up; returns false when it is of another form.
 */
static bool split_line(char *line, struct mount_line *ret)
{
	char *fields[6];
	char *save = NULL;
	char *word;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!fields[i])
			return false;
	}
	do
		word = strtok_r(NULL, " ", &save);
	while (word && strcmp(word, "-") != 0);
	ret->root = fields[3];
	ret->point = fields[4];
	ret->type = strtok_r(NULL, " ", &save);
	if (!ret->type || !strtok_r(NULL, " ", &save))
		return false;
	ret->options = strtok_r(NULL, " ", &save);
	if (!ret->options)
		return false;
	unescape(ret->root);
	unescape(ret->point);
	return true;
}

static bool is_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	return !strncmp(path, top, len) && (path[len] == '\0' || path[len] == '/');
}

static bool take_text(const char *text, char *ret, size_t size)
{
	return (size_t)snprintf(ret, size, "%s", text) < size;
}

/* The index of a mount point, newly entered if need be; -1 when it is too long. */
static int enter_mount(struct cgroup_layout *layout, const char *point)
{
	for (size_t i = 1; i < layout->n_mounts; i++)
		if (!strcmp(layout->mount[i], point))
			return (int)i;
	if (layout->n_mounts == ARRAY_SIZE(layout->mount) ||
		!take_text(point, layout->mount[layout->n_mounts], CGROUP_MOUNT_MAX))
		return -1;
	return (int)layout->n_mounts++;
}

/* The first mount of a controller counts: a later one shows the same hierarchy once more. */
static void take_line(struct cgroup_layout *layout, const struct mount_line *line)
{
	if (!strcmp(line->type, "cgroup2")) {
		if (layout->hierarchy[CGROUP_CORE] < 0 &&
			take_text(line->point, layout->mount[0], CGROUP_MOUNT_MAX) &&
			take_text(line->root, layout->mount_root, CGROUP_MOUNT_MAX))
			layout->hierarchy[CGROUP_CORE] = 0;
		return;
	}
	if (strcmp(line->type, "cgroup") != 0)
		return;
	for (int c = CGROUP_CORE + 1; c < CGROUP_CONTROLLER_N; c++)
		if (layout->hierarchy[c] < 0 && cgroup_list_has(line->options, ',', names[c]))
			layout->hierarchy[c] = (int8_t)enter_mount(layout, line->point);
}

static int missing(const char *what, const char *where, struct err *err)
{
	return err_set_subject(err, ERR_FAILED_PRECONDITION, "CGROUP_UNSUPPORTED", what,
		"this host has no cgroup %s%s; Croft needs cpu, cpuset, memory and pids on cgroup "
		"v2, or those with cpuacct and devices on v1 beside a cgroup2 tree",
		what, where);
}

static int check_unified(struct cgroup_layout *layout, struct err *err)
{
	_cleanup_close_ int fd = fd_open_dir_at(AT_FDCWD, layout->mount[0]);
	char controllers[512];
	ssize_t n;

	if (fd < 0)
		return err_sys(err, fd, "open the cgroup2 tree");
	n = fd_read_text_at(fd, "cgroup.controllers", controllers, sizeof(controllers));
	if (n < 0)
		return err_sys(err, (int)n, "read cgroup.controllers");
	for (size_t i = 0; i < ARRAY_SIZE(unified_required); i++) {
		const char *name = names[unified_required[i]];

		if (!cgroup_list_has(controllers, ' ', name))
			return missing(name, " controller", err);
		layout->hierarchy[unified_required[i]] = 0;
	}
	layout->hierarchy[CGROUP_IO] =
		cgroup_list_has(controllers, ' ', cgroup_controller_v2_name(CGROUP_IO)) ? 0 : -1;
	/* v2 counts CPU time and guards devices without a controller. */
	layout->hierarchy[CGROUP_CPUACCT] = 0;
	layout->hierarchy[CGROUP_DEVICES] = 0;
	/* A stray v1 hierarchy (name=systemd and the like) is none of ours here. */
	layout->hierarchy[CGROUP_SYSTEMD] = -1;
	layout->n_mounts = 1;
	layout->kind = CGROUP_UNIFIED;
	return 0;
}

static int check_hybrid(struct cgroup_layout *layout, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(hybrid_required); i++)
		if (layout->hierarchy[hybrid_required[i]] < 0)
			return missing(names[hybrid_required[i]], " controller on v1", err);
	layout->kind = CGROUP_HYBRID;
	return 0;
}

int cgroup_detect(
	const char *mountinfo, const char *sysfs, struct cgroup_layout *ret, struct err *err)
{
	_cleanup_free_ char *text = strdup(mountinfo);
	struct cgroup_layout layout = {.n_mounts = 1};
	char *save = NULL;
	int r;

	if (!text)
		return err_oom(err);
	memset(layout.hierarchy, -1, sizeof(layout.hierarchy));
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct mount_line fields;

		if (split_line(line, &fields) && is_below(fields.point, sysfs))
			take_line(&layout, &fields);
	}
	if (layout.hierarchy[CGROUP_CORE] < 0)
		return missing("cgroup2", " tree", err);
	if (layout.hierarchy[CGROUP_CPU] < 0 && layout.hierarchy[CGROUP_MEMORY] < 0 &&
		layout.hierarchy[CGROUP_PIDS] < 0)
		r = check_unified(&layout, err);
	else
		r = check_hybrid(&layout, err);
	if (r == 0)
		*ret = layout;
	return r;
}
