/* The parts of the id range registry that know instances and processes; see idrange.c. */
#pragma once

#include "base/err.h"
#include "sandbox/idrange.h"

#include <stdbool.h>
#include <stdint.h>

#define IDRANGE_INSTANCES_DIR "instances"
#define IDRANGE_ID_FILE	      "instance-id" /* in an instance's private directory */

/* An instance's id as bytes; all zero: nobody. */
struct idrange_owner {
	uint8_t bytes[16];
};

/* Reads 32 lower-case hexadecimal digits, not all zero. Returns 0 or -EINVAL. */
int idrange_parse_id(const char *text, struct idrange_owner *ret);

/*
 * Reads the instance's id, or gives it one: also when its directory turns out to be a copy of
 * another instance's. Notes in the registry where the instance lives. Under the table's lock.
 */
int idrange_instance_enroll(int instances_fd, const char *state_path, int supervisor_fd,
	char ret_id[static INSTANCE_ID_SIZE], struct err *err);

/* True when the noted state directory is gone, or has become another instance's. */
bool idrange_instance_is_gone(int instances_fd, const char *id);

/* Which ranges some process of this host has in its user namespace's map. */
struct idrange_in_use {
	uint64_t bits[IDRANGE_COUNT / 64];
};

/* Reads the maps of all processes. Returns 0 or -errno. */
int idrange_in_use_read(struct idrange_in_use *ret, struct err *err);
bool idrange_in_use_has(const struct idrange_in_use *in_use, uint32_t index);
