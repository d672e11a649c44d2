/*
 * Classic BPF as seccomp(2) runs it, written from linux/filter.h and the kernel's documentation
 * (networking/filter.rst) alone: it shares nothing with policy/, so that one can test the other.
 */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Runs a program on a call. Returns true with the program's answer; false when it does what the
 * kernel would refuse: an unknown instruction, a load or a jump outside, no return.
 */
bool bpf_run(const struct sock_filter *program, size_t n, const struct seccomp_data *data,
	uint32_t *ret_action);
