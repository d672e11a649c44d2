/* The event loop: watches that stop each other, timers in their order. */
#include "tests/unit/unit.h"

#include "base/clock.h"
#include "sandbox/reactor.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>

#define N 3

struct fixture {
	struct reactor *reactor;
	struct watch watches[N];
	struct timer timers[N];
	int fds[N];
	int calls[N];
	char order[32];
	struct timer deadline;
	bool late;
	struct err err;
};

static struct fixture *here;

static void on_deadline(struct timer *timer)
{
	(void)timer;
	here->late = true;
	reactor_stop(here->reactor);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	here = f;
	*state = f;
	for (int i = 0; i < N; i++)
		f->fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (reactor_create(&f->reactor, &f->err) < 0)
		return -1;
	/* A loop that never ends has failed. */
	timer_start(f->reactor, &f->deadline, 20000, on_deadline, NULL);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < N; i++) {
		watch_stop(&f->watches[i]);
		timer_stop(&f->timers[i]);
		close(f->fds[i]);
	}
	timer_stop(&f->deadline);
	reactor_destroy(f->reactor);
	free(f);
	return 0;
}

static void run(struct fixture *f)
{
	assert_int_equal(reactor_run(f->reactor, &f->err), 0);
	assert_false(f->late);
}

static void fire(struct fixture *f, int i)
{
	uint64_t value = 1;

	assert_int_equal(write(f->fds[i], &value, sizeof(value)), sizeof(value));
}

static int index_of(const struct watch *watch)
{
	return (int)(watch - here->watches);
}

static void watch_all(struct fixture *f, watch_fn fn)
{
	for (int i = 0; i < N; i++)
		assert_int_equal(
			watch_start(f->reactor, &f->watches[i], f->fds[i], EPOLLIN, fn, f, &f->err),
			0);
}

static void stop_all_and_end(struct watch *watch, uint32_t events)
{
	struct fixture *f = watch->arg;

	assert_true(events & EPOLLIN);
	f->calls[index_of(watch)]++;
	for (int i = 0; i < N; i++)
		watch_stop(&f->watches[i]);
	reactor_stop(f->reactor);
}

/* All three are ready in one batch: the first to be called silences the others. */
static void a_stopped_watch_is_not_called_for_a_fetched_event(void **state)
{
	struct fixture *f = *state;

	watch_all(f, stop_all_and_end);
	for (int i = 0; i < N; i++)
		fire(f, i);
	run(f);
	assert_int_equal(f->calls[0] + f->calls[1] + f->calls[2], 1);
}

static void count_and_end(struct watch *watch, uint32_t events)
{
	struct fixture *f = watch->arg;

	(void)events;
	f->calls[index_of(watch)]++;
	reactor_stop(f->reactor);
}

/* The control: without the stop, each is called. */
static void every_ready_watch_is_called(void **state)
{
	struct fixture *f = *state;

	watch_all(f, count_and_end);
	for (int i = 0; i < N; i++)
		fire(f, i);
	run(f);
	for (int i = 0; i < N; i++)
		assert_int_equal(f->calls[i], 1);
}

static void stop_self_and_restart_others(struct watch *watch, uint32_t events)
{
	struct fixture *f = watch->arg;

	(void)events;
	f->calls[index_of(watch)]++;
	watch_stop(watch);
	watch_stop(watch);
	if (f->calls[0] + f->calls[1] + f->calls[2] == N)
		reactor_stop(f->reactor);
	/* Anew, for a descriptor that is ready already: told of in a later round. */
	for (int i = 0; i < N; i++)
		if (!f->calls[i]) {
			watch_stop(&f->watches[i]);
			assert_int_equal(watch_start(f->reactor, &f->watches[i], f->fds[i], EPOLLIN,
						 stop_self_and_restart_others, f, &f->err),
				0);
		}
}

static void a_restarted_watch_is_called(void **state)
{
	struct fixture *f = *state;

	watch_all(f, stop_self_and_restart_others);
	for (int i = 0; i < N; i++)
		fire(f, i);
	run(f);
	for (int i = 0; i < N; i++)
		assert_int_equal(f->calls[i], 1);
}

static void free_self(struct watch *watch, uint32_t events)
{
	struct fixture *f = watch->arg;

	(void)events;
	watch_stop(watch);
	free(watch);
	f->calls[0]++;
	reactor_stop(f->reactor);
}

static void a_watch_may_be_freed_in_its_callback(void **state)
{
	struct fixture *f = *state;
	struct watch *watch = calloc(1, sizeof(*watch));

	assert_non_null(watch);
	assert_int_equal(
		watch_start(f->reactor, watch, f->fds[0], EPOLLIN, free_self, f, &f->err), 0);
	fire(f, 0);
	run(f);
	assert_int_equal(f->calls[0], 1);
}

