/* What the commands about containers share. */
#pragma once

#include "cli/output.h"
#include "croft/v1/containers.pb-c.h"

/* One container in full. */
extern const struct column container_columns[];

/* "exited 0", "killed by signal 9 (KILL)", "rebooted", ... Returns out. */
const char *container_exit_text(const Croft__V1__Exit *exit, char out[static COLUMN_TEXT_MAX]);
