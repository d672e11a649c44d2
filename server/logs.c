/*
 * Pumping containers' output to the writer of files; see logs.h. Must never read without bound for
 * one container, nor write: that is the writer's, on its thread.
 */
#include "server/logs.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "server/log_quota.h"
#include "server/log_writer.h"
#include "server/server.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DRAIN_MAX (256u << 10)

enum { PUMP_OUTPUT, PUMP_CONSOLE, PUMP_N };

/* One descriptor being read. */
struct pump {
	struct log_source *source;
	int fd;
	struct event *readable;
	struct event *pause;
	bool held;	  /* until what was read before is written */
	log_tap_fn tap;	  /* gets what is read, too; may be NULL */
	bool watched;	  /* as the tap last said */
	unsigned idle_ms; /* a pty that nobody has open: growing pauses between the looks */
};

struct log_source {
	LIST_ENTRY(log_source) entry;
	struct server *server;
	struct container *container; /* a reference, once it is closed */
	char uid[LOG_UID_SIZE];
	struct log_file *file;
	unsigned in_flight;   /* read, and not yet written */
	uint64_t last_number; /* of what was read */
	bool closed;
	struct pump pumps[PUMP_N];
};

static LIST_HEAD(, log_reader) readers = LIST_HEAD_INITIALIZER(readers);
static LIST_HEAD(, log_source) sources = LIST_HEAD_INITIALIZER(sources);
/* The writer keeps the order, so these two tell whether something is written. */
static uint64_t numbers_given;
static uint64_t numbers_written;

static void wake_readers(const char *uid)
{
	struct log_reader *reader;
	struct log_reader *next;

	for (reader = LIST_FIRST(&readers); reader; reader = next) {
		next = LIST_NEXT(reader, entry);
		if (reader->wake && !strcmp(reader->uid, uid))
			reader->wake(reader->arg);
	}
}

void logs_wake(const struct container *c)
{
	wake_readers(c->uid);
}

static void source_free(struct log_source *source)
{
	LIST_REMOVE(source, entry);
	if (source->closed)
		container_unref(source->container);
	free(source);
}

static void on_written(void *arg, uint64_t kept_bytes)
{
	struct log_source *source = arg;
	char uid[LOG_UID_SIZE];

	memcpy(uid, source->uid, sizeof(uid));
	source->in_flight--;
	numbers_written++;
	if (source->container)
		log_quota_kept(source->server, source->container, kept_bytes);
	for (size_t i = 0; i < ARRAY_SIZE(source->pumps) && !source->closed; i++)
		if (source->pumps[i].held && !source->in_flight) {
			source->pumps[i].held = false;
			event_add(source->pumps[i].readable, NULL);
		}
	if (source->closed && !source->in_flight)
		source_free(source);
	wake_readers(uid);
}

static void append(struct log_source *source, const void *data, size_t size)
{
	uint64_t max = log_quota_bytes(source->server, source->container);

	if (log_file_append(source->server->log_writer, source->file, data, size, max, on_written,
		    source) < 0) {
		log_error("log-not-written container=%s: out of memory", source->uid);
		return;
	}
	source->in_flight++;
	source->last_number = ++numbers_given;
}

/* Takes at most LOGS_READ_MAX bytes, and says how many. False when there is nothing more to come.
 */
static bool take(struct pump *pump, size_t *ret_taken)
{
	static uint8_t buf[LOGS_READ_MAX];
	size_t taken = 0;
	ssize_t n = 1;

	while (taken < sizeof(buf)) {
		n = read(pump->fd, buf + taken, sizeof(buf) - taken);
		if (n <= 0)
			break;
		taken += (size_t)n;
	}
	if (taken)
		append(pump->source, buf, taken);
	if (taken && pump->tap)
		pump->watched = pump->tap(pump->source->container, buf, taken);
	*ret_taken = taken;
	/* EIO: a pty whose other side is closed for now; a getty opens it again. */
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR || errno == EIO));
}

/*
 * How long a descriptor is left alone after so much was taken from it. Somebody who looks sees what
 * is typed without a delay. A pty without anybody behind it is readable all the time, for nothing.
 */
static unsigned pause_ms(struct pump *pump, size_t taken)
{
	if (taken) {
		pump->idle_ms = 0;
		return pump->watched && taken <= LOGS_LITTLE ? LOGS_WATCHED_MS : LOGS_PAUSE_MS;
	}
	pump->idle_ms = pump->idle_ms ? pump->idle_ms * 2 : LOGS_PAUSE_MS;
	if (pump->idle_ms > LOGS_IDLE_MS)
		pump->idle_ms = LOGS_IDLE_MS;
	return pump->idle_ms;
}

static void rest(struct pump *pump, unsigned ms)
{
	struct timeval pause = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	evtimer_add(pump->pause, &pause);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct pump *pump = arg;
	size_t taken;

	(void)fd;
	(void)what;
	if (take(pump, &taken)) {
		unsigned pause = pause_ms(pump, taken);
		unsigned owed = log_quota_pay(pump->source->container->tenant, taken);

		rest(pump, owed > pause ? owed : pause);
	}
}

