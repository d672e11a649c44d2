/* One look of croft top: the rows of a ListLiveUsage call, in the order that people asked for. */
#pragma once

#include "croft/v1/usage.pb-c.h"

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum top_key {
	TOP_CPU,
	TOP_MEMORY,
	TOP_PIDS,
	TOP_NETWORK,
	TOP_IO,
	TOP_PRESSURE,
	TOP_THROTTLED,
	TOP_NAME,
	TOP_KEYS,
};

/* What --sort takes and what is typed for it. */
struct top_key_name {
	const char *name;
	char letter;
};
extern const struct top_key_name top_key_names[TOP_KEYS];

struct top_row {
	const Croft__V1__LiveUsage *usage; /* of the frame's messages */
	const Croft__V1__LiveUsage
		*tenant;  /* of its own container's tenant; NULL: it was not told */
	const char *name; /* "acme" or "acme/web", in the usage's own name */
	bool is_container;
};

/* All zero is an empty one. */
struct top_frame {
	ProtobufCMessage **messages; /* owned, as are what they point to */
	struct top_row *rows;
	size_t n;
	size_t room;
};

void top_frame_finish(struct top_frame *frame);
/* Adds a croft.v1.LiveUsage, which becomes the frame's also on failure. Returns 0 or -ENOMEM. */
int top_frame_add(struct top_frame *frame, ProtobufCMessage *message, struct err *err);
/*
 * Sorts them, the largest first: tenants, each with its containers behind it; or, flat, containers
 * alone.
 */
void top_frame_sort(struct top_frame *frame, enum top_key key, bool flat);
