/* The list of directories in use; see disk_use.h. A handful at a time, so it is only a list. */
#include "sandbox/disk_use.h"

#include "base/cleanup.h"

#include <string.h>

enum disk_kind { DISK_CONTAINER, DISK_VOLUME };

struct disk_use {
	struct disk_use *next;
	enum disk_kind kind;
	char tenant[NAME_SIZE];
	char name[NAME_SIZE];
};

static struct disk_use **find(
	struct disk_use **at, enum disk_kind kind, const char *tenant, const char *name)
{
	for (; *at; at = &(*at)->next)
		if ((*at)->kind == kind && !strcmp((*at)->name, name) &&
			!strcmp((*at)->tenant, tenant))
			return at;
	return NULL;
}

static int begin(struct supervisor *s, enum disk_kind kind, const char *tenant, const char *name,
	struct err *err)
{
	struct disk_use *use = calloc(1, sizeof(*use));

	if (!use)
		return err_oom(err);
	use->kind = kind;
	snprintf(use->tenant, sizeof(use->tenant), "%s", tenant);
	snprintf(use->name, sizeof(use->name), "%s", name);
	use->next = s->disk_uses;
	s->disk_uses = use;
	return 0;
}

static void end(struct supervisor *s, enum disk_kind kind, const char *tenant, const char *name)
{
	struct disk_use **at = find(&s->disk_uses, kind, tenant, name);
	struct disk_use *use = at ? *at : NULL;

	if (!use)
		return;
	*at = use->next;
	free(use);
}

int disk_use_check(
	const struct supervisor *s, const char *tenant, const char *container, struct err *err)
{
	struct disk_use *first = s->disk_uses;

	if (!find(&first, DISK_CONTAINER, tenant, container))
		return 0;
	return err_set(err, ERR_ABORTED, "CONTAINER_BUSY",
		"the files of container %s are being copied or exchanged; try again", container);
}

int disk_use_begin(struct supervisor *s, const char *tenant, const char *container, struct err *err)
{
	int r = disk_use_check(s, tenant, container, err);

	return r < 0 ? r : begin(s, DISK_CONTAINER, tenant, container, err);
}

void disk_use_end(struct supervisor *s, const char *tenant, const char *container)
{
	end(s, DISK_CONTAINER, tenant, container);
}

int disk_use_begin_volume(
	struct supervisor *s, const char *tenant, const char *volume, struct err *err)
{
	if (find(&s->disk_uses, DISK_VOLUME, tenant, volume))
		return err_set(err, ERR_ABORTED, "VOLUME_BUSY",
			"volume %s is being made, changed or removed; try again", volume);
	return begin(s, DISK_VOLUME, tenant, volume, err);
}

void disk_use_end_volume(struct supervisor *s, const char *tenant, const char *volume)
{
	end(s, DISK_VOLUME, tenant, volume);
}

void disk_use_forget_all(struct supervisor *s)
{
	while (s->disk_uses) {
		struct disk_use *use = s->disk_uses;

		s->disk_uses = use->next;
		free(use);
	}
}
