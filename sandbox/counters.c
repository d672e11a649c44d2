/*
 * Reads a cgroup's counters through files kept open; see counters.h. Which file and which line of
 * it holds a counter is a table per driver. Must never follow a path a tenant can change: a v1
 * payload and everything on cgroup v2 that is read here belongs to the host.
 */
#include "sandbox/counters.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/refused_count.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FILES_MAX     13
#define DISK_TEXT_MAX 24 /* "4294967295:4294967295 " */
/* memory.stat has some 60 lines of at most 40 bytes; the other files are a line or two. */
#define TEXT_MAX 8192
/* cpuacct.stat counts in USER_HZ, which is 100 on every architecture of Linux' ABI that we build.
 */
#define USEC_A_TICK 10000

struct file_row {
	enum counter_dir dir;
	const char *path;
	const char *instead;   /* where `path` does not exist; NULL: none */
	bool optional;	       /* a kernel may lack it; its counters read as `missing` */
	bool io;	       /* of I/O: lines of disks, opened for the one that counts */
	const char *of_tenant; /* of a tenant instead of `path`, where it exists; NULL: no other */
};

struct value_row {
	size_t file;	 /* index into the driver's files */
	const char *key; /* "key number" lines; NULL: the file is one number */
	uint64_t divisor;
	uint64_t missing;
	size_t offset;	    /* into struct counters */
	bool line_optional; /* a kernel may lack the key's line; it reads as `missing` */
	uint64_t factor;    /* 0: 1 */
};

/* "M:N ... <word>number ..." of the disk's line; without a line there was no I/O. */
struct io_row {
	size_t file;
	const char *word;
	size_t offset;
};

#define FIELD(name) offsetof(struct counters, name)
/* Holds the inactive file cache until it is taken from the usage. */
#define INACTIVE FIELD(memory_working_set_bytes)

static const struct file_row unified_files[] = {
	{COUNTER_DIR_UNIFIED, "cpu.stat", NULL, false},
	{COUNTER_DIR_UNIFIED, "memory.current", NULL, false},
	{COUNTER_DIR_UNIFIED, "memory.stat", NULL, false},
	{COUNTER_DIR_UNIFIED, "memory.peak", NULL, false},
	/* Of a tenant without what its containers' own limits did, which is theirs; so below. */
	{COUNTER_DIR_UNIFIED, "memory.events", NULL, false, false, "memory.events.local"},
	{COUNTER_DIR_UNIFIED, "pids.current", NULL, false},
	{COUNTER_DIR_UNIFIED, "pids.peak", NULL, true},
	{COUNTER_DIR_UNIFIED, "pids.events", NULL, false, false, "pids.events.local"},
	{COUNTER_DIR_UNIFIED, "io.stat", NULL, true, true},
};

static const struct io_row unified_io[] = {
	{8, "rbytes=", FIELD(io.read_bytes)},
	{8, "rios=", FIELD(io.read_ops)},
	{8, "wbytes=", FIELD(io.write_bytes)},
	{8, "wios=", FIELD(io.write_ops)},
};

static const struct value_row unified_values[] = {
	{0, "usage_usec", 1, 0, FIELD(cpu_usec), false},
	{0, "throttled_usec", 1, 0, FIELD(cpu_throttled_usec), true},
	{0, "user_usec", 1, COUNTER_UNKNOWN, FIELD(cpu_user_usec), true},
	{1, NULL, 1, 0, FIELD(memory_bytes), false},
	{2, "inactive_file", 1, 0, INACTIVE, false},
	{3, NULL, 1, 0, FIELD(memory_peak_bytes), false},
	{4, "max", 1, 0, FIELD(memory_at_limit), false},
	{4, "oom_kill", 1, 0, FIELD(oom_kills), false},
	{5, NULL, 1, 0, FIELD(pids), false},
	{6, NULL, 1, UINT64_MAX, FIELD(pids_peak), false},
	{7, "max", 1, 0, FIELD(pids_denied), false},
};

/*
 * cpuacct.stat is cpuacct.usage divided in the proportion of the ticks (cputime_adjust()), so that
 * both agree to a tick; cpuacct.usage_user and usage_sys are the ticks as they fell, and do not.
 *
 * v1 counts an OOM kill and a refused fork only in the cgroup of the process concerned, which is
 * payload, whichever level's limit was met; nothing is summed upwards.
 */
static const struct file_row hybrid_files[] = {
	{COUNTER_DIR_CPUACCT, "cpuacct.usage", NULL, false},
	{COUNTER_DIR_CPU, "cpu.stat", NULL, false},
	{COUNTER_DIR_MEMORY, "memory.usage_in_bytes", NULL, false},
	{COUNTER_DIR_MEMORY, "memory.stat", NULL, false},
	{COUNTER_DIR_MEMORY, "memory.max_usage_in_bytes", NULL, false},
	{COUNTER_DIR_MEMORY, "memory.failcnt", NULL, false},
	{COUNTER_DIR_MEMORY, "payload/memory.oom_control", "memory.oom_control", false},
	{COUNTER_DIR_PIDS, "pids.current", NULL, false},
	{COUNTER_DIR_PIDS, "pids.peak", NULL, true},
	{COUNTER_DIR_PIDS, "payload/pids.events", "pids.events", false},
	{COUNTER_DIR_IO, "blkio.throttle.io_service_bytes_recursive", NULL, true, true},
	{COUNTER_DIR_IO, "blkio.throttle.io_serviced_recursive", NULL, true, true},
	{COUNTER_DIR_CPUACCT, "cpuacct.stat", NULL, true},
};

