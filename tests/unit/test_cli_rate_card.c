/* cli/rate_card.h: exact amounts, and cards that are refused. */
#include "cli/rate_card.h"

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define PRICE "\"price\":\"0.01\",\"per\":\"3\",\"unit\":\"Units\""
#define CARD(plans)                                                                                \
	"{\"version\":1,\"currency\":\"EUR\",\"digits\":2,\"provider\":\"P\",\"service\":\"S\","   \
	"\"plans\":" plans "}"
#define ONE(price) CARD("{\"small\":{\"prices\":{\"cpu.used\":{" price "}}}}")

#define UNIT(unit) ONE("\"price\":\"1\",\"per\":\"3\",\"unit\":\"" unit "\"")

static void amounts_are_read_and_written(void **state)
{
	static const char *const same[] = {"0", "1", "0.0000000001", "12.5",
		"34028236692093846346337460743.1768211455", "1000"};
	static const char *const bad[] = {"", "-1", "+1", "1e5", ".5", "1.", "1,5", " 1", "1 ",
		"0.00000000001", "34028236692093846346337460743.1768211456", "0x1"};
	char text[RATE_MONEY_MAX];
	rate_u128 value;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		assert_int_equal(rate_parse_decimal(same[i], &value), 0);
		assert_string_equal(rate_format(value, RATE_DIGITS, false, text), same[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(rate_parse_decimal(bad[i], &value) < 0);
	assert_int_equal(rate_parse_decimal("001.500", &value), 0);
	assert_string_equal(rate_format(value, RATE_DIGITS, true, text), "-1.5");
	assert_int_equal(rate_parse_whole("340282366920938463463374607431768211455", &value), 0);
	assert_true(rate_parse_whole("340282366920938463463374607431768211456", &value) < 0);
	assert_true(rate_parse_whole("1.0", &value) < 0);
}

static void costs_are_rounded_once(void **state)
{
	static const struct {
		const char *price;
		uint64_t per;
		const char *quantity;
		const char *want;
	} rows[] = {
		{"0.01", 3, "1", "0.0033333333"},
		{"0.02", 3, "1", "0.0066666667"},
		{"0.01", 3, "3", "0.01"},
		{"0.0000000001", 2, "1", "0.0000000001"}, /* half is up */
		{"0.0000000001", 3, "1", "0"},
		{"0.0000000001", 3, "2", "0.0000000001"},
		{"0.1", 10, "3", "0.03"},
		{"0.012", 3600000000, "7200000000000", "24"},
	};
	struct err err;
	rate_u128 quantity;
	rate_u128 cost;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rate_price price = {.per = rows[i].per};
		char text[RATE_MONEY_MAX];

		assert_int_equal(rate_parse_decimal(rows[i].price, &price.price), 0);
		assert_int_equal(rate_parse_whole(rows[i].quantity, &quantity), 0);
		assert_int_equal(rate_cost(&price, quantity, &cost, &err), 0);
		assert_string_equal(rate_format(cost, RATE_DIGITS, false, text), rows[i].want);
	}
	assert_true(rate_cost(&(struct rate_price){.price = 1u << 20, .per = 1},
			    (rate_u128)1 << 110, &cost, &err) < 0);
	assert_string_equal(err.reason, "AMOUNT_TOO_LARGE");
}

static void totals_are_rounded_to_the_currency(void **state)
{
	static const struct {
		unsigned digits;
		const char *amount;
		const char *want;
	} rows[] = {
		{2, "1.005", "1.01"},
		{2, "1.0049999999", "1"},
		{0, "0.5", "1"},
		{0, "0.4999999999", "0"},
		{4, "1.00005", "1.0001"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rate_card card = {.digits = rows[i].digits};
		char text[RATE_MONEY_MAX];
		rate_u128 amount;

		assert_int_equal(rate_parse_decimal(rows[i].amount, &amount), 0);
		assert_string_equal(
			rate_format(rate_round(&card, amount), RATE_DIGITS, false, text),
			rows[i].want);
	}
}

static void a_card_is_read(void **state)
{
	static const char text[] = CARD(
		"{\"small\":{\"minimum\":\"5\",\"prices\":{\"cpu.used\":{" PRICE
		",\"included\":\"7\"}}},\"*\":{\"prices\":{\"net.egress\":{" PRICE "}}}}");
	struct rate_card card;
	struct err err;
	const struct rate_plan *plan;

	(void)state;
	assert_int_equal(rate_card_parse(text, strlen(text), &card, &err), 0);
	plan = rate_card_plan(&card, "small");
	assert_string_equal(plan->name, "small");
	assert_true(rate_plan_price(plan, "cpu.used")->included == 7);
	assert_null(rate_plan_price(plan, "net.egress"));
	assert_string_equal(rate_card_plan(&card, "large")->name, "*");
	rate_card_finish(&card);
}

static void units_are_those_of_focus(void **state)
{
	static const char *const good[] = {UNIT("Hours"), UNIT("GiB-Hours"), UNIT("1000 Requests"),
		UNIT("Mb/Second"), UNIT("b/Second"), UNIT("B"), UNIT("10 GB-Hours/3 Months"),
		UNIT("Core-Hours")};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct rate_card card;
		struct err err;

		assert_int_equal(rate_card_parse(good[i], strlen(good[i]), &card, &err), 0);
		rate_card_finish(&card);
	}
}

static void what_is_not_understood_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"version\":2}",
		CARD("{}"),
		CARD("{\"Small\":{\"prices\":{\"cpu.used\":{" PRICE "}}}}"),
		CARD("{\"small\":{\"prices\":{}}}"),
		CARD("{\"small\":{\"prices\":{\"cpu.used\":{" PRICE "}},\"minimun\":\"5\"}}"),
		CARD("{\"small\":{\"prices\":{\"cpu.used\":{" PRICE "}},\"minimum\":5}}"),
		CARD("{\"small\":{\"prices\":{\"cpu.used\":{" PRICE "},\"cpu.used\":{" PRICE
		     "}}}}"),
		CARD("{\"small\":{\"prices\":{\"CPU\":{" PRICE "}}}}"),
		ONE("\"per\":\"3\",\"unit\":\"Units\""),
		ONE("\"price\":\"0.01\",\"unit\":\"Units\""),
		ONE("\"price\":\"0.01\",\"per\":\"3\""),
		ONE("\"price\":0.01,\"per\":\"3\",\"unit\":\"Units\""),
		ONE("\"price\":\"1e2\",\"per\":\"3\",\"unit\":\"Units\""),
		ONE("\"price\":\"-1\",\"per\":\"3\",\"unit\":\"Units\""),
		ONE("\"price\":\"1\",\"per\":\"0\",\"unit\":\"Units\""),
		ONE("\"price\":\"1\",\"per\":\"1.5\",\"unit\":\"Units\""),
		ONE("\"price\":\"1\",\"per\":\"3\",\"unit\":\"\""),
		UNIT("hours"),
		UNIT("Core Hours"),
		UNIT("GiB-"),
		UNIT("GiB-hours"),
		UNIT("-Hours"),
		UNIT("GiB/"),
		UNIT("GiB/Hour/Day"),
		UNIT("0 Units"),
		UNIT("1000"),
		UNIT("1000 "),
		UNIT("Units "),
		UNIT("Units/1 "),
		ONE(PRICE ",\"free\":\"1\""),
		"{\"version\":1,\"currency\":\"eur\",\"provider\":\"P\",\"service\":\"S\","
		"\"plans\":"
		"{\"*\":{\"prices\":{\"cpu.used\":{" PRICE "}}}}}",
		"{\"version\":1,\"currency\":\"EUR\",\"provider\":\"\",\"service\":\"S\",\"plans\":"
		"{\"*\":{\"prices\":{\"cpu.used\":{" PRICE "}}}}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct rate_card card = {.n_plans = 0};
		struct err err;

		if (rate_card_parse(bad[i], strlen(bad[i]), &card, &err) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_true(*err.msg);
	}
}

