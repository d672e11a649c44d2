/*
 * Becoming a user of the container, for a command of exec or an application's init: within the
 * container, before its program is executed. In this order: find (what /etc has become is
 * followed: confine_close() is due before), set the environment, confine_seal(), become, enter.
 */
#pragma once

#include "base/err.h"
#include "sandbox/passwd.h"

#include <stdbool.h>

/* As passwd_lookup() in the container's /etc; an image's as passwd_lookup_group(). */
int become_find(const char *name, struct passwd_user *ret, struct err *err);
int become_find_image_user(const char *spec, struct passwd_user *ret, struct err *err);

/* environ: the given strings, then what a login would add where they are silent. */
int become_set_environment(char **envp, const struct passwd_user *user, bool tty, struct err *err);

int become_user(const struct passwd_user *user, struct err *err);

/*
 * Enters the working directory ("": the user's home, or else the root). It must be one of the
 * container's. NOT_FOUND / EXEC_NO_DIRECTORY.
 */
int become_enter_directory(
	const char *working_dir, const struct passwd_user *user, struct err *err);
