/*
 * Refused system calls that are told of: croft-refuser (sandbox/refuser/), which answers them, and
 * what it is given.
 *
 *            a start with a listener      started              it ends
 *   NONE -----------------------> STARTING -------> UP -----------------> DOWN
 *                                   ^  | failed                            | after a pause
 *                                   |  +--------------------------> DOWN   |
 *                                   +--------------------------------------+
 *
 * A container's start never waits for it. Each listener is kept here as well, so that the next
 * croft-refuser is given all of them; those of containers that an earlier supervisor started are
 * croft-refuser's alone. Where it will not run, listeners are given up: the calls that they were
 * for answer ENOSYS from then on, and what is started has none.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct container;
struct supervisor;

int refuser_create(struct supervisor *s, struct err *err);
/* Lets go of it; it runs on. */
void refuser_destroy(struct supervisor *s);

/* Whether what is started now is to have a listener. */
bool refuser_is_wanted(const struct supervisor *s);
/* A container has started. Takes the listener; -1: it has none. */
void refuser_take(struct container *c, int listener_fd);
/* Its count (refused_count.h), read-only, or -1. */
int refuser_open_count(int dir_fd, const char *tenant, const char *container);
/* In a worker or at a start: removes its count; there may be none. */
void refuser_remove_count(int dir_fd, const char *tenant, const char *container);

/* At the supervisor's start, before runs are adopted: finds the one that still lives. */
void refuser_adopt(struct supervisor *s);
bool refuser_is_adopted(const struct supervisor *s);
/* True for its pid, when it is our child. */
bool refuser_has_pid(const struct supervisor *s, pid_t pid);
