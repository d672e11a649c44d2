/* The supervisor's list of packets, taken from a memfd; see idle_packets.h. */
#include "server/idle_packets.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/link.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct idle_packets {
	const struct server *server;
	struct net_packets *rows; /* owned; in order of ports */
	size_t n;
};

struct asking {
	struct server *server;
	void (*done)(void *arg, const struct idle_packets *table);
	void *arg;
};

static bool take(int fd, struct idle_packets *table)
{
	struct stat st;
	size_t size;

	if (fstat(fd, &st) < 0 || st.st_size < 0 || st.st_size % (off_t)sizeof(*table->rows) ||
		st.st_size > (off_t)(NET_ROWS_MAX * sizeof(*table->rows)))
		return false;
	size = (size_t)st.st_size;
	table->n = size / sizeof(*table->rows);
	table->rows = malloc(size ? size : 1);
	return table->rows && pread(fd, table->rows, size, 0) == (ssize_t)size;
}

static void on_packets(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct asking *asking = arg;
	struct idle_packets table = {.server = asking->server};
	bool known = !err && n_fds == 1 && take(fds[0], &table);

	(void)reply;
	link_close_fds(fds, n_fds);
	if (!known)
		log_warning("packets-not-counted error=\"%s\"", err ? err->msg : "no list came");
	asking->done(asking->arg, known ? &table : NULL);
	free(table.rows);
	free(asking);
}

int idle_packets_ask(
	struct server *server, void (*done)(void *arg, const struct idle_packets *table), void *arg)
{
	static const struct msg_empty empty;
	struct asking *asking = malloc(sizeof(*asking));
	struct err err;
	int r;

	if (!asking)
		return -ENOMEM;
	*asking = (struct asking){server, done, arg};
	r = link_send(server->link, MSG_NET_PACKETS, &empty, NULL, 0, on_packets, asking, &err);
	if (r < 0)
		free(asking);
	return r;
}

static int compare(const void *key, const void *row)
{
	const struct net_packets *packets = row;

	return strncmp(key, packets->port, sizeof(packets->port));
}

bool idle_packets_of(const struct idle_packets *table, const struct container *c, uint64_t *ret)
{
	const struct net_packets *row = NULL;
	struct net_place place;

	if (net_plan_place(
		    &table->server->config->net, c->tenant->net_number, c->net_slot, &place) < 0)
		return false;
	if (table->n)
		row = bsearch(place.port, table->rows, table->n, sizeof(*table->rows), compare);
	if (row)
		*ret = row->packets;
	return row;
}
