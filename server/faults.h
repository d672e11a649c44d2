/* Events of limits that were met: OOM kills and refused forks, told at most once in some seconds.
 */
#pragma once

#include "server/db.h"
#include "server/model.h"

/*
 * Adds an event for each kind of fault that rose since it was last told. Unless `final`, a kind is
 * told at most every FAULTS_PAUSE_USEC, so that a tenant cannot flood the record. Returns true when
 * something was added.
 */
#define FAULTS_PAUSE_USEC 5000000u
bool faults_add_events(struct db_tx *tx, struct container *container,
	const struct counters *counters, uint64_t now_boot_usec, bool final);
/* True when a call of faults_add_events() would add something. */
bool faults_pending(
	const struct container *container, const struct counters *counters, uint64_t now_boot_usec);
