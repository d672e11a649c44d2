/* Taking back a start whose builder was lost before it could do so itself. */
#pragma once

#include "sandbox/container.h"

/*
 * Removes what the builder may have made: processes, cgroups, run file, output, id range, and the
 * upper when the builder was to make it. The container stays STARTING until that has succeeded (it
 * is tried again and again), and is forgotten then.
 */
void abandon_start(struct container *c);
