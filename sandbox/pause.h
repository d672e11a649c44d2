/*
 * A running container that stands still while its directory is copied. A file in the supervisor's
 * state says so from before it is frozen until after it is thawed, so that no death of worker or
 * supervisor leaves one frozen.
 */
#pragma once

#include "sandbox/pool.h"
#include "sandbox/supervisor.h"

/* In a worker. Freezes it and waits until the kernel says so; undone when that fails. */
int pause_begin(struct supervisor *s, const struct cgroup_id *id, struct err *err);
/* Thaws it, in a worker or in the loop. Does nothing for one that is not paused. */
void pause_end(struct supervisor *s, const struct cgroup_id *id);
/* At start: thaws all that an earlier supervisor has paused. */
void pause_end_all(struct supervisor *s);

/*
 * A pause of a worker's for as long as the container's directory is being read, and no longer. Its
 * `reading` is the pool's until pause_stop(), which also thaws what is paused still.
 */
struct reading_pause {
	struct supervisor *s;
	struct cgroup_id id;
	struct pool_reading reading;
	uint64_t began_boot_usec;
	uint64_t took_usec; /* that it stood still */
};

/* Without `freeze` nothing is paused: it stands still by itself. */
void pause_while_read(
	struct reading_pause *pause, struct supervisor *s, const struct cgroup_id *id, bool freeze);
void pause_stop(struct reading_pause *pause);
