/*
 * What runs, as it is now: looks at the counters of whoever is asked about, with the rates since
 * the look before. They leave no trace in the ledger. Looks are shared: however many ask, there is
 * one a second at most, and it takes a tenth of the time at most.
 */
#pragma once

#include "server/server.h"

/* Who asks within so long after a look gets what that one saw. */
#define LIVE_AGE_USEC UINT64_C(900000)

/* The last look at a run. */
struct live {
	uint64_t run_key;
	struct usage_point before; /* the look before it, or the last sample: what rates are from */
	struct usage_point now;
	struct stalls stalls;
	struct forks_look forks;
	bool has_forks;
	uint64_t fork_rate; /* a second, since the look before */
};

/* What happened between two looks, a second. */
struct live_rates {
	uint64_t interval_usec; /* 0: there are none */
	uint64_t cpu_milli;	/* thousandths of a core */
	uint64_t throttled_milli;
	uint64_t net_in;
	uint64_t net_out;
	uint64_t io_read;
	uint64_t io_write;
	bool has_forks;
	uint64_t forks;
};

int live_create(struct server *server, struct err *err);
void live_destroy(struct server *server);

/*
 * Has a look at what runs of a tenant (NULL: of all): done is called once, now or later, when there
 * is one that is not older than LIVE_AGE_USEC, or with an error when croftd ends. Returns 0 or
 * -ENOMEM (done is not called).
 */
int live_look(struct server *server, struct tenant *only,
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err);

/* The last look at a run; NULL when there was none. */
const struct live *live_of(const struct live *live, const struct run *run);
void live_rates(const struct live *live, struct live_rates *ret);
void live_add_rates(struct live_rates *to, const struct live_rates *from);
