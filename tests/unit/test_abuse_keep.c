/* server/abuse_keep.c: windows of many containers are put on record a slice a turn of the loop. */
#include "tests/unit/db_lab.h"
#include "tests/unit/unit.h"

#include "server/abuse_internal.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define TENANTS	   100
#define CONTAINERS 20
#define KEPT	   2
#define ALL	   (TENANTS * CONTAINERS * KEPT)

static const char rules[] =
	"[rule forks]\nsignal = forks-denied\nthreshold = 1000\nwindow = 10m\naction = notify\n"
	"[rule full]\nsignal = cpu-full\nthreshold = 90\nwindow = 12h\naction = notify\n"
	"[rule disk]\nsignal = disk-write\nthreshold = 1G\nwindow = 1h\naction = notify\n";

struct lab {
	struct fixture *f;
	struct config config;
	struct abuse abuse;
	struct server server;
};

static void make_container(struct lab *lab, struct tenant *t, int number)
{
	char name[NAME_SIZE];
	struct container *c;

	snprintf(name, sizeof(name), "c%04d", number);
	c = model_add_container(t, name);
	c->visible = true;
	snprintf(c->uid, sizeof(c->uid), "%d", number);
	for (size_t rule = 0; rule < lab->abuse.rules->n; rule++) {
		struct abuse_track *track = &abuse_subject_of(&lab->server, t, c)->tracks[rule];

		track->window = malloc(sizeof(*track->window));
		abuse_window_init(track->window, lab->abuse.rules->list[rule].window_usec);
		track->changed = true;
	}
}

static int setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	char name[NAME_SIZE];
	struct err err;

	if (abuse_rules_parse(rules, strlen(rules), "test", &lab->abuse.rules, &err) < 0 ||
		db_lab_make((void **)&lab->f) < 0)
		return -1;
	db_lab_start(lab->f);
	lab->server.config = &lab->config;
	lab->server.abuse = &lab->abuse;
	lab->server.base = lab->f->base;
	lab->server.db = lab->f->db;
	for (int i = 0; i < TENANTS; i++) {
		struct tenant *t;

		snprintf(name, sizeof(name), "t%02d", i);
		t = model_add_tenant(&lab->server.model, name);
		t->visible = true;
		snprintf(t->uid, sizeof(t->uid), "%d", i);
		for (int j = 0; j < CONTAINERS; j++)
			make_container(lab, t, i * CONTAINERS + j);
	}
	*state = lab;
	return 0;
}

static int teardown(void **state)
{
	struct lab *lab = *state;
	void *f = lab->f;

	model_finish(&lab->server.model);
	abuse_keeper_finish(&lab->abuse.keeper);
	free(lab->abuse.rules);
	free(lab);
	return db_lab_drop(&f);
}

/* How many are still to be put on record. */
static size_t left(const struct lab *lab)
{
	struct container *c = NULL;
	size_t n = 0;

	while ((c = model_next_container(&lab->server.model, c)))
		for (size_t rule = 1; rule <= KEPT; rule++)
			n += c->abuse->tracks[rule].changed;
	return n;
}

/* Goes round the loop until no more is put down; never too much of it at once. */
static void go_on(struct lab *lab)
{
	size_t before;

	do {
		before = left(lab);
		event_base_loop(lab->f->base, EVLOOP_ONCE);
		assert_true(before - left(lab) < ABUSE_ROWS_A_TURN + KEPT);
	} while (evtimer_pending(lab->abuse.keeper.turn, NULL));
}

static int64_t rows(struct lab *lab)
{
	int64_t n = -1;
	struct err err;

	db_stop(lab->f->db);
	assert_int_equal(db_query(lab->f->db, "SELECT count(*) FROM abuse_windows",
				 db_lab_take_number, &n, &err, ""),
		0);
	return n;
}

static void a_slice_a_turn(void **state)
{
	struct lab *lab = *state;

	abuse_keep_when_due(&lab->server);
	assert_true(left(lab) > ALL - ABUSE_ROWS_A_TURN - KEPT && left(lab) < ALL);
	go_on(lab);
	assert_int_equal(left(lab), 0);
	/* Not again at once. */
	model_next_container(&lab->server.model, NULL)->abuse->tracks[1].changed = true;
	abuse_keep_when_due(&lab->server);
	assert_int_equal(left(lab), 1);
	assert_int_equal(rows(lab), ALL);
}

/* The walk stands at one of them. */
static void what_goes_meanwhile_keeps_out_no_other(void **state)
{
	struct lab *lab = *state;
	struct model *model = &lab->server.model;
	char at[NAME_SIZE];
	struct tenant *t;

	abuse_keep_when_due(&lab->server);
	memcpy(at, lab->abuse.keeper.tenant, sizeof(at));
	t = model_any_tenant(model, at);
	assert_non_null(t);
	model_remove_container(model_any_container(t, lab->abuse.keeper.container));
	event_base_loop(lab->f->base, EVLOOP_ONCE);
	t = model_any_tenant(model, lab->abuse.keeper.tenant);
	assert_string_not_equal(t->name, at);
	while (t->containers.n)
		model_remove_container(model_any_container(t, map_after(&t->containers, "")->key));
	model_remove_tenant(model, t);
	go_on(lab);
	assert_int_equal(left(lab), 0);
	assert_true(rows(lab) >= ALL - CONTAINERS * KEPT);
}

static void all_at_the_end(void **state)
{
	struct lab *lab = *state;

	abuse_keep_when_due(&lab->server);
	abuse_keep(&lab->server);
	assert_int_equal(left(lab), 0);
	assert_int_equal(rows(lab), ALL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_slice_a_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_goes_meanwhile_keeps_out_no_other, setup, teardown),
		cmocka_unit_test_setup_teardown(all_at_the_end, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
