/* Containers that stand still; see pause.h. Must never thaw one that it did not freeze itself. */
#include "sandbox/pause.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#include <fcntl.h>
#include <string.h>

#define FREEZE_TIMEOUT_MS 10000
#define FILE_NAME_MAX	  (2 * NAME_SIZE + 2)

static void file_name(const struct cgroup_id *id, char ret[static FILE_NAME_MAX])
{
	snprintf(ret, FILE_NAME_MAX, "%.*s.%.*s", NAME_LEN_MAX, id->tenant, NAME_LEN_MAX,
		id->container);
}

int pause_begin(struct supervisor *s, const struct cgroup_id *id, struct err *err)
{
	_cleanup_close_ int fd = -1;
	char name[FILE_NAME_MAX];
	int r;

	file_name(id, name);
	fd = openat(s->pauses_fd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, errno, "note that the container is frozen");
	r = cgroup_freeze(s->cgroups, id, err);
	if (r == 0)
		r = cgroup_wait_frozen(s->cgroups, id, true, FREEZE_TIMEOUT_MS, err);
	if (r < 0)
		pause_end(s, id);
	return r;
}

void pause_end(struct supervisor *s, const struct cgroup_id *id)
{
	char name[FILE_NAME_MAX];
	struct err err;

	file_name(id, name);
	if (faccessat(s->pauses_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (cgroup_exists(s->cgroups, id) && cgroup_thaw(s->cgroups, id, &err) < 0) {
		log_error("container not thawed tenant=%s container=%s error=\"%s\"", id->tenant,
			id->container, err.msg);
		return;
	}
	unlinkat(s->pauses_fd, name, 0);
}

void pause_end_all(struct supervisor *s)
{
	int fd = openat(s->pauses_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		const char *dot = strchr(entry->d_name, '.');
		struct cgroup_id id = {0};
		size_t length = dot ? (size_t)(dot - entry->d_name) : 0;

		if (length == 0 || length >= sizeof(id.tenant))
			continue;
		memcpy(id.tenant, entry->d_name, length);
		snprintf(id.container, sizeof(id.container), "%.*s", NAME_LEN_MAX, dot + 1);
		log_warning("container thawed tenant=%s container=%s", id.tenant, id.container);
		pause_end(s, &id);
	}
}

static int reading_begins(void *arg, struct err *err)
{
	struct reading_pause *pause = arg;

	pause->began_boot_usec = clock_boot_usec();
	return pause_begin(pause->s, &pause->id, err);
}

static void reading_ends(void *arg)
{
	struct reading_pause *pause = arg;

	pause_end(pause->s, &pause->id);
	if (pause->began_boot_usec)
		pause->took_usec = clock_boot_usec() - pause->began_boot_usec;
	pause->began_boot_usec = 0;
}

void pause_while_read(
	struct reading_pause *pause, struct supervisor *s, const struct cgroup_id *id, bool freeze)
{
	*pause = (struct reading_pause){.s = s,
		.id = *id,
		.reading = {.begin = reading_begins, .end = reading_ends, .arg = pause}};
	pool_set_reading(s->pool, freeze ? &pause->reading : NULL);
}

void pause_stop(struct reading_pause *pause)
{
	pool_set_reading(pause->s->pool, NULL);
	reading_ends(pause);
}
