/*
 * The supervisor's event loop: epoll and one-shot timers. A callback never blocks; what may block
 * runs in a worker (job.h).
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct reactor;
struct watch;
struct timer;

typedef void (*watch_fn)(struct watch *watch, uint32_t events);
typedef void (*timer_fn)(struct timer *timer);

/* Embedded in its owner, which it must not outlive; fd stays the owner's. */
struct watch {
	struct reactor *reactor; /* NULL: not watched */
	int fd;
	watch_fn fn;
	void *arg;
};

struct timer {
	struct reactor *reactor; /* NULL: not armed */
	uint64_t due_usec;
	timer_fn fn;
	void *arg;
	struct timer *next;
};

int reactor_create(struct reactor **ret, struct err *err);
void reactor_destroy(struct reactor *reactor);

/* Runs until reactor_stop(). Returns 0 or -errno. */
int reactor_run(struct reactor *reactor, struct err *err);
void reactor_stop(struct reactor *reactor);

/* Starts watching fd for EPOLLIN and so on. Returns 0 or -errno. */
int watch_start(struct reactor *reactor, struct watch *watch, int fd, uint32_t events, watch_fn fn,
	void *arg, struct err *err);
int watch_change(struct watch *watch, uint32_t events);
/* Stops watching; idempotent. After it the callback is not called, even for a pending event. */
void watch_stop(struct watch *watch);

/* Calls fn once after delay_ms; arming an armed timer moves it. */
void timer_start(
	struct reactor *reactor, struct timer *timer, unsigned delay_ms, timer_fn fn, void *arg);
void timer_stop(struct timer *timer);
