/*
 * The writer of containers' output; see log_writer.h. The thread touches the files and what a
 * log_file says of them; the loop only hands pointers on.
 *
 * Must never follow a link: the directory is croftd's, the bytes are a tenant's.
 */
#include "server/log_writer.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/stat.h>

#define NAME_SPACE (LOG_UID_SIZE + 16)

struct job;

/* The thread's alone, from the first job to the last. */
struct log_file {
	char uid[LOG_UID_SIZE];
	int fd;
	uint64_t size;
	uint64_t old_size; /* of the file before it */
	bool complained;
	struct job *close; /* made with it, so that it can always be closed */
};

enum job_kind { JOB_APPEND, JOB_TRIM, JOB_CLOSE, JOB_REMOVE };

struct job {
	STAILQ_ENTRY(job) entry;
	enum job_kind kind;
	struct log_file *file;
	char uid[LOG_UID_SIZE]; /* of JOB_TRIM and JOB_REMOVE */
	uint64_t max_bytes;
	uint64_t kept_bytes;
	log_written_fn done; /* may be NULL */
	void *arg;
	size_t size;
	uint8_t data[];
};

STAILQ_HEAD(job_list, job);

struct log_writer {
	int dirfd;
	int wake_fd; /* thread -> loop */
	struct event *wake_event;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t queued;
	/* Below: under lock. */
	struct job_list queue;
	struct job_list finished;
	bool stopping;
};

void log_file_name(const char *uid, bool old, char ret[static NAME_SPACE])
{
	snprintf(ret, NAME_SPACE, "%.60s.log%s", uid, old ? ".1" : "");
}

/* --- on the thread --- */

