/*
 * Laying out croft noisy's lines; see noisy_print.h. Columns have their widths whatever is in them;
 * the name takes what is left. Nothing but printable ASCII.
 */
#include "cli/noisy_print.h"

#include "base/cleanup.h"
#include "cli/short_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum cell {
	CELL_WAITS,
	CELL_OTHERS,
	CELL_FOR,
	CELL_USES,
	CELL_SHARE,
	CELL_FAIR,
	CELL_NOTE,
	CELL_N
};

/* With a space before each, 58 of 80 columns: 22 are the name's. */
static const struct {
	const char *heading;
	unsigned width;
} cells[CELL_N] = {
	[CELL_WAITS] = {"WAITS", 5},
	[CELL_OTHERS] = {"OTHERS", 6},
	[CELL_FOR] = {"FOR", 6},
	[CELL_USES] = {"USES", 6},
	[CELL_SHARE] = {"SHARE", 5},
	[CELL_FAIR] = {"FAIR", 5},
	[CELL_NOTE] = {"", 18},
};

struct texts {
	const char *of[CELL_N]; /* NULL: nothing */
};

static void put(char out[static NOISY_LINE_MAX], const char *text, unsigned width, bool right)
{
	size_t used = strlen(out);
	size_t len = strlen(text);

	snprintf(out + used, NOISY_LINE_MAX - used, right ? "%*.*s" : "%-*.*s", (int)width,
		(int)width, text);
	for (char *p = out + used; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	if (len > width && strlen(out) == used + width)
		out[used + width - 1] = '~';
}

static const char *print(const char *name, const struct texts *texts, unsigned columns,
	char out[static NOISY_LINE_MAX])
{
	unsigned wanted = columns;
	unsigned used = 0;
	size_t len;

	if (wanted < NOISY_COLUMNS_MIN)
		wanted = NOISY_COLUMNS_MIN;
	if (wanted > NOISY_COLUMNS_MAX)
		wanted = NOISY_COLUMNS_MAX;
	for (size_t i = 0; i < CELL_N; i++)
		used += 1 + cells[i].width;
	out[0] = '\0';
	put(out, name, wanted - used, false);
	for (size_t i = 0; i < CELL_N; i++) {
		put(out, "", 1, false);
		put(out, texts->of[i] ? texts->of[i] : "", cells[i].width,
			i != CELL_NOTE && i != CELL_FOR);
	}
	len = strlen(out);
	if (len > columns)
		len = columns;
	while (len && out[len - 1] == ' ')
		len--;
	out[len] = '\0';
	return out;
}

const char *noisy_print_heading(unsigned columns, char out[static NOISY_LINE_MAX])
{
	struct texts texts;

	for (size_t i = 0; i < CELL_N; i++)
		texts.of[i] = cells[i].heading;
	return print("WHO", &texts, columns, out);
}

/* "acme/web" of "tenants/acme/containers/web", all of "tenants/acme"; else as it is. */
static void short_name(const char *name, const char *indent, char *out, size_t size)
{
	static const char tenants[] = "tenants/";
	static const char containers[] = "/containers/";
	const char *at = strstr(name, containers);
	bool known = !strncmp(name, tenants, strlen(tenants));

	if (known)
		name += strlen(tenants);
	if (known && at)
		snprintf(out, size, "%s%.*s/%s", indent, (int)(at - name), name,
			at + strlen(containers));
	else
		snprintf(out, size, "%s%s%s", indent, name, known ? "/*" : "");
}

static const char *share(uint32_t permyriad, char out[static SHORT_TEXT_MAX])
{
	return short_share(permyriad / 10, out);
}

const char *noisy_print_victim(
	const Croft__V1__NoisyNeighbour *row, unsigned columns, char out[static NOISY_LINE_MAX])
{
	char waits[SHORT_TEXT_MAX];
	char others[SHORT_TEXT_MAX];
	char name[NOISY_LINE_MAX];
	struct texts texts = {.of = {[CELL_WAITS] = share(row->waited_permyriad, waits),
				      [CELL_OTHERS] = share(row->held_up_permyriad, others),
				      [CELL_FOR] = row->waits_for}};

	if (!strcmp(row->within, "tenant"))
		texts.of[CELL_NOTE] = "its tenant's limit";
	short_name(row->victim, "", name, sizeof(name));
	return print(name, &texts, columns, out);
}

static const char *used(const Croft__V1__NoisyNeighbour *row, char out[static SHORT_TEXT_MAX])
{
	char size[SHORT_TEXT_MAX];

	if (!strcmp(row->waits_for, "cpu"))
		return short_share(row->used, out);
	snprintf(out, SHORT_TEXT_MAX, "%.10s%s", short_size(row->used, size),
		strcmp(row->waits_for, "io") != 0 ? "" : "/s");
	return out;
}

const char *noisy_print_culprit(
	const Croft__V1__NoisyNeighbour *row, unsigned columns, char out[static NOISY_LINE_MAX])
{
	char uses[SHORT_TEXT_MAX];
	char its[SHORT_TEXT_MAX];
	char fair[SHORT_TEXT_MAX];
	char name[NOISY_LINE_MAX];
	struct texts texts = {.of = {NULL}};

	if (!*row->culprit) {
		texts.of[CELL_NOTE] = "it is not known";
		return print("  -", &texts, columns, out);
	}
	texts.of[CELL_USES] = used(row, uses);
	texts.of[CELL_SHARE] = share(row->share_permyriad, its);
	if (!strcmp(row->culprit, "outside")) {
		texts.of[CELL_NOTE] = "no container";
	} else {
		texts.of[CELL_FAIR] = share(row->fair_permyriad, fair);
		if (row->above_fair_share)
			texts.of[CELL_NOTE] = row->same_tenant ? "above, same tenant" : "above";
		else if (row->same_tenant)
			texts.of[CELL_NOTE] = "same tenant";
	}
	short_name(row->culprit, "  ", name, sizeof(name));
	return print(name, &texts, columns, out);
}

bool noisy_same_victim(const Croft__V1__NoisyNeighbour *a, const Croft__V1__NoisyNeighbour *b)
{
	return !strcmp(a->victim, b->victim) && !strcmp(a->waits_for, b->waits_for) &&
	       !strcmp(a->within, b->within);
}
