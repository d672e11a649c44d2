/* The names of meters; see meters.h. Must never lose one: bills of long ago are made by them. */
#include "base/meters.h"

#include <stdio.h>
#include <string.h>

#define PRICED(name_)                                                                              \
	{                                                                                          \
		.name = name_, .has_price = true                                                   \
	}
#define SUM(name_)	  PRICED(name_)
#define PERCENTILE(name_) PRICED(name_)
#define PEAK(name_)                                                                                \
	{                                                                                          \
		.name = name_, .has_price = false                                                  \
	}

const struct meter_name meter_names[] = {
	SUM("cpu.used"),
	SUM("cpu.throttled"),
	SUM("memory.used"),
	PEAK("memory.peak"),
	SUM("memory.at_limit"),
	SUM("memory.oom"),
	PEAK("pids.peak"),
	SUM("pids.denied"),
	SUM("running"),
	SUM("net.ingress"),
	SUM("net.ingress.packets"),
	SUM("net.egress"),
	SUM("net.egress.packets"),
	SUM("net.ingress.outside"),
	SUM("net.ingress.outside.packets"),
	SUM("net.egress.outside"),
	SUM("net.egress.outside.packets"),
	SUM("io.read"),
	SUM("io.read.ops"),
	SUM("io.write"),
	SUM("io.write.ops"),
	SUM("cpu.allocated"),
	SUM("memory.allocated"),
	SUM("disk.used"),
	SUM("disk.allocated"),
	SUM("volume.allocated"),
	SUM("snapshot.used"),
	SUM("ipv4.address"),
	SUM("tenant.cpu.allocated"),
	SUM("tenant.memory.allocated"),
	SUM("tenant.disk.allocated"),
	PERCENTILE("net.p95"),
	SUM("disk.denied"),
	SUM("tenant.cpu.used"),
	SUM("tenant.cpu.throttled"),
	SUM("tenant.memory.used"),
	PEAK("tenant.memory.peak"),
	SUM("tenant.memory.at_limit"),
	PEAK("tenant.pids.peak"),
	SUM("tenant.pids.denied"),
};
const size_t meter_names_n = sizeof(meter_names) / sizeof(meter_names[0]);

const struct meter_name *meter_find(const char *name)
{
	for (size_t i = 0; i < meter_names_n; i++)
		if (!strcmp(meter_names[i].name, name))
			return &meter_names[i];
	return NULL;
}

static size_t word_len(const char *name)
{
	return strcspn(name, ".");
}

static bool same_word(const char *a, const char *b)
{
	return word_len(a) == word_len(b) && !strncmp(a, b, word_len(a));
}

/* "cpu." of "cpu.used", and "running". */
static size_t dotted_len(const char *name)
{
	return word_len(name) + (name[word_len(name)] == '.');
}

static size_t add(char *out, size_t n, const char *text, size_t len)
{
	if (n + len + 3 > METER_LIST_MAX)
		return n;
	return n + (size_t)snprintf(
			   out + n, METER_LIST_MAX - n, "%s%.*s", n ? ", " : "", (int)len, text);
}

/* Before i, one of those that can have a price begins with the same word. */
static bool is_known_word(size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (meter_names[j].has_price && same_word(meter_names[j].name, meter_names[i].name))
			return true;
	return false;
}

const char *meter_list_like(const char *name, char out[static METER_LIST_MAX])
{
	bool found = false;
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < meter_names_n; i++)
		if (meter_names[i].has_price && same_word(meter_names[i].name, name))
			n = add(out, n, meter_names[i].name, strlen(meter_names[i].name));
	found = n > 0;
	for (size_t i = 0; !found && i < meter_names_n; i++)
		if (meter_names[i].has_price && !is_known_word(i))
			n = add(out, n, meter_names[i].name, dotted_len(meter_names[i].name));
	return out;
}
