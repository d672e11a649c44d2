/* The list of directories in use; see disk_use.h. A handful at a time, so it is only a list. */
#include "sandbox/disk_use.h"

#include "base/cleanup.h"

#include <string.h>

struct disk_use {
	struct disk_use *next;
	struct cgroup_id id;
};

static struct disk_use **find(struct disk_use **at, const char *tenant, const char *container)
{
	for (; *at; at = &(*at)->next)
		if (!strcmp((*at)->id.container, container) && !strcmp((*at)->id.tenant, tenant))
			return at;
	return NULL;
}

int disk_use_check(
	const struct supervisor *s, const char *tenant, const char *container, struct err *err)
{
	struct disk_use *first = s->disk_uses;

	if (!find(&first, tenant, container))
		return 0;
	return err_set(err, ERR_ABORTED, "CONTAINER_BUSY",
		"the files of container %s are being copied or exchanged; try again", container);
}

int disk_use_begin(struct supervisor *s, const char *tenant, const char *container, struct err *err)
{
	int r = disk_use_check(s, tenant, container, err);
	struct disk_use *use;

	if (r < 0)
		return r;
	use = calloc(1, sizeof(*use));
	if (!use)
		return err_oom(err);
	snprintf(use->id.tenant, sizeof(use->id.tenant), "%s", tenant);
	snprintf(use->id.container, sizeof(use->id.container), "%s", container);
	use->next = s->disk_uses;
	s->disk_uses = use;
	return 0;
}

void disk_use_end(struct supervisor *s, const char *tenant, const char *container)
{
	struct disk_use **at = find(&s->disk_uses, tenant, container);
	struct disk_use *use = at ? *at : NULL;

	if (!use)
		return;
	*at = use->next;
	free(use);
}

void disk_use_forget_all(struct supervisor *s)
{
	while (s->disk_uses)
		disk_use_end(s, s->disk_uses->id.tenant, s->disk_uses->id.container);
}
