/*
 * Which devices a container may open: one table, as v1's devices.allow and as a v2 device program
 * in raw bpf(2) instructions. Nobody inside may make a device, not even an allowed one: /dev is
 * filled by the host. Must never allow a block device, memory, or a device of the host's state.
 */
#include "base/cleanup.h"
#include "sandbox/cgroup_internal.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#define ANY_MINOR UINT32_MAX

/* Character devices, to read and write. Numbers: Documentation/admin-guide/devices.txt. */
static const struct {
	uint32_t major;
	uint32_t minor;
} rules[] = {
	{1, 3},		  /* null */
	{1, 5},		  /* zero */
	{1, 7},		  /* full */
	{1, 8},		  /* random */
	{1, 9},		  /* urandom */
	{5, 0},		  /* tty */
	{5, 2},		  /* ptmx */
	{136, ANY_MINOR}, /* pts/N: every devpts has the same major, whoever's it is */
};

/* The list of a directory that denies nothing yet. */
#define ALLOW_ALL "a *:* rwm"

static int write_rules(const struct cgroup_root *root, const char *dir)
{
	_cleanup_close_ int fd = cgroup_open_file(
		root, CGROUP_DEVICES, dir, "devices.allow", O_WRONLY);

	if (fd < 0)
		return fd;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		char minor[16] = "*";
		char text[48];
		int len;

		if (rules[i].minor != ANY_MINOR)
			snprintf(minor, sizeof(minor), "%u", rules[i].minor);
		len = snprintf(text, sizeof(text), "c %u:%s rw", rules[i].major, minor);
		if (write(fd, text, (size_t)len) != len)
			return errno ? -errno : -EIO;
	}
	return 0;
}

int cgroup_device_write_v1(const struct cgroup_root *root, const char *dir, struct err *err)
{
	char list[4096];
	ssize_t n = cgroup_read_text(root, CGROUP_DEVICES, dir, "devices.list", list, sizeof(list));
	int r;

	if (n < 0)
		return err_sys(err, (int)n, "read devices.list");
	if (strcmp(list, ALLOW_ALL) != 0)
		return 0;
	r = cgroup_write_text(root, CGROUP_DEVICES, dir, "devices.deny", "a");
	if (r == 0)
		r = write_rules(root, dir);
	return r < 0 ? err_sys(err, r, "deny the container the host's devices") : 0;
}

/* linux/filter.h is not for user space; these are its macros' meanings. */
#define LOAD(dst, src, offset)                                                                     \
	{                                                                                          \
		.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = (dst), .src_reg = (src),             \
		.off = (offset)                                                                    \
	}
#define MOVE(dst, src)                                                                             \
	{                                                                                          \
		.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (dst), .src_reg = (src)            \
	}
#define ALU(op, dst, value)                                                                        \
	{                                                                                          \
		.code = BPF_ALU64 | (op) | BPF_K, .dst_reg = (dst), .imm = (value)                 \
	}
#define JUMP(op, dst, value, skip)                                                                 \
	{                                                                                          \
		.code = BPF_JMP | (op) | BPF_K, .dst_reg = (dst), .imm = (value), .off = (skip)    \
	}
#define EXIT                                                                                       \
	{                                                                                          \
		.code = BPF_JMP | BPF_EXIT                                                         \
	}

enum { TYPE = BPF_REG_2, MAJOR = BPF_REG_3, MINOR = BPF_REG_4, ACCESS = BPF_REG_5 };

static const struct bpf_insn prologue[] = {
	/* access_type is the access in the upper half and the kind of device in the lower. */
	LOAD(TYPE, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, access_type)),
	LOAD(MAJOR, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, major)),
	LOAD(MINOR, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, minor)),
	MOVE(ACCESS, TYPE),
	ALU(BPF_RSH, ACCESS, 16),
	ALU(BPF_AND, TYPE, 0xffff),
	ALU(BPF_MOV, BPF_REG_0, 0),
	JUMP(BPF_JEQ, TYPE, BPF_DEVCG_DEV_CHAR, 1),
	EXIT,
	ALU(BPF_AND, ACCESS, BPF_DEVCG_ACC_MKNOD),
	JUMP(BPF_JEQ, ACCESS, 0, 1),
	EXIT,
};

#define RULE_INSNS 4

static int load_program(void)
{
	struct bpf_insn insns[ARRAY_SIZE(prologue) + RULE_INSNS * ARRAY_SIZE(rules) + 1];
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insns = (uintptr_t)insns,
		.license = (uintptr_t) "Apache-2.0",
		.expected_attach_type = BPF_CGROUP_DEVICE,
		.prog_name = "croft_devices",
	};
	const struct bpf_insn exit_insn = EXIT;
	size_t n = ARRAY_SIZE(prologue);
	long fd;

	memcpy(insns, prologue, sizeof(prologue));
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		bool any = rules[i].minor == ANY_MINOR;
		const struct bpf_insn rule[RULE_INSNS] = {
			JUMP(BPF_JNE, MAJOR, (int32_t)rules[i].major, any ? 2 : 3),
			JUMP(BPF_JNE, MINOR, (int32_t)rules[i].minor, 2),
			ALU(BPF_MOV, BPF_REG_0, 1),
			EXIT,
		};

		for (size_t k = 0; k < RULE_INSNS; k++)
			if (!any || k != 1)
				insns[n++] = rule[k];
	}
	insns[n++] = exit_insn; /* with the 0 of the prologue: refused */
	attr.insn_cnt = (uint32_t)n;
	fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	return fd < 0 ? -errno : (int)fd;
}

int cgroup_device_attach_v2(struct cgroup_root *root, const char *dir, struct err *err)
{
	_cleanup_close_ int fd = openat(root->fd[0], dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	union bpf_attr attr = {0};

	if (fd < 0)
		return err_sys(err, errno, "open the container's cgroup");
	if (root->device_prog_fd < 0) {
		int prog = load_program();

		if (prog < 0)
			return err_sys(err, prog, "load the device program");
		root->device_prog_fd = prog;
	}
	/* No flags: it takes the place of one attached before, and none may be attached below. */
	attr.target_fd = (uint32_t)fd;
	attr.attach_bpf_fd = (uint32_t)root->device_prog_fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)) < 0)
		return err_sys(err, errno, "deny the container the host's devices");
	return 0;
}
