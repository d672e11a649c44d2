/*
 * Reads rate cards; see rate_card.h. A card that is not wholly understood is refused: a price that
 * croft skips is a bill that is wrong.
 */
#include "cli/rate_card.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/meters.h"
#include "policy/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CARD_BYTES_MAX (1u << 20)
#define DEPTH_MAX      5
#define PATH_TEXT_MAX  160
#define REASON	       "RATE_CARD_INVALID"
#define DIGITS_MAX     4u
#define PER_MAX	       UINT64_C(1000000000000000000)

/* A member that must be there, printable and not too long. */
static int get_text(
	const json_t *o, const char *path, const char *key, size_t size, char *ret, struct err *err)
{
	const char *text = NULL;
	int r = json_get_string(o, path, key, &text, err);

	if (r < 0)
		return r;
	if (!text || !*text || strlen(text) >= size)
		return json_bad(err, REASON, path, "\"%s\" must be a text of 1 to %zu bytes", key,
			size - 1);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return json_bad(err, REASON, path, "\"%s\" has a control character", key);
	snprintf(ret, size, "%s", text);
	return 0;
}

/* A number as a text, so that no JSON reader on its way makes a binary fraction of it. */
static int get_number(const json_t *o, const char *path, const char *key, bool decimal,
	rate_u128 *ret, struct err *err)
{
	const char *text = NULL;
	int r = json_get_string(o, path, key, &text, err);

	if (r < 0 || !text)
		return r;
	r = decimal ? rate_parse_decimal(text, ret) : rate_parse_whole(text, ret);
	if (r < 0)
		return json_bad(err, REASON, path,
			decimal ? "\"%s\" must be a number such as \"0.012\", of at most 10 "
				  "decimals"
				: "\"%s\" must be a whole number such as \"3600\"",
			key);
	return 0;
}

/* One that is mistyped would be free, and nobody would notice. */
static int check_meter(const char *path, const char *name, struct err *err)
{
	const struct meter_name *meter = meter_find(name);
	char list[METER_LIST_MAX];

	if (!meter)
		return json_bad(err, REASON, path, "there is no meter \"%.40s\"; there are %s",
			name, meter_list_like(name, list));
	if (!meter->has_price)
		return json_bad(err, REASON, path,
			"%s is a peak, which has no sum that could have a price; take it out",
			name);
	return 0;
}

static const char *skip_quantity(const char *p)
{
	const char *end = p;

	while (*end >= '0' && *end <= '9')
		end++;
	return end > p && *p != '0' && *end == ' ' ? end + 1 : p;
}

/* "b", "KiB" and the like, or a noun that begins with a capital. NULL: neither. */
static const char *skip_unit(const char *p)
{
	size_t n = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

	return n && ((*p >= 'A' && *p <= 'Z') || (n == 1 && *p == 'b')) ? p + n : NULL;
}

/* FOCUS, "Unit Format": "GiB-Hours", "1000 Requests", "Mb/Second". */
static bool is_focus_unit(const char *text)
{
	const char *p = skip_unit(skip_quantity(text));

	while (p && *p == '-')
		p = skip_unit(p + 1);
	if (p && *p == '/')
		p = skip_unit(skip_quantity(p + 1));
	return p && !*p;
}

static int read_price(const json_t *o, const char *path, const char *meter, struct rate_price *ret,
	struct err *err)
{
	static const char *const keys[] = {"price", "per", "unit", "included", NULL};
	rate_u128 per = 0;
	int r = json_check_keys(o, path, keys, err);

	if (r < 0)
		return r;
	r = check_meter(path, meter, err);
	if (r < 0)
		return r;
	if (!json_object_get(o, "price"))
		return json_bad(err, REASON, path, "\"price\" is missing");
	snprintf(ret->meter, sizeof(ret->meter), "%s", meter);
	r = get_text(o, path, "unit", sizeof(ret->unit), ret->unit, err);
	if (r == 0 && !is_focus_unit(ret->unit))
		return json_bad(err, REASON, path,
			"\"unit\" must be a unit as FOCUS writes them, such as \"GiB-Hours\", "
			"\"1000 Requests\" or \"Mb/Second\"");
	if (r == 0)
		r = get_number(o, path, "price", true, &ret->price, err);
	if (r == 0)
		r = get_number(o, path, "per", false, &per, err);
	if (r == 0)
		r = get_number(o, path, "included", false, &ret->included, err);
	if (r == 0 && (!per || per > PER_MAX))
		return json_bad(err, REASON, path,
			"\"per\" must say of how many of the meter's unit the price is");
	ret->per = (uint64_t)per;
	return r;
}

static int read_prices(const json_t *o, const char *path, struct rate_plan *plan, struct err *err)
{
	const char *meter;
	json_t *v;
	size_t n = json_object_size(o);
	int r = 0;

	if (!n || n > RATE_PRICES_MAX)
		return json_bad(err, REASON, path, "must have 1 to %u meters", RATE_PRICES_MAX);
	plan->prices = calloc(n, sizeof(*plan->prices));
	if (!plan->prices)
		return err_oom(err);
	json_object_foreach((json_t *)o, meter, v)
	{
		char at[PATH_TEXT_MAX];

		json_path_key(at, sizeof(at), path, meter);
		r = read_price(v, at, meter, &plan->prices[plan->n_prices], err);
		if (r < 0)
			break;
		plan->n_prices++;
	}
	return r;
}

