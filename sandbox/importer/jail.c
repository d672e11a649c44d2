/*
 * The importer's jail; see jail.h. It starts as root of its own user namespace, in namespaces
 * without network or other processes; here the rest goes. Must run before the archive is read.
 */
#include "sandbox/importer/jail.h"

#include "base/cleanup.h"
#include "base/sanitizer.h"
#include "sandbox/syscalls.h"

#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* zstd --long=27 and xz -9 fit; a window made to exhaust the host does not. */
#define MEMORY_MAX (1024ul << 20)

static const struct {
	rlim_t files;
	rlim_t file_bytes;
	uint64_t capabilities;
} kinds[] = {
	/* To give files to their owners, and to write where those let nobody in. */
	[JAIL_IMPORTER] = {64, JAIL_FILE_BYTES_MAX,
		1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER | 1u << CAP_FSETID |
			UINT64_C(1) << CAP_SETFCAP},
	/* A directory on the way down is a descriptor. */
	[JAIL_PACKER] = {560, 0, 1u << CAP_DAC_READ_SEARCH},
};

static int limit_resources(enum jail_kind kind, struct err *err)
{
	const struct {
		__rlimit_resource_t resource;
		rlim_t value;
	} limits[] = {
		{RLIMIT_CORE, 0},
		{RLIMIT_NOFILE, kinds[kind].files},
		{RLIMIT_FSIZE, kinds[kind].file_bytes},
		{RLIMIT_NPROC, 1},
		{RLIMIT_AS, SANITIZED ? RLIM_INFINITY : MEMORY_MAX},
	};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		const struct rlimit limit = {limits[i].value, limits[i].value};

		if (setrlimit(limits[i].resource, &limit) < 0)
			return err_sys(err, errno, "set a resource limit");
	}
	return 0;
}

static int change_root(int tree_fd, struct err *err)
{
	int r;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, errno, "make the importer's mounts its own");
	/* Over the old root, so that no directory of the host is needed; it is never seen there. */
	if (move_mount(tree_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, errno, "attach the image's directory");
	if (fchdir(tree_fd) < 0)
		return err_sys(err, errno, "enter the image's directory");
	r = sys_pivot_root(".", ".");
	if (r < 0)
		return err_sys(err, r, "make the image's directory the root");
	/* The old root now lies over the new one. */
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_sys(err, errno, "leave the host's root");
	return 0;
}

static int drop_capabilities(uint64_t kept, struct err *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap) < 0)
			return err_sys(err, errno, "drop a capability for good");
	for (unsigned cap = 0; cap < 64; cap++)
		if (kept >> cap & 1) {
			data[CAP_TO_INDEX(cap)].effective |= CAP_TO_MASK(cap);
			data[CAP_TO_INDEX(cap)].permitted |= CAP_TO_MASK(cap);
		}
	if (syscall(SYS_capset, &header, data) < 0)
		return err_sys(err, errno, "drop capabilities");
	return 0;
}

int jail_enter(int tree_fd, enum jail_kind kind, struct err *err)
{
	int r = change_root(tree_fd, err);

	close(tree_fd);
	if (r == 0)
		r = limit_resources(kind, err);
	if (r == 0)
		r = drop_capabilities(kinds[kind].capabilities, err);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(err, errno, "give up new privileges");
	return SANITIZED ? 0 : jail_filter_load(kind, err);
}
