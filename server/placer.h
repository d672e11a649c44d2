/*
 * Containers with `--cores auto` while they run: which of them belong on other cores, and bringing
 * them there. Where one starts, and what a change of its own limits makes of that, is cores.c's.
 */
#pragma once

#include "server/server.h"

int placer_create(struct server *server, struct err *err);
void placer_destroy(struct server *server);

/* The host's CPUs as they are now; valid until the next call. */
const struct cpu_topology *placer_cpus(struct server *server);

/* What is promised has changed: looks soon, and moves whom it pays to move. */
void placer_wake(struct server *server);

/*
 * The link has become ready: a move may have been cut off, so all that have cores of their own are
 * put where the record has them.
 */
void placer_resume(struct server *server);

/*
 * A tenant's cores have become others. On v1 a container with the same ones as its tenant counts as
 * one without any (sandbox/cgroup_hybrid_cpus.c) and has followed: the same for its containers.
 */
void placer_tenant_changed(struct server *server, struct tenant *tenant);
