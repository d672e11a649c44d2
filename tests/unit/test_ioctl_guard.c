/* What the guard against btrfs' own requests answers, by an interpreter that it has no part in. */
#include "sandbox/ioctl_guard.h"

#include "tests/unit/bpf_interp.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#define REFUSED (SECCOMP_RET_ERRNO | ENOTTY)
#define ALLOWED SECCOMP_RET_ALLOW

static uint32_t ask(uint32_t arch, uint32_t number, uint64_t request)
{
	const struct seccomp_data data = {.arch = arch, .nr = (int)number, .args = {3, request, 0}};
	const struct sock_filter *program;
	uint32_t action = 0;
	size_t n;

	program = ioctl_guard_program(&n);
	assert_true(bpf_run(program, n, &data, &action));
	return action;
}

#if defined(__x86_64__)
static const struct {
	uint32_t arch;
	uint32_t number;
} ways[] = {
	{AUDIT_ARCH_X86_64, SYS_ioctl},
	{AUDIT_ARCH_X86_64, 0x40000000u | 514u},
	{AUDIT_ARCH_I386, 54},
};
#else
static const struct {
	uint32_t arch;
	uint32_t number;
} ways[] = {
	{AUDIT_ARCH_AARCH64, SYS_ioctl},
	{AUDIT_ARCH_ARM, 54},
};
#endif

static bool is_shared(uint32_t request)
{
	return request == FICLONE || request == FICLONERANGE || request == FIDEDUPERANGE ||
	       request == FS_IOC_GETFSLABEL;
}

/* Each type, number and direction, at both of the sizes that are common. */
static void refuses_one_type_alone(void **state)
{
	(void)state;
	for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++)
		for (uint32_t i = 0; i < 4u << 16; i++) {
			uint32_t request = (i >> 16) << 30 | 8u << 16 | (i & 0xffff);
			bool refused = ((request >> 8) & 0xff) == BTRFS_IOCTL_MAGIC &&
				       !is_shared(request);

			assert_int_equal(ask(ways[way].arch, ways[way].number, request),
				refused ? REFUSED : ALLOWED);
		}
}

static void knows_what_is_shared(void **state)
{
	static const uint32_t shared[] = {FICLONE, FICLONERANGE, FIDEDUPERANGE, FS_IOC_GETFSLABEL};
	static const uint32_t own[] = {BTRFS_IOC_SUBVOL_CREATE, BTRFS_IOC_SUBVOL_CREATE_V2,
		BTRFS_IOC_SNAP_CREATE, BTRFS_IOC_SNAP_CREATE_V2, BTRFS_IOC_SNAP_DESTROY,
		BTRFS_IOC_SUBVOL_SETFLAGS, BTRFS_IOC_QGROUP_ASSIGN, BTRFS_IOC_SYNC,
		BTRFS_IOC_TREE_SEARCH, BTRFS_IOC_SET_RECEIVED_SUBVOL};

	(void)state;
	for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
		for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
			assert_int_equal(ask(ways[way].arch, ways[way].number, shared[i]), ALLOWED);
		for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
			assert_int_equal(ask(ways[way].arch, ways[way].number, own[i]), REFUSED);
			/* The kernel looks at 32 bits of it. */
			assert_int_equal(ask(ways[way].arch, ways[way].number,
						 own[i] | UINT64_C(0xffffffff00000000)),
				REFUSED);
		}
	}
}

static void leaves_other_calls_alone(void **state)
{
	(void)state;
	for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++)
		for (uint32_t nr = 0; nr < 1024; nr++)
			for (uint32_t x32 = 0; x32 <= 0x40000000u; x32 += 0x40000000u) {
				bool known = false;

				for (size_t k = 0; k < sizeof(ways) / sizeof(ways[0]); k++)
					known |= ways[k].arch == ways[way].arch &&
						 ways[k].number == (nr | x32);
				if (!known)
					assert_int_equal(ask(ways[way].arch, nr | x32,
								 BTRFS_IOC_SUBVOL_CREATE),
						ALLOWED);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_one_type_alone),
		cmocka_unit_test(knows_what_is_shared),
		cmocka_unit_test(leaves_other_calls_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
