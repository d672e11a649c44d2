/*
 * epoll with callbacks; see reactor.h. Stopping a watch inside a callback is allowed for any watch:
 * events already fetched for it are dropped by clearing them from the batch.
 */
#include "sandbox/reactor.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <stdlib.h>

#define BATCH 64

struct reactor {
	int epoll_fd;
	bool stopping;
	struct timer *timers; /* by due time */
	struct epoll_event batch[BATCH];
	int n_batch;
	int at;
};

int reactor_create(struct reactor **ret, struct err *err)
{
	struct reactor *reactor = calloc(1, sizeof(*reactor));

	if (!reactor)
		return err_oom(err);
	reactor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (reactor->epoll_fd < 0) {
		int r = err_sys(err, errno, "epoll");

		free(reactor);
		return r;
	}
	*ret = reactor;
	return 0;
}

void reactor_destroy(struct reactor *reactor)
{
	if (!reactor)
		return;
	close_fd(&reactor->epoll_fd);
	free(reactor);
}

void reactor_stop(struct reactor *reactor)
{
	reactor->stopping = true;
}

static int until_next_timer_ms(const struct reactor *reactor)
{
	uint64_t now;

	if (!reactor->timers)
		return -1;
	now = clock_boot_usec();
	if (reactor->timers->due_usec <= now)
		return 0;
	return (int)((reactor->timers->due_usec - now + 999) / 1000);
}

static void run_timers(struct reactor *reactor)
{
	uint64_t now = clock_boot_usec();

	while (reactor->timers && reactor->timers->due_usec <= now) {
		struct timer *timer = reactor->timers;

		timer_stop(timer);
		timer->fn(timer);
	}
}

int reactor_run(struct reactor *reactor, struct err *err)
{
	while (!reactor->stopping) {
		int n = epoll_wait(
			reactor->epoll_fd, reactor->batch, BATCH, until_next_timer_ms(reactor));

		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "epoll");
		reactor->n_batch = n < 0 ? 0 : n;
		for (reactor->at = 0; reactor->at < reactor->n_batch; reactor->at++) {
			struct watch *watch = reactor->batch[reactor->at].data.ptr;

			if (watch)
				watch->fn(watch, reactor->batch[reactor->at].events);
		}
		run_timers(reactor);
	}
	return 0;
}

int watch_start(struct reactor *reactor, struct watch *watch, int fd, uint32_t events, watch_fn fn,
	void *arg, struct err *err)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return err_sys(err, errno, "watch a descriptor");
	*watch = (struct watch){.reactor = reactor, .fd = fd, .fn = fn, .arg = arg};
	return 0;
}

int watch_change(struct watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	return epoll_ctl(watch->reactor->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0 ? -errno
											 : 0;
}

void watch_stop(struct watch *watch)
{
	struct reactor *reactor = watch->reactor;

	if (!reactor)
		return;
	epoll_ctl(reactor->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	for (int i = reactor->at; i < reactor->n_batch; i++)
		if (reactor->batch[i].data.ptr == watch)
			reactor->batch[i].data.ptr = NULL;
	watch->reactor = NULL;
}

void timer_start(
	struct reactor *reactor, struct timer *timer, unsigned delay_ms, timer_fn fn, void *arg)
{
	struct timer **at = &reactor->timers;

	timer_stop(timer);
	timer->reactor = reactor;
	timer->due_usec = clock_boot_usec() + (uint64_t)delay_ms * 1000;
	timer->fn = fn;
	timer->arg = arg;
	while (*at && (*at)->due_usec <= timer->due_usec)
		at = &(*at)->next;
	timer->next = *at;
	*at = timer;
}

void timer_stop(struct timer *timer)
{
	if (!timer->reactor)
		return;
	for (struct timer **at = &timer->reactor->timers; *at; at = &(*at)->next)
		if (*at == timer) {
			*at = timer->next;
			break;
		}
	timer->reactor = NULL;
}
