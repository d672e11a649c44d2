/*
 * Files for cloud-init in a sealed memfd; see cloud_seed.h: the size of each, then the bytes of
 * each. Whoever opens one trusts no size in it.
 */
#include "sandbox/cloud_seed.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define WANTED_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct header {
	uint32_t sizes[CLOUD_SEED_N];
};

int cloud_seed_pack(const struct cloud_seed *seed, int *ret_fd, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t size = sizeof(struct header);
	struct header header;
	int fd;

	for (size_t i = 0; i < CLOUD_SEED_N; i++) {
		if (seed->files[i].size > CLOUD_SEED_BYTES_MAX - size)
			return err_sys(err, EMSGSIZE, "pass the data for cloud-init");
		header.sizes[i] = (uint32_t)seed->files[i].size;
		size += seed->files[i].size;
	}
	data = malloc(size);
	if (!data)
		return err_oom(err);
	memcpy(data, &header, sizeof(header));
	size = sizeof(header);
	for (size_t i = 0; i < CLOUD_SEED_N; i++) {
		if (seed->files[i].size)
			memcpy(data + size, seed->files[i].data, seed->files[i].size);
		size += seed->files[i].size;
	}
	fd = fd_sealed_memfd("croft-cloud-seed", data, size);
	if (fd < 0)
		return err_sys(err, fd, "pass the data for cloud-init");
	*ret_fd = fd;
	return 0;
}

static int parse(const uint8_t *data, size_t size, struct cloud_seed *ret)
{
	struct cloud_seed seed;
	struct header header;
	size_t at = sizeof(header);

	if (size < sizeof(header))
		return -EBADMSG;
	memcpy(&header, data, sizeof(header));
	for (size_t i = 0; i < CLOUD_SEED_N; i++) {
		if (header.sizes[i] > size - at)
			return -EBADMSG;
		seed.files[i].data = data + at;
		seed.files[i].size = header.sizes[i];
		at += header.sizes[i];
	}
	if (at != size)
		return -EBADMSG;
	*ret = seed;
	return 0;
}

int cloud_seed_open(int fd, struct cloud_seed *ret, struct err *err)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *data;
	int r;

	if (seals < 0 || (seals & WANTED_SEALS) != WANTED_SEALS || fstat(fd, &st) < 0 ||
		st.st_size <= 0 || st.st_size > CLOUD_SEED_BYTES_MAX)
		return err_sys(err, EBADMSG, "data for cloud-init");
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return err_sys(err, errno, "map the data for cloud-init");
	r = parse(data, (size_t)st.st_size, ret);
	if (r < 0) {
		munmap(data, (size_t)st.st_size);
		return err_sys(err, r, "data for cloud-init");
	}
	return 0;
}
