/*
 * Run state files; see run_file.h. A file is believed only when magic, version, size and checksum
 * agree and its names are valid and its own.
 */
#include "sandbox/run_file.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define STATE_MAGIC   0x6e757243u /* "Crun" */
#define STATE_VERSION 7u
#define COUNTERS_AT   (offsetof(struct run_file, final) + offsetof(struct msg_run_ended, counters))
/* What follows the counters. */
#define REST_AT	      (COUNTERS_AT + sizeof(struct counters))
#define FILE_NAME_MAX (2 * NAME_SIZE + 8)
#define STAT_SIZE     2048 /* 52 numbers and a name */

struct file_image {
	uint32_t magic;
	uint32_t version;
	uint32_t size;
	uint32_t checksum; /* of `state` */
	struct run_file state;
};

/* What a supervisor before an upgrade left is this one's to adopt; see take_old(). */
static const struct old_version {
	uint32_t version;
	size_t counters; /* so long were they then */
	size_t rest;	 /* and what followed them */
} old_versions[] = {
	{4, offsetof(struct counters, has_io), offsetof(struct run_file, disk) - REST_AT},
	{5, offsetof(struct counters, cpu_user_usec), sizeof(struct run_file) - REST_AT},
	{6, offsetof(struct counters, refused_calls), sizeof(struct run_file) - REST_AT},
};

static const struct old_version *find_old(uint32_t version)
{
	for (size_t i = 0; i < ARRAY_SIZE(old_versions); i++)
		if (old_versions[i].version == version)
			return &old_versions[i];
	return NULL;
}

/* FNV-1a: against torn and damaged files, not against an enemy (the directory is root's). */
static uint32_t checksum(const void *data, size_t size)
{
	const uint8_t *p = data;
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ p[i]) * 16777619u;
	return hash;
}

static void file_name(const char *tenant, const char *container, char out[static FILE_NAME_MAX])
{
	snprintf(out, FILE_NAME_MAX, "%s.%s", tenant, container);
}

int run_file_save(int dirfd, const struct run_file *state, struct err *err)
{
	struct file_image file = {
		.magic = STATE_MAGIC, .version = STATE_VERSION, .size = sizeof(file)};
	char name[FILE_NAME_MAX];
	int r;

	memcpy(&file.state, state, sizeof(file.state));
	file.checksum = checksum(&file.state, sizeof(file.state));
	file_name(state->tenant, state->container, name);
	r = fd_replace_file_at(dirfd, name, &file, sizeof(file), false);
	return r < 0 ? err_sys(err, r, "save the run's state") : 0;
}

int run_file_remove(int dirfd, const char *tenant, const char *container, struct err *err)
{
	char name[FILE_NAME_MAX];

	file_name(tenant, container, name);
	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove the run's state");
	return 0;
}

/* The size of the state in a file of n bytes, or 0: it is none of ours. */
static size_t state_size(const struct file_image *file, size_t n)
{
	const struct old_version *old;
	size_t size = 0;

	if (n < offsetof(struct file_image, state) || file->magic != STATE_MAGIC)
		return 0;
	old = find_old(file->version);
	if (file->version == STATE_VERSION)
		size = sizeof(file->state);
	else if (old)
		size = COUNTERS_AT + old->counters + old->rest;
	return file->size == n && n == offsetof(struct file_image, state) + size ? size : 0;
}

/* All but what the counters, and the end, have had since. */
static void take_old(struct run_file *state, const struct old_version *old)
{
	size_t prefix = COUNTERS_AT + old->counters;
	struct run_file was = *state;

	memset((char *)state + prefix, 0, sizeof(*state) - prefix);
	memcpy((char *)state + REST_AT, (const char *)&was + prefix, old->rest);
	if (old->counters <= offsetof(struct counters, cpu_user_usec))
		state->final.counters.cpu_user_usec = COUNTER_UNKNOWN;
}

