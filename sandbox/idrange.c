/*
 * Id ranges; see idrange.h. The table file is a header and 32,768 owners of 16 bytes (all zero:
 * free); an instance's file holds where it lives. Every access is under the table's file lock.
 * Must never hand out a range while a process of the host still runs in it.
 *
 *   ranges           header, then one owner for each range
 *   instances/<id>   the state directory and the id file of an instance, a line each
 *
 * Nothing is synced: after a crash of the host no container runs, and a restarted instance says
 * by idrange_keep_only() what it still needs.
 */
#include "sandbox/idrange.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/idrange_internal.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define TABLE_FILE    "ranges"
#define TABLE_VERSION 1
#define CHUNK	      256 /* owners read at once */

struct table_header {
	char magic[8];
	uint32_t version;
	uint32_t first;
	uint32_t size;
	uint32_t count;
	uint8_t reserved[8];
};

static const struct table_header expected_header = {
	.magic = "CROFTIDS",
	.version = TABLE_VERSION,
	.first = IDRANGE_FIRST,
	.size = IDRANGE_SIZE,
	.count = IDRANGE_COUNT,
};

struct idrange_registry {
	int table_fd;
	int instances_fd;
	char id[INSTANCE_ID_SIZE];
	struct idrange_owner owner; /* id as bytes */
	uint32_t *next; /* where the search for a free range begins; shared with workers */
};

static const struct idrange_owner nobody;

static bool same_owner(const struct idrange_owner *a, const struct idrange_owner *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static off_t owner_offset(uint32_t index)
{
	return (off_t)(sizeof(struct table_header) + index * sizeof(struct idrange_owner));
}

/*
 * Locks the table until the returned descriptor is closed. The lock belongs to an open file
 * description, and a forked worker has ours: so each locks one that it opens for the purpose.
 */
static int lock_table(const struct idrange_registry *reg, struct err *err)
{
	_cleanup_close_ int fd = -1;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", reg->table_fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open the id ranges");
	r = fd_lock(fd);
	return r < 0 ? err_sys(err, r, "lock the id ranges") : take_fd(&fd);
}

static int read_owners(
	int fd, uint32_t first, uint32_t n, struct idrange_owner *ret, struct err *err)
{
	size_t size = n * sizeof(*ret);
	ssize_t got = pread(fd, ret, size, owner_offset(first));

	if (got < 0)
		return err_sys(err, errno, "read the id ranges");
	if ((size_t)got != size)
		return err_set(err, ERR_DATA_LOSS, "ID_RANGES_DAMAGED",
			"the host's table of id ranges is cut short; stop all instances, and "
			"remove it");
	return 0;
}

static int write_owner(int fd, uint32_t index, const struct idrange_owner *owner, struct err *err)
{
	ssize_t n = pwrite(fd, owner, sizeof(*owner), owner_offset(index));

	if (n < 0)
		return err_sys(err, errno, "write the id ranges");
	return n == sizeof(*owner) ? 0 : err_sys(err, ENOSPC, "write the id ranges");
}

/* Calls fn for each range from `first` on, wrapping once. A positive return ends it. */
typedef int (*owner_fn)(struct idrange_registry *reg, uint32_t index,
	const struct idrange_owner *owner, void *arg, struct err *err);

static int each_owner(
	struct idrange_registry *reg, uint32_t first, owner_fn fn, void *arg, struct err *err)
{
	struct idrange_owner owners[CHUNK];
	uint32_t begin = first - first % CHUNK;

	_Static_assert(IDRANGE_COUNT % CHUNK == 0, "the table is read in whole chunks");
	for (uint32_t done = 0; done <= IDRANGE_COUNT; done += CHUNK) {
		uint32_t base = (begin + done) % IDRANGE_COUNT;
		uint32_t skip = done == 0 ? first % CHUNK : 0;
		uint32_t end = done == IDRANGE_COUNT ? first % CHUNK : CHUNK;
		int r;

		if (skip >= end)
			continue;
		r = read_owners(reg->table_fd, base, CHUNK, owners, err);
		for (uint32_t i = skip; i < end && r == 0; i++)
			r = fn(reg, base + i, &owners[i], arg, err);
		if (r)
			return r < 0 ? r : 0;
	}
	return 0;
}

