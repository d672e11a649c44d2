/*
 * Which containers' directories are being snapshotted, exchanged or renamed, and which volumes
 * made, changed or removed: one such thing at a time, and no start of the container meanwhile. In
 * the loop's memory only: it ends with the workers that do it.
 */
#pragma once

#include "sandbox/supervisor.h"

/* ABORTED / CONTAINER_BUSY when it is in use, FAILED with -ENOMEM when memory is out. */
int disk_use_begin(
	struct supervisor *s, const char *tenant, const char *container, struct err *err);
/* Idempotent. */
void disk_use_end(struct supervisor *s, const char *tenant, const char *container);
/* -EAGAIN with err when it is in use. */
int disk_use_check(
	const struct supervisor *s, const char *tenant, const char *container, struct err *err);
/* The same for a volume, which shares no name with a container: ABORTED / VOLUME_BUSY. */
int disk_use_begin_volume(
	struct supervisor *s, const char *tenant, const char *volume, struct err *err);
void disk_use_end_volume(struct supervisor *s, const char *tenant, const char *volume);
void disk_use_forget_all(struct supervisor *s);