static void a_descriptor_is_watched_once(void **state)
{
	struct fixture *f = *state;
	struct watch second = {0};

	watch_all(f, count_and_end);
	assert_true(watch_start(f->reactor, &second, f->fds[0], EPOLLIN, count_and_end, f,
			    &f->err) < 0);
	assert_null(second.reactor);
	/* A watch that did not start may be stopped. */
	watch_stop(&second);
	fire(f, 0);
	run(f);
	assert_int_equal(f->calls[0], 1);
}

static void end_on_write(struct watch *watch, uint32_t events)
{
	struct fixture *f = watch->arg;

	assert_true(events & EPOLLOUT);
	f->calls[0]++;
	reactor_stop(f->reactor);
}

static void what_is_watched_for_can_change(void **state)
{
	struct fixture *f = *state;

	/* An eventfd is writable; as long as only reading is asked for, nothing happens. */
	assert_int_equal(watch_start(f->reactor, &f->watches[0], f->fds[0], EPOLLIN, end_on_write,
				 f, &f->err),
		0);
	assert_int_equal(watch_change(&f->watches[0], EPOLLOUT), 0);
	run(f);
	assert_int_equal(f->calls[0], 1);
}

static void note(struct timer *timer)
{
	struct fixture *f = timer->arg;
	size_t len = strlen(f->order);

	assert_true(len + 1 < sizeof(f->order));
	f->order[len] = (char)('a' + (timer - f->timers));
}

static void note_and_end(struct timer *timer)
{
	note(timer);
	reactor_stop(here->reactor);
}

static void timers_run_by_due_time(void **state)
{
	struct fixture *f = *state;
	uint64_t begin = clock_boot_usec();

	timer_start(f->reactor, &f->timers[0], 30, note_and_end, f);
	timer_start(f->reactor, &f->timers[1], 0, note, f);
	timer_start(f->reactor, &f->timers[2], 15, note, f);
	run(f);
	assert_string_equal(f->order, "bca");
	assert_true(clock_boot_usec() - begin >= 30000);
}

static void timers_due_together_run_in_the_order_of_their_start(void **state)
{
	struct fixture *f = *state;

	timer_start(f->reactor, &f->timers[2], 0, note, f);
	timer_start(f->reactor, &f->timers[0], 0, note, f);
	timer_start(f->reactor, &f->timers[1], 5, note_and_end, f);
	run(f);
	assert_string_equal(f->order, "cab");
}

static void arming_again_moves_a_timer(void **state)
{
	struct fixture *f = *state;

	timer_start(f->reactor, &f->timers[0], 0, note, f);
	timer_start(f->reactor, &f->timers[1], 10, note, f);
	timer_start(f->reactor, &f->timers[0], 20, note_and_end, f);
	run(f);
	assert_string_equal(f->order, "ba");
	assert_null(f->timers[0].reactor);
}

static void a_stopped_timer_does_not_run(void **state)
{
	struct fixture *f = *state;

	timer_start(f->reactor, &f->timers[0], 0, note, f);
	timer_start(f->reactor, &f->timers[1], 5, note, f);
	timer_start(f->reactor, &f->timers[2], 10, note_and_end, f);
	timer_stop(&f->timers[1]);
	timer_stop(&f->timers[1]);
	run(f);
	assert_string_equal(f->order, "ac");
}

static void stop_the_next(struct timer *timer)
{
	note(timer);
	timer_stop(&here->timers[1]);
}

static void a_timer_may_stop_another_that_is_due(void **state)
{
	struct fixture *f = *state;

	timer_start(f->reactor, &f->timers[0], 0, stop_the_next, f);
	timer_start(f->reactor, &f->timers[1], 0, note, f);
	timer_start(f->reactor, &f->timers[2], 5, note_and_end, f);
	run(f);
	assert_string_equal(f->order, "ac");
}

static void again_until_three(struct timer *timer)
{
	note(timer);
	if (strlen(here->order) == 3)
		reactor_stop(here->reactor);
	else
		timer_start(here->reactor, timer, 1, again_until_three, timer->arg);
}

static void a_timer_may_arm_itself_again(void **state)
{
	struct fixture *f = *state;

	timer_start(f->reactor, &f->timers[0], 0, again_until_three, f);
	run(f);
	assert_string_equal(f->order, "aaa");
}

#define with_fixture(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(a_stopped_watch_is_not_called_for_a_fetched_event),
		with_fixture(every_ready_watch_is_called),
		with_fixture(a_restarted_watch_is_called),
		with_fixture(a_watch_may_be_freed_in_its_callback),
		with_fixture(a_descriptor_is_watched_once),
		with_fixture(what_is_watched_for_can_change),
		with_fixture(timers_run_by_due_time),
		with_fixture(timers_due_together_run_in_the_order_of_their_start),
		with_fixture(arming_again_moves_a_timer),
		with_fixture(a_stopped_timer_does_not_run),
		with_fixture(a_timer_may_stop_another_that_is_due),
		with_fixture(a_timer_may_arm_itself_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
