/*
 * Dealing out what a tenant bought; see project_group.h. Must never let the sum of the kernel's
 * limits be more than that, not even between two calls: what is lowered is lowered first.
 */
#include "sandbox/project_group.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"

#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
/* On a tenant's directory: struct note. */
#define NOTE_XATTR "trusted.croft.project"
/* What mke2fs gives an inode by default: mke2fs.conf(5). */
#define BYTES_PER_INODE 16384

struct note {
	uint32_t id;
	uint32_t version; /* 1 */
	struct disk_limits bought;
};

static int read_note(int dir_fd, struct note *ret)
{
	ssize_t n = fgetxattr(dir_fd, NOTE_XATTR, ret, sizeof(*ret));

	if (n < 0)
		return errno == ENODATA ? -ENOENT : -errno;
	return n == sizeof(*ret) && ret->version == 1 && ret->id ? 0 : -EUCLEAN;
}

static int write_note(int dir_fd, const struct note *note, struct err *err)
{
	if (fsetxattr(dir_fd, NOTE_XATTR, note, sizeof(*note), 0) < 0 || fsync(dir_fd) < 0)
		return err_sys(err, errno, "note what the tenant bought");
	return 0;
}

uint32_t project_group_id(int dir_fd)
{
	struct note note;

	return read_note(dir_fd, &note) == 0 ? note.id : 0;
}

int project_group_make(int root_fd, int dir_fd, struct err *err)
{
	struct note note = {.version = 1, .bought = {LIMIT_UNSET, LIMIT_UNSET}};
	int r = read_note(dir_fd, &note);

	if (r != -ENOENT)
		return r < 0 ? err_sys(err, r, "read what the tenant bought") : 0;
	r = project_take_id(root_fd, &note.id, err);
	return r < 0 ? r : write_note(dir_fd, &note, err);
}

/* --- what there is --- */

bool project_is_own(const struct disk_limits *quota)
{
	return quota->bytes != LIMIT_UNSET || quota->inodes != LIMIT_UNSET;
}

bool project_group_has(const struct project_group *group, uint32_t id)
{
	for (size_t i = 0; i < group->n_own; i++)
		if (group->own[i] == id)
			return true;
	return false;
}

static int add_own(struct project_group *group, uint32_t id)
{
	size_t room = group->room ? group->room * 2 : 32;
	uint32_t *own;

	if (project_group_has(group, id))
		return 0;
	if (group->n_own == group->room) {
		own = realloc(group->own, room * sizeof(*own));
		if (!own)
			return -ENOMEM;
		group->own = own;
		group->room = room;
	}
	group->own[group->n_own++] = id;
	return 0;
}

/* The projects of the directories in dir_fd; of those that have none, of what is in them. */
static int collect(struct project_group *group, int dir_fd, int levels)
{
	int copy = openat(dir_fd, ".", OPEN_DIR);
	_cleanup_closedir_ DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return -errno;
	while (r == 0 && (entry = readdir(dir))) {
		_cleanup_close_ int fd = -1;
		uint32_t id;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		fd = openat(dir_fd, entry->d_name, OPEN_DIR);
		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
			continue;
		r = fd < 0 ? -errno : project_of(fd, &id);
		if (r == 0 && id == 0 && levels > 1)
			r = collect(group, fd, levels - 1);
		else if (r == 0 && id != 0 && id != group->id)
			r = add_own(group, id);
	}
	return r;
}

