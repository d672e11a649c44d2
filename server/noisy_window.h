/*
 * A window for noisy.h: what two looks (live.h), some seconds apart, say of all containers. It
 * holds the figures of the first; the second is the model's last.
 */
#pragma once

#include "server/noisy.h"
#include "server/server.h"

struct noisy_window;

struct noisy_report {
	uint64_t window_usec;
	uint32_t containers; /* that ran at both looks */
	bool counted;	     /* the kernel counts who waits; or nothing ran */
	struct noisy_verdict verdicts[NOISY_VERDICTS_MAX];
	size_t n;
	size_t left_out;
	/* Owned; what verdicts point to, with `who` a struct container or tenant. */
	struct noisy_container *list;
	struct noisy_tenant *tenants;
	struct io_usage *io; /* a second, of each in the list */
	struct noisy_scene scene;
	uint64_t cpus[LIMITS_CPU_WORDS];
};

/* Begins behind a look. Returns 0 with *ret the caller's, or -ENOMEM. */
int noisy_window_open(const struct server *server, struct noisy_window **ret, struct err *err);
void noisy_window_close(struct noisy_window *window);

/*
 * Judges, behind another look. What it points to of the model stays as long as nothing else is
 * called. Returns 0 with *ret the caller's, or -ENOMEM.
 */
int noisy_window_judge(struct server *server, const struct noisy_window *window,
	struct noisy_report **ret, struct err *err);
void noisy_report_free(struct noisy_report *report);
