/* Replaying a fuzz target's corpus: every file, every cut of it, and each of its bytes changed. */
#pragma once

#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>

#define CORPUS_FILE_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void corpus_replay_file(int dir, const char *name)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	uint8_t data[CORPUS_FILE_MAX];
	ssize_t n = read(fd, data, sizeof(data));

	assert_true(n > 0 && n < CORPUS_FILE_MAX);
	for (size_t size = 0; size <= (size_t)n; size++)
		LLVMFuzzerTestOneInput(data, size);
	for (size_t i = 0; i < (size_t)n; i++) {
		data[i] ^= 0x81;
		LLVMFuzzerTestOneInput(data, (size_t)n);
		data[i] ^= 0x81;
	}
}

static inline void corpus_replay(const char *path, int at_least)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	int files = 0;

	assert_non_null(dir);
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		if (e->d_name[0] == '.')
			continue;
		corpus_replay_file(dirfd(dir), e->d_name);
		files++;
	}
	assert_true(files >= at_least);
}
