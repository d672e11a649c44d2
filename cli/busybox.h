/* A root file system made of a static busybox alone, as a tar archive: an image without network. */
#pragma once

#include "base/err.h"
#include "cli/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUSYBOX_PATH "/bin/busybox" /* of Debian's busybox-static */

/*
 * True for an ELF program that needs no loader and no libraries: the image has none.
 * Source: elf(5), PT_INTERP.
 */
bool busybox_is_static(const void *binary, size_t size);

/*
 * The archive for this binary. applets is what "busybox --list-full" prints: a path a line;
 * mtime is that of every entry. Returns 0 with the archive in *ret_tar, the caller's, or -errno.
 */
int busybox_write_tar(const void *binary, size_t size, const char *applets, int64_t mtime,
	struct buffer *ret_tar, struct err *err);

/*
 * Reads the binary at path, checks that it is static, asks it for its applets and writes the
 * archive. Returns 0 or -errno with a sentence that says what to install.
 */
int busybox_build(const char *path, struct buffer *ret_tar, struct err *err);
