/*
 * Formatting and reading tar headers; see tar.h. The reader's input may be a tenant's: every number
 * and length is checked before it is used, and nothing is allocated.
 */
#include "base/tar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_FILE    '0'
#define TYPE_OLDFILE '\0'
#define TYPE_SYMLINK '2'
#define TYPE_DIR     '5'
#define TYPE_PAX     'x'
#define TYPE_GLOBAL  'g'
#define OCTAL_11_MAX UINT64_C(077777777777)

struct header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char user[32];
	char group[32];
	char device_major[8];
	char device_minor[8];
	char prefix[155];
	char pad[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK, "a tar header is one block");

/* --- writing --- */

static unsigned checksum(const struct header *h)
{
	const uint8_t *bytes = (const uint8_t *)h;
	unsigned sum = 0;

	/* Its own field counts as blanks. */
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		bool own = i >= offsetof(struct header, checksum) &&
			   i < offsetof(struct header, checksum) + sizeof(h->checksum);

		sum += own ? ' ' : bytes[i];
	}
	return sum;
}

static void fill_header(struct header *h, char type, mode_t mode, uint64_t size, int64_t mtime)
{
	memset(h, 0, sizeof(*h));
	snprintf(h->mode, sizeof(h->mode), "%07o", mode & 07777);
	snprintf(h->uid, sizeof(h->uid), "%07o", 0);
	snprintf(h->gid, sizeof(h->gid), "%07o", 0);
	snprintf(h->size, sizeof(h->size), "%011" PRIo64, size & OCTAL_11_MAX);
	snprintf(h->mtime, sizeof(h->mtime), "%011" PRIo64,
		(uint64_t)(mtime > 0 ? mtime : 0) & OCTAL_11_MAX);
	h->type = type;
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memcpy(h->user, "root", 4);
	memcpy(h->group, "root", 4);
}

/* Six digits, NUL, space. */
static void seal_header(struct header *h)
{
	unsigned sum = checksum(h);

	memset(h->checksum, ' ', sizeof(h->checksum));
	snprintf(h->checksum, sizeof(h->checksum) - 1, "%06o", sum & 0777777);
}

/* "LENGTH key=value\n", where LENGTH counts itself. Returns its size. */
static size_t add_record(char *out, size_t size, const char *key, const char *value)
{
	size_t body = strlen(key) + strlen(value) + 3; /* blank, '=', newline */
	size_t length = body + 1;
	char digits[16];

	for (;;) {
		size_t n = (size_t)snprintf(digits, sizeof(digits), "%zu", length);

		if (body + n == length)
			break;
		length = body + n;
	}
	snprintf(out, size, "%s %s=%s\n", digits, key, value);
	return length;
}

/* What the ustar header cannot hold, as a pax header before it. Returns its size, 0 for none. */
static size_t format_pax(const struct tar_entry *e, const char *name, uint8_t *out)
{
	struct header *h = (struct header *)out;
	char *records = (char *)out + TAR_BLOCK;
	char number[24];
	size_t n = 0;

	if (strlen(name) >= sizeof(h->name))
		n += add_record(records + n, TAR_PAX_MAX - n, "path", name);
	if (e->type == TAR_SYMLINK && strlen(e->target) >= sizeof(h->link))
		n += add_record(records + n, TAR_PAX_MAX - n, "linkpath", e->target);
	if (e->size > OCTAL_11_MAX) {
		snprintf(number, sizeof(number), "%" PRIu64, e->size);
		n += add_record(records + n, TAR_PAX_MAX - n, "size", number);
	}
	if (!n)
		return 0;
	fill_header(h, TYPE_PAX, 0644, n, 0);
	memcpy(h->name, "pax", 4);
	seal_header(h);
	memset(records + n, 0, tar_padding(n));
	return TAR_BLOCK + n + tar_padding(n);
}

ssize_t tar_format(const struct tar_entry *e, uint8_t out[static TAR_HEADER_MAX])
{
	static const char types[] = {
		[TAR_FILE] = TYPE_FILE, [TAR_DIRECTORY] = TYPE_DIR, [TAR_SYMLINK] = TYPE_SYMLINK};
	char name[TAR_PATH_MAX];
	struct header *h;
	size_t pax;
	int n = snprintf(name, sizeof(name), "%s%s", e->path, e->type == TAR_DIRECTORY ? "/" : "");

	if (n <= 0 || (size_t)n >= sizeof(name) ||
		(e->type == TAR_SYMLINK && memchr(e->target, 0, sizeof(e->target)) == NULL))
		return -ENAMETOOLONG;
	pax = format_pax(e, name, out);
	h = (struct header *)(out + pax);
	fill_header(h, types[e->type], e->mode, e->type == TAR_FILE ? e->size : 0, e->mtime);
	/* Cut when a pax header has the whole of it. */
	memcpy(h->name, name, strnlen(name, sizeof(h->name)));
	if (e->type == TAR_SYMLINK)
		memcpy(h->link, e->target, strnlen(e->target, sizeof(h->link)));
	seal_header(h);
	return (ssize_t)(pax + TAR_BLOCK);
}