static const struct io_row hybrid_io[] = {
	{10, "Read ", FIELD(io.read_bytes)},
	{11, "Read ", FIELD(io.read_ops)},
	{10, "Write ", FIELD(io.write_bytes)},
	{11, "Write ", FIELD(io.write_ops)},
};

static const struct value_row hybrid_values[] = {
	{0, NULL, 1000, 0, FIELD(cpu_usec), false},
	{1, "throttled_time", 1000, 0, FIELD(cpu_throttled_usec), true},
	{2, NULL, 1, 0, FIELD(memory_bytes), false},
	{3, "total_inactive_file", 1, 0, INACTIVE, false},
	{4, NULL, 1, 0, FIELD(memory_peak_bytes), false},
	{5, NULL, 1, 0, FIELD(memory_at_limit), false},
	{6, "oom_kill", 1, 0, FIELD(oom_kills), false},
	{7, NULL, 1, 0, FIELD(pids), false},
	{8, NULL, 1, UINT64_MAX, FIELD(pids_peak), false},
	{9, "max", 1, 0, FIELD(pids_denied), false},
	{12, "user", 1, COUNTER_UNKNOWN, FIELD(cpu_user_usec), true, USEC_A_TICK},
};

struct driver {
	const struct file_row *files;
	size_t n_files;
	const struct value_row *values;
	size_t n_values;
	const struct io_row *io;
	size_t n_io;
	size_t n_dirs;
};

static const struct driver unified = {unified_files, ARRAY_SIZE(unified_files), unified_values,
	ARRAY_SIZE(unified_values), unified_io, ARRAY_SIZE(unified_io), 1};
static const struct driver hybrid = {hybrid_files, ARRAY_SIZE(hybrid_files), hybrid_values,
	ARRAY_SIZE(hybrid_values), hybrid_io, ARRAY_SIZE(hybrid_io), COUNTER_DIR_N};

struct counter_files {
	const struct driver *driver;
	int fds[FILES_MAX];	  /* -1: optional and missing */
	char disk[DISK_TEXT_MAX]; /* "8:16 ": what its lines begin with; "": none counts */
	int refused_fd;		  /* -1: nobody counts them */
};

_Static_assert(ARRAY_SIZE(unified_files) <= FILES_MAX, "FILES_MAX");
_Static_assert(ARRAY_SIZE(hybrid_files) <= FILES_MAX, "FILES_MAX");

static const struct driver *driver_of(enum cgroup_kind kind)
{
	return kind == CGROUP_UNIFIED ? &unified : &hybrid;
}

size_t counters_n_dirs(enum cgroup_kind kind)
{
	return driver_of(kind)->n_dirs;
}

static int open_file(int dir, const char *path)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

static int open_row(const struct file_row *row, enum counters_of of, int dir)
{
	int fd = -ENOENT;

	if (of == COUNTERS_OF_TENANT && row->of_tenant)
		fd = open_file(dir, row->of_tenant);
	if (fd == -ENOENT)
		fd = open_file(dir, row->path);
	if (fd == -ENOENT && row->instead)
		fd = open_file(dir, row->instead);
	return fd;
}

static void cleanup_files(struct counter_files **files)
{
	counter_files_close(*files);
}

int counter_files_open(enum cgroup_kind kind, enum counters_of of, const int *dirs,
	const struct io_disk *disk, struct counter_files **ret, struct err *err)
{
	_cleanup_(cleanup_files) struct counter_files *files = malloc(sizeof(*files));

	if (!files)
		return err_oom(err);
	files->driver = driver_of(kind);
	files->disk[0] = '\0';
	files->refused_fd = -1;
	if (disk && disk->major)
		snprintf(files->disk, sizeof(files->disk), "%" PRIu32 ":%" PRIu32 " ", disk->major,
			disk->minor);
	for (size_t i = 0; i < FILES_MAX; i++)
		files->fds[i] = -1;
	for (size_t i = 0; i < files->driver->n_files; i++) {
		const struct file_row *row = &files->driver->files[i];
		int fd = row->io && !files->disk[0] ? -ENOENT : open_row(row, of, dirs[row->dir]);

		if (fd < 0 && !(fd == -ENOENT && row->optional))
			return err_sys(err, fd, "open the counter %s", row->path);
		files->fds[i] = fd < 0 ? -1 : fd;
	}
	*ret = take_ptr(files);
	return 0;
}

