/*
 * Queues and filters on interfaces; see net_tc.h. Source: linux/pkt_sched.h, linux/pkt_cls.h,
 * linux/tc_act/tc_mirred.h, tc-tbf(8), tc-bpf(8), bpf-helpers(7).
 */
#include "sandbox/net_tc.h"

#include "base/cleanup.h"

#include <endian.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A rate is of IP packets; the bucket counts Ethernet's 14 bytes too. */
#define FRAME_SIZE  1514u
#define PACKET_SIZE 1500u

/*
 * What may pass at once: as much as comes together while a busy host does something else. The
 * kernel's large segments go unsplit through quick lines only.
 */
#define BURST_MSEC 10u
#define BURST_MIN  32768u
#define BURST_MAX  (1u << 20)

/* What may wait: with less TCP loses so much at once that it falls behind. */
#define QUEUE_MSEC 200u
#define QUEUE_MIN  131072u
#define QUEUE_MAX  (16u << 20)

#define FILTER_PRIORITY 1u

/* On a packet between its two looks at the program of net_tc_load_once(): "crof". */
#define ONCE_MARK 0x63726f66

static uint64_t clamp(uint64_t value, uint64_t min, uint64_t max)
{
	if (value < min)
		return min;
	return value > max ? max : value;
}

static struct tcmsg *put_tc(struct nlmsghdr *nlh, int index, uint32_t parent)
{
	struct tcmsg *tc = mnl_nlmsg_put_extra_header(nlh, sizeof(*tc));

	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = index;
	tc->tcm_parent = parent;
	return tc;
}

void net_tc_add_bucket(struct netlink_batch *batch, int index, uint64_t rate)
{
	uint64_t frames = rate * FRAME_SIZE / PACKET_SIZE;
	uint32_t burst = (uint32_t)clamp(frames * BURST_MSEC / 1000, BURST_MIN, BURST_MAX);
	uint64_t queue = clamp(frames * QUEUE_MSEC / 1000, QUEUE_MIN, QUEUE_MAX);
	struct tc_tbf_qopt options = {
		.rate = {.linklayer = TC_LINKLAYER_ETHERNET,
			.rate = frames > UINT32_MAX ? UINT32_MAX : (uint32_t)frames},
		.limit = (uint32_t)queue + burst,
	};
	struct nlmsghdr *nlh;
	struct nlattr *nest;

	if (rate == 0) {
		nlh = netlink_add(batch, RTM_DELQDISC, 0, "lift a rate limit", ENOENT);
		put_tc(nlh, index, TC_H_ROOT);
		return;
	}
	nlh = netlink_add(batch, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, "set a rate limit", 0);
	put_tc(nlh, index, TC_H_ROOT);
	mnl_attr_put_strz(nlh, TCA_KIND, "tbf");
	nest = mnl_attr_nest_start(nlh, TCA_OPTIONS);
	mnl_attr_put(nlh, TCA_TBF_PARMS, sizeof(options), &options);
	mnl_attr_put_u32(nlh, TCA_TBF_BURST, burst);
	if (frames > UINT32_MAX)
		mnl_attr_put_u64(nlh, TCA_TBF_RATE64, frames);
	mnl_attr_nest_end(nlh, nest);
}

void net_tc_add_hook(struct netlink_batch *batch, int index)
{
	struct nlmsghdr *nlh = netlink_add(batch, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL,
		"watch what an interface receives", 0);

	put_tc(nlh, index, TC_H_CLSACT)->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	mnl_attr_put_strz(nlh, TCA_KIND, "clsact");
}

void net_tc_remove_hook(struct netlink_batch *batch, int index)
{
	struct nlmsghdr *nlh = netlink_add(
		batch, RTM_DELQDISC, 0, "lead an interface's traffic directly", ENOENT);

	/* Without its handle: with it, the answer is another error where there was one before. */
	put_tc(nlh, index, TC_H_CLSACT);
}

static struct nlmsghdr *put_filter(struct netlink_batch *batch, int index, const char *kind)
{
	struct nlmsghdr *nlh = netlink_add(batch, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL,
		"lead an interface's traffic through a queue", 0);
	struct tcmsg *tc = put_tc(nlh, index, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS));

	tc->tcm_info = TC_H_MAKE(FILTER_PRIORITY << 16, htobe16(ETH_P_ALL));
	mnl_attr_put_strz(nlh, TCA_KIND, kind);
	return nlh;
}

void net_tc_add_redirect(struct netlink_batch *batch, int from, int to, bool received)
{
	struct nlmsghdr *nlh = put_filter(batch, from, "u32");
	const struct tc_mirred mirred = {.action = TC_ACT_STOLEN,
		.eaction = received ? TCA_INGRESS_REDIR : TCA_EGRESS_REDIR,
		.ifindex = (uint32_t)to};
	/* One key, which is all zero: no bit of a packet is compared, so any packet has it. */
	const struct tc_u32_sel sel = {.flags = TC_U32_TERMINAL, .nkeys = 1};
	uint8_t all[sizeof(sel) + sizeof(struct tc_u32_key)] = {0};
	struct nlattr *options;
	struct nlattr *actions;
	struct nlattr *action;
	struct nlattr *action_options;

	memcpy(all, &sel, sizeof(sel));
	options = mnl_attr_nest_start(nlh, TCA_OPTIONS);
	mnl_attr_put(nlh, TCA_U32_SEL, sizeof(all), all);
	actions = mnl_attr_nest_start(nlh, TCA_U32_ACT);
	action = mnl_attr_nest_start(nlh, 1);
	mnl_attr_put_strz(nlh, TCA_ACT_KIND, "mirred");
	action_options = mnl_attr_nest_start(nlh, TCA_ACT_OPTIONS);
	mnl_attr_put(nlh, TCA_MIRRED_PARMS, sizeof(mirred), &mirred);
	mnl_attr_nest_end(nlh, action_options);
	mnl_attr_nest_end(nlh, action);
	mnl_attr_nest_end(nlh, actions);
	mnl_attr_nest_end(nlh, options);
}

int net_tc_load_once(int to, struct err *err)
{
	const int16_t mark = offsetof(struct __sk_buff, mark);
	const struct bpf_insn insns[] = {
		{.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1, .off = mark},
		{.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 2, .off = 6, .imm = ONCE_MARK},
		/* The first time: marked, and on its way. */
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = ONCE_MARK},
		{.code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = 1, .src_reg = 2, .off = mark},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = to},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 0},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect},
		{.code = BPF_JMP | BPF_EXIT},
		/* The second time: the mark is nobody else's affair. */
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 0},
		{.code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = 1, .src_reg = 2, .off = mark},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = TC_ACT_OK},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SCHED_CLS,
		.insns = (uintptr_t)insns,
		.insn_cnt = ARRAY_SIZE(insns),
		.license = (uintptr_t) "Apache-2.0",
		.prog_name = "croft_rate",
	};
	long fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	return fd < 0 ? err_sys(err, errno, "load the program of a rate limit") : (int)fd;
}

void net_tc_add_program(struct netlink_batch *batch, int index, int program)
{
	struct nlmsghdr *nlh = put_filter(batch, index, "bpf");
	struct nlattr *options = mnl_attr_nest_start(nlh, TCA_OPTIONS);

	mnl_attr_put_u32(nlh, TCA_BPF_FD, (uint32_t)program);
	mnl_attr_put_strz(nlh, TCA_BPF_NAME, "croft_rate");
	mnl_attr_put_u32(nlh, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	mnl_attr_nest_end(nlh, options);
}
