/* Listening sockets from "unix:PATH" and "tcp:ADDRESS:PORT". */
#pragma once

#include "base/err.h"

#include <sys/types.h>
#include <sys/un.h>

struct listener {
	int fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "": TCP */
	dev_t device;
	ino_t inode;
};

/*
 * Binds and listens. A unix socket left behind by a croftd that is gone is replaced; one that is
 * answered on is ALREADY_EXISTS. Anybody may connect to it: who they are is asked of the kernel.
 * Made by root, the socket's file is given to `owner`, so that croftd may remove it later.
 */
int listen_open(const char *spec, uid_t owner, struct listener *ret, struct err *err);

/* Closes it (unless fd is taken), and removes the socket's file if it is still the one bound. */
void listen_close(struct listener *listener);