/* A disk that is slower than this keeps the container waiting, and no more than this in memory. */
static void on_paused(evutil_socket_t fd, short what, void *arg)
{
	struct pump *pump = arg;

	(void)fd;
	(void)what;
	pump->held = pump->source->in_flight > 0;
	if (!pump->held)
		event_add(pump->readable, NULL);
}

static void pump_finish(struct pump *pump)
{
	if (pump->readable)
		event_free(pump->readable);
	if (pump->pause)
		event_free(pump->pause);
	pump->readable = NULL;
	pump->pause = NULL;
	pump->held = false;
	close_fd(&pump->fd);
}

static bool pump_init(struct pump *pump, struct log_source *source, struct event_base *base, int fd)
{
	pump->source = source;
	pump->fd = fd;
	if (fd < 0)
		return true;
	pump->readable = event_new(base, fd, EV_READ, on_readable, pump);
	pump->pause = evtimer_new(base, on_paused, pump);
	return pump->readable && pump->pause && fd_set_nonblock(fd, true) == 0 &&
	       event_add(pump->readable, NULL) == 0;
}

struct log_source *log_source_open(
	struct server *server, struct container *c, int output_fd, int console_fd, log_tap_fn tap)
{
	struct log_source *source = calloc(1, sizeof(*source));
	struct log_file *file = source ? log_file_new(c->uid) : NULL;
	bool ok;

	if (!file) {
		free(source);
		cleanup_close(&output_fd);
		cleanup_close(&console_fd);
		log_error("logs-unavailable container=%s", c->uid);
		return NULL;
	}
	source->server = server;
	source->container = c;
	source->file = file;
	snprintf(source->uid, sizeof(source->uid), "%s", c->uid);
	LIST_INSERT_HEAD(&sources, source, entry);
	source->pumps[PUMP_CONSOLE].tap = tap;
	ok = pump_init(&source->pumps[PUMP_OUTPUT], source, server->base, output_fd);
	ok = pump_init(&source->pumps[PUMP_CONSOLE], source, server->base, console_fd) && ok;
	if (ok)
		return source;
	log_error("logs-unavailable container=%s", c->uid);
	log_source_close(source);
	return NULL;
}

int log_source_console(const struct log_source *source)
{
	return source ? source->pumps[PUMP_CONSOLE].fd : -1;
}

int log_source_take_console(struct log_source *source)
{
	struct pump *pump;
	int fd;

	if (!source)
		return -1;
	pump = &source->pumps[PUMP_CONSOLE];
	fd = take_fd(&pump->fd);
	pump_finish(pump);
	return fd;
}

void log_source_poke(struct log_source *source)
{
	struct pump *pump = &source->pumps[PUMP_CONSOLE];

	pump->watched = true;
	pump->idle_ms = 0;
	if (pump->fd >= 0 && evtimer_pending(pump->pause, NULL))
		rest(pump, 0);
}

void log_source_drain(struct log_source *source)
{
	size_t taken;

	for (size_t i = 0; source && i < ARRAY_SIZE(source->pumps); i++)
		for (size_t n = 0; source->pumps[i].fd >= 0 && n < DRAIN_MAX; n += LOGS_READ_MAX) {
			take(&source->pumps[i], &taken);
			log_quota_pay(source->container->tenant, taken);
		}
}

void log_source_close(struct log_source *source)
{
	if (!source)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(source->pumps); i++)
		pump_finish(&source->pumps[i]);
	log_file_free(source->server->log_writer, source->file);
	source->closed = true;
	/* What is still to be written counts, unless the container itself is being freed. */
	source->container = source->container->refs ? container_ref(source->container) : NULL;
	if (!source->in_flight)
		source_free(source);
}

/* --- limits --- */

struct trim {
	struct server *server;
	struct container *container; /* a reference */
};

static void on_trimmed(void *arg, uint64_t kept_bytes)
{
	struct trim *t = arg;
	struct container *c = t->container;

	c->log_trimming = false;
	log_quota_kept(t->server, c, kept_bytes);
	container_unref(c);
	free(t);
}

void logs_trim(struct server *server, struct container *c, uint64_t max_bytes)
{
	struct trim *t = malloc(sizeof(*t));

	if (!t)
		return;
	*t = (struct trim){server, container_ref(c)};
	if (log_writer_trim(server->log_writer, c->uid, c->logs ? c->logs->file : NULL, max_bytes,
		    on_trimmed, t) == 0) {
		c->log_trimming = true;
		return;
	}
	/* The next output tries again. */
	log_error("log-not-trimmed container=%s: out of memory", c->uid);
	container_unref(c);
	free(t);
}

/* --- removal --- */

/* Of a container that is gone: its readers see that nothing more can come. */
static void on_removed(void *arg, uint64_t kept_bytes)
{
	(void)kept_bytes;
	wake_readers(arg);
	free(arg);
}

void logs_remove(struct server *server, const char *uid)
{
	char *copy = strdup(uid);

	if (copy && log_writer_remove(server->log_writer, uid, on_removed, copy) == 0)
		return;
	/* The next start removes them. */
	log_error("logs-not-removed container=%s: out of memory", uid);
	free(copy);
	wake_readers(uid);
}

