/*
 * The text of a scrape. It is made when somebody asks, at most once in METRICS_AGE_MS however many
 * ask, a slice in each turn of the loop, and all who ask meanwhile get the same bytes.
 */
#pragma once

#include "server/metrics_accept.h"
#include "server/server.h"

#include <stddef.h>

#define METRICS_AGE_MS 1000u

struct metrics_maker;

/* A finished text, shared by those who are sending it. */
struct metrics_page {
	unsigned refs;
	size_t size;
	char *data;
};

/* Gives back a reference. */
void metrics_page_unref(struct metrics_page *page);

int metrics_maker_create(struct server *server, enum metrics_format format,
	struct metrics_maker **ret, struct err *err);
/* Whoever waits is called with NULL. */
void metrics_maker_destroy(struct metrics_maker *maker);

/*
 * Calls done once, now or later, with a page that is not older than METRICS_AGE_MS; its reference
 * is done's. NULL: there was no memory for it.
 */
void metrics_maker_ask(
	struct metrics_maker *maker, void (*done)(void *arg, struct metrics_page *page), void *arg);
