/*
 * How many processes and threads each container has begun: the supervisor has the kernel count them
 * (sandbox/fork_count.h), and hands over its table, which is read here without asking anybody.
 */
#pragma once

#include "server/server.h"

/* The link is ready: asks for the table. That of a supervisor before is read until it is there. */
void forks_connect(struct server *server);
void forks_finish(struct server *server);

/* What a container's run has begun until now. False, and nothing known, where nobody counts. */
bool forks_look(const struct server *server, const struct run *run, struct forks_look *ret);

/*
 * What it began between two looks, and since when: before the first one, since its start. A table
 * that is another supervisor's has counted from 0. False where the second tells nothing.
 */
bool forks_between(const struct run *run, const struct forks_look *from,
	const struct forks_look *to, uint64_t *ret, uint64_t *ret_from_usec);
