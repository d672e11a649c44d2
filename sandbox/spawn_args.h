/*
 * The strings of an init or exec: built by croftd into a sealed memfd, which the supervisor passes
 * on unread, and parsed inside the container by the process that will execute them.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>

#define SPAWN_ARGS_BYTES_MAX (1u << 20)
#define SPAWN_ARGS_MAX	     4096u
#define SPAWN_STRING_MAX     (128u << 10) /* the kernel's MAX_ARG_STRLEN */

struct spawn_args {
	char **argv; /* NULL-terminated, at least one */
	char **envp; /* NULL-terminated */
	/*
	 * A number or a name of the container's /etc/passwd; "": root. An init's may have ":group".
	 * For an init with neither user nor directory nothing is looked up, and its environment is
	 * envp alone.
	 */
	const char *user;
	const char *working_dir; /* "": the user's home, or / for such an init */
};

/*
 * Packs the strings into a sealed memfd. Returns 0 with the descriptor the caller's;
 * INVALID_ARGUMENT / ARGUMENTS_TOO_LARGE; -EINVAL without an argv[0].
 */
int spawn_args_pack(const struct spawn_args *args, int *ret_fd, struct err *err);

/*
 * Maps and parses such a memfd, refusing anything malformed or unsealed. The strings point into
 * the mapping, which lives until exec. Returns 0 or -errno.
 */
int spawn_args_parse(int fd, struct spawn_args *ret, struct err *err);
