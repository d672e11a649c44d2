/* The strings of an exec: checked, completed with defaults, packed for the supervisor. */
#pragma once

#include "base/err.h"

#include "croft/v1/containers.pb-c.h"
#include "sandbox/supervisor_client.h"

/*
 * app: of a container whose image is an application's, which gives its environment under the
 * caller's; else NULL. Returns 0 with a sealed memfd, the caller's. INVALID_ARGUMENT for an empty
 * command, an environment entry without "=", or a working directory that is not absolute.
 */
int exec_args_pack(const Croft__V1__ExecStart *start, const struct image_config *app, int *ret_fd,
	struct err *err);
