/*
 * Pumping containers' output into files; see logs.h. Must never read without bound for one
 * container, nor follow a link: the directory is croftd's, the bytes are a tenant's.
 */
#include "server/logs.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "server/server.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_NAME_SIZE 80
#define DRAIN_MAX      (256u << 10)

enum { PUMP_OUTPUT, PUMP_CONSOLE, PUMP_N };

/* One descriptor being read. */
struct pump {
	struct log_source *source;
	int fd;
	struct event *readable;
	struct event *pause;
};

struct log_source {
	struct server *server;
	char uid[64];
	int file;
	off_t size;
	bool complained;
	struct pump pumps[PUMP_N];
};

static LIST_HEAD(, log_reader) readers = LIST_HEAD_INITIALIZER(readers);

static void file_name(const char *uid, bool old, char out[static FILE_NAME_SIZE])
{
	snprintf(out, FILE_NAME_SIZE, "%.60s.log%s", uid, old ? ".1" : "");
}

static int open_file(struct log_source *source)
{
	char name[FILE_NAME_SIZE];
	struct stat st;

	file_name(source->uid, false, name);
	source->file = openat(source->server->logs_fd, name,
		O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (source->file < 0)
		return -errno;
	source->size = fstat(source->file, &st) == 0 ? st.st_size : 0;
	return 0;
}

static void rotate(struct log_source *source)
{
	char name[FILE_NAME_SIZE];
	char old[FILE_NAME_SIZE];

	file_name(source->uid, false, name);
	file_name(source->uid, true, old);
	renameat(source->server->logs_fd, name, source->server->logs_fd, old);
	close_fd(&source->file);
	open_file(source);
}

static void append(struct log_source *source, const void *data, size_t size)
{
	int r = -EBADF;

	if (source->size + (off_t)size > (off_t)LOGS_FILE_MAX)
		rotate(source);
	if (source->file >= 0)
		r = fd_write_full(source->file, data, size);
	if (r < 0 && !source->complained) {
		log_error("log-not-written container=%s errno=%d", source->uid, -r);
		source->complained = true;
	}
	source->size += (off_t)size;
}

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

/* Takes at most max bytes. False when there is nothing more to come. */
static bool take(struct pump *pump, size_t max)
{
	uint8_t buf[16384];
	size_t taken = 0;
	ssize_t n = 1;

	while (taken < max) {
		n = read(pump->fd, buf, sizeof(buf));
		if (n <= 0)
			break;
		append(pump->source, buf, (size_t)n);
		taken += (size_t)n;
	}
	if (taken)
		wake_readers(pump->source->uid);
	/* EIO: a pty whose other side is closed for now; a getty opens it again. */
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR || errno == EIO));
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval pause = {.tv_usec = LOGS_PAUSE_MS * 1000};
	struct pump *pump = arg;

	(void)fd;
	(void)what;
	if (take(pump, LOGS_READ_MAX))
		evtimer_add(pump->pause, &pause);
}

static void on_paused(evutil_socket_t fd, short what, void *arg)
{
	struct pump *pump = arg;

	(void)fd;
	(void)what;
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
	close_fd(&pump->fd);
}

static bool pump_init(struct pump *pump, struct log_source *source, int fd)
{
	struct event_base *base = source->server->base;

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
	struct server *server, const char *uid, int output_fd, int console_fd)
{
	struct log_source *source = calloc(1, sizeof(*source));
	bool ok;

	if (!source) {
		cleanup_close(&output_fd);
		cleanup_close(&console_fd);
		return NULL;
	}
	source->server = server;
	source->file = -1;
	snprintf(source->uid, sizeof(source->uid), "%s", uid);
	ok = open_file(source) == 0;
	ok = pump_init(&source->pumps[PUMP_OUTPUT], source, output_fd) && ok;
	ok = pump_init(&source->pumps[PUMP_CONSOLE], source, console_fd) && ok;
	if (ok)
		return source;
	log_error("logs-unavailable container=%s", uid);
	log_source_close(source);
	return NULL;
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

void log_source_drain(struct log_source *source)
{
	for (size_t i = 0; source && i < ARRAY_SIZE(source->pumps); i++)
		if (source->pumps[i].fd >= 0)
			take(&source->pumps[i], DRAIN_MAX);
}

void log_source_close(struct log_source *source)
{
	if (!source)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(source->pumps); i++)
		pump_finish(&source->pumps[i]);
	close_fd(&source->file);
	free(source);
}

void logs_remove(struct server *server, const char *uid)
{
	char name[FILE_NAME_SIZE];

	file_name(uid, false, name);
	unlinkat(server->logs_fd, name, 0);
	file_name(uid, true, name);
	unlinkat(server->logs_fd, name, 0);
	wake_readers(uid);
}

static int open_kept(const struct log_reader *reader, bool old, struct stat *ret_stat)
{
	char name[FILE_NAME_SIZE];
	int fd;

	file_name(reader->uid, old, name);
	fd = openat(reader->server->logs_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, ret_stat) < 0)
		close_fd(&fd);
	return fd;
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
