/*
 * The entries of archives, one after the other; see unpack.h. unpack_entry.c makes the files. Must
 * never let an entry pass without counting it.
 */
#include "sandbox/importer/unpack.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "sandbox/importer/entry_path.h"
#include "sandbox/importer/unpack_internal.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define PROGRESS_USEC 200000u
#define DIR_PATHS_MAX (256u << 20) /* names of directories, for their times */

int unpack_check_limits(const struct unpack *u, struct err *err)
{
	const struct image_limits *limits = &u->config->limits;

	if (u->report->bytes > limits->bytes)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "IMAGE_TOO_LARGE",
			"the archive unpacks to more than the %llu bytes that an image may have",
			(unsigned long long)limits->bytes);
	if (u->report->entries + u->tree.made > limits->entries)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "IMAGE_TOO_LARGE",
			"the archive has more than the %llu entries that an image may have",
			(unsigned long long)limits->entries);
	return 0;
}

int unpack_tick(struct unpack *u, struct err *err)
{
	uint64_t now = clock_boot_usec();
	struct image_report report;
	int r;

	if (!u->config->progress || now - u->last_progress_usec < PROGRESS_USEC)
		return 0;
	u->last_progress_usec = now;
	report = *u->report;
	report.bytes += u->worked_bytes;
	report.entries += u->worked_entries;
	r = u->config->progress(u->config->arg, &report);
	return r < 0 ? err_sys(err, r, "report the progress") : 0;
}

static int grow(void **data, size_t *capacity, size_t wanted, size_t item)
{
	size_t n = *capacity;
	void *p;

	if (wanted <= n)
		return 0;
	while (n < wanted)
		n = n ? n * 2 : 1024;
	p = reallocarray(*data, n, item);
	if (!p)
		return -ENOMEM;
	*data = p;
	*capacity = n;
	return 0;
}

int dir_times_add(
	struct dir_times *times, const char *path, const struct timespec *mtime, struct err *err)
{
	size_t size = strlen(path) + 1;

	if (mtime->tv_nsec == UTIME_OMIT)
		return 0;
	if (times->paths_size + size > DIR_PATHS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "IMAGE_TOO_LARGE",
			"the names of the archive's directories are too long altogether");
	if (grow((void **)&times->paths, &times->paths_capacity, times->paths_size + size, 1) < 0 ||
		grow((void **)&times->items, &times->capacity, times->n + 1,
			sizeof(*times->items)) < 0)
		return err_oom(err);
	memcpy(times->paths + times->paths_size, path, size);
	times->items[times->n++] = (struct dir_time){.mtime = *mtime, .path = times->paths_size};
	times->paths_size += size;
	return 0;
}

void unpack_set_dir_times(struct unpack *u)
{
	for (size_t i = 0; i < u->times.n; i++) {
		const struct dir_time *t = &u->times.items[i];
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, t->mtime};
		_cleanup_close_ int fd = tree_open(
			&u->tree, u->times.paths + t->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

		/* What became of the directory since is the archive's doing: no error. */
		if (fd >= 0)
			futimens(fd, times);
	}
}

int unpack_next(struct unpack *u, struct archive_entry *entry, struct err *err)
{
	int r;

	u->report->entries++;
	r = unpack_check_limits(u, err);
	if (r == 0)
		r = unpack_entry(u, entry, err);
	return r < 0 ? r : unpack_tick(u, err);
}

/* Returns 1 when the entry begins the next tree, and keeps it. */
static int ends_tree(struct unpack *u, struct archive_entry *entry, struct err *err)
{
	char path[PATH_MAX];
	int r;

	if (!u->several || archive_entry_filetype(entry) != AE_IFDIR)
		return 0;
	r = entry_path_clean(archive_entry_pathname(entry), path, err);
	if (r < 0 || path[0])
		return r;
	u->next_root = archive_entry_clone(entry);
	return u->next_root ? 1 : err_oom(err);
}

int unpack_rest(struct unpack *u, struct err *err)
{
	struct archive_entry *entry;
	int r;

	while (!u->next_root && (r = source_next(u->source, &entry, err)) != 0) {
		if (r > 0)
			r = ends_tree(u, entry, err);
		if (r == 0)
			r = unpack_next(u, entry, err);
		else if (r > 0)
			break;
		if (r < 0)
			return r;
	}
	return unpack_check_limits(u, err);
}

void unpack_init(struct unpack *u, int root_fd, const struct unpack_config *config,
	struct image_report *report)
{
	memset(report, 0, sizeof(*report));
	*u = (struct unpack){.config = config, .report = report};
	tree_init(&u->tree, root_fd);
}

void unpack_finish(struct unpack *u)
{
	archive_entry_free(u->next_root);
	tree_finish(&u->tree);
	free(u->times.items);
	free(u->times.paths);
}
