/*
 * What is held whether anything runs or not: disk, snapshots, addresses, and what a tenant bought.
 * Each container, volume and tenant has a row like a run's for each boot of the host, from when it
 * was made (or was first seen on that boot) to its deletion, with samples that the ledger cuts as
 * it does those of runs.
 *
 * Where the host is down nothing is on record of it, and nothing is billed.
 */
#pragma once

#include "server/ledger_meters.h"
#include "server/server.h"
#include "server/volume.h"

/* They were made right now. */
void held_begin(struct held *held);

/* Looked at: how much of the disk is in use. */
void held_measured(struct held *held, uint64_t bytes, uint64_t look);
/*
 * Bytes of disk that its containers and volumes had in use when each was last looked at, without
 * snapshots. 0: not known.
 */
uint64_t held_disk_of_tenant(const struct tenant *tenant);
/* Samples all there is. What was measured at that look is known. */
void held_sample_all(struct server *server, uint64_t look);
/*
 * Its disk was found full, which is counted: sampled in the transaction that says so, so that both
 * are on record or neither. Of a container or a volume, or (both NULL) of the tenant as a whole.
 */
void held_filled(struct db_tx *tx, struct tenant *tenant, struct container *container,
	struct volume *volume);

/* Their last samples, in the transaction of their deletion. Nothing of what nobody was told of. */
void held_end_container(struct db_tx *tx, struct container *container);
void held_end_volume(struct db_tx *tx, struct volume *volume);
void held_end_tenant(struct db_tx *tx, struct tenant *tenant);
