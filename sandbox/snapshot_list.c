/* Lists of snapshots; see snapshot_list.h. Must never believe a row or a line of somebody else's.
 */
#include "sandbox/snapshot_list.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_SIZE 96u
/* Both within what becomes of them: microseconds in an int64_t. */
#define CREATED_MAX (INT64_C(1) << 55)	/* the year 3111 */
#define LEFT_MAX    (UINT64_C(1) << 33) /* 272 years */

static const char *const words[] = {"made", "scheduled"};

static int damaged(struct err *err, const char *why)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "EXPORT_DAMAGED",
		"the file's list of snapshots is damaged: %s", why);
}

static const struct snapshot_row *find(const struct snapshot_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->rows[i].name, name))
			return &list->rows[i];
	return NULL;
}

int snapshot_list_add(struct snapshot_list *list, const struct snapshot_row *row, struct err *err)
{
	if (!name_field_is_valid(row->name))
		return damaged(err, "a name is none");
	if (row->base[0] && !name_field_is_valid(row->base))
		return damaged(err, "an image's name is none");
	if (row->created_wall_usec <= 0 || row->created_wall_usec > CREATED_MAX ||
		row->left_s > LEFT_MAX || row->automatic > 1)
		return damaged(err, "a time is out of range");
	if (find(list, row->name))
		return damaged(err, "a name is there twice");
	if (list->n == SNAPSHOT_LIST_MAX)
		return damaged(err, "there are more than a container can have");
	list->rows[list->n++] = *row;
	return 0;
}

int snapshot_list_send(const struct snapshot_list *list, int *ret_fd, struct err *err)
{
	int fd = fd_sealed_memfd("croft-snapshots", list->rows, list->n * sizeof(list->rows[0]));

	if (fd < 0)
		return err_sys(err, fd, "hand over a list of snapshots");
	*ret_fd = fd;
	return 0;
}

int snapshot_list_receive(int fd, struct snapshot_list *ret, struct err *err)
{
	struct snapshot_row row;
	struct stat st;
	int r = 0;

	ret->n = 0;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size % (off_t)sizeof(row) != 0)
		return damaged(err, "it is no list");
	for (off_t at = 0; r == 0 && at < st.st_size; at += (off_t)sizeof(row)) {
		if (pread(fd, &row, sizeof(row), at) != (ssize_t)sizeof(row))
			return damaged(err, "it is no list");
		r = snapshot_list_add(ret, &row, err);
	}
	return r;
}

size_t snapshot_list_format(
	const struct snapshot_list *list, char out[static SNAPSHOT_LIST_TEXT_MAX])
{
	size_t n = 0;

	/* A name has at most 32 letters, the numbers 17 and 10 digits: no line is cut. */
	for (size_t i = 0; i < list->n; i++) {
		const struct snapshot_row *row = &list->rows[i];

		n += (size_t)snprintf(out + n, LINE_SIZE, "%s %" PRId64 " %" PRIu64 " %s\n",
			row->name, row->created_wall_usec, row->left_s, words[row->automatic != 0]);
	}
	return n;
}

/* A decimal number as it is printed: no sign, no leading zero. Returns what follows, or NULL. */
static const char *read_number(const char *p, uint64_t *ret)
{
	uint64_t value = 0;
	size_t digits = strspn(p, "0123456789");

	if (!digits || digits > 17 || (digits > 1 && *p == '0'))
		return NULL;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (uint64_t)(p[i] - '0');
	*ret = value;
	return p + digits;
}

/* line is terminated, without its newline. */
static int parse_line(const char *line, struct snapshot_list *list, struct err *err)
{
	const char *p = strchr(line, ' ');
	struct snapshot_row row = {0};
	uint64_t created;

	if (!p || (size_t)(p - line) >= sizeof(row.name))
		return damaged(err, "a name is none");
	memcpy(row.name, line, (size_t)(p - line));
	p = read_number(p + 1, &created);
	if (p && *p == ' ')
		p = read_number(p + 1, &row.left_s);
	else
		p = NULL;
	if (!p || *p++ != ' ')
		return damaged(err, "a time is none");
	row.created_wall_usec = (int64_t)created;
	row.automatic = !strcmp(p, words[1]);
	if (!row.automatic && strcmp(p, words[0]) != 0)
		return damaged(err, "a word in it is unknown");
	return snapshot_list_add(list, &row, err);
}

int snapshot_list_parse(const char *text, size_t size, struct snapshot_list *ret, struct err *err)
{
	char line[LINE_SIZE];
	int r = 0;

	ret->n = 0;
	while (r == 0 && size) {
		const char *end = memchr(text, '\n', size);
		size_t n = end ? (size_t)(end - text) : size;

		if (!end || n >= sizeof(line) || memchr(text, 0, n))
			return damaged(err, "a line of it is none");
		memcpy(line, text, n);
		line[n] = '\0';
		r = parse_line(line, ret, err);
		text += n + 1;
		size -= n + 1;
	}
	return r;
}
