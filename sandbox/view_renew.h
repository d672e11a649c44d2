/*
 * A container that runs gets the files of its tenant's present lxcfs: those it was started with are
 * of one that is gone, whose every file answers ENOTCONN.
 */
#pragma once

struct container;
struct supervisor;

/* Starts a worker on it. Failure is logged: the container goes on with what it has. */
void view_renew(struct supervisor *s, const struct container *c);
