/*
 * The states of a container and the moves between them.
 *
 *                 start                started              stop, kill
 *     STOPPED ------------> STARTING ------------> RUNNING ------------> STOPPING
 *      |  ^                    |                   |  ^  |                 ^  |
 *      |  |     could not      |          freeze   |  |  | run ended       |  |
 *      |  +--------------------+                   v  |  |                 |  |
 *      |  ^                                    FREEZING  |       stop,     |  |
 *      |  |                             frozen    |  ^   |       kill      |  |
 *      |  |                                       v  | thaw                |  |
 *      |  |                                     FROZEN --------------------+  |
 *      |  |                                                                   |
 *      |  +-------------------- run ended, final usage committed -------------+
 *      | delete
 *      v
 *     DELETING ---> gone
 *
 * FREEZING stands for both directions of a freeze that the kernel has not confirmed. A run can end
 * in any state but STOPPED and DELETING. A forced delete stops first.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

/* As in croft.v1.Container.State. */
enum container_state {
	CONTAINER_STOPPED = 1,
	CONTAINER_STARTING = 2,
	CONTAINER_RUNNING = 3,
	CONTAINER_FREEZING = 4,
	CONTAINER_FROZEN = 5,
	CONTAINER_STOPPING = 6,
	CONTAINER_DELETING = 7,
};

/* "running"; "unknown" for a number out of range. Static storage. */
const char *container_state_name(enum container_state state);

/* What to do about a container that is in it: "start it first". Static storage. */
const char *container_state_advice(enum container_state state);

/* True when the table allows the move. */
bool container_state_may(enum container_state from, enum container_state to);

/*
 * Returns 0 when the move is allowed, else FAILED_PRECONDITION / CONTAINER_STATE with a sentence:
 * "tenant/web is running; stop it first".
 */
int container_state_check(const char *tenant, const char *container, enum container_state from,
	enum container_state to, struct err *err);

/* True while processes of the container may exist. */
bool container_state_is_live(enum container_state state);