/* --- reading --- */

static int damaged(const char *what, struct err *err)
{
	err_set(err, ERR_INVALID_ARGUMENT, "ARCHIVE_DAMAGED", "the archive is damaged: %s", what);
	return -EBADMSG;
}

/* Octal digits between blanks, ended by a blank, NUL or the field. */
static int read_octal(const char *field, size_t size, uint64_t *ret)
{
	uint64_t value = 0;
	size_t i = 0;

	while (i < size && field[i] == ' ')
		i++;
	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++) {
		if (value >> 60)
			return -EBADMSG;
		value = value << 3 | (uint64_t)(field[i] - '0');
	}
	if (i < size && field[i] != ' ' && field[i] != '\0')
		return -EBADMSG;
	*ret = value;
	return 0;
}

static int read_decimal(const char *text, size_t size, uint64_t *ret)
{
	uint64_t value = 0;

	if (!size || size > 19)
		return -EBADMSG;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EBADMSG;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	*ret = value;
	return 0;
}

/* A name without NUL that fits. */
static int take_text(const char *text, size_t size, char out[static TAR_PATH_MAX])
{
	if (!size || size >= TAR_PATH_MAX || memchr(text, 0, size))
		return -EBADMSG;
	memcpy(out, text, size);
	out[size] = '\0';
	return 0;
}

static int take_record(
	struct tar_reader *r, const char *key, size_t n_key, const char *value, size_t n_value)
{
	if (n_key == 4 && !memcmp(key, "path", 4)) {
		r->has_path = true;
		return take_text(value, n_value, r->entry.path);
	}
	if (n_key == 8 && !memcmp(key, "linkpath", 8)) {
		r->has_target = true;
		return take_text(value, n_value, r->entry.target);
	}
	if (n_key == 4 && !memcmp(key, "size", 4)) {
		r->has_size = true;
		return read_decimal(value, n_value, &r->pax_size);
	}
	return 0; /* times, owners and the like: not kept */
}

/* "LENGTH key=value\n"... */
static int take_pax(struct tar_reader *r)
{
	size_t at = 0;

	while (at < r->n_pax) {
		const char *record = r->pax + at;
		const char *blank = memchr(record, ' ', r->n_pax - at);
		const char *equals;
		uint64_t length;

		if (!blank || read_decimal(record, (size_t)(blank - record), &length) < 0 ||
			length > r->n_pax - at || length < (size_t)(blank - record) + 3 ||
			record[length - 1] != '\n')
			return -EBADMSG;
		equals = memchr(blank + 1, '=', (size_t)(record + length - 1 - (blank + 1)));
		if (!equals || take_record(r, blank + 1, (size_t)(equals - blank - 1), equals + 1,
				       (size_t)(record + length - 1 - (equals + 1))) < 0)
			return -EBADMSG;
		at += length;
	}
	return 0;
}

static int take_names(struct tar_reader *r, const struct header *h)
{
	size_t prefix = strnlen(h->prefix, sizeof(h->prefix));
	size_t name = strnlen(h->name, sizeof(h->name));
	struct tar_entry *e = &r->entry;
	size_t len;

	/* Only POSIX archives have a prefix; older ones of GNU tar have times there. */
	if (memcmp(h->magic, "ustar\0", 6) != 0)
		prefix = 0;
	if (!r->has_path)
		snprintf(e->path, sizeof(e->path), "%.*s%s%.*s", (int)prefix, h->prefix,
			prefix ? "/" : "", (int)name, h->name);
	if (!r->has_target)
		snprintf(e->target, sizeof(e->target), "%.*s",
			(int)strnlen(h->link, sizeof(h->link)), h->link);
	r->has_path = r->has_target = false;
	len = strlen(e->path);
	while (len && e->path[len - 1] == '/')
		e->path[--len] = '\0';
	return len ? 0 : -EBADMSG;
}

static int take_type(struct tar_reader *r, char type, struct err *err)
{
	switch (type) {
	case TYPE_FILE:
	case TYPE_OLDFILE:
		r->entry.type = TAR_FILE;
		return 0;
	case TYPE_DIR:
		r->entry.type = TAR_DIRECTORY;
		return 0;
	case TYPE_SYMLINK:
		r->entry.type = TAR_SYMLINK;
		return 0;
	default:
		err_set(err, ERR_INVALID_ARGUMENT, "ARCHIVE_UNSUPPORTED",
			"%.200s: only files, directories and symbolic links can be moved",
			r->entry.path);
		return -EBADMSG;
	}
}

