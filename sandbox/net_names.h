/*
 * Names: an /etc/hosts for each tenant that has a network, with its running containers, and one
 * /etc/resolv.conf for all. The files are the host's; containers see them through read-only mounts,
 * so a file is changed in place and its inode stays.
 *
 * They lie in a small file system of their own, mounted on `names` in the run directory in the
 * host's mount namespace: it outlives the supervisor, and what /proc/PID/mountinfo of a container
 * tells of it is no path of the host. For workers.
 */
#pragma once

#include "base/err.h"
#include "base/name.h"
#include "base/net_plan.h"

#include <stdbool.h>

#define NET_NAMES_DIR "names"

/*
 * Mounts the file system in the namespace of host_ns_fd, if it is not there yet, and attaches it to
 * `names` in the working directory of the calling process, in its own mount namespace. run_path is
 * the run directory in the host's. Returns 0 or -errno.
 */
int net_names_mount(int host_ns_fd, const char *run_path, struct err *err);
/* Unmounts and removes it. Idempotent. */
int net_names_unmount(int host_ns_fd, const char *run_path, struct err *err);

/* Writes resolv.conf. dir_fd is the directory `names`. */
int net_names_set_resolvers(int dir_fd, const struct net_resolvers *resolvers, struct err *err);

/* Adds a container, or changes its addresses. */
int net_names_put(int dir_fd, const char *tenant, const char *container,
	const struct net_place *place, struct err *err);
/* Takes a container out; a tenant or container that is not there is no error. */
int net_names_remove(int dir_fd, const char *tenant, const char *container, struct err *err);
/* Takes out, of every tenant, each container for which keep() is false. */
int net_names_keep_only(int dir_fd,
	bool (*keep)(const char *tenant, const char *container, void *arg), void *arg,
	struct err *err);
/* Removes a tenant's file. Idempotent. */
int net_names_forget(int dir_fd, const char *tenant, struct err *err);

/*
 * Read-only mounts of the tenant's hosts and of resolv.conf, attached to nothing, the caller's.
 * The tenant has a container in it.
 */
int net_names_open(
	int dir_fd, const char *tenant, int *ret_hosts_fd, int *ret_resolv_fd, struct err *err);
