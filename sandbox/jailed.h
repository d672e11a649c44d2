/*
 * Programs in a jail of their own: croft-importer and croft-packer. Each is root of a user
 * namespace of its own, in namespaces without network or other processes, and sees a stream, a
 * tree as an id-mapped mount, and a socket to us. It shuts itself in further (importer/jail.c).
 */
#pragma once

#include "base/err.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* What a program is started with; its own ends of them are closed with it. */
struct jailed_options {
	int program_fd;		 /* the open binary */
	int stream_fd;		 /* JAILED_STREAM_FD in it */
	int extra_fd;		 /* JAILED_EXTRA_FD in it; -1: none */
	int tree_fd;		 /* the directory that it gets as JAILED_TREE_FD, id-mapped */
	bool read_only;		 /* that mount */
	uid_t id_base;		 /* a range of the registry */
	const char *const *argv; /* NULL-terminated */
};

#define JAILED_STREAM_FD 0
#define JAILED_REPORT_FD 3 /* SOCK_SEQPACKET */
#define JAILED_TREE_FD	 4
#define JAILED_EXTRA_FD	 5

struct jailed {
	pid_t pid;
	int pidfd;
	int report_fd; /* our end */
};

#define JAILED_INIT                                                                                \
	{                                                                                          \
		.pidfd = -1, .report_fd = -1                                                       \
	}

/*
 * Starts it. What fails before the program is executed comes over the report socket as a bare
 * struct err, which is no length that a program sends. Returns 0 or -errno; in either case
 * jailed_end() is due.
 */
int jailed_start(const struct jailed_options *options, struct jailed *ret, struct err *err);
/*
 * Sends it a byte, and with it a further directory as such a mount; dir_fd -1: none. Returns 0 or
 * -errno.
 */
int jailed_hand(const struct jailed *jailed, int dir_fd, bool read_only, struct err *err);
/* Kills it if it lives, and reaps it. ret_info may be NULL. Idempotent. */
void jailed_end(struct jailed *jailed, siginfo_t *ret_info);
