/* Looks at the wall clock; see clock_watch.h. Must never tell of a step twice. */
#include "server/clock_watch.h"

#include "base/clock.h"
#include "base/log.h"
#include "server/details.h"
#include "server/events.h"
#include "server/ledger_cut.h"
#include "server/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "BOOT_ID BOOT WALL" */
#define LOOK_TEXT_MAX (BOOT_ID_LEN + 48)

int clock_watch_load(struct clock_watch *watch, struct db *db, const char *boot_id, struct err *err)
{
	char text[LOOK_TEXT_MAX];
	size_t len = strlen(boot_id);
	struct clock_look look;
	int r = store_load_setting(db, STORE_CLOCK_LOOK, text, sizeof(text), err);

	if (r == 0 && !strncmp(text, boot_id, len) &&
		sscanf(text + len, " %" SCNu64 " %" SCNd64, &look.boot_usec, &look.wall_usec) == 2)
		watch->last = look;
	return r;
}

static void put_look(struct db_tx *tx, const char *boot_id, const struct clock_look *look)
{
	char text[LOOK_TEXT_MAX];

	snprintf(text, sizeof(text), "%s %" PRIu64 " %" PRId64, boot_id, look->boot_usec,
		look->wall_usec);
	store_setting(tx, STORE_CLOCK_LOOK, text);
}

/* What the wall clock would have said at that moment. */
static int64_t expected_at(const struct clock_look *last, const struct clock_look *now)
{
	return last->wall_usec + (int64_t)(now->boot_usec - last->boot_usec);
}

static void put_step(
	struct db_tx *tx, const char *boot_id, const struct clock_look *now, int64_t expected_usec)
{
	char was[CLOCK_TEXT_MAX];
	char is[CLOCK_TEXT_MAX];
	struct details d;

	details_init(&d);
	details_int(&d, "by_usec", now->wall_usec - expected_usec);
	store_clock_step(tx, boot_id, now->boot_usec, now->wall_usec, expected_usec);
	events_add_host(tx, "host.clock_set", details_end(&d),
		"the host's clock was set from %s to %s; what is billed is not affected",
		clock_format(expected_usec, was), clock_format(now->wall_usec, is));
}

bool clock_watch_look(struct clock_watch *watch, struct db_tx *tx, const char *boot_id,
	const struct clock_look *now)
{
	const struct clock_look *last = &watch->last;
	uint64_t span = now->boot_usec - last->boot_usec;

	if (watch->step.boot_usec)
		return false;
	put_look(tx, boot_id, now);
	/* By the same measure as samples, so that hours say it which the step is in. */
	if (!last->boot_usec || !ledger_is_step(span, now->wall_usec - last->wall_usec)) {
		watch->last = *now;
		return false;
	}
	put_step(tx, boot_id, now, expected_at(last, now));
	watch->step = *now;
	return true;
}

void clock_watch_end(struct clock_watch *watch, bool committed)
{
	if (committed) {
		log_warning("clock-set by_usec=%" PRId64,
			watch->step.wall_usec - expected_at(&watch->last, &watch->step));
		watch->last = watch->step;
	}
	watch->step = (struct clock_look){0};
}
