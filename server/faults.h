/*
 * Events of limits that were met, OOM kills and refused forks, and of refused calls, each with how
 * many there were since the last that was told, at event_pace.h's pace.
 */
#pragma once

#include "server/db.h"
#include "server/model.h"

/*
 * Adds an event for each kind of fault that rose since it was last told. `final`: whatever the
 * pace, so that all of them were told when a run has ended. Returns true when something was added.
 */
bool faults_add_events(struct db_tx *tx, struct container *container,
	const struct counters *counters, uint64_t now_boot_usec, bool final);
/*
 * Adds an event of forks that a tenant's own limit refused and that no container counted, as of its
 * directory's last sample; `final` as above. Its OOM kills are its containers'. Returns true when
 * it added one.
 */
bool faults_add_tenant_events(struct db_tx *tx, struct tenant *tenant, bool final);
/* True when a call of faults_add_events() would add something. */
bool faults_pending(
	const struct container *container, const struct counters *counters, uint64_t now_boot_usec);
