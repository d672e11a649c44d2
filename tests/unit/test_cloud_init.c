/* What a container is given for cloud-init: what is asked for, what is refused, what it finds. */
#include "server/cloud_init.h"

#include "tests/unit/unit.h"

#include "base/cleanup.h"
#include "sandbox/cloud_seed.h"

#include <string.h>

#define KEY "ssh-ed25519 AAAA me@here"

struct world {
	struct model model;
	struct tenant *tenant;
	struct container *container;
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->tenant = model_add_tenant(&w->model, "acme");
	w->container = w->tenant ? model_add_container(w->tenant, "web") : NULL;
	*state = w;
	return w->container ? 0 : -1;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	model_finish(&w->model);
	free(w);
	return 0;
}

static void set(ProtobufCBinaryData *to, const char *text)
{
	to->data = (uint8_t *)text;
	to->len = strlen(text);
}

/* As an update does, which the container then has. */
static int change(struct world *w, const Croft__V1__CloudInit *msg, unsigned fields)
{
	struct container *c = w->container;
	struct cloud_init *changed;
	struct err err;
	int r = cloud_init_change(w->tenant, c, c->cloud_init, msg, fields, &changed, &err);

	if (r < 0)
		return r;
	cloud_init_unref(c->cloud_init);
	c->cloud_init = changed;
	return 0;
}

static void assert_part(const struct world *w, enum cloud_part part, const char *text)
{
	const struct cloud_bytes *bytes = &w->container->cloud_init->parts[part];

	assert_int_equal(bytes->size, strlen(text));
	assert_memory_equal(bytes->data, text, bytes->size);
}

static void parts_change_by_themselves(void **state)
{
	Croft__V1__CloudInit msg = CROFT__V1__CLOUD_INIT__INIT;
	struct world *w = *state;

	assert_int_equal(change(w, NULL, CLOUD_INIT_ALL), 0);
	assert_null(w->container->cloud_init);
	set(&msg.user_data, "one");
	set(&msg.network_config, "two");
	assert_int_equal(change(w, &msg, CLOUD_INIT_ALL), 0);
	set(&msg.user_data, "three");
	set(&msg.network_config, "unused");
	assert_int_equal(change(w, &msg, 1u << 1), 0);
	assert_part(w, CLOUD_USER_DATA, "three");
	assert_part(w, CLOUD_NETWORK_CONFIG, "two");
	/* A part that is named and not there is taken away, and so is the whole. */
	assert_int_equal(change(w, NULL, 1u << 3), 0);
	assert_part(w, CLOUD_USER_DATA, "three");
	assert_part(w, CLOUD_NETWORK_CONFIG, "");
	assert_int_equal(change(w, &msg, 0), 0);
	assert_part(w, CLOUD_USER_DATA, "three");
	assert_int_equal(change(w, NULL, CLOUD_INIT_ALL), 0);
	assert_null(w->container->cloud_init);
}

static void keys_are_lines(void **state)
{
	static const char *const bad[] = {"", "ssh-ed25519", "a b\nc: d", "a b\rc", "a\tb c",
		"-----BEGIN OPENSSH PRIVATE KEY-----", "a b\x7f"};
	Croft__V1__CloudInit msg = CROFT__V1__CLOUD_INIT__INIT;
	char *keys[CLOUD_INIT_KEYS_MAX + 1];
	struct world *w = *state;

	msg.ssh_keys = keys;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		keys[i] = (char *)KEY;
	msg.n_ssh_keys = CLOUD_INIT_KEYS_MAX;
	assert_int_equal(change(w, &msg, CLOUD_INIT_ALL), 0);
	assert_int_equal(cloud_init_count_keys(&w->container->cloud_init->parts[CLOUD_KEYS]),
		CLOUD_INIT_KEYS_MAX);
	msg.n_ssh_keys++;
	assert_true(change(w, &msg, CLOUD_INIT_ALL) < 0);
	msg.n_ssh_keys = 2;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		keys[1] = (char *)bad[i];
		if (change(w, &msg, CLOUD_INIT_ALL) == 0)
			fail_msg("\"%s\" is no key", bad[i]);
	}
}

