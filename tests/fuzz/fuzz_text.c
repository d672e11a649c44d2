/*
 * Text that users and peers write, by the first byte: limits, sizes, core lists, times, names and
 * resource names, error values, wire messages. What is accepted must survive being written and
 * read again; what is refused must leave its output alone and, where promised, say why.
 */
#include "base/clock.h"
#include "base/limits.h"
#include "base/name.h"
#include "base/wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_KINDS 6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void fuzz_limit(uint8_t selector, const char *text)
{
	enum limit_id id = (enum limit_id)(selector % LIMIT_N);
	struct limits before;
	struct limits l;
	struct err err = {0};

	limits_init(&l);
	before = l;
	if (limits_parse(&l, id, text, &err) < 0) {
		require(memcmp(&before, &l, sizeof(l)) == 0);
		require(err.code == ERR_INVALID_ARGUMENT && err.msg[0] && err.subject[0]);
		return;
	}
	if (limits_check(&l, &err) == 0) {
		struct limits merged = before;

		limits_merge(&merged, &l);
		require(memcmp(&merged, &l, sizeof(l)) == 0);
		require(limits_check_within(&l, &l, &err) == 0);
	}
}

static void fuzz_cores(const char *text)
{
	uint64_t mask[LIMITS_CPU_WORDS];
	uint64_t again[LIMITS_CPU_WORDS];
	char out[8 * LIMITS_CPUS_MAX];

	if (limits_parse_cores(text, mask) < 0)
		return;
	limits_format_cores(mask, out, sizeof(out));
	require(limits_parse_cores(out, again) == 0);
	require(memcmp(mask, again, sizeof(mask)) == 0);
}

static void fuzz_time(const char *text)
{
	char out[CLOCK_TEXT_MAX];
	int64_t usec;
	int64_t again;

	if (clock_parse(text, &usec) < 0)
		return;
	clock_format(usec, out);
	/* An offset can carry the first and the last day out of the four digits of a year. */
	if (usec >= INT64_C(-62167219200000000) && usec < INT64_C(253402300800000000))
		require(clock_parse(out, &again) == 0 && again == usec);
}

static void fuzz_name(const char *text)
{
	char tenant[NAME_SIZE] = "";
	char container[NAME_SIZE] = "";
	char built[RESOURCE_SIZE];
	struct err err = {0};

	if (name_parse_resource(text, tenant, container, &err) < 0) {
		require(err.code == ERR_INVALID_ARGUMENT && err.msg[0]);
		require(!tenant[0] && !container[0]);
		return;
	}
	require(name_is_valid(tenant) && (!container[0] || name_is_valid(container)));
	snprintf(built, sizeof(built), "tenants/%s%s%s", tenant, container[0] ? "/containers/" : "",
		container);
	require(!strcmp(built, text));
}

static void fuzz_err(const uint8_t *data, size_t size)
{
	struct err err = {0};

	memcpy(&err, data, size < sizeof(err) ? size : sizeof(err));
	require(err_sanitize(&err) < 0);
	require(strlen(err.msg) < sizeof(err.msg) && strlen(err.reason) < sizeof(err.reason));
	for (const char *p = err.msg; *p; p++)
		require((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void fuzz_wire(const uint8_t *data, size_t size)
{
	struct wire_reader r;
	size_t seen = 0;

	wire_reader_init(&r, data, size);
	for (int i = 0; i < 64; i++) {
		const char *s = wire_get_str(&r, 4096);

		seen += s ? strlen(s) : 0;
		seen += wire_get_u32(&r) & 1;
	}
	require(seen <= size + 64);
	if (wire_reader_end(&r) == 0)
		require(r.p == data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size < 2)
		return 0;
	text = malloc(size - 1);
	if (!text)
		return 0;
	memcpy(text, data + 2, size - 2);
	text[size - 2] = '\0';
	switch (data[0] % N_KINDS) {
	case 0:
		fuzz_limit(data[1], text);
		break;
	case 1:
		fuzz_cores(text);
		break;
	case 2:
		fuzz_time(text);
		break;
	case 3:
		fuzz_name(text);
		break;
	case 4:
		fuzz_err(data + 2, size - 2);
		break;
	case 5:
		fuzz_wire(data + 2, size - 2);
		break;
	}
	free(text);
	return 0;
}