static uint64_t greater(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What a project may come to have: what is over its limit already is there, and is counted. */
static uint64_t set_aside(uint64_t limit, uint64_t used)
{
	return limit == UINT64_MAX ? used : greater(limit, used);
}

static struct disk_limits aside_of(const struct project_quota *q, const struct disk_limits *limit)
{
	return (struct disk_limits){
		set_aside(limit->bytes, q->used_bytes), set_aside(limit->inodes, q->used_inodes)};
}

static void add(struct disk_limits *to, const struct disk_limits *what)
{
	to->bytes += what->bytes;
	to->inodes += what->inodes;
}

static int look(struct project_group *group)
{
	int r = project_quota_get(group->fd, group->id, &group->shared);

	if (r == 0)
		r = collect(group, group->fd, 2);
	group->used = (struct disk_limits){group->shared.used_bytes, group->shared.used_inodes};
	for (size_t i = 0; i < group->n_own && r == 0; i++) {
		struct project_quota q;
		struct disk_limits part;

		r = project_quota_get(group->fd, group->own[i], &q);
		if (r < 0)
			break;
		part = aside_of(&q, &(struct disk_limits){q.limit_bytes, q.limit_inodes});
		add(&group->aside, &part);
		add(&group->used, &(struct disk_limits){q.used_bytes, q.used_inodes});
	}
	return r;
}

int project_group_open(int root_fd, int dir_fd, struct project_group *ret, struct err *err)
{
	struct project_group group = {
		.fd = openat(dir_fd, ".", OPEN_DIR),
		.root_fd = root_fd,
	};
	struct note note = {0};
	int r;

	if (group.fd < 0)
		return err_sys(err, errno, "open the tenant's directory");
	r = fd_lock(group.fd);
	if (r == 0)
		r = read_note(group.fd, &note);
	group.id = note.id;
	group.bought = note.bought;
	if (r == 0)
		r = look(&group);
	if (r < 0) {
		project_group_close(&group);
		return err_sys(err, r, "look at the tenant's disk limits");
	}
	*ret = group;
	return 0;
}

void project_group_close(struct project_group *group)
{
	close_fd(&group->fd);
	free(group->own);
	group->own = NULL;
}

/* --- changes --- */

static uint64_t left(uint64_t bought, uint64_t aside)
{
	if (bought == LIMIT_UNSET)
		return LIMIT_UNSET;
	return bought > aside ? bought - aside : 0;
}

static struct disk_limits left_of(const struct project_group *group)
{
	return (struct disk_limits){left(group->bought.bytes, group->aside.bytes),
		left(group->bought.inodes, group->aside.inodes)};
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int limit_shared(
	struct project_group *group, const struct disk_limits *quota, struct err *err)
{
	int r;

	if (quota->bytes == group->shared.limit_bytes &&
		quota->inodes == group->shared.limit_inodes)
		return 0;
	r = project_quota_limit(group->root_fd, group->id, quota->bytes, quota->inodes);
	if (r < 0)
		return err_sys(err, r, "limit what the tenant's containers share");
	group->shared.limit_bytes = quota->bytes;
	group->shared.limit_inodes = quota->inodes;
	return 0;
}

int project_group_settle(struct project_group *group, struct err *err)
{
	struct disk_limits shared = left_of(group);

	return limit_shared(group, &shared, err);
}

static int check_one(enum limit_id id, uint64_t bought, uint64_t shared_used, uint64_t others,
	uint64_t now, uint64_t asked, struct err *err)
{
	char room_text[LIMIT_TEXT_MAX];
	char text[LIMIT_TEXT_MAX];
	uint64_t room;

	if (bought == LIMIT_UNSET || asked <= now)
		return 0;
	room = left(left(bought, others), shared_used);
	if (asked <= room)
		return 0;
	return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "DISK_NO_ROOM", limit_rule(id)->name,
		"%s %s would be set aside, and the tenant has %s that is neither in use nor set "
		"aside for others; ask for less, or raise the tenant's limit first",
		limit_rule(id)->name, limit_format(id, asked, text),
		limit_format(id, room, room_text));
}

struct disk_limits project_complete(const struct disk_limits *quota)
{
	struct disk_limits whole = *quota;

	if (whole.inodes == LIMIT_UNSET && whole.bytes != LIMIT_UNSET)
		whole.inodes = whole.bytes / BYTES_PER_INODE;
	return whole;
}

static int check_complete(
	const struct disk_limits *bought, const struct disk_limits *quota, struct err *err)
{
	if (bought->bytes == LIMIT_UNSET || quota->bytes != LIMIT_UNSET)
		return 0;
	return err_set_subject(err, ERR_INVALID_ARGUMENT, "DISK_LIMIT_INCOMPLETE", "disk",
		"the tenant's disk is limited, and on this host a container's limit of inodes goes "
		"with a share of it; give --disk as well");
}

int project_group_set(
	struct project_group *group, uint32_t id, const struct disk_limits *asked, struct err *err)
{
	struct disk_limits limits = project_complete(asked);
	const struct disk_limits *quota = &limits;
	struct disk_limits others = group->aside;
	struct disk_limits before = {0};
	struct disk_limits after;
	struct disk_limits shared;
	struct project_quota q;
	int r = check_complete(&group->bought, asked, err);

	if (r < 0)
		return r;
	r = project_quota_get(group->fd, id, &q);
	if (r < 0)
		return err_sys(err, r, "read a disk limit");
	if (project_group_has(group, id)) {
		before = aside_of(&q, &(struct disk_limits){q.limit_bytes, q.limit_inodes});
		others.bytes -= before.bytes;
		others.inodes -= before.inodes;
	}
	after = aside_of(&q, quota);
	r = check_one(LIMIT_DISK, group->bought.bytes, group->shared.used_bytes, others.bytes,
		before.bytes, after.bytes, err);
	if (r == 0)
		r = check_one(LIMIT_INODES, group->bought.inodes, group->shared.used_inodes,
			others.inodes, before.inodes, after.inodes, err);
	if (r < 0)
		return r;
	group->aside = others;
	add(&group->aside, &after);
	shared = left_of(group);
	shared.bytes = lesser(shared.bytes, group->shared.limit_bytes);
	shared.inodes = lesser(shared.inodes, group->shared.limit_inodes);
	r = limit_shared(group, &shared, err);
	if (r < 0)
		return r;
	r = project_quota_limit(group->root_fd, id, quota->bytes, quota->inodes);
	if (r < 0)
		return err_sys(err, r, "set the disk limit");
	return project_group_settle(group, err);
}

static int refuse_aside(enum limit_id id, uint64_t aside, uint64_t asked, struct err *err)
{
	char aside_text[LIMIT_TEXT_MAX];
	char text[LIMIT_TEXT_MAX];

	return err_set_subject(err, ERR_FAILED_PRECONDITION, "DISK_SET_ASIDE", limit_rule(id)->name,
		"%s %s is less than the %s that are set aside for containers with a limit of their "
		"own; lower those first",
		limit_rule(id)->name, limit_format(id, asked, text),
		limit_format(id, aside, aside_text));
}

/* A tenant that had no limit of disk may have given shares without one. */
static int check_owners(
	const struct project_group *group, const struct disk_limits *bought, struct err *err)
{
	for (size_t i = 0; i < group->n_own; i++) {
		struct project_quota q;
		int r = project_quota_get(group->fd, group->own[i], &q);

		if (r < 0)
			return err_sys(err, r, "read a disk limit");
		r = check_complete(bought, &(struct disk_limits){q.limit_bytes, 0}, NULL);
		if (r < 0)
			return err_set_subject(err, ERR_FAILED_PRECONDITION,
				"DISK_LIMIT_INCOMPLETE", "disk",
				"some of the tenant's containers have a limit of inodes without "
				"one of disk; give them that first");
	}
	return 0;
}

int project_group_buy(struct project_group *group, const struct disk_limits *asked, struct err *err)
{
	struct disk_limits limits = project_complete(asked);
	const struct disk_limits *quota = &limits;
	struct note note = {.id = group->id, .version = 1, .bought = *quota};
	int r = check_owners(group, quota, err);

	if (r < 0)
		return r;
	if (quota->bytes != LIMIT_UNSET && group->aside.bytes > quota->bytes)
		return refuse_aside(LIMIT_DISK, group->aside.bytes, quota->bytes, err);
	if (quota->inodes != LIMIT_UNSET && group->aside.inodes > quota->inodes)
		return refuse_aside(LIMIT_INODES, group->aside.inodes, quota->inodes, err);
	if (memcmp(&note.bought, &group->bought, sizeof(note.bought)) != 0) {
		r = write_note(group->fd, &note, err);
		if (r < 0)
			return r;
	}
	group->bought = *quota;
	return project_group_settle(group, err);
}
