/*
 * The program that counts forks, in raw bpf(2) instructions, and its map; see fork_count.h. Must
 * never count by anything that a container can choose. Source: bpf(2), bpf-helpers(7), and the
 * kernel's kernel/trace/bpf_trace.c for what a raw tracepoint's program may call.
 */
#include "sandbox/fork_count.h"

#include "base/cleanup.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

struct fork_count {
	int map_fd;
	int read_fd; /* the same map, for croftd */
	int program_fd;
	int link_fd; /* while it is open, the program runs */
};

static int bpf(int command, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

static int make_map(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_HASH,
		.key_size = sizeof(uint64_t),
		.value_size = sizeof(uint64_t),
		.max_entries = FORK_COUNT_MAX,
		.map_name = "croft_forks",
	};

	return bpf(BPF_MAP_CREATE, &attr);
}

/* Another descriptor of the map, which takes no writes. */
static int open_for_reading(int map_fd)
{
	struct bpf_map_info info = {0};
	union bpf_attr about = {.info = {.bpf_fd = (uint32_t)map_fd,
					.info_len = sizeof(info),
					.info = (uintptr_t)&info}};
	union bpf_attr attr = {.open_flags = BPF_F_RDONLY};
	int r = bpf(BPF_OBJ_GET_INFO_BY_FD, &about);

	if (r < 0)
		return r;
	attr.map_id = info.id;
	return bpf(BPF_MAP_GET_FD_BY_ID, &attr);
}

/*
 *	id = bpf_get_current_ancestor_cgroup_id(depth);
 *	count = bpf_map_lookup_elem(map, &id);
 *	if (count)
 *		__sync_fetch_and_add(count, 1);
 *
 * At the tracepoint the present task is still who forks: where its child is to be does not matter.
 */
static int load_program(int map_fd, unsigned depth)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = (int32_t)depth},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_current_ancestor_cgroup_id},
		{.code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = 10, .src_reg = 0, .off = -8},
		{.code = BPF_LD | BPF_IMM | BPF_DW,
			.dst_reg = 1,
			.src_reg = BPF_PSEUDO_MAP_FD,
			.imm = map_fd},
		{0}, /* the upper half of the same */
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 10},
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = -8},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem},
		{.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 0, .imm = 0, .off = 2},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = 1},
		{.code = BPF_STX | BPF_ATOMIC | BPF_DW, .dst_reg = 0, .src_reg = 1, .imm = BPF_ADD},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT,
		.insns = (uintptr_t)insns,
		.insn_cnt = ARRAY_SIZE(insns),
		.license = (uintptr_t) "Apache-2.0",
		.prog_name = "croft_forks",
	};

	return bpf(BPF_PROG_LOAD, &attr);
}

static int attach(int program_fd)
{
	union bpf_attr attr = {.raw_tracepoint = {.name = (uintptr_t) "sched_process_fork",
				       .prog_fd = (uint32_t)program_fd}};

	return bpf(BPF_RAW_TRACEPOINT_OPEN, &attr);
}

static void cleanup_count(struct fork_count **count)
{
	fork_count_close(*count);
}

int fork_count_open(unsigned depth, struct fork_count **ret, struct err *err)
{
	_cleanup_(cleanup_count) struct fork_count *count = malloc(sizeof(*count));

	if (!count)
		return err_oom(err);
	*count = (struct fork_count){-1, -1, -1, -1};
	count->map_fd = make_map();
	if (count->map_fd < 0)
		return err_sys(err, count->map_fd, "make the table of forks");
	count->read_fd = open_for_reading(count->map_fd);
	if (count->read_fd < 0)
		return err_sys(err, count->read_fd, "open the table of forks for reading");
	count->program_fd = load_program(count->map_fd, depth);
	if (count->program_fd < 0)
		return err_sys(err, count->program_fd, "load the program that counts forks");
	count->link_fd = attach(count->program_fd);
	if (count->link_fd < 0)
		return err_sys(err, count->link_fd, "have forks counted");
	*ret = take_ptr(count);
	return 0;
}

void fork_count_close(struct fork_count *count)
{
	if (!count)
		return;
	close_fd(&count->link_fd);
	close_fd(&count->program_fd);
	close_fd(&count->read_fd);
	close_fd(&count->map_fd);
	free(count);
}

int fork_count_add(struct fork_count *count, uint64_t id)
{
	const uint64_t none = 0;
	union bpf_attr attr = {.key = (uintptr_t)&id, .value = (uintptr_t)&none};

	if (!count)
		return 0;
	attr.map_fd = (uint32_t)count->map_fd;
	return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

void fork_count_remove(struct fork_count *count, uint64_t id)
{
	union bpf_attr attr = {.key = (uintptr_t)&id};

	if (!count)
		return;
	attr.map_fd = (uint32_t)count->map_fd;
	bpf(BPF_MAP_DELETE_ELEM, &attr);
}

int fork_count_fd(const struct fork_count *count)
{
	return count ? count->read_fd : -1;
}
