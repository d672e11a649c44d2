/* Asking about the pool; see disk_check.h. A plan's own disk limit is never checked here. */
#include "server/disk_check.h"

#include "server/link.h"

#include <stdlib.h>
#include <string.h>

struct disk_query {
	struct server *server;
	void (*done)(void *arg, const struct err *err);
	void *arg;
};

static void on_host_info(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct disk_query *q = arg;
	struct msg_host_info *host = &q->server->host;
	struct err refusal;

	link_close_fds(fds, n_fds);
	if (!err)
		memcpy(host, reply, sizeof(*host));
	if (!err && host->pool_driver[0] && !host->pool_has_limits) {
		err_set_subject(&refusal, ERR_UNIMPLEMENTED, "DISK_LIMIT_UNSUPPORTED", "disk",
			"this host's pool (%.15s) cannot limit disk space; leave the limit out",
			host->pool_driver);
		err = &refusal;
	}
	q->done(q->arg, err);
	free(q);
}

int disk_check(struct server *server, void (*done)(void *arg, const struct err *err), void *arg,
	struct err *err)
{
	static const struct msg_empty empty;
	struct disk_query *q = malloc(sizeof(*q));
	int r;

	if (!q)
		return err_oom(err);
	*q = (struct disk_query){server, done, arg};
	r = link_send(server->link, MSG_HOST_INFO, &empty, NULL, 0, on_host_info, q, err);
	if (r < 0)
		free(q);
	return r;
}
