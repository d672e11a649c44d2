/* Shutting the importer in before it reads an archive, and the packer before it reads a tree. */
#pragma once

#include "base/err.h"

#include <stdint.h>

/*
 * Of one file with its holes, packed or unpacked: what each file system of a pool takes. What is in
 * it has limits of its own.
 */
#define JAIL_FILE_BYTES_MAX (UINT64_C(1) << 44)

enum jail_kind {
	JAIL_IMPORTER, /* makes files, and gives them to their owners */
	JAIL_PACKER,   /* reads files, whoever may */
};

/*
 * Makes the mount tree_fd the root, with nothing of the host left; sets resource limits, keeps
 * only the capabilities that the work needs, and the system calls that it uses. tree_fd is
 * closed. Irreversible. Returns 0 or -errno.
 */
int jail_enter(int tree_fd, enum jail_kind kind, struct err *err);

/* The system call filter alone; see jail_filter.c. */
int jail_filter_load(enum jail_kind kind, struct err *err);
