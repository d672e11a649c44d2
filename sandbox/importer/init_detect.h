/* Which init an unpacked image has. */
#pragma once

#include "sandbox/image_import.h"

/* Sets ret's init and init_path. Links are followed within root_fd only; nothing is executed. */
void init_detect(int root_fd, struct image_report *ret);
