/*
 * What a container sees at /dev, /proc and /sys. Called while the root is being built, in the outer
 * user namespace, before any process of the tenant runs in it.
 */
#pragma once

#include "base/err.h"
#include "sandbox/counters.h"

#include <stdbool.h>

/*
 * Opens a directory directly below the container's root as a place to mount on, making it when it
 * is missing. A symbolic link or a file of the image in its place is refused: IMAGE_INVALID.
 */
int mounts_open_target(int root_fd, const char *name, int *ret_fd, struct err *err);

/*
 * Mounts a fresh /dev on root_fd: a small tmpfs with the host's verified nodes bound in, a devpts
 * and a console of its own, /dev/shm. Needs the host's /dev to be visible. Returns 0 with the
 * console's master, the caller's.
 */
int mounts_make_dev(int root_fd, int *ret_console_fd, struct err *err);

/* A detached file system for a few small files of Croft's, root's alone. Returns it, or -errno. */
int mounts_make_small_fs(void);

/*
 * Puts a mount (-1: none) of a file over /etc/NAME, whatever the image has there: a symbolic link
 * is covered, not followed, and what is missing is made. Where that cannot be (no /etc, or a
 * directory of that name) the container goes without. Returns 0 or -errno.
 */
int mounts_cover_etc(int root_fd, const char *name, int mount_fd, struct err *err);

/*
 * Mounts /proc and /sys, masked, and the cgroup view. The caller is in the container's pid, net and
 * ipc namespaces, its root is the container's, and a fully visible procfs is still mounted
 * somewhere in its mount namespace (the kernel asks for one). nesting: leaves such a procfs and
 * sysfs below /dev/.croft, so that containers inside can mount theirs.
 */
int mounts_make_kernel(int root_fd, enum cgroup_kind kind, bool nesting, struct err *err);
