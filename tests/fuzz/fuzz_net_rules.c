/*
 * What croft-net is given: the check must refuse it or make of it a text in which nothing stands
 * but what the program itself writes. With a first byte that is odd, magic, version and the number
 * of rows are set right before, so that what lies behind them is reached.
 */
#include "base/cleanup.h"
#include "sandbox/net/text.h"
#include "sandbox/net_rules.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SIZE_MAX_BYTES 2048 /* forty rows: each may be thousands of ports */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* Each quoted name is an interface of the instance or a counter of its table. */
static void check_quoted(const struct net_plan *plan, const char *text)
{
	for (const char *p = strchr(text, '"'); p; p = strchr(p + 1, '"')) {
		size_t letters = strlen(plan->prefix_name);
		const char *end = strchr(p + 1, '"');

		require(end != NULL && end - p - 1 < NET_IFNAME_SIZE);
		require(!strncmp(p + 1, plan->prefix_name, letters));
		require(strspn(p + 1 + letters, "0123456789-.ud*") ==
			(size_t)(end - p - 1) - letters);
		p = end;
	}
}

static void check_text(const struct net_plan *plan, const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789 \n\"{}:;,.*@_!=/-";

	require(strspn(text, allowed) == strlen(text));
	check_quoted(plan, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ uint8_t *copy = NULL;
	struct net_header *header;
	struct net_rules rules;
	struct err err = {0};

	if (size < 1 || size > SIZE_MAX_BYTES)
		return 0;
	copy = malloc(size);
	require(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	header = (void *)copy;
	if (data[0] & 1 && size - 1 >= sizeof(*header)) {
		header->magic = NET_RULES_MAGIC;
		header->version = NET_RULES_VERSION;
		header->n_rows = (uint32_t)((size - 1 - sizeof(*header)) / sizeof(struct net_row));
	}
	if (net_rules_parse(copy, size - 1, &rules, &err) < 0) {
		require(err.code == ERR_INVALID_ARGUMENT && err.msg[0]);
		return 0;
	}
	require(text_build(&rules, NULL, &text, &err) == 0);
	check_text(&rules.header.plan, text);
	return 0;
}
