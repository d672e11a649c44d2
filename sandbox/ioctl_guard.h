/*
 * What no tenant's process may ask of a file system, whatever its policy says: btrfs' own requests.
 *
 * A volume is seen without overlayfs in between, and whoever may write to a btrfs directory may
 * make subvolumes in it: with a quota group of their own, outside the volume's and the tenant's,
 * or put into another tenant's.
 */
#pragma once

#include "base/err.h"

#include <linux/filter.h>
#include <stddef.h>

/*
 * Answers them with ENOTTY from here on, as any other file system does; sharing data between files
 * (FICLONE and its like, which have numbers of btrfs) goes on. Needs what seccomp(2) needs.
 */
int ioctl_guard_load(struct err *err);

/* The program itself, for those who look at what it answers. Static storage. */
const struct sock_filter *ioctl_guard_program(size_t *ret_n);