void counter_files_close(struct counter_files *files)
{
	if (!files)
		return;
	for (size_t i = 0; i < FILES_MAX; i++)
		close_fd(&files->fds[i]);
	close_fd(&files->refused_fd);
	free(files);
}

void counter_files_take_refused(struct counter_files *files, int fd)
{
	close_fd(&files->refused_fd);
	files->refused_fd = fd;
}

/* The key must fill the line up to the space. */
static const char *find_key(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len) && line[len] == ' ')
			return line + len + 1;
	}
	return NULL;
}

int counter_parse(const char *text, const char *key, uint64_t *ret)
{
	const char *number = key ? find_key(text, key) : text;
	unsigned long long value;
	char *end;

	if (!number)
		return -ENOENT;
	if (*number < '0' || *number > '9')
		return -EBADMSG;
	errno = 0;
	value = strtoull(number, &end, 10);
	if (errno || (*end && *end != '\n'))
		return -EBADMSG;
	*ret = value;
	return 0;
}

/*
 * An optional line that is missing is a missing feature: cpu.stat counts no throttling without
 * bandwidth control. Any other is a reading that failed: it must not become a bill of nothing.
 */
static int take_value(const char *text, const struct value_row *row, struct counters *counters)
{
	uint64_t value = row->missing;

	if (text) {
		int r = counter_parse(text, row->key, &value);

		if (r == -ENOENT && !row->line_optional)
			return -EBADMSG;
		if (r < 0 && r != -ENOENT)
			return r;
		if (r == 0)
			value = value / row->divisor * (row->factor ? row->factor : 1);
	}
	memcpy((char *)counters + row->offset, &value, sizeof(value));
	return 0;
}

static int read_file(
	const struct counter_files *files, size_t file, struct counters *counters, struct err *err)
{
	const struct driver *driver = files->driver;
	char text[TEXT_MAX];
	ssize_t n = 0;

	if (files->fds[file] >= 0)
		n = fd_pread_text(files->fds[file], text, sizeof(text));
	for (size_t i = 0; n >= 0 && i < driver->n_values; i++)
		if (driver->values[i].file == file)
			n = take_value(
				files->fds[file] >= 0 ? text : NULL, &driver->values[i], counters);
	if (n < 0)
		return err_sys(err, (int)n, "read the counter %s", driver->files[file].path);
	return 0;
}

/* A word has a space before it: "rios=" is not the end of "xrios=". NULL: not in that line. */
static const char *find_word(const char *line, const char *word)
{
	const char *end = strchrnul(line, '\n');

	for (const char *at = strstr(line, word); at && at < end; at = strstr(at + 1, word))
		if (at > line && at[-1] == ' ')
			return at + strlen(word);
	return NULL;
}

/* The number behind a word of the disk's lines (v2 has one, v1 several). 0 where there is none. */
static uint64_t find_io(const char *text, const char *disk, const char *word)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		const char *number;

		line += *line == '\n';
		if (strncmp(line, disk, strlen(disk)) != 0)
			continue;
		number = find_word(line, word);
		if (number)
			return strtoull(number, NULL, 10);
	}
	return 0;
}

/* Both files or none: what is not known is not 0. */
static void read_io(const struct counter_files *files, struct counters *counters)
{
	const struct driver *driver = files->driver;
	char text[TEXT_MAX];

	for (size_t i = 0; i < driver->n_files; i++) {
		if (!driver->files[i].io)
			continue;
		if (files->fds[i] < 0 || fd_pread_text(files->fds[i], text, sizeof(text)) < 0)
			return;
		for (size_t j = 0; j < driver->n_io; j++) {
			uint64_t value;

			if (driver->io[j].file != i)
				continue;
			value = find_io(text, files->disk, driver->io[j].word);
			memcpy((char *)counters + driver->io[j].offset, &value, sizeof(value));
		}
	}
	counters->has_io = 1;
}

/* What cannot be read is not the run's fault, and counts as nothing. */
static void read_refused(const struct counter_files *files, struct counters *counters)
{
	struct refused_count count;

	if (files->refused_fd < 0 ||
		pread(files->refused_fd, &count, sizeof(count), 0) != (ssize_t)sizeof(count))
		return;
	counters->refused_calls = count.calls;
	counters->refused_set = count.set;
}

int counters_read(const struct counter_files *files, struct counters *ret, struct err *err)
{
	struct counters counters = {0};
	uint64_t inactive;

	for (size_t i = 0; i < files->driver->n_files; i++) {
		int r = files->driver->files[i].io ? 0 : read_file(files, i, &counters, err);

		if (r < 0)
			return r;
	}
	read_io(files, &counters);
	read_refused(files, &counters);
	if (!counters.has_io)
		memset(&counters.io, 0, sizeof(counters.io));
	/* The two are not read at one moment, so the cache may seem larger than the whole. */
	inactive = counters.memory_working_set_bytes;
	counters.memory_working_set_bytes = counters.memory_bytes > inactive
						    ? counters.memory_bytes - inactive
						    : 0;
	*ret = counters;
	return 0;
}
