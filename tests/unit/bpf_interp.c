/*
 * An interpreter of classic BPF for tests; see bpf_interp.h. It must never use anything of
 * policy/, or both could be wrong together.
 */
#include "tests/unit/bpf_interp.h"

#include <string.h>

struct machine {
	uint32_t a;
	uint32_t x;
	uint32_t m[BPF_MEMWORDS];
	size_t pc;
};

static bool load(struct machine *m, const struct sock_filter *in, const struct seccomp_data *data)
{
	switch (in->code) {
	case 0x20: /* ld [k] */
		if (in->k % 4 != 0 || in->k + 4 > sizeof(*data))
			return false;
		memcpy(&m->a, (const char *)data + in->k, 4);
		return true;
	case 0x00: /* ld #k */
		m->a = in->k;
		return true;
	case 0x01: /* ldx #k */
		m->x = in->k;
		return true;
	case 0x60: /* ld M[k] */
		if (in->k >= BPF_MEMWORDS)
			return false;
		m->a = m->m[in->k];
		return true;
	case 0x02: /* st M[k] */
		if (in->k >= BPF_MEMWORDS)
			return false;
		m->m[in->k] = m->a;
		return true;
	}
	return false;
}

static bool compute(struct machine *m, const struct sock_filter *in)
{
	switch (in->code) {
	case 0x54:
		m->a &= in->k;
		return true;
	case 0x44:
		m->a |= in->k;
		return true;
	case 0x04:
		m->a += in->k;
		return true;
	case 0x74:
		m->a = in->k < 32 ? m->a >> in->k : 0;
		return true;
	case 0x07: /* tax */
		m->x = m->a;
		return true;
	case 0x87: /* txa */
		m->a = m->x;
		return true;
	}
	return false;
}

static bool jump(struct machine *m, const struct sock_filter *in)
{
	bool taken;

	switch (in->code) {
	case 0x05: /* ja */
		m->pc += in->k;
		return true;
	case 0x15:
		taken = m->a == in->k;
		break;
	case 0x25:
		taken = m->a > in->k;
		break;
	case 0x35:
		taken = m->a >= in->k;
		break;
	case 0x45:
		taken = (m->a & in->k) != 0;
		break;
	default:
		return false;
	}
	m->pc += taken ? in->jt : in->jf;
	return true;
}

bool bpf_run(const struct sock_filter *program, size_t n, const struct seccomp_data *data,
	uint32_t *ret_action)
{
	struct machine m = {0};

	while (m.pc < n) {
		const struct sock_filter *in = &program[m.pc++];

		if (in->code == 0x06) { /* ret #k */
			*ret_action = in->k;
			return true;
		}
		if (in->code == 0x16) { /* ret a */
			*ret_action = m.a;
			return true;
		}
		if (!load(&m, in, data) && !compute(&m, in) && !jump(&m, in))
			return false;
	}
	return false;
}
