/*
 * Images in the pool; see pool.h: filled in `incoming`, then published under their name in one
 * step. Must never publish what is not on the disk.
 */
#include "base/cleanup.h"
#include "sandbox/pool_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static struct pool_entry incoming(const struct pool *pool, const char *image)
{
	return (struct pool_entry){pool->root_fd, -1, pool->incoming_fd, image};
}

int pool_image_begin(struct pool *pool, const char *image, int *ret_fd, struct err *err)
{
	struct pool_entry entry = incoming(pool, image);
	_cleanup_close_ int fd = -1;
	int r;

	r = name_check("image", image, err);
	if (r == 0)
		r = pool->ops->drop(&entry, false, err);
	if (r == 0)
		r = pool->ops->make(&entry, &pool_new_plain, err);
	if (r == 0)
		r = pool_open_named(pool->incoming_fd, "image", image, OPEN_DIR, &fd, err);
	if (r < 0)
		return r;
	if (fchmod(fd, 0755) < 0)
		return err_sys(err, errno, "open the image's directory to its containers");
	*ret_fd = take_fd(&fd);
	return 0;
}

int pool_image_commit(struct pool *pool, const char *image, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r = pool_open_named(pool->incoming_fd, "image", image, OPEN_DIR, &fd, err);

	if (r < 0)
		return r;
	/* What the name stands for must be on the disk before the name is. */
	if (syncfs(pool->root_fd) < 0)
		return err_sys(err, errno, "write the image to the disk");
	if (renameat2(pool->incoming_fd, image, pool->images_fd, image, RENAME_NOREPLACE) < 0)
		return errno == EEXIST ? err_set(err, ERR_ALREADY_EXISTS, "IMAGE_EXISTS",
						 "there is an image \"%s\" already; delete it, or "
						 "choose another name",
						 image)
				       : err_sys(err, errno, "publish the image");
	r = pool->ops->seal(fd, err);
	if (r < 0)
		return r;
	return syncfs(pool->root_fd) < 0 ? err_sys(err, errno, "write the image's name") : 0;
}

int pool_image_abort(struct pool *pool, const char *image, struct err *err)
{
	struct pool_entry entry = incoming(pool, image);
	int r = name_check("image", image, err);

	return r < 0 ? r : pool->ops->drop(&entry, false, err);
}

int pool_image_open(struct pool *pool, const char *image, int *ret_fd, struct err *err)
{
	return pool_open_named(pool->images_fd, "image", image,
		O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, ret_fd, err);
}

int pool_base_open(struct pool *pool, const char *base, int *ret_fd, struct err *err)
{
	int fd;

	if (base[0])
		return pool_image_open(pool, base, ret_fd, err);
	fd = openat(pool->root_fd, POOL_EMPTY_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open the pool's empty directory");
	*ret_fd = fd;
	return 0;
}

int pool_clone_base(struct pool *pool, const char *base, const char *name, struct err *err)
{
	struct pool_entry entry = incoming(pool, name);
	_cleanup_close_ int fd = -1;
	int r = pool->ops->drop(&entry, false, err);

	if (r == 0 && !base[0])
		return pool->ops->make(&entry, &pool_new_plain, err);
	if (r == 0)
		r = pool_open_named(pool->images_fd, "image", base, OPEN_DIR, &fd, err);
	return r < 0 ? r : pool->ops->clone(fd, &entry, &pool_new_plain, false, err);
}

int pool_image_remove(struct pool *pool, const char *image, struct err *err)
{
	struct pool_entry entry = {pool->root_fd, -1, pool->images_fd, image};
	int r = pool_image_abort(pool, image, err);

	return r < 0 ? r : pool->ops->drop(&entry, false, err);
}
