/* Finding again what an earlier supervisor left behind when it was killed. */
#pragma once

#include "base/err.h"
#include "sandbox/supervisor.h"

/*
 * Goes through the runs on file: one that is alive is adopted, one that ended is finished and told
 * of. Then removes what belongs to none of them: cgroups (killed first), standard outputs, id
 * ranges; and calls done when that is over, which may be before it returns. Returns 0, or -errno
 * (done is not called). What cannot be cleaned is logged and left.
 */
int adopt_runs(struct supervisor *s, void (*done)(struct supervisor *s), struct err *err);
