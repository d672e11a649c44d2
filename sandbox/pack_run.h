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
#define EXPORT_HEADER_SIZE    24u
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

struct pack_run {
	int packer_fd;	  /* the open binary */
	int stream_fd;	  /* where the file goes */
	int tree_fd;	  /* what is packed; nobody else writes to it */
	uid_t id_base;	  /* a range of the registry, as which it runs */
	unsigned seconds; /* it is killed after so long without progress */
};

/* Runs it to its end. Returns 0 or -errno with err filled: DEADLINE_EXCEEDED / EXPORT_STALLED. */
int pack_run(const struct pack_run *run, struct pack_total *ret, struct err *err);