static int finish_entry(struct tar_reader *r, struct err *err)
{
	if (!r->in_entry)
		return 0;
	r->in_entry = false;
	return r->ops->end(r->arg, err);
}

static void begin_data(struct tar_reader *r, enum tar_state state, uint64_t size)
{
	r->state = state;
	r->left = size;
	r->padding = tar_padding(size);
}

static bool all_zero(const uint8_t block[static TAR_BLOCK])
{
	return block[0] == 0 && !memcmp(block, block + 1, TAR_BLOCK - 1);
}

static int take_header(struct tar_reader *r, struct err *err)
{
	const struct header *h = (const struct header *)r->block;
	uint64_t sum, size, mode, mtime;
	int result;

	if (all_zero(r->block)) {
		r->state = TAR_STATE_OVER;
		return 0;
	}
	if (read_octal(h->checksum, sizeof(h->checksum), &sum) < 0 || sum != checksum(h))
		return damaged("a header's checksum is wrong", err);
	if (read_octal(h->size, sizeof(h->size), &size) < 0 ||
		read_octal(h->mode, sizeof(h->mode), &mode) < 0 ||
		read_octal(h->mtime, sizeof(h->mtime), &mtime) < 0)
		return damaged("a header has a bad number", err);
	if (h->type == TYPE_PAX || h->type == TYPE_GLOBAL) {
		if (size > sizeof(r->pax))
			return damaged("an extended header is too large", err);
		r->n_pax = 0;
		begin_data(r, TAR_STATE_PAX, size);
		return 0;
	}
	if (take_names(r, h) < 0)
		return damaged("a name is empty or too long", err);
	result = take_type(r, h->type, err);
	if (result < 0)
		return result;
	if (r->has_size)
		size = r->pax_size;
	r->has_size = false;
	r->entry.size = r->entry.type == TAR_FILE ? size : 0;
	r->entry.mode = (mode_t)(mode & 07777);
	r->entry.mtime = (int64_t)mtime;
	r->in_entry = true;
	result = r->ops->entry(r->arg, &r->entry, err);
	if (result < 0)
		return result;
	/* A directory's or link's size says nothing about data. */
	begin_data(r, TAR_STATE_DATA, r->entry.size);
	return 0;
}

void tar_reader_init(struct tar_reader *r, const struct tar_reader_ops *ops, void *arg)
{
	memset(r, 0, sizeof(*r));
	r->ops = ops;
	r->arg = arg;
}

/* Bytes of content, of an extended header or of padding. Returns how many it took, or -errno. */
static ssize_t take_some(struct tar_reader *r, const uint8_t *data, size_t size, struct err *err)
{
	size_t n = size < r->left ? size : (size_t)r->left;
	int result = 0;

	if (r->state == TAR_STATE_DATA) {
		result = r->ops->data(r->arg, data, n, err);
	} else if (r->state == TAR_STATE_PAX) {
		memcpy(r->pax + r->n_pax, data, n);
		r->n_pax += n;
	}
	r->left -= n;
	return result < 0 ? result : (ssize_t)n;
}

/* The present state has all its bytes. */
static int next_state(struct tar_reader *r, struct err *err)
{
	enum tar_state was = r->state;

	if (was == TAR_STATE_PAX && take_pax(r) < 0)
		return damaged("an extended header makes no sense", err);
	r->state = TAR_STATE_HEADER;
	if (was != TAR_STATE_PADDING && r->padding) {
		r->left = r->padding;
		r->padding = 0;
		r->state = TAR_STATE_PADDING;
	}
	return was == TAR_STATE_DATA ? finish_entry(r, err) : 0;
}

int tar_reader_feed(struct tar_reader *r, const void *data, size_t size, struct err *err)
{
	const uint8_t *at = data;
	int result;

	while (size && r->state != TAR_STATE_OVER) {
		ssize_t n;

		if (r->state == TAR_STATE_HEADER) {
			n = (ssize_t)(size < TAR_BLOCK - r->n_block ? size
								    : TAR_BLOCK - r->n_block);
			memcpy(r->block + r->n_block, at, (size_t)n);
			r->n_block += (size_t)n;
			if (r->n_block == TAR_BLOCK) {
				r->n_block = 0;
				result = take_header(r, err);
				if (result < 0)
					return result;
			}
		} else {
			n = take_some(r, at, size, err);
			if (n < 0)
				return (int)n;
		}
		at += n;
		size -= (size_t)n;
		/* Also right after a header: a file may be empty. */
		while (r->state != TAR_STATE_HEADER && r->state != TAR_STATE_OVER && !r->left) {
			result = next_state(r, err);
			if (result < 0)
				return result;
		}
	}
	return 0;
}

int tar_reader_finish(const struct tar_reader *r, struct err *err)
{
	return r->state == TAR_STATE_OVER ? 0 : damaged("it ends too early", err);
}
