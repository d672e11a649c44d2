/*
 * The host and the capabilities a profile is read for; see context.h. Asks the kernel only for its
 * name and release, and never opens anything.
 */
#include "policy/context.h"

#include "base/cleanup.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <string.h>
#include <sys/utsname.h>

static const struct policy_abi_info abis[POLICY_ABI_N] = {
	[POLICY_ABI_X86_64] = {"SCMP_ARCH_X86_64", "amd64", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64,
		POLICY_ABI_X86_64},
	[POLICY_ABI_X86] = {"SCMP_ARCH_X86", "x86", SCMP_ARCH_X86, AUDIT_ARCH_I386,
		POLICY_ABI_X86_64},
	[POLICY_ABI_X32] = {"SCMP_ARCH_X32", "x32", SCMP_ARCH_X32, AUDIT_ARCH_X86_64,
		POLICY_ABI_X86_64},
	[POLICY_ABI_AARCH64] = {"SCMP_ARCH_AARCH64", "arm64", SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64,
		POLICY_ABI_AARCH64},
	[POLICY_ABI_ARM] = {"SCMP_ARCH_ARM", "arm", SCMP_ARCH_ARM, AUDIT_ARCH_ARM,
		POLICY_ABI_AARCH64},
};

#define CAP(name) [CAP_##name] = "CAP_" #name
static const char *const cap_names[] = {
	CAP(CHOWN),
	CAP(DAC_OVERRIDE),
	CAP(DAC_READ_SEARCH),
	CAP(FOWNER),
	CAP(FSETID),
	CAP(KILL),
	CAP(SETGID),
	CAP(SETUID),
	CAP(SETPCAP),
	CAP(LINUX_IMMUTABLE),
	CAP(NET_BIND_SERVICE),
	CAP(NET_BROADCAST),
	CAP(NET_ADMIN),
	CAP(NET_RAW),
	CAP(IPC_LOCK),
	CAP(IPC_OWNER),
	CAP(SYS_MODULE),
	CAP(SYS_RAWIO),
	CAP(SYS_CHROOT),
	CAP(SYS_PTRACE),
	CAP(SYS_PACCT),
	CAP(SYS_ADMIN),
	CAP(SYS_BOOT),
	CAP(SYS_NICE),
	CAP(SYS_RESOURCE),
	CAP(SYS_TIME),
	CAP(SYS_TTY_CONFIG),
	CAP(MKNOD),
	CAP(LEASE),
	CAP(AUDIT_WRITE),
	CAP(AUDIT_CONTROL),
	CAP(SETFCAP),
	CAP(MAC_OVERRIDE),
	CAP(MAC_ADMIN),
	CAP(SYSLOG),
	CAP(WAKE_ALARM),
	CAP(BLOCK_SUSPEND),
	CAP(AUDIT_READ),
	CAP(PERFMON),
	CAP(BPF),
	CAP(CHECKPOINT_RESTORE),
};
#undef CAP

/* What no container has: each reaches the host itself, whatever namespace it is held in. */
static const int host_caps[] = {
	CAP_SYS_MODULE,
	CAP_SYS_RAWIO,
	CAP_SYS_TIME,
	CAP_SYS_PACCT,
	CAP_AUDIT_WRITE,
	CAP_AUDIT_CONTROL,
	CAP_AUDIT_READ,
	CAP_MAC_OVERRIDE,
	CAP_MAC_ADMIN,
	CAP_SYSLOG,
	CAP_WAKE_ALARM,
	CAP_BLOCK_SUSPEND,
	CAP_PERFMON,
	CAP_BPF,
	CAP_CHECKPOINT_RESTORE,
};

const struct policy_abi_info *policy_abi_info(enum policy_abi abi)
{
	return &abis[abi];
}

int policy_cap_number(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(cap_names); i++)
		if (strcmp(name, cap_names[i]) == 0)
			return (int)i;
	return -1;
}

int policy_caps_parse(const char *list, uint64_t *ret_caps, struct err *err)
{
	uint64_t caps = 0;
	char name[32];

	while (*list) {
		size_t len = strcspn(list, ",");
		int number = -1;

		if (len < sizeof(name)) {
			memcpy(name, list, len);
			name[len] = '\0';
			number = policy_cap_number(name);
		}
		if (number < 0)
			return err_set_subject(err, ERR_INVALID_ARGUMENT, "CAPABILITY_UNKNOWN",
				"caps",
				"\"%.*s\" is no capability; write them as CAP_SYS_ADMIN,CAP_MKNOD",
				(int)(len < sizeof(name) ? len : sizeof(name)), list);
		caps |= UINT64_C(1) << number;
		list += len;
		if (*list == ',')
			list++;
	}
	*ret_caps = caps;
	return 0;
}

static bool take_number(const char **p, uint32_t *ret)
{
	uint32_t value = 0;
	const char *start = *p;

	for (; **p >= '0' && **p <= '9'; (*p)++) {
		if (*p - start == 6)
			return false;
		value = value * 10 + (uint32_t)(**p - '0');
	}
	*ret = value;
	return *p > start;
}

bool policy_kernel_parse(const char *text, bool release, uint32_t *ret_major, uint32_t *ret_minor)
{
	uint32_t major, minor = 0;

	if (!take_number(&text, &major))
		return false;
	if (*text == '.') {
		text++;
		if (!take_number(&text, &minor))
			return false;
	}
	if (*text != '\0' && !release)
		return false;
	*ret_major = major;
	*ret_minor = minor;
	return true;
}

int policy_context_init(struct policy_context *ret, struct err *err)
{
	struct policy_context c = {.native = POLICY_ABI_N};
	uint32_t native = seccomp_arch_native();
	struct utsname u;

	for (unsigned i = 0; i < POLICY_ABI_N; i++)
		if (abis[i].scmp == native && abis[i].native == i)
			c.native = (enum policy_abi)i;
	if (c.native == POLICY_ABI_N)
		return err_set(err, ERR_UNIMPLEMENTED, "ARCHITECTURE_UNKNOWN",
			"policies are compiled for x86-64 and aarch64 only");
	if (uname(&u) < 0)
		return err_sys(err, errno, "uname");
	if (!policy_kernel_parse(u.release, true, &c.kernel_major, &c.kernel_minor))
		return err_set(err, ERR_INTERNAL, "KERNEL_RELEASE",
			"the kernel's release is not a version number");
	for (size_t i = 0; i < ARRAY_SIZE(cap_names); i++)
		c.caps |= UINT64_C(1) << i;
	for (size_t i = 0; i < ARRAY_SIZE(host_caps); i++)
		c.caps &= ~(UINT64_C(1) << host_caps[i]);
	*ret = c;
	return 0;
}
