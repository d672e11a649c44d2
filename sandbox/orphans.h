/*
 * Children that nobody accounts for: what a worker had cloned when it was killed, and what a
 * command in a container made its sibling (CLONE_PARENT of clone(2)).
 *
 * The supervisor is a subreaper, so they become its own. Left alone, a zombie among them would keep
 * the pid namespace it belongs to, and so its container's init, from ending.
 */
#pragma once

#include "sandbox/reactor.h"

#include <stddef.h>
#include <sys/types.h>

struct supervisor;

#define ORPHANS_MAX 128 /* looked at in one round; the rest in the next */

struct orphans {
	struct supervisor *s;
	struct timer timer;
	size_t skip; /* of the unknown children, those already looked at in vain */
};

void orphans_init(struct orphans *o, struct supervisor *s);
void orphans_finish(struct orphans *o);

/* Starts to look for orphans, until there are none: call it when a worker ended without a word. */
void orphans_look(struct orphans *o);
/* A child has ended (SIGCHLD): looks soon, and seldom enough that no tenant can keep us busy. */
void orphans_notice(struct orphans *o);

/*
 * True when the text of /proc/PID/cgroup says that the process is in that container, or may be in
 * any (text NULL: it could not be read).
 */
struct cgroup_id;
bool orphans_is_in(const char *text, const struct cgroup_id *id);
