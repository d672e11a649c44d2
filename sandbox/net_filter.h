/*
 * Running croft-net: rows of numbers (net_rules.h) become rules of the host's packet filter. For
 * workers, in the host's network namespace.
 */
#pragma once

#include "sandbox/net_rules.h"

#include <sys/types.h>

/* One run of croft-net, which goes on beside its starter. */
struct net_filter {
	pid_t pid;  /* 0: none */
	int out_fd; /* where its answer is read */
};

/*
 * Starts croft-net, of the directory libexec_path, on rows in a sealed memfd (which stays the
 * caller's). Returns 0, and net_filter_wait() is due.
 */
int net_filter_start(
	const char *libexec_path, int rows_fd, struct net_filter *ret, struct err *err);
/* Waits for its end. Returns 0 or the -errno of its answer; without a run, 0. */
int net_filter_wait(struct net_filter *run, struct err *err);

/*
 * Checks rows that croftd sent against the plan in force, and has them carried out. A replacement
 * leaves the counters of these places alone, too, of whose runs croftd may not know. With
 * what is removed the connections end that it has led to a container (net_conntrack.h).
 */
int net_filter_apply(const char *libexec_path, const struct net_plan *plan, int rows_fd,
	const struct net_row *counted, uint32_t n_counted, struct err *err);
/* The same for rows of our own. */
int net_filter_change(const char *libexec_path, const struct net_plan *plan, enum net_op op,
	const struct net_row *rows, uint32_t n, struct err *err);

/*
 * Lets the host forward what containers send and receive, where it does not yet. Never taken back:
 * by then others may rely on it.
 */
int net_filter_forwarding_on(const struct net_plan *plan, struct err *err);
