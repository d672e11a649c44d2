/*
 * Id ranges: 65,536 host uids and gids for each running container, never shared by two.
 *
 * One registry a host (not an instance), so that a test beside production cannot take a range that
 * is in use: a file of fixed records under a file lock. A range belongs to an instance, which is
 * known by a random id kept in its state directory; ranges of an instance whose state directory is
 * gone are taken back.
 */
#pragma once

#include "base/err.h"
#include "base/fd.h"

#include <stdint.h>
#include <sys/types.h>

#define IDRANGE_SIZE 65536u
#define IDRANGE_FIRST                                                                              \
	0x70000000u /* above systemd's container ranges, see systemd's UIDS-GIDS.md                \
		     */
#define IDRANGE_COUNT	 32768u
#define IDRANGE_DIR	 "/var/lib/croft-ids"
#define INSTANCE_ID_SIZE 33 /* 32 hexadecimal digits and a terminator */

struct idrange_registry;

/*
 * Opens (and makes) the registry in `dir` for the instance whose state directory is state_path;
 * supervisor_fd is that instance's private directory, where its id file lives (made when missing).
 * A forked worker may use its copy of the registry beside the process that opened it.
 */
int idrange_open(const char *dir, const char *state_path, int supervisor_fd,
	struct idrange_registry **ret, struct err *err);
void idrange_close(struct idrange_registry *reg);
/* Adds what a forked worker needs of it. */
void idrange_list_fds(const struct idrange_registry *reg, struct fd_list *list);
/* This instance's id. */
const char *idrange_instance(const struct idrange_registry *reg);

/* Takes a free range. Returns 0 with its first id, or RESOURCE_EXHAUSTED / ID_RANGES_EXHAUSTED. */
int idrange_take(struct idrange_registry *reg, uid_t *ret_base, struct err *err);
/* Gives a range back. Idempotent; a range of another instance is refused. */
int idrange_put(struct idrange_registry *reg, uid_t base, struct err *err);
/* Gives back every range of this instance that is not among the n kept ones (after a restart). */
int idrange_keep_only(struct idrange_registry *reg, const uid_t *bases, size_t n, struct err *err);
/* How many ranges this instance holds, or -errno. */
int idrange_held(struct idrange_registry *reg);