static uint64_t size_of(const struct log_writer *w, const char *uid, bool old)
{
	char name[NAME_SPACE];
	struct stat st;

	log_file_name(uid, old, name);
	return fstatat(w->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_size : 0;
}

static int open_file(const struct log_writer *w, struct log_file *file)
{
	char name[NAME_SPACE];

	log_file_name(file->uid, false, name);
	file->fd = openat(
		w->dirfd, name, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file->fd < 0)
		return -errno;
	file->size = size_of(w, file->uid, false);
	file->old_size = size_of(w, file->uid, true);
	return 0;
}

static void rotate(const struct log_writer *w, struct log_file *file)
{
	char name[NAME_SPACE];
	char old[NAME_SPACE];

	log_file_name(file->uid, false, name);
	log_file_name(file->uid, true, old);
	renameat(w->dirfd, name, w->dirfd, old);
	close_fd(&file->fd);
}

static void append(const struct log_writer *w, struct job *job)
{
	struct log_file *file = job->file;
	uint64_t half = job->max_bytes / 2;
	size_t size = job->size < half ? job->size : (size_t)half;
	int r = file->fd < 0 ? open_file(w, file) : 0;

	if (r == 0 && file->size + size > half) {
		rotate(w, file);
		r = open_file(w, file);
	}
	/* Of more than there is room for, the end. */
	if (r == 0)
		r = fd_write_full(file->fd, job->data + (job->size - size), size);
	if (r < 0 && !file->complained) {
		log_error("log-not-written container=%s errno=%d", file->uid, -r);
		file->complained = true;
	}
	/* A part may have been written. */
	file->size = r == 0 ? file->size + size : size_of(w, file->uid, false);
	job->kept_bytes = file->size + file->old_size;
}

static void trim(const struct log_writer *w, struct job *job)
{
	uint64_t old = size_of(w, job->uid, true);
	uint64_t now = size_of(w, job->uid, false);
	char name[NAME_SPACE];

	if (old + now > job->max_bytes) {
		log_file_name(job->uid, true, name);
		unlinkat(w->dirfd, name, 0);
		old = 0;
	}
	if (now > job->max_bytes) {
		log_file_name(job->uid, false, name);
		unlinkat(w->dirfd, name, 0);
		now = 0;
	}
	/* Opened again, with the sizes that are so now. */
	if (job->file)
		close_fd(&job->file->fd);
	job->kept_bytes = old + now;
}

static void remove_files(const struct log_writer *w, const char *uid)
{
	char name[NAME_SPACE];

	log_file_name(uid, false, name);
	unlinkat(w->dirfd, name, 0);
	log_file_name(uid, true, name);
	unlinkat(w->dirfd, name, 0);
}

static void carry_out(const struct log_writer *w, struct job *job)
{
	switch (job->kind) {
	case JOB_APPEND:
		append(w, job);
		break;
	case JOB_TRIM:
		trim(w, job);
		break;
	case JOB_CLOSE:
		close_fd(&job->file->fd);
		free(job->file);
		break;
	case JOB_REMOVE:
		remove_files(w, job->uid);
		break;
	}
}

static struct job *take_job(struct log_writer *w)
{
	struct job *job;

	pthread_mutex_lock(&w->lock);
	while (STAILQ_EMPTY(&w->queue) && !w->stopping)
		pthread_cond_wait(&w->queued, &w->lock);
	job = STAILQ_FIRST(&w->queue);
	if (job)
		STAILQ_REMOVE_HEAD(&w->queue, entry);
	pthread_mutex_unlock(&w->lock);
	return job;
}

static void hand_back(struct log_writer *w, struct job *job)
{
	uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	STAILQ_INSERT_TAIL(&w->finished, job, entry);
	pthread_mutex_unlock(&w->lock);
	if (write(w->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_error("log writer's wake-up failed errno=%d", errno);
}

static void *run(void *arg)
{
	struct log_writer *w = arg;
	struct job *job;

	while ((job = take_job(w))) {
		carry_out(w, job);
		hand_back(w, job);
	}
	return NULL;
}

/* --- on the loop --- */

static void call_back(struct log_writer *w)
{
	struct job_list finished = STAILQ_HEAD_INITIALIZER(finished);
	struct job *job;

	pthread_mutex_lock(&w->lock);
	STAILQ_CONCAT(&finished, &w->finished);
	pthread_mutex_unlock(&w->lock);
	while ((job = STAILQ_FIRST(&finished))) {
		STAILQ_REMOVE_HEAD(&finished, entry);
		if (job->done)
			job->done(job->arg, job->kept_bytes);
		free(job);
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_error("log writer's wake-up failed errno=%d", errno);
	call_back(arg);
}

static int start_thread(struct log_writer *w, struct err *err)
{
	sigset_t all;
	sigset_t before;
	int r;

	/* Signals are the loop's alone. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return err_sys(err, r, "start the log writer's thread");
	w->running = true;
	return 0;
}

int log_writer_create(struct event_base *base, int dirfd, struct log_writer **ret, struct err *err)
{
	struct log_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return err_oom(err);
	w->dirfd = dirfd;
	STAILQ_INIT(&w->queue);
	STAILQ_INIT(&w->finished);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->queued, NULL);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake_fd >= 0)
		w->wake_event = event_new(base, w->wake_fd, EV_READ | EV_PERSIST, on_wake, w);
	if (!w->wake_event || event_add(w->wake_event, NULL) < 0)
		r = err_oom(err);
	else
		r = start_thread(w, err);
	if (r < 0)
		log_writer_destroy(w);
	else
		*ret = w;
	return r;
}

void log_writer_destroy(struct log_writer *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_signal(&w->queued);
	pthread_mutex_unlock(&w->lock);
	if (w->running)
		pthread_join(w->thread, NULL);
	call_back(w);
	if (w->wake_event)
		event_free(w->wake_event);
	close_fd(&w->wake_fd);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->queued);
	free(w);
}

static void submit(struct log_writer *w, struct job *job)
{
	pthread_mutex_lock(&w->lock);
	STAILQ_INSERT_TAIL(&w->queue, job, entry);
	pthread_cond_signal(&w->queued);
	pthread_mutex_unlock(&w->lock);
}

static struct job *job_new(enum job_kind kind, size_t size, log_written_fn done, void *arg)
{
	struct job *job = calloc(1, sizeof(*job) + size);

	if (!job)
		return NULL;
	job->kind = kind;
	job->size = size;
	job->done = done;
	job->arg = arg;
	return job;
}

struct log_file *log_file_new(const char *uid)
{
	struct log_file *file = calloc(1, sizeof(*file));

	if (file)
		file->close = job_new(JOB_CLOSE, 0, NULL, NULL);
	if (!file || !file->close) {
		free(file);
		return NULL;
	}
	file->close->file = file;
	file->fd = -1;
	snprintf(file->uid, sizeof(file->uid), "%s", uid);
	return file;
}

void log_file_free(struct log_writer *w, struct log_file *file)
{
	submit(w, file->close);
}

int log_file_append(struct log_writer *w, struct log_file *file, const void *data, size_t size,
	uint64_t max_bytes, log_written_fn done, void *arg)
{
	struct job *job = job_new(JOB_APPEND, size, done, arg);

	if (!job)
		return -ENOMEM;
	job->file = file;
	job->max_bytes = max_bytes;
	memcpy(job->data, data, size);
	submit(w, job);
	return 0;
}

int log_writer_trim(struct log_writer *w, const char *uid, struct log_file *file,
	uint64_t max_bytes, log_written_fn done, void *arg)
{
	struct job *job = job_new(JOB_TRIM, 0, done, arg);

	if (!job)
		return -ENOMEM;
	job->file = file;
	job->max_bytes = max_bytes;
	snprintf(job->uid, sizeof(job->uid), "%s", uid);
	submit(w, job);
	return 0;
}

int log_writer_remove(struct log_writer *w, const char *uid, log_written_fn done, void *arg)
{
	struct job *job = job_new(JOB_REMOVE, 0, done, arg);

	if (!job)
		return -ENOMEM;
	snprintf(job->uid, sizeof(job->uid), "%s", uid);
	submit(w, job);
	return 0;
}