static void sizes_are_bounded(void **state)
{
	_cleanup_free_ uint8_t *much = calloc(1, CLOUD_INIT_BYTES_MAX + 1);
	Croft__V1__CloudInit msg = CROFT__V1__CLOUD_INIT__INIT;
	struct world *w = *state;
	struct container *c = NULL;
	char name[NAME_SIZE];
	struct err err;
	unsigned n = 1;

	assert_non_null(much);
	msg.user_data.data = much;
	msg.user_data.len = CLOUD_INIT_BYTES_MAX + 1;
	assert_true(change(w, &msg, CLOUD_INIT_ALL) < 0);
	msg.user_data.len = CLOUD_INIT_BYTES_MAX;
	assert_int_equal(change(w, &msg, CLOUD_INIT_ALL), 0);
	/* Together with what is there already. */
	set(&msg.meta_data, "a: b");
	assert_true(change(w, &msg, 1u << 2) < 0);
	/* And those of a tenant together; a change does not count what it replaces. */
	for (; n < CLOUD_INIT_TENANT_BYTES_MAX / CLOUD_INIT_BYTES_MAX; n++) {
		snprintf(name, sizeof(name), "c%u", n);
		c = model_add_container(w->tenant, name);
		assert_non_null(c);
		assert_int_equal(cloud_init_copy(w->container, c, &err), 0);
	}
	assert_int_equal(change(w, &msg, 1u << 1), 0);
	c = model_add_container(w->tenant, "more");
	assert_non_null(c);
	assert_true(cloud_init_copy(w->container, c, &err) < 0);
	assert_string_equal(err.reason, "CLOUD_INIT_LIMIT");
	assert_null(c->cloud_init);
}

static void assert_file(const struct cloud_seed *seed, enum cloud_seed_file file, const char *text)
{
	assert_int_equal(seed->files[file].size, strlen(text));
	assert_memory_equal(seed->files[file].data, text, strlen(text));
}

static void what_is_not_given_is_made(void **state)
{
	Croft__V1__CloudInit msg = CROFT__V1__CLOUD_INIT__INIT;
	struct world *w = *state;
	_cleanup_close_ int fd = -1;
	struct cloud_seed seed;
	struct err err;
	char meta[256];

	assert_int_equal(cloud_init_pack(w->container, &fd, &err), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(change(w, &msg, CLOUD_INIT_ALL), 0);
	assert_int_equal(cloud_init_pack(w->container, &fd, &err), 0);
	assert_int_equal(cloud_seed_open(fd, &seed, &err), 0);
	assert_file(&seed, CLOUD_SEED_USER_DATA, "#cloud-config\n{}\n");
	assert_file(&seed, CLOUD_SEED_NETWORK, "config: disabled\n");
	snprintf(meta, sizeof(meta), "instance-id: %s\nlocal-hostname: web\n\n",
		w->container->cloud_id);
	assert_file(&seed, CLOUD_SEED_META_DATA, meta);
}

static void keys_are_quoted_and_meta_data_follow(void **state)
{
	Croft__V1__CloudInit msg = CROFT__V1__CLOUD_INIT__INIT;
	char *keys[] = {(char *)KEY, (char *)"from=\"a\\b\" ssh-rsa B: #x"};
	struct world *w = *state;
	_cleanup_close_ int fd = -1;
	struct cloud_seed seed;
	struct err err;
	char meta[512];

	msg.ssh_keys = keys;
	msg.n_ssh_keys = ARRAY_SIZE(keys);
	set(&msg.meta_data, "zone: b");
	set(&msg.user_data, "x");
	assert_int_equal(change(w, &msg, CLOUD_INIT_ALL), 0);
	assert_int_equal(cloud_init_pack(w->container, &fd, &err), 0);
	assert_int_equal(cloud_seed_open(fd, &seed, &err), 0);
	snprintf(meta, sizeof(meta),
		"instance-id: %s\nlocal-hostname: web\npublic-keys:\n  - \"" KEY
		"\"\n  - \"from=\\\"a\\\\b\\\" ssh-rsa B: #x\"\nzone: b\n",
		w->container->cloud_id);
	assert_file(&seed, CLOUD_SEED_META_DATA, meta);
	assert_file(&seed, CLOUD_SEED_USER_DATA, "x");
	/* A NUL would end what a reader in C sees of it. */
	msg.meta_data.data = (uint8_t *)"a\0b";
	msg.meta_data.len = 3;
	assert_true(change(w, &msg, 1u << 2) < 0);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(parts_change_by_themselves),
		IN_WORLD(keys_are_lines),
		IN_WORLD(sizes_are_bounded),
		IN_WORLD(what_is_not_given_is_made),
		IN_WORLD(keys_are_quoted_and_meta_data_follow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
