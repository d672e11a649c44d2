/*
 * Looks for an init in the image; see init_detect.h. It is told by what it is (the same file as
 * systemd or busybox), since /sbin/init is but a link to either. Must never resolve outside the
 * root.
 */
#include "sandbox/importer/init_detect.h"

#include "base/cleanup.h"
#include "sandbox/importer/tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* In the order in which the kernel and systemd-nspawn look; reported as named here. */
static const char *const candidates[] = {
	"/sbin/init",
	"/usr/sbin/init",
	"/lib/systemd/systemd",
	"/usr/lib/systemd/systemd",
	"/init",
};

static const struct {
	const char *path;
	enum image_init init;
} known[] = {
	{"/lib/systemd/systemd", IMAGE_INIT_SYSTEMD},
	{"/usr/lib/systemd/systemd", IMAGE_INIT_SYSTEMD},
	{"/bin/busybox", IMAGE_INIT_BUSYBOX},
	{"/usr/bin/busybox", IMAGE_INIT_BUSYBOX},
	{"/sbin/busybox", IMAGE_INIT_BUSYBOX},
	{"/usr/sbin/busybox", IMAGE_INIT_BUSYBOX},
	{"/bin/busybox.static", IMAGE_INIT_BUSYBOX},
	{"/bin/busybox-static", IMAGE_INIT_BUSYBOX},
};

static bool find(const struct tree *tree, const char *path, struct stat *ret)
{
	_cleanup_close_ int fd = tree_open(tree, path, O_PATH);

	return fd >= 0 && fstat(fd, ret) == 0 && S_ISREG(ret->st_mode) && ret->st_mode & 0111;
}

int init_check(int root_fd, const char *path, struct err *err)
{
	struct tree tree;
	struct stat st;
	bool found;

	tree_init(&tree, root_fd);
	found = find(&tree, path, &st);
	tree_finish(&tree);
	if (found)
		return 0;
	return err_set_subject(err, ERR_INVALID_ARGUMENT, "INIT_NOT_FOUND", "init",
		"the archive has no executable file %.200s; name one that it has as init", path);
}

void init_detect(int root_fd, struct image_report *ret)
{
	struct stat found = {0};
	const char *path = NULL;
	struct tree tree;
	struct stat st;

	tree_init(&tree, root_fd);
	for (size_t i = 0; i < ARRAY_SIZE(candidates) && !path; i++)
		if (find(&tree, candidates[i], &found))
			path = candidates[i];
	ret->init = path ? IMAGE_INIT_SYSV : IMAGE_INIT_NONE;
	snprintf(ret->init_path, sizeof(ret->init_path), "%s", path ? path : "");
	for (size_t i = 0; i < ARRAY_SIZE(known) && path; i++)
		if (find(&tree, known[i].path, &st) && st.st_dev == found.st_dev &&
			st.st_ino == found.st_ino) {
			ret->init = known[i].init;
			break;
		}
	tree_finish(&tree);
}
