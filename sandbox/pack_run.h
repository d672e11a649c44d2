/*
 * Running croft-packer, which makes one file of a tree (docs/EXPORT-FORMAT.md), in its jail. What
 * the file begins and ends with is here too: croft-importer looks for the same.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

/* Two of zstd's skippable frames (RFC 8878, 3.1.2), each with its magic number and its size. */
#define EXPORT_HEADER                                                                              \
	"\x5e\x2a\x4d\x18\x10\x00\x00\x00"                                                         \
	"croft-export 1\n\0"
/* The same with snapshots: a frame with their list (snapshot_list.h) follows, and a tar each. */
#define EXPORT_HEADER_SNAPSHOTS                                                                    \
	"\x5e\x2a\x4d\x18\x10\x00\x00\x00"                                                         \
	"croft-export 2\n\0"
#define EXPORT_HEADER_SIZE    24u
#define EXPORT_LIST_MAGIC     "\x5e\x2a\x4d\x18" /* its size follows, little-endian */
#define EXPORT_FRAME_SIZE     8u
#define EXPORT_TRAILER_HEADER "\x5e\x2a\x4d\x18\x20\x00\x00\x00" /* SHA-256 of all before */
#define EXPORT_TRAILER_SIZE   40u

struct pack_total {
	uint64_t bytes; /* of files' contents */
	uint64_t entries;
};

/* From the packer: some on the way, the last of them final. */
struct pack_report {
	uint64_t final;
	struct pack_total total;
	struct err err; /* code ERR_OK: it went well */
};

/*
 * The packer asks for one tree after the other by a message of this size, and is answered with a
 * byte: with a descriptor beside it, or without one when there is none left.
 */
struct pack_ask {
	uint32_t done; /* how many it has packed */
};

struct pack_run {
	int packer_fd;	  /* the open binary */
	int stream_fd;	  /* where the file goes */
	int root_fd;	  /* an empty directory */
	int list_fd;	  /* the text of the list of snapshots, from its beginning; -1: none */
	uid_t id_base;	  /* a range of the registry, as which it runs */
	unsigned seconds; /* it is killed after so long without progress */
	/*
	 * The n-th tree (0: the container's), which nobody else writes to; the one before is done
	 * with. Returns 1 with *ret_fd (not O_PATH; the caller's), 0 when there is none, -errno.
	 */
	int (*next)(void *arg, unsigned n, int *ret_fd, struct err *err);
	void *arg;
};

/* Runs it to its end. Returns 0 or -errno with err filled: DEADLINE_EXCEEDED / EXPORT_STALLED. */
int pack_run(const struct pack_run *run, struct pack_total *ret, struct err *err);
