/*
 * What the kernel counted for one cgroup, read through files kept open.
 *
 * croftd's sweep and the supervisor's final read use the same code, so that a bill cannot depend
 * on which of them looked. The directories come from cgroup_open_dirs(); croftd receives them by
 * SCM_RIGHTS and never learns a path.
 */
#pragma once

#include "base/err.h"
#include "sandbox/net_usage.h"

#include <stddef.h>
#include <stdint.h>

enum cgroup_kind {
	CGROUP_UNIFIED = 1, /* cgroup v2 holds pids, memory and cpu */
	CGROUP_HYBRID = 2,  /* v1 controllers, beside a cgroup2 tree */
};

/* What of I/O can be limited here. */
enum io_limits {
	IO_LIMITS_NONE = 0,
	IO_LIMITS_READING = 1, /* what each container reads */
	IO_LIMITS_ALL = 2,     /* reading and writing, of containers and tenants */
};

/* The directories of one cgroup, in the order in which they are passed. */
enum counter_dir {
	COUNTER_DIR_UNIFIED, /* the cgroup2 directory: the only one on CGROUP_UNIFIED */
	COUNTER_DIR_CPU,
	COUNTER_DIR_CPUACCT,
	COUNTER_DIR_MEMORY,
	COUNTER_DIR_PIDS,
	COUNTER_DIR_IO, /* without blkio on the host any other: it lacks the files */
	COUNTER_DIR_N,
};

/* Below a tenant's: what is done for it outside its containers. */
#define COUNTERS_LEAF "_croft"

/* How many directories a driver passes: 1 or COUNTER_DIR_N. */
size_t counters_n_dirs(enum cgroup_kind kind);

/* Which disk's I/O is counted, by the kernel's number of it; major 0: none. */
struct io_disk {
	uint32_t major;
	uint32_t minor;
};

/*
 * What a cgroup had read from and written to that disk. Not what the page cache answered; and on v1
 * not what it wrote out later, which is on nobody's account there.
 */
struct io_usage {
	uint64_t read_bytes;
	uint64_t read_ops;
	uint64_t write_bytes;
	uint64_t write_ops;
};

/*
 * Fixed size: part of wire messages, state files and samples. It grows at its end (run_file.c).
 * Cumulative unless said otherwise.
 *
 * Of a container (or _croft), every counter means the same on both drivers but for one:
 * - pids_denied counts forks refused in it by its own limit. By its tenant's limit as well on v1,
 *   and on v2 up to Linux 6.10; later kernels count those on v2 at the tenant alone.
 * Of a tenant:
 * - oom_kills: always 0. The kernel counts where the process was: sum the rows.
 * - memory_at_limit: hits of its own limit alone.
 * - pids_denied: forks refused by its own limit that are counted in none of its containers: on v2
 *   from Linux 6.11 on, elsewhere always 0. What it was refused in all is the sum of the rows.
 */
struct counters {
	uint64_t cpu_usec;
	uint64_t cpu_throttled_usec;
	uint64_t memory_bytes;		   /* gauge: usage with its page cache */
	uint64_t memory_working_set_bytes; /* gauge: usage less the inactive file cache */
	uint64_t memory_peak_bytes;	   /* highest usage since the cgroup was made */
	uint64_t memory_at_limit;	   /* times the limit was hit; how often tells little */
	uint64_t oom_kills;		   /* processes killed by the OOM killer */
	uint64_t pids;			   /* gauge */
	uint64_t pids_peak;   /* highest count; UINT64_MAX where the kernel keeps none */
	uint64_t pids_denied; /* forks refused by a pids limit */
	/* Not of the cgroup: counters_read() leaves both 0, and they have a base (msg_started). */
	uint64_t has_net; /* 1: `net` was read, too */
	struct net_usage net;
	uint64_t has_io; /* 1: `io` was read, too: the host counts it, and the disk is known */
	struct io_usage io;
	/*
	 * So much of cpu_usec was in user mode, as the kernel estimates it from its ticks and makes
	 * it fit; COUNTER_UNKNOWN where it does not say. It is no raw counter of the ledger's.
	 */
	uint64_t cpu_user_usec;
	/* Nor are these: tell-tale calls that were refused, and which (refused_count.h); 0 where
	 * nobody counts them. */
	uint64_t refused_calls;
	uint64_t refused_set;
};

#define COUNTER_UNKNOWN UINT64_MAX

struct counter_files;

/* Whose cgroup it is. */
enum counters_of {
	COUNTERS_OF_CONTAINER, /* or of _croft */
	COUNTERS_OF_TENANT,
};

/*
 * Opens the files behind the counters. dirs holds counters_n_dirs(kind) directory handles, which
 * stay the caller's; disk the one whose I/O counts, or NULL. Returns 0 with *ret owned by the
 * caller, or -errno.
 */
int counter_files_open(enum cgroup_kind kind, enum counters_of of, const int *dirs,
	const struct io_disk *disk, struct counter_files **ret, struct err *err);
void counter_files_close(struct counter_files *files);
/* Has it read the count of refused calls, too: an open refused_count.h, which is its own now. */
void counter_files_take_refused(struct counter_files *files, int fd);

/*
 * Reads every counter. Returns 0, or -ENODEV when the cgroup was removed, or -errno; *ret is
 * written only on success. Source: Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
 */
int counters_read(const struct counter_files *files, struct counters *ret, struct err *err);

/*
 * A number of a control file: the one after `key` and a space at the start of a line, or the whole
 * file's when key is NULL. Returns 0, -ENOENT without such a line, or -EBADMSG.
 */
int counter_parse(const char *text, const char *key, uint64_t *ret);