/* Each by its name, with what there is instead. */
static void meters_that_there_are_not(void **state)
{
#define METER(name) CARD("{\"small\":{\"prices\":{\"" name "\":{" PRICE "}}}}")
	static const struct {
		const char *card;
		const char *name;
		const char *instead; /* NULL: it is taken */
	} rows[] = {
		{METER("cpu.used"), "", NULL},
		{METER("tenant.disk.allocated"), "", NULL},
		{METER("net.p95"), "", NULL},
		{METER("cpu.usd"), "\"cpu.usd\"", "cpu.used, cpu.throttled, cpu.allocated"},
		{METER("CPU.used"), "\"CPU.used\"",
			"cpu., memory., pids., running, net., io., disk., volume., snapshot., "
			"ipv4., "
			"tenant."},
		{METER("net.egres"), "\"net.egres\"", "net.egress.outside.packets"},
		{METER(""), "\"\"", "cpu., "},
		{METER("cpu"), "\"cpu\"", "cpu.used"},
		{METER("memory.peak"), "memory.peak", "no sum"},
		{METER("pids.peaks"), "\"pids.peaks\"", "pids.denied"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rate_card card = {.n_plans = 0};
		struct err err = {0};
		int r = rate_card_parse(rows[i].card, strlen(rows[i].card), &card, &err);

		if (!rows[i].instead) {
			assert_int_equal(r, 0);
			rate_card_finish(&card);
			continue;
		}
		assert_true(r < 0);
		if (!strstr(err.msg, rows[i].name) || !strstr(err.msg, rows[i].instead) ||
			!strstr(err.msg, "small"))
			fail_msg("%s", err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(amounts_are_read_and_written),
		cmocka_unit_test(costs_are_rounded_once),
		cmocka_unit_test(meters_that_there_are_not),
		cmocka_unit_test(totals_are_rounded_to_the_currency),
		cmocka_unit_test(a_card_is_read),
		cmocka_unit_test(units_are_those_of_focus),
		cmocka_unit_test(what_is_not_understood_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
