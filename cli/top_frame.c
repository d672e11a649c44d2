/* Rows and their order; see top_frame.h. No input or output. */
#include "cli/top_frame.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

const struct top_key_name top_key_names[TOP_KEYS] = {
	[TOP_CPU] = {"cpu", 'c'},
	[TOP_MEMORY] = {"memory", 'm'},
	[TOP_PIDS] = {"pids", 'p'},
	[TOP_NETWORK] = {"network", 'n'},
	[TOP_IO] = {"io", 'i'},
	[TOP_PRESSURE] = {"pressure", 'w'},
	[TOP_THROTTLED] = {"throttled", 't'},
	[TOP_NAME] = {"name", 'a'},
};

void top_frame_finish(struct top_frame *frame)
{
	for (size_t i = 0; i < frame->n; i++)
		protobuf_c_message_free_unpacked(frame->messages[i], NULL);
	free(frame->messages);
	free(frame->rows);
	*frame = (struct top_frame){0};
}

static int grow(struct top_frame *frame)
{
	size_t room = frame->room ? frame->room * 2 : 64;
	ProtobufCMessage **messages = reallocarray(frame->messages, room, sizeof(*frame->messages));
	struct top_row *rows;

	if (!messages)
		return -1;
	frame->messages = messages;
	rows = reallocarray(frame->rows, room, sizeof(*rows));
	if (!rows)
		return -1;
	frame->rows = rows;
	frame->room = room;
	return 0;
}

/* Takes the first n bytes out of a text, which has them. */
static void cut(char *text, size_t n)
{
	for (; (*text = text[n]); text++)
		;
}

/* Whatever a server may call it: without what is the same in all of them. */
static void name_row(struct top_row *row, char *name)
{
	static const char tenants[] = "tenants/";
	static const char containers[] = "/containers/";
	char *at;

	if (!strncmp(name, tenants, strlen(tenants)))
		cut(name, strlen(tenants));
	at = strstr(name, containers);
	row->is_container = at != NULL;
	if (at)
		cut(at + 1, strlen(containers) - 1);
	row->name = name;
}

int top_frame_add(struct top_frame *frame, ProtobufCMessage *message, struct err *err)
{
	Croft__V1__LiveUsage *usage = (void *)message;
	struct top_row *row;

	if (frame->n == frame->room && grow(frame) < 0) {
		protobuf_c_message_free_unpacked(message, NULL);
		return err_oom(err);
	}
	frame->messages[frame->n] = message;
	row = &frame->rows[frame->n++];
	*row = (struct top_row){.usage = usage};
	name_row(row, usage->name);
	return 0;
}

static uint64_t pressure_of(const Croft__V1__Pressure *pressure)
{
	return pressure ? pressure->some_permyriad : 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t value_of(const Croft__V1__LiveUsage *u, enum top_key key)
{
	switch (key) {
	case TOP_CPU:
		return u->cpu_milli;
	case TOP_MEMORY:
		return u->memory_bytes;
	case TOP_PIDS:
		return u->pids;
	case TOP_NETWORK:
		return u->net_in_bytes + u->net_out_bytes;
	case TOP_IO:
		return u->io_read_bytes + u->io_write_bytes;
	case TOP_PRESSURE:
		return larger(pressure_of(u->cpu_pressure),
			larger(pressure_of(u->memory_pressure), pressure_of(u->io_pressure)));
	case TOP_THROTTLED:
		return u->throttled_milli;
	default:
		return 0;
	}
}

struct order {
	enum top_key key;
	bool flat;
};

static int by_value(const Croft__V1__LiveUsage *a, const Croft__V1__LiveUsage *b, enum top_key key)
{
	uint64_t of_a = value_of(a, key);
	uint64_t of_b = value_of(b, key);

	return of_a == of_b ? 0 : of_a > of_b ? -1 : 1;
}

/* The first words of two names: those of one tenant are the same. */
static int by_tenant(const char *a, const char *b)
{
	size_t len_a = strcspn(a, "/");
	size_t len_b = strcspn(b, "/");
	int r = strncmp(a, b, len_a < len_b ? len_a : len_b);

	return r ? r : (len_a > len_b) - (len_a < len_b);
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct top_row *x = a;
	const struct top_row *y = b;
	const struct order *order = arg;
	int r = 0;

	if (order->flat && x->is_container != y->is_container)
		return x->is_container ? -1 : 1;
	if (!order->flat && by_tenant(x->name, y->name) != 0) {
		if (x->tenant && y->tenant)
			r = by_value(x->tenant, y->tenant, order->key);
		return r ? r : by_tenant(x->name, y->name);
	}
	if (!order->flat && x->is_container != y->is_container)
		return x->is_container ? 1 : -1;
	r = by_value(x->usage, y->usage, order->key);
	return r ? r : strcmp(x->name, y->name);
}

/* By the order of the call, in which a tenant comes before its containers. */
static void find_tenants(struct top_frame *frame)
{
	const struct top_row *tenant = NULL;
	struct order by_name = {TOP_NAME, false};

	for (size_t i = 0; i < frame->n; i++)
		frame->rows[i].tenant = NULL;
	qsort_r(frame->rows, frame->n, sizeof(*frame->rows), compare, &by_name);
	for (size_t i = 0; i < frame->n; i++) {
		struct top_row *row = &frame->rows[i];

		if (!row->is_container)
			tenant = row;
		if (tenant && by_tenant(tenant->name, row->name) == 0)
			row->tenant = tenant->usage;
	}
}

void top_frame_sort(struct top_frame *frame, enum top_key key, bool flat)
{
	struct order order = {key, flat};

	find_tenants(frame);
	qsort_r(frame->rows, frame->n, sizeof(*frame->rows), compare, &order);
}