static int check_table(int fd, struct err *err)
{
	struct table_header header;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "look at the id ranges");
	if (st.st_size == 0) {
		if (ftruncate(fd, owner_offset(IDRANGE_COUNT)) < 0 ||
			pwrite(fd, &expected_header, sizeof(header), 0) != sizeof(header))
			return err_sys(err, errno, "make the table of id ranges");
		return 0;
	}
	if (pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
		memcmp(&header, &expected_header, sizeof(header)) ||
		st.st_size != owner_offset(IDRANGE_COUNT))
		return err_set(err, ERR_DATA_LOSS, "ID_RANGES_DAMAGED",
			"the host's table of id ranges is damaged, or of another version; stop all "
			"instances, and remove it");
	return 0;
}

static int open_files(struct idrange_registry *reg, const char *dir, struct err *err)
{
	_cleanup_close_ int dir_fd = -1;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make the directory of the id ranges");
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(err, errno, "open the directory of the id ranges");
	if (mkdirat(dir_fd, IDRANGE_INSTANCES_DIR, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make the directory of the id ranges");
	reg->instances_fd = openat(
		dir_fd, IDRANGE_INSTANCES_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	reg->table_fd = openat(dir_fd, TABLE_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (reg->table_fd < 0 || reg->instances_fd < 0)
		return err_sys(err, errno, "open the id ranges");
	return 0;
}

struct reclaim {
	const struct idrange_owner *gone;
	struct idrange_in_use in_use;
	size_t kept;
};

static int reclaim_one(struct idrange_registry *reg, uint32_t index,
	const struct idrange_owner *owner, void *arg, struct err *err)
{
	struct reclaim *reclaim = arg;

	if (!same_owner(owner, reclaim->gone))
		return 0;
	if (idrange_in_use_has(&reclaim->in_use, index)) {
		reclaim->kept++;
		return 0;
	}
	return write_owner(reg->table_fd, index, &nobody, err);
}

/* Takes back what instances hold that are gone. Under the lock. */
static int reclaim_gone(struct idrange_registry *reg, struct err *err)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct reclaim reclaim = {0};
	bool looked = false;
	struct dirent *entry;
	int copy = openat(reg->instances_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	dir = copy >= 0 ? fdopendir(copy) : NULL;
	if (!dir)
		return err_sys(err, errno, "list the instances");
	while ((entry = readdir(dir))) {
		struct idrange_owner gone;
		int r;

		if (idrange_parse_id(entry->d_name, &gone) < 0 || !strcmp(entry->d_name, reg->id) ||
			!idrange_instance_is_gone(reg->instances_fd, entry->d_name))
			continue;
		r = looked ? 0 : idrange_in_use_read(&reclaim.in_use, err);
		looked = true;
		reclaim.gone = &gone;
		reclaim.kept = 0;
		if (r == 0)
			r = each_owner(reg, 0, reclaim_one, &reclaim, err);
		if (r < 0)
			return r;
		if (reclaim.kept == 0)
			unlinkat(reg->instances_fd, entry->d_name, 0);
	}
	return 0;
}

/* Workers take ranges too, and where one of them stopped must be known to the next. */
static int share_next(struct idrange_registry *reg, struct err *err)
{
	void *page = mmap(NULL, sizeof(*reg->next), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return err_sys(err, errno, "open the id ranges");
	reg->next = page;
	return 0;
}

static void cleanup_registry(struct idrange_registry **reg)
{
	idrange_close(*reg);
}

int idrange_open(const char *dir, const char *state_path, int supervisor_fd,
	struct idrange_registry **ret, struct err *err)
{
	_cleanup_(cleanup_registry) struct idrange_registry *reg = calloc(1, sizeof(*reg));
	_cleanup_close_ int locked = -1;
	int r;

	if (!reg)
		return err_oom(err);
	reg->table_fd = reg->instances_fd = -1;
	r = open_files(reg, dir, err);
	if (r == 0)
		r = share_next(reg, err);
	if (r < 0)
		return r;
	locked = lock_table(reg, err);
	if (locked < 0)
		return locked;
	r = check_table(reg->table_fd, err);
	if (r == 0)
		r = idrange_instance_enroll(
			reg->instances_fd, state_path, supervisor_fd, reg->id, err);
	if (r == 0)
		r = idrange_parse_id(reg->id, &reg->owner);
	if (r == 0)
		r = reclaim_gone(reg, err);
	if (r < 0)
		return r;
	/* Instances begin far apart, and a range given back is not taken again at once. */
	memcpy(reg->next, reg->owner.bytes, sizeof(*reg->next));
	*reg->next %= IDRANGE_COUNT;
	*ret = take_ptr(reg);
	return 0;
}

void idrange_close(struct idrange_registry *reg)
{
	if (!reg)
		return;
	close_fd(&reg->table_fd);
	close_fd(&reg->instances_fd);
	if (reg->next)
		munmap(reg->next, sizeof(*reg->next));
	free(reg);
}

void idrange_list_fds(const struct idrange_registry *reg, struct fd_list *list)
{
	fd_list_add(list, reg->table_fd);
	fd_list_add(list, reg->instances_fd);
}

const char *idrange_instance(const struct idrange_registry *reg)
{
	return reg->id;
}

static int take_if_free(struct idrange_registry *reg, uint32_t index,
	const struct idrange_owner *owner, void *arg, struct err *err)
{
	uint32_t *taken = arg;
	int r;

	if (!same_owner(owner, &nobody))
		return 0;
	r = write_owner(reg->table_fd, index, &reg->owner, err);
	if (r < 0)
		return r;
	*taken = index;
	return 1;
}

int idrange_take(struct idrange_registry *reg, uid_t *ret_base, struct err *err)
{
	_cleanup_close_ int locked = lock_table(reg, err);
	uint32_t taken = IDRANGE_COUNT;
	int r;

	if (locked < 0)
		return locked;
	r = each_owner(reg, *reg->next, take_if_free, &taken, err);
	if (r == 0 && taken == IDRANGE_COUNT)
		r = reclaim_gone(reg, err);
	if (r == 0 && taken == IDRANGE_COUNT)
		r = each_owner(reg, *reg->next, take_if_free, &taken, err);
	if (r < 0)
		return r;
	if (taken == IDRANGE_COUNT)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "ID_RANGES_EXHAUSTED",
			"the host has no free range of user ids; stop a container first");
	*reg->next = (taken + 1) % IDRANGE_COUNT;
	*ret_base = IDRANGE_FIRST + taken * IDRANGE_SIZE;
	return 0;
}

static int index_of(uid_t base, uint32_t *ret, struct err *err)
{
	if (base < IDRANGE_FIRST || (base - IDRANGE_FIRST) % IDRANGE_SIZE ||
		(base - IDRANGE_FIRST) / IDRANGE_SIZE >= IDRANGE_COUNT)
		return err_set(err, ERR_INVALID_ARGUMENT, "ID_RANGE_INVALID",
			"%u is not the first id of a range", base);
	*ret = (base - IDRANGE_FIRST) / IDRANGE_SIZE;
	return 0;
}

int idrange_put(struct idrange_registry *reg, uid_t base, struct err *err)
{
	_cleanup_close_ int locked = -1;
	struct idrange_owner owner;
	uint32_t index = 0;
	int r = index_of(base, &index, err);

	if (r < 0)
		return r;
	locked = lock_table(reg, err);
	if (locked < 0)
		return locked;
	r = read_owners(reg->table_fd, index, 1, &owner, err);
	if (r < 0 || same_owner(&owner, &nobody))
		return r;
	if (!same_owner(&owner, &reg->owner)) {
		err_set(err, ERR_FAILED_PRECONDITION, "ID_RANGE_NOT_OURS",
			"the range from %u on belongs to another instance", base);
		return -EPERM;
	}
	return write_owner(reg->table_fd, index, &nobody, err);
}

struct keep {
	const uid_t *bases;
	size_t n;
};

static int drop_unless_kept(struct idrange_registry *reg, uint32_t index,
	const struct idrange_owner *owner, void *arg, struct err *err)
{
	const struct keep *keep = arg;

	if (!same_owner(owner, &reg->owner))
		return 0;
	for (size_t i = 0; i < keep->n; i++)
		if (keep->bases[i] == IDRANGE_FIRST + index * IDRANGE_SIZE)
			return 0;
	return write_owner(reg->table_fd, index, &nobody, err);
}

int idrange_keep_only(struct idrange_registry *reg, const uid_t *bases, size_t n, struct err *err)
{
	_cleanup_close_ int locked = lock_table(reg, err);
	struct keep keep = {bases, n};

	if (locked < 0)
		return locked;
	return each_owner(reg, 0, drop_unless_kept, &keep, err);
}

static int count_ours(struct idrange_registry *reg, uint32_t index,
	const struct idrange_owner *owner, void *arg, struct err *err)
{
	(void)index;
	(void)err;
	*(int *)arg += same_owner(owner, &reg->owner);
	return 0;
}

int idrange_held(struct idrange_registry *reg)
{
	int n = 0;
	int r = each_owner(reg, 0, count_ours, &n, NULL);

	return r < 0 ? r : n;
}
