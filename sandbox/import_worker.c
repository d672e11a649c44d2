/* See import_worker.h. Must never keep a range of ids that the supervisor has not been told of. */
#include "sandbox/import_worker.h"

#include <string.h>

static void forward_progress(const struct image_report *report, void *arg)
{
	struct msg_import_progress msg = {.bytes = report->bytes, .entries = report->entries};

	job_progress(arg, &msg, sizeof(msg));
}

int import_worker_run(struct task *task, struct image_import *import, struct job_output *out,
	struct image_report *ret, int *ret_config, struct err *err)
{
	struct supervisor *s = task->s;
	int r = idrange_take(s->ids, &import->id_base, err);

	if (r < 0)
		return r;
	/* Told at once: should we be killed, the supervisor gives it back. */
	job_progress(out, &import->id_base, sizeof(import->id_base));
	import->importer_fd = s->importer_fd;
	import->archive_fd = task->fds[0];
	import->progress = forward_progress;
	import->progress_arg = out;
	r = image_import_run(import, ret, ret_config, err);
	idrange_put(s->ids, import->id_base, NULL);
	return r;
}

bool import_worker_told(
	const void *data, size_t size, uint32_t *id_base, struct msg_import_progress *ret)
{
	if (size == sizeof(*id_base))
		memcpy(id_base, data, size);
	if (size != sizeof(*ret))
		return false;
	memcpy(ret, data, size);
	return true;
}
