/*
 * Unpacking an untrusted archive: croft-importer in a user namespace of its own.
 *
 * Runs in a worker of the supervisor and blocks until the import has ended. The importer sees the
 * archive, an id-mapped mount of the empty target directory as its root, and a report socket;
 * it has no network, no other file, no capability over the host, and a time limit.
 */
#pragma once

#include "base/err.h"
#include "base/name.h"

#include <stdint.h>
#include <sys/types.h>

enum image_init {
	IMAGE_INIT_NONE,    /* no init found: one must be named */
	IMAGE_INIT_SYSTEMD, /* stop by SIGRTMIN+3 */
	IMAGE_INIT_BUSYBOX, /* stop by SIGUSR2 */
	IMAGE_INIT_SYSV,    /* sysvinit, runit and others at /sbin/init: stop by SIGPWR */
};

#define IMAGE_INIT_PATH_MAX 256

/* Fixed size: sent by the importer, and part of the answer to an import request. */
struct image_report {
	uint64_t bytes;		  /* unpacked so far: file contents */
	uint64_t entries;	  /* files, directories, links so far */
	uint64_t skipped_devices; /* device nodes and sockets of the archive that were left out */
	uint32_t init;		  /* enum image_init; final report only */
	uint32_t final;		  /* 1: finished, see err */
	char init_path[IMAGE_INIT_PATH_MAX]; /* "/sbin/init"; "" when there is none */
	struct err err;			     /* code ERR_OK: success */
};

struct image_limits {
	uint64_t bytes;	  /* unpacked; 16 GiB unless configured */
	uint64_t entries; /* 2,000,000 unless configured */
	uint32_t seconds; /* the importer is killed after so long without progress */
};

/*
 * Unpacks the archive read from archive_fd (tar, plain or gzip, xz, zstd) into the directory
 * target_fd, ids shifted so that they are 0 to 65535 on disk. id_base is a range of the registry.
 * init is a path that must be an executable file within the tree ("": none need be).
 * progress is called with each report that is not final (may be NULL). importer_fd is the open
 * croft-importer binary. Returns 0 with *ret filled; on failure -errno, err filled, and the
 * caller drops the target. Refusals: INVALID_ARGUMENT / IMAGE_INVALID (not a tar, damaged, unsafe
 * names) or INIT_NOT_FOUND, RESOURCE_EXHAUSTED / IMAGE_TOO_LARGE.
 */
int image_import_run(int importer_fd, int archive_fd, int target_fd, uid_t id_base,
	const struct image_limits *limits, const char *init,
	void (*progress)(const struct image_report *report, void *arg), void *arg,
	struct image_report *ret, struct err *err);
