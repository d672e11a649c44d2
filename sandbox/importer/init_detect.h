/* Which init an unpacked image has. */
#pragma once

#include "sandbox/image_import.h"

/* Returns 0 when path is an executable file within root_fd, else INVALID_ARGUMENT / INIT_NOT_FOUND.
 */
int init_check(int root_fd, const char *path, struct err *err);

/* Sets ret's init and init_path. Links are followed within root_fd only; nothing is executed. */
void init_detect(int root_fd, struct image_report *ret);
