/* The state's database of a unit test, which is in a directory of its own. */
#pragma once

#include "base/cleanup.h"

#include <stdio.h>
#include <unistd.h>

/* Removes its files and the directory, once it is closed. */
static inline void unit_remove_db(const char *dir, const char *path)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-reserve"};
	char file[128];

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
		unlink(file);
	}
	rmdir(dir);
}
