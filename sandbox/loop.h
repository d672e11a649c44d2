/*
 * Loop devices of a file. A device is always looked up by the backing file's device and inode
 * before one is configured: the same file on two devices is two live file systems over one file.
 * The lookup is only as good as the caller's lock around it. Source: loop(4), linux/loop.h.
 */
#pragma once

#include "base/err.h"

#define LOOP_PATH_SIZE 32

/*
 * Finds the device whose backing file is file_fd. Returns 0 with the open device (the caller's;
 * while it is open the device stays) and its path, or -ENOENT.
 */
int loop_find(int file_fd, int *ret_fd, char ret_path[static LOOP_PATH_SIZE], struct err *err);

/*
 * The device of this file, found or else configured: it lets go of the file when it is last
 * closed or unmounted, and bypasses the page cache where the file allows. As loop_find().
 */
int loop_attach(int file_fd, int *ret_fd, char ret_path[static LOOP_PATH_SIZE], struct err *err);

/* Lets the file's device go, now or once its last user is done. Idempotent. */
int loop_release(int file_fd, struct err *err);

/* True when this process can get at loop devices. */
int loop_is_usable(void);
