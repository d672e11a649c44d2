/* The grammar of places to mount on; see mount_path.h. Must never accept what is not in it. */
#include "base/mount_path.h"

#include "base/cleanup.h"

#include <string.h>

/* What is there is made by Croft, and masks what a container must not reach. */
static const char *const reserved[] = {"/dev", "/proc", "/sys"};

/* True for path itself and what is below it. */
static bool is_at_or_below(const char *path, const char *top)
{
	size_t length = strlen(top);

	return !strncmp(path, top, length) && (path[length] == '\0' || path[length] == '/');
}

static bool part_is_plain(const char *part, size_t length)
{
	if (length == 0 || (length == 1 && part[0] == '.') ||
		(length == 2 && !memcmp(part, "..", 2)))
		return false;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)part[i] < ' ' || part[i] == 0x7f)
			return false;
	return true;
}

static bool is_plain(const char *path)
{
	size_t length = strnlen(path, MOUNT_PATH_SIZE);

	if (length < 2 || length == MOUNT_PATH_SIZE || path[0] != '/')
		return false;
	for (const char *part = path + 1; part;
		part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
		if (!part_is_plain(part, strcspn(part, "/")))
			return false;
	return true;
}

static const char *reserved_around(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (is_at_or_below(path, reserved[i]))
			return reserved[i];
	return NULL;
}

int mount_path_check(const char *path, struct err *err)
{
	const char *top;

	if (!is_plain(path))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "MOUNT_PATH_INVALID", "path",
			"\"%.130s\" is no place to mount on: name a directory of the container by "
			"its "
			"absolute path, without \".\", \"..\" or double slashes, in at most %d "
			"bytes",
			path, MOUNT_PATH_SIZE - 1);
	top = reserved_around(path);
	if (top)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "MOUNT_PATH_INVALID", "path",
			"%s is the container's own, where nothing else is mounted; choose a place "
			"outside it",
			top);
	return 0;
}

bool mount_path_field_is_valid(const char field[static MOUNT_PATH_SIZE])
{
	return is_plain(field) && !reserved_around(field);
}

bool mount_path_overlap(const char *a, const char *b)
{
	return is_at_or_below(a, b) || is_at_or_below(b, a);
}
