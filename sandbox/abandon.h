/* Taking back a start whose builder was lost before it could do so itself. */
#pragma once

#include "sandbox/container.h"
#include "sandbox/task.h"

/*
 * Removes what the builder may have made: processes, cgroups, run file, output, id range, and the
 * upper when the builder was to make it. The container stays STARTING until that has succeeded (it
 * is tried again and again), and is forgotten then. The request is answered, with `why`, once it
 * has been tried: as long as croftd has no answer it knows that there may be something left.
 */
void abandon_start(struct container *c, const struct request *request, const struct err *why);
