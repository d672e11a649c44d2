/* What the three processes of spawn.h share. */
#pragma once

#include "base/fd.h"
#include "sandbox/spawn.h"
#include "sandbox/view_mount.h"

/* Made by the builder before it clones the outer process; inherited by both children. */
struct spawn {
	const struct spawn_request *request;
	enum cgroup_kind cgroup_kind;
	struct cgroup_join join;
	uid_t id_base;
	int stdout_fd;	    /* the FIFO, open for reading and writing */
	int control[2];	    /* socket pair: [0] the builder's, [1] the outer's */
	int go[2];	    /* pipe: the builder releases init by a byte; its end means: exit */
	int exec_status[2]; /* pipe, close-on-exec: a struct err, or its end when init runs */
	int tell[2];	    /* socket pair, init's [1]: the listener of its policy; or -1 */
};

enum outer_step { OUTER_GO = 1, OUTER_READY, OUTER_FAILED };

/*
 * Between builder and outer. OUTER_GO carries the root's mount, those of hosts and resolv.conf
 * (names: with a network), those of lxcfs's files (view: where the tenant has one), and those of
 * the request's volumes, in its order; OUTER_READY init's pidfd and the console's master.
 */
enum outer_mount { OUTER_ROOT, OUTER_HOSTS, OUTER_RESOLV, OUTER_MOUNT_N };
_Static_assert(OUTER_MOUNT_N + VIEW_FILES_N + CONTAINER_MOUNTS_MAX <= FD_PASS_MAX,
	"the mounts fit a message");

struct outer_message {
	uint32_t step;
	bool names;
	bool view;
	int32_t pid;
	struct err err;
};

/*
 * spawn_fifo.c: makes a container's standard output, owned by its root. Returns 0 with both ends,
 * the caller's, or -errno with none and no file.
 */
int spawn_fifo_make(int dir_fd, const char *tenant, const char *container, uid_t owner,
	int *ret_read_fd, int *ret_fd, struct err *err);

/*
 * spawn_root.c: mounts the container's root, also where its disk is full. Returns 0 with the mount,
 * the caller's. May leave the worker's mount namespace for one of its own.
 */
int spawn_mount_root(
	const struct spawn_request *rq, int userns_fd, uid_t id_base, int *ret_fd, struct err *err);

/* The outer process. Ends by _exit(2). */
__attribute__((noreturn)) void spawn_outer(const struct spawn *s);

/* Init, from its clone to its exec. Ends by exec or _exit(2). */
__attribute__((noreturn)) void spawn_inner(const struct spawn *s);