static int compare_uids(const void *a, const void *b)
{
	return strcmp((*(struct container *const *)a)->uid, (*(struct container *const *)b)->uid);
}

/* All containers in order of their uids; the list is the caller's. */
static int list_containers(
	const struct model *model, struct container ***ret, size_t *ret_n, struct err *err)
{
	struct container *c = NULL;
	struct container **list;
	size_t n = 0;

	while ((c = model_next_container(model, c)))
		n++;
	list = calloc(n + 1, sizeof(*list));
	if (!list)
		return err_oom(err);
	n = 0;
	while ((c = model_next_container(model, c)))
		list[n++] = c;
	qsort(list, n, sizeof(*list), compare_uids);
	*ret = list;
	*ret_n = n;
	return 0;
}

static struct container *find_uid(struct container **list, size_t n, const char *uid)
{
	struct container wanted = {0};
	struct container *key = &wanted;
	struct container **found;

	snprintf(wanted.uid, sizeof(wanted.uid), "%s", uid);
	found = strlen(uid) < sizeof(wanted.uid)
			? bsearch(&key, list, n, sizeof(*list), compare_uids)
			: NULL;
	return found ? *found : NULL;
}

int logs_remove_strays(struct server *server, struct err *err)
{
	int fd = openat(server->logs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	_cleanup_free_ struct container **list = NULL;
	struct container *c;
	struct dirent *entry;
	struct stat st;
	size_t n = 0;
	int r;

	if (!dir) {
		cleanup_close(&fd);
		return err_sys(err, errno, "list the logs");
	}
	r = list_containers(&server->model, &list, &n, err);
	if (r < 0)
		return r;
	while ((entry = readdir(dir))) {
		char *dot = strchr(entry->d_name, '.');

		if (!dot || dot == entry->d_name)
			continue;
		if (fstatat(server->logs_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		*dot = '\0';
		c = find_uid(list, n, entry->d_name);
		if (c)
			log_quota_kept(server, c, c->log_bytes + (uint64_t)st.st_size);
		else
			logs_remove(server, entry->d_name);
	}
	return 0;
}

static int open_kept(const struct log_reader *reader, bool old, struct stat *ret_stat)
{
	char name[LOG_UID_SIZE + 16];
	int fd;

	log_file_name(reader->uid, old, name);
	fd = openat(reader->server->logs_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, ret_stat) < 0)
		close_fd(&fd);
	return fd;
}

void log_reader_expect(struct log_reader *reader)
{
	const struct log_source *source;

	LIST_FOREACH (source, &sources, entry)
		if (!strcmp(source->uid, reader->uid) && source->last_number > reader->until)
			reader->until = source->last_number;
}

void log_reader_open(
	struct log_reader *reader, struct server *server, const char *uid, uint64_t tail_bytes)
{
	struct stat old = {0};
	struct stat now = {0};
	int old_fd;

	memset(reader, 0, sizeof(*reader));
	reader->server = server;
	snprintf(reader->uid, sizeof(reader->uid), "%s", uid);
	LIST_INSERT_HEAD(&readers, reader, entry);
	log_reader_expect(reader);
	reader->fd = open_kept(reader, false, &now);
	old_fd = open_kept(reader, true, &old);
	if (old_fd >= 0 && (!tail_bytes || tail_bytes > (uint64_t)now.st_size)) {
		close_fd(&reader->fd);
		reader->fd = take_fd(&old_fd);
		if (tail_bytes && tail_bytes < (uint64_t)(now.st_size + old.st_size))
			reader->offset = now.st_size + old.st_size - (off_t)tail_bytes;
	} else if (tail_bytes && tail_bytes < (uint64_t)now.st_size) {
		reader->offset = now.st_size - (off_t)tail_bytes;
	}
	cleanup_close(&old_fd);
}

void log_reader_close(struct log_reader *reader)
{
	LIST_REMOVE(reader, entry);
	close_fd(&reader->fd);
}

bool log_reader_must_wait(const struct log_reader *reader)
{
	return numbers_written < reader->until;
}

/* At the end of a file: moves on to the present one when there was a rotation. */
static bool next_file(struct log_reader *reader)
{
	struct stat mine;
	struct stat now;
	int fd = open_kept(reader, false, &now);

	if (fd < 0)
		return false;
	if (reader->fd >= 0 && fstat(reader->fd, &mine) == 0 && mine.st_ino == now.st_ino) {
		close(fd);
		return false;
	}
	close_fd(&reader->fd);
	reader->fd = fd;
	reader->offset = 0;
	return true;
}

ssize_t log_reader_read(struct log_reader *reader, void *buf, size_t size)
{
	ssize_t n = 0;

	do {
		if (reader->fd < 0)
			continue;
		n = pread(reader->fd, buf, size, reader->offset);
		if (n < 0)
			return -errno;
		if (n > 0) {
			reader->offset += n;
			return n;
		}
	} while (next_file(reader));
	return 0;
}
