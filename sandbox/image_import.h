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
#include "sandbox/image_config.h"
#include "sandbox/snapshot_list.h"

#include <stdint.h>
#include <sys/types.h>

enum image_init {
	IMAGE_INIT_NONE,    /* no init found: one must be named */
	IMAGE_INIT_SYSTEMD, /* stop by SIGRTMIN+3 */
	IMAGE_INIT_BUSYBOX, /* stop by SIGUSR2 */
	IMAGE_INIT_SYSV,    /* sysvinit, runit and others at /sbin/init: stop by SIGINT */
};

#define IMAGE_INIT_PATH_MAX 256

/* Fixed size: sent by the importer, and part of the answer to an import request. */
struct image_report {
	uint64_t bytes;		  /* unpacked so far: file contents */
	uint64_t entries;	  /* files, directories, links so far */
	uint64_t skipped_devices; /* device nodes and sockets of the archive that were left out */
	uint32_t init;		  /* enum image_init; final report only */
	uint32_t final;		  /* 1: finished, see err */
	uint32_t config_size;	  /* of an application image's config; final report only */
	uint32_t reserved;
	char init_path[IMAGE_INIT_PATH_MAX]; /* "/sbin/init"; "" when there is none */
	struct err err;			     /* code ERR_OK: success */
};

struct image_limits {
	uint64_t bytes;	  /* unpacked; 16 GiB unless configured */
	uint64_t entries; /* 2,000,000 unless configured */
	uint32_t seconds; /* the importer is killed after so long without progress */
	/*
	 * How many snapshots may come with a container; more are refused. 0: what the file has of
	 * them is passed over. Then bytes and entries are those of each tree, these of all.
	 */
	uint32_t snapshots;
	uint64_t all_bytes;
	uint64_t all_entries;
};

struct image_import {
	int importer_fd; /* the open croft-importer binary */
	int archive_fd;
	int target_fd; /* an empty directory */
	uid_t id_base; /* a range of the registry */
	struct image_limits limits;
	const char *init; /* a path that must be executable within the tree; "": none need be */
	const char *reference; /* which image of an archive with several; "": the only one */
	void (*progress)(const struct image_report *report, void *progress_arg); /* may be NULL */
	void *progress_arg;
	/*
	 * A snapshot comes, whose row is not checked; what was unpacked before is in the report.
	 * Returns 0 with *ret_fd, an empty directory for it, the caller's; or -errno. May be NULL
	 * where limits.snapshots is 0.
	 */
	int (*snapshot)(const struct snapshot_row *row, const struct image_report *report,
		int *ret_fd, void *arg, struct err *err);
	void *arg;
};

/*
 * Unpacks the archive (see importer/import.h for what may be one) into the target, ids shifted so
 * that they are 0 to 65535 on disk. progress is called with each report that is not final. Returns
 * 0 with *ret filled and *ret_config the checked config of an application image as a sealed memfd
 * (image_config.h), or -1; on failure -errno, err filled, and the caller drops the target.
 * Refusals: INVALID_ARGUMENT / IMAGE_INVALID (not an image, damaged, unsafe names), INIT_NOT_FOUND,
 * IMAGE_AMBIGUOUS or IMAGE_NOT_IN_ARCHIVE, RESOURCE_EXHAUSTED / IMAGE_TOO_LARGE.
 */
int image_import_run(const struct image_import *import, struct image_report *ret, int *ret_config,
	struct err *err);