static int read_plan(
	const json_t *o, const char *path, const char *name, struct rate_plan *ret, struct err *err)
{
	static const char *const keys[] = {"minimum", "prices", NULL};
	const json_t *prices = NULL;
	char at[PATH_TEXT_MAX];
	int r = json_check_keys(o, path, keys, err);

	if (r < 0)
		return r;
	if (strcmp(name, "*") != 0 && !name_is_valid(name))
		return json_bad(err, REASON, path, "that is no plan's name, nor \"*\"");
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	r = get_number(o, path, "minimum", true, &ret->minimum, err);
	if (r == 0)
		r = json_get_object(o, path, "prices", &prices, err);
	if (r < 0)
		return r;
	if (!prices)
		return json_bad(err, REASON, path, "\"prices\" is missing");
	return read_prices(prices, json_path_key(at, sizeof(at), path, "prices"), ret, err);
}

static int read_plans(const json_t *o, struct rate_card *card, struct err *err)
{
	const char *name;
	json_t *v;
	size_t n = json_object_size(o);
	int r = 0;

	if (!n || n > RATE_PLANS_MAX)
		return json_bad(err, REASON, "plans", "must have 1 to %u plans", RATE_PLANS_MAX);
	card->plans = calloc(n, sizeof(*card->plans));
	if (!card->plans)
		return err_oom(err);
	json_object_foreach((json_t *)o, name, v)
	{
		char at[PATH_TEXT_MAX];

		json_path_key(at, sizeof(at), "plans", name);
		r = read_plan(v, at, name, &card->plans[card->n_plans++], err);
		if (r < 0)
			break;
	}
	return r;
}

static int read_head(const json_t *o, struct rate_card *card, struct err *err)
{
	uint64_t version = 0;
	uint64_t digits = 2;
	bool present = false;
	int r = json_get_u64(o, "", "version", 1, &version, &present, err);

	if (r < 0)
		return r;
	if (version != 1)
		return json_bad(err, REASON, "", "\"version\" must be 1");
	r = json_get_u64(o, "", "digits", DIGITS_MAX, &digits, &present, err);
	if (r == 0)
		r = get_text(o, "", "currency", sizeof(card->currency), card->currency, err);
	if (r == 0)
		r = get_text(o, "", "provider", sizeof(card->provider), card->provider, err);
	if (r == 0)
		r = get_text(o, "", "service", sizeof(card->service), card->service, err);
	if (r == 0 && strspn(card->currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
		return json_bad(
			err, REASON, "", "\"currency\" must be three letters of ISO 4217, as EUR");
	card->digits = (unsigned)digits;
	return r;
}

static void cleanup_card_json(json_t **v)
{
	json_decref(*v);
}

int rate_card_parse(const char *text, size_t size, struct rate_card *ret, struct err *err)
{
	static const char *const keys[] = {
		"version", "currency", "digits", "provider", "service", "plans", NULL};
	_cleanup_(cleanup_card_json) json_t *o = NULL;
	struct rate_card card = {.n_plans = 0};
	const json_t *plans = NULL;
	int r = json_read(text, size, DEPTH_MAX, &o, err);

	if (r == 0)
		r = json_check_keys(o, "", keys, err);
	if (r == 0)
		r = read_head(o, &card, err);
	if (r == 0)
		r = json_get_object(o, "", "plans", &plans, err);
	if (r == 0 && !plans)
		r = json_bad(err, REASON, "", "\"plans\" is missing");
	if (r == 0)
		r = read_plans(plans, &card, err);
	if (r < 0) {
		rate_card_finish(&card);
		return r;
	}
	*ret = card;
	return 0;
}

int rate_card_load(const char *path, struct rate_card *ret, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *text = malloc(CARD_BYTES_MAX + 1);
	ssize_t n;

	if (!text)
		return err_oom(err);
	if (fd < 0)
		return err_sys(err, errno, "open the rate card %.100s", path);
	n = fd_read_full(fd, text, CARD_BYTES_MAX + 1);
	if (n < 0)
		return err_sys(err, (int)-n, "read the rate card %.100s", path);
	if (n > CARD_BYTES_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, REASON,
			"the rate card is larger than %u bytes", CARD_BYTES_MAX);
	return rate_card_parse(text, (size_t)n, ret, err);
}

void rate_card_finish(struct rate_card *card)
{
	for (size_t i = 0; i < card->n_plans; i++)
		free(card->plans[i].prices);
	free(card->plans);
	card->plans = NULL;
	card->n_plans = 0;
}

const struct rate_plan *rate_card_plan(const struct rate_card *card, const char *plan)
{
	const struct rate_plan *other = NULL;

	for (size_t i = 0; i < card->n_plans; i++) {
		if (!strcmp(card->plans[i].name, plan))
			return &card->plans[i];
		if (!strcmp(card->plans[i].name, "*"))
			other = &card->plans[i];
	}
	return other;
}

const struct rate_price *rate_plan_price(const struct rate_plan *plan, const char *meter)
{
	for (size_t i = 0; i < plan->n_prices; i++)
		if (!strcmp(plan->prices[i].meter, meter))
			return &plan->prices[i];
	return NULL;
}
