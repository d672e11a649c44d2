/*
 * Fuzzes what the supervisor takes from croft-policy: bytes that pass must be a program that runs
 * to a return on every call without leaving its instructions or the call's data.
 */
#include "policy/format.h"

#include "tests/unit/bpf_interp.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sock_filter *program = NULL;
	struct policy_header header;
	void *copy = malloc(size ? size : 1);
	uint32_t action;

	if (!copy)
		return 0;
	/* A block of its own: aligned, and a read past its end is seen. */
	memcpy(copy, data, size);
	if (policy_output_check(copy, size, &header, &program, NULL) == 0) {
		for (uint32_t seed = 0; seed < 64; seed++) {
			struct seccomp_data call;

			memset(&call, (int)(seed * 37), sizeof(call));
			if (!bpf_run(program, header.n_instructions, &call, &action))
				abort();
		}
	}
	free(copy);
	return 0;
}
