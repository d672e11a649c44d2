/*
 * Which disk a directory is on, as the kernel limits and counts I/O: whole disks, by number.
 */
#pragma once

#include <stdint.h>

struct block_device {
	uint32_t major;
	uint32_t minor;
	const char *unknown; /* why there is none, as the end of a sentence; NULL: there is one */
};

/*
 * The disk under an open directory: of a partition the whole disk, of a file on a loop device the
 * loop device, and of mapped, encrypted and RAID volumes the volume itself, which is where I/O
 * arrives. One that cannot be told has `unknown`. Source: sysfs (Documentation/ABI/stable/
 * sysfs-block, testing/sysfs-fs-btrfs) and the kernel's block/blk-cgroup.c, which refuses
 * partitions.
 */
struct block_device block_device_of(int dir_fd);