static bool load(int dirfd, const char *name, struct run_file *ret)
{
	_cleanup_close_ int fd = openat(
		dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct file_image file = {0};
	char expected[FILE_NAME_MAX];
	size_t size;
	ssize_t n;

	if (fd < 0)
		return false;
	n = fd_read_full(fd, &file, sizeof(file));
	size = n < 0 ? 0 : state_size(&file, (size_t)n);
	if (size == 0 || file.checksum != checksum(&file.state, size))
		return false;
	if (file.version != STATE_VERSION)
		take_old(&file.state, find_old(file.version));
	if (!name_field_is_valid(file.state.tenant) || !name_field_is_valid(file.state.container))
		return false;
	file_name(file.state.tenant, file.state.container, expected);
	if (strcmp(name, expected) != 0)
		return false;
	*ret = file.state;
	return true;
}

/*
 * True for "<tenant>.<container><suffix>". A run's own name has one dot, so that a container may be
 * called `new` or `bad`.
 */
static bool has_suffix(const char *name, const char *suffix)
{
	const char *first = strchr(name, '.');
	const char *last = strrchr(name, '.');

	return last != first && !strcmp(last, suffix);
}

static void set_aside(int dirfd, const char *name)
{
	char aside[NAME_MAX];

	if ((size_t)snprintf(aside, sizeof(aside), "%s.bad", name) < sizeof(aside))
		renameat(dirfd, name, dirfd, aside);
}

int run_file_for_each(int dirfd, void (*fn)(const struct run_file *state, void *arg),
	void (*bad)(const char *name, void *arg), void *arg, struct err *err)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		cleanup_close(&fd);
		return err_sys(err, errno, "read the runs on file");
	}
	while ((entry = readdir(dir))) {
		struct run_file state;

		if (entry->d_name[0] == '.' || has_suffix(entry->d_name, ".bad"))
			continue;
		if (has_suffix(entry->d_name, ".new")) {
			/* A save that was cut off; the file it would have replaced is whole. */
			unlinkat(dirfd, entry->d_name, 0);
			continue;
		}
		if (load(dirfd, entry->d_name, &state)) {
			fn(&state, arg);
			continue;
		}
		set_aside(dirfd, entry->d_name);
		bad(entry->d_name, arg);
	}
	return 0;
}

/* A field of proc(5)'s /proc/PID/stat, from the third on. The command's name, the second, may hold
 * spaces and parentheses: fields count from the last one. */
static const char *stat_field(const char *text, int wanted)
{
	const char *p = strrchr(text, ')');

	for (int field = 2; p && field < wanted; field++)
		p = strchr(p + 1, ' ');
	return p ? p + 1 : NULL;
}

static int read_stat(pid_t pid, char text[static STAT_SIZE])
{
	char path[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	n = fd_read_text_at(AT_FDCWD, path, text, STAT_SIZE);
	return n < 0 ? (int)n : 0;
}

static int parse_start(const char *text, uint64_t *ret_ticks)
{
	const char *field = stat_field(text, 22);

	return field && sscanf(field, "%" SCNu64, ret_ticks) == 1 ? 0 : -EBADMSG;
}

int run_file_pid_start(pid_t pid, uint64_t *ret_ticks)
{
	char text[STAT_SIZE];
	int r = read_stat(pid, text);

	return r < 0 ? r : parse_start(text, ret_ticks);
}

int run_file_pid_exit(pid_t pid, uint64_t start_ticks, int *ret_wait_status)
{
	char text[STAT_SIZE];
	const char *field;
	uint64_t ticks;
	int r = read_stat(pid, text);

	if (r == 0)
		r = parse_start(text, &ticks);
	if (r < 0)
		return r;
	field = stat_field(text, 3);
	if (ticks != start_ticks)
		return -ESRCH;
	if (*field != 'Z' && *field != 'X')
		return -EBUSY;
	field = stat_field(text, 52);
	return field && sscanf(field, "%d", ret_wait_status) == 1 ? 0 : -EBADMSG;
}
