/* What the workers that import an image or a container have in common: an importer at work. */
#pragma once

#include "sandbox/image_import.h"
#include "sandbox/supervisor.h"
#include "sandbox/task.h"

/*
 * In the worker: runs croft-importer on the task's archive, under a range of ids of its own. The
 * caller fills in target_fd, limits, init, reference, and snapshot with its arg. The supervisor is
 * told the range and then the progress. As image_import_run().
 */
int import_worker_run(struct task *task, struct image_import *import, struct job_output *out,
	struct image_report *ret, int *ret_config, struct err *err);

/*
 * In the supervisor: what the worker has told. Keeps the range in *id_base, so that it can be given
 * back should the worker be killed; or returns true with *ret, whose names are the caller's.
 */
bool import_worker_told(
	const void *data, size_t size, uint32_t *id_base, struct msg_import_progress *ret);
