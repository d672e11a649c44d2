/*
 * Spooling; see spool.h. Must never hold a file's contents in memory, nor make a name in the tree
 * that outlives spool_open().
 */
#include "sandbox/importer/spool.h"

#include "base/cleanup.h"
#include "sandbox/importer/entry_path.h"

#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#define FILES_MAX  8192
#define LINKS_MAX  8
#define BLOCK_SIZE (256u << 10)
#define SPOOL_NAME ".croft-spool"

_Static_assert(SPOOL_DIGEST_SIZE == SHA256_DIGEST_SIZE, "the digest is SHA-256");

int spool_open(struct spool *spool, int root_fd, struct err *err)
{
	*spool = (struct spool){.fd = -1};
	/* O_TMPFILE would do, where the file system has it. */
	spool->fd = openat(
		root_fd, SPOOL_NAME, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (spool->fd < 0 || unlinkat(root_fd, SPOOL_NAME, 0) < 0)
		return err_sys(err, errno, "make room for the archive's parts");
	return 0;
}

void spool_close(struct spool *spool)
{
	for (size_t i = 0; i < spool->n; i++) {
		free(spool->files[i].name);
		free(spool->files[i].link);
	}
	free(spool->files);
	close_fd(&spool->fd);
}

static int refuse(struct err *err, const char *name, const char *why)
{
	char quoted[ENTRY_QUOTED_MAX];

	return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID", "the archive's entry \"%s\" %s",
		entry_path_quote(name, quoted), why);
}

static const struct spool_file *find(const struct spool *spool, const char *name)
{
	for (size_t i = 0; i < spool->n; i++)
		if (!strcmp(spool->files[i].name, name))
			return &spool->files[i];
	return NULL;
}

const struct spool_file *spool_find(const struct spool *spool, const char *name)
{
	const struct spool_file *file = find(spool, name);

	for (int i = 0; i < LINKS_MAX && file && file->link; i++)
		file = find(spool, file->link);
	return file && !file->link ? file : NULL;
}

static int check_new(const struct spool *spool, const char *name, struct err *err)
{
	if (find(spool, name))
		return refuse(err, name, "is there twice");
	if (spool->n == FILES_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive has more than %d files, which no image archive needs",
			FILES_MAX);
	return 0;
}

static struct spool_file *add_file(struct spool *spool, const char *name)
{
	struct spool_file *files = reallocarray(spool->files, spool->n + 1, sizeof(*files));
	char *copy = strdup(name);

	if (files)
		spool->files = files;
	if (!files || !copy) {
		free(copy);
		return NULL;
	}
	files[spool->n] = (struct spool_file){.name = copy, .offset = spool->size};
	return &files[spool->n++];
}

static int write_block(struct spool *spool, const void *data, size_t size)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = pwrite(spool->fd, p, size, (off_t)spool->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		size -= (size_t)n;
		spool->size += (uint64_t)n;
	}
	return 0;
}

static int too_large(const struct unpack *u, struct err *err)
{
	return err_set(err, ERR_RESOURCE_EXHAUSTED, "IMAGE_TOO_LARGE",
		"the archive is larger than the %llu bytes that an image may have",
		(unsigned long long)u->config->limits.bytes);
}

static int add_contents(
	struct spool *spool, struct unpack *u, struct spool_file *file, struct err *err)
{
	_cleanup_free_ char *block = malloc(BLOCK_SIZE);
	struct sha256_ctx sha;
	int r = 0;

	if (!block)
		return err_oom(err);
	sha256_init(&sha);
	for (;;) {
		la_ssize_t n = archive_read_data(u->source->archive, block, BLOCK_SIZE);

		if (n < 0)
			return source_error(u->source, err);
		if (n == 0)
			break;
		/* Also of a sparse file's holes, which are written as zeros. */
		if ((uint64_t)n > u->config->limits.bytes - spool->size)
			return too_large(u, err);
		r = write_block(spool, block, (size_t)n);
		if (r < 0)
			return unpack_write_failed(err, r, file->name);
		sha256_update(&sha, (size_t)n, (const uint8_t *)block);
		u->worked_bytes += (uint64_t)n;
		r = unpack_tick(u, err);
		if (r < 0)
			return r;
	}
	file->size = spool->size - file->offset;
	sha256_digest(&sha, sizeof(file->digest), file->digest);
	return 0;
}

/* A symbolic link's target is relative to its directory; a hard link's to the archive. */
static int add_link(struct spool_file *file, const char *target, bool symbolic, struct err *err)
{
	char path[PATH_MAX];
	char clean[PATH_MAX];
	const char *slash = strrchr(file->name, '/');
	size_t length = symbolic && slash ? (size_t)(slash - file->name) : 0;
	int n;

	memcpy(path, file->name, length);
	path[length] = '\0';
	/* docker's and podman's lead to a sibling's directory: ../ID/layer.tar. */
	while (symbolic && !strncmp(target, "../", 3) && length) {
		char *up = strrchr(path, '/');

		length = up ? (size_t)(up - path) : 0;
		path[length] = '\0';
		target += 3;
	}
	n = snprintf(path + length, sizeof(path) - length, "%s%s", length ? "/" : "", target);
	if (n < 0 || (size_t)n >= sizeof(path) - length)
		return refuse(err, file->name, "is a link with a bad target");
	n = entry_path_clean(path, clean, err);
	if (n < 0)
		return n;
	file->link = strdup(clean);
	return file->link ? 0 : err_oom(err);
}

int spool_add(struct spool *spool, struct unpack *u, struct archive_entry *entry, struct err *err)
{
	const char *hard = archive_entry_hardlink(entry);
	mode_t type = archive_entry_filetype(entry);
	const char *soft = type == AE_IFLNK ? archive_entry_symlink(entry) : NULL;
	struct spool_file *file;
	char name[PATH_MAX];
	int r = entry_path_clean(archive_entry_pathname(entry), name, err);

	if (r < 0 || (!hard && !soft && type != AE_IFREG))
		return r;
	if (archive_entry_size(entry) > 0 &&
		(uint64_t)archive_entry_size(entry) > u->config->limits.bytes - spool->size)
		return too_large(u, err);
	r = check_new(spool, name, err);
	if (r < 0)
		return r;
	file = add_file(spool, name);
	if (!file)
		return err_oom(err);
	if (hard || soft)
		return add_link(file, hard ? hard : soft, !hard, err);
	return add_contents(spool, u, file, err);
}

ssize_t spool_read(const struct spool *spool, const struct spool_file *file, uint64_t at, void *buf,
	size_t size)
{
	uint64_t left = at < file->size ? file->size - at : 0;
	ssize_t n;

	if (size > left)
		size = (size_t)left;
	if (!size)
		return 0;
	do
		n = pread(spool->fd, buf, size, (off_t)(file->offset + at));
	while (n < 0 && errno == EINTR);
	/* What was written is there. */
	return n < 0 ? -errno : n ? n : -EIO;
}

const char *spool_hex(
	const uint8_t digest[static SPOOL_DIGEST_SIZE], char out[static SPOOL_HEX_SIZE])
{
	for (size_t i = 0; i < SPOOL_DIGEST_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
	return out;
}
