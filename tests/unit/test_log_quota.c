/* server/log_quota.h: what is kept of a container's output, and how fast a tenant's is read. */
#include "server/log_quota.h"

#include "tests/unit/unit.h"

#include <string.h>

#define MIB (UINT64_C(1) << 20)

struct fixture {
	struct server server;
	struct config config;
	struct tenant *tenant;
	struct container *first;
};

static void make(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->config.log_size_bytes = 2 * MIB;
	f->server.config = &f->config;
	f->tenant = model_add_tenant(&f->server.model, "acme");
	assert_non_null(f->tenant);
	f->first = model_add_container(f->tenant, "web");
	assert_non_null(f->first);
}

static uint64_t quota(struct fixture *f)
{
	return log_quota_bytes(&f->server, f->first);
}

static void the_least_of_three_counts(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	assert_int_equal(quota(&f), 2 * MIB);
	f.first->limits.value[LIMIT_LOG] = 8 * MIB;
	assert_int_equal(quota(&f), 8 * MIB);
	f.tenant->limits.value[LIMIT_LOG] = 9 * MIB;
	assert_int_equal(quota(&f), 8 * MIB);
	assert_non_null(model_add_container(f.tenant, "db"));
	assert_non_null(model_add_container(f.tenant, "mail"));
	assert_int_equal(quota(&f), 3 * MIB);
	f.first->limits.value[LIMIT_LOG] = LIMIT_UNSET;
	assert_int_equal(quota(&f), 2 * MIB);
	model_finish(&f.server.model);
}

static void a_tenant_has_the_sum(void **state)
{
	struct fixture f;
	struct container *other;

	(void)state;
	make(&f);
	other = model_add_container(f.tenant, "db");
	assert_non_null(other);
	log_quota_kept(&f.server, f.first, MIB);
	log_quota_kept(&f.server, other, MIB / 2);
	assert_int_equal(f.tenant->log_bytes, MIB + MIB / 2);
	log_quota_kept(&f.server, f.first, 7);
	assert_int_equal(f.tenant->log_bytes, MIB / 2 + 7);
	container_ref(other);
	model_remove_container(other);
	log_quota_kept(&f.server, other, MIB);
	assert_int_equal(f.tenant->log_bytes, 7);
	container_unref(other);
	model_finish(&f.server.model);
}

/* Many outputs that are always full get the rate together, and each its turn. */
static void turns_are_within_the_rate(void **state)
{
	struct tenant tenant = {0};
	unsigned last = 0;

	(void)state;
	for (unsigned i = 1; i <= 64; i++) {
		unsigned ms = log_quota_pay(&tenant, 64 << 10);
		unsigned due = i * (64u << 10) / (LOG_TENANT_RATE / 1000) + 1;

		assert_true(ms >= last);
		assert_true(ms <= due);
		last = ms;
	}
	/* A second's worth was taken at once: the last waits for about that long. */
	assert_in_range(last, 500, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_of_three_counts),
		cmocka_unit_test(a_tenant_has_the_sum),
		cmocka_unit_test(turns_are_within_the_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
