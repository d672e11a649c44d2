/* The schema and its history; see db_schema.c. */
#pragma once

#include "base/err.h"

#include <sqlite3.h>

/*
 * Brings the schema to this program's version, each step in its own transaction. A database of a
 * later version is refused (FAILED_PRECONDITION / STATE_TOO_NEW). Returns 0 or -errno.
 */
int db_schema_migrate(sqlite3 *handle, struct err *err);
