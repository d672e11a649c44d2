/*
 * The files of /proc and /sys that show a container its own limits instead of the host's: taken
 * from a tenant's lxcfs (view_program.h), and laid over the kernel's own.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

#define VIEW_FILES_N 7

/* In the mount namespace of a new lxcfs: binds its files where the next two find them. */
int view_mount_keep(struct err *err);
/* In that namespace: returns 0 when it answers. */
int view_mount_ask(struct err *err);

/*
 * Clones each file's mount, read-only, out of the mount namespace that lxcfs is in. The caller must
 * be single-threaded; it is in its own namespace and working directory again when this returns.
 * Returns 0 with VIEW_FILES_N descriptors, the caller's, or -errno with none.
 */
int view_mount_clone(int lxcfs_pidfd, int ret_fds[static VIEW_FILES_N], struct err *err);
void view_mount_close(int fds[static VIEW_FILES_N]);

/* Lays them over the files below a root of which no tenant code has run yet. */
int view_mount_attach(const int fds[static VIEW_FILES_N], int root_fd, struct err *err);

/*
 * The same in a container that runs, where its present files are those of an lxcfs that is gone,
 * or the kernel's. The caller enters the container's mount namespace for good; it follows no
 * link there, and what the tenant has put in a file's place itself is left alone.
 */
int view_mount_renew(const int fds[static VIEW_FILES_N], int init_pidfd, struct err *err);
