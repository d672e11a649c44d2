/*
 * Instances of the id range registry; see idrange_internal.h: who they are, whether they are still
 * there, and which ranges processes are using. Must never call an instance gone that only cannot
 * be looked at.
 */
#include "sandbox/idrange_internal.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define NOTE_MAX (2 * PATH_MAX + 2)

int idrange_parse_id(const char *text, struct idrange_owner *ret)
{
	static const char digits[] = "0123456789abcdef";
	struct idrange_owner owner = {0};
	uint8_t any = 0;

	if (strnlen(text, INSTANCE_ID_SIZE) != INSTANCE_ID_SIZE - 1)
		return -EINVAL;
	for (size_t i = 0; i < INSTANCE_ID_SIZE - 1; i++) {
		const char *digit = strchr(digits, text[i]);

		if (!digit)
			return -EINVAL;
		owner.bytes[i / 2] = (uint8_t)(owner.bytes[i / 2] << 4 | (digit - digits));
	}
	for (size_t i = 0; i < sizeof(owner.bytes); i++)
		any |= owner.bytes[i];
	if (!any)
		return -EINVAL;
	*ret = owner;
	return 0;
}

/* Where an instance lives. */
struct note {
	char text[NOTE_MAX];
	const char *state_path;
	const char *id_path; /* the directory of its id file */
};

/* Returns 0, -ENOENT, or -errno. */
static int read_note(int instances_fd, const char *id, struct note *ret)
{
	ssize_t n = fd_read_text_at(instances_fd, id, ret->text, sizeof(ret->text));
	char *newline;

	if (n < 0)
		return (int)n;
	newline = strchr(ret->text, '\n');
	if (!newline)
		return -EBADMSG;
	*newline = '\0';
	ret->state_path = ret->text;
	ret->id_path = newline + 1;
	return 0;
}

static int write_note(int instances_fd, const char *id, const char *state_path, int supervisor_fd)
{
	char link[64];
	char id_path[PATH_MAX];
	char text[NOTE_MAX];
	ssize_t n;
	int length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", supervisor_fd);
	n = readlink(link, id_path, sizeof(id_path) - 1);
	if (n < 0)
		return -errno;
	id_path[n] = '\0';
	if (strchr(state_path, '\n') || strchr(id_path, '\n'))
		return -EINVAL;
	length = snprintf(text, sizeof(text), "%s\n%s\n", state_path, id_path);
	if (length < 0 || (size_t)length >= sizeof(text))
		return -ENAMETOOLONG;
	return fd_replace_file_at(instances_fd, id, text, (size_t)length, false);
}

static int read_id(int dirfd, char ret_id[static INSTANCE_ID_SIZE])
{
	char text[INSTANCE_ID_SIZE + 1]; /* the newline */
	struct idrange_owner owner;
	ssize_t n = fd_read_text_at(dirfd, IDRANGE_ID_FILE, text, sizeof(text));

	if (n < 0)
		return n == -EFBIG ? -EBADMSG : (int)n;
	if (idrange_parse_id(text, &owner) < 0)
		return -EBADMSG;
	memcpy(ret_id, text, INSTANCE_ID_SIZE);
	return 0;
}

static int make_id(int supervisor_fd, char ret_id[static INSTANCE_ID_SIZE])
{
	uint8_t random[16];
	char text[INSTANCE_ID_SIZE + 1];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -errno;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(text + 2 * i, 3, "%02x", random[i]);
	memcpy(ret_id, text, INSTANCE_ID_SIZE);
	text[INSTANCE_ID_SIZE - 1] = '\n';
	return fd_replace_file_at(supervisor_fd, IDRANGE_ID_FILE, text, INSTANCE_ID_SIZE, true);
}

/*
 * The directory that was noted for this id still has it, and is not this one: this one is a copy,
 * and its ranges are the original's.
 */
static bool is_copy(int instances_fd, const char *id, int supervisor_fd)
{
	_cleanup_close_ int fd = -1;
	char found[INSTANCE_ID_SIZE];
	struct stat noted;
	struct stat ours;
	struct note note;

	if (read_note(instances_fd, id, &note) < 0)
		return false;
	fd = open(note.id_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || read_id(fd, found) < 0 || strcmp(found, id))
		return false;
	return fstat(fd, &noted) == 0 && fstat(supervisor_fd, &ours) == 0 &&
	       (noted.st_dev != ours.st_dev || noted.st_ino != ours.st_ino);
}

int idrange_instance_enroll(int instances_fd, const char *state_path, int supervisor_fd,
	char ret_id[static INSTANCE_ID_SIZE], struct err *err)
{
	char id[INSTANCE_ID_SIZE];
	int r = read_id(supervisor_fd, id);

	if (r == -EBADMSG)
		return err_set(err, ERR_DATA_LOSS, "INSTANCE_ID_DAMAGED",
			"the instance's id file is damaged; stop its containers, and remove it");
	if (r == -ENOENT || (r == 0 && is_copy(instances_fd, id, supervisor_fd)))
		r = make_id(supervisor_fd, id);
	if (r < 0)
		return err_sys(err, r, "read or make the instance's id");
	r = write_note(instances_fd, id, state_path, supervisor_fd);
	if (r < 0)
		return err_sys(err, r, "note the instance among those with id ranges");
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

bool idrange_instance_is_gone(int instances_fd, const char *id)
{
	_cleanup_close_ int fd = -1;
	char found[INSTANCE_ID_SIZE];
	struct stat st;
	struct note note;

	if (read_note(instances_fd, id, &note) < 0)
		return false;
	if (stat(note.state_path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR;
	fd = open(note.id_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR;
	return read_id(fd, found) == 0 && strcmp(found, id);
}

static void mark(struct idrange_in_use *in_use, uint64_t first, uint64_t count)
{
	const uint64_t begin = IDRANGE_FIRST;
	const uint64_t end = begin + (uint64_t)IDRANGE_COUNT * IDRANGE_SIZE;
	uint64_t last = first + count - 1;

	/* The host's own map covers everything and says nothing. */
	if (count == 0 || (first < begin && last >= end - 1) || last < begin || first >= end)
		return;
	first = first < begin ? 0 : (first - begin) / IDRANGE_SIZE;
	last = last >= end ? IDRANGE_COUNT - 1 : (last - begin) / IDRANGE_SIZE;
	for (uint64_t i = first; i <= last; i++)
		in_use->bits[i / 64] |= 1ull << (i % 64);
}

static void read_map(struct idrange_in_use *in_use, int proc_fd, const char *pid)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[NAME_MAX + 16];
	uint64_t outside;
	uint64_t count;
	int fd;

	snprintf(path, sizeof(path), "%s/uid_map", pid);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* ended meanwhile */
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return;
	}
	while (fscanf(file, "%*u %" SCNu64 " %" SCNu64, &outside, &count) == 2)
		mark(in_use, outside, count);
}

int idrange_in_use_read(struct idrange_in_use *ret, struct err *err)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc)
		return err_sys(err, errno, "list the host's processes");
	memset(ret, 0, sizeof(*ret));
	while (errno = 0, (entry = readdir(proc)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			read_map(ret, dirfd(proc), entry->d_name);
	return errno ? err_sys(err, errno, "list the host's processes") : 0;
}

bool idrange_in_use_has(const struct idrange_in_use *in_use, uint32_t index)
{
	return in_use->bits[index / 64] >> (index % 64) & 1;
}
