/* A container's data for cloud-init; see cloud_init.h. Its YAML is cloud-init's to read, not ours.
 */
#include "server/cloud_init.h"

#include "base/cleanup.h"

#include <string.h>

static const char *const part_names[CLOUD_PART_N] = {
	[CLOUD_USER_DATA] = "user_data",
	[CLOUD_META_DATA] = "meta_data",
	[CLOUD_NETWORK_CONFIG] = "network_config",
	[CLOUD_KEYS] = "ssh_keys",
};

struct cloud_init *cloud_init_ref(struct cloud_init *cloud)
{
	if (cloud)
		cloud->refs++;
	return cloud;
}

void cloud_init_unref(struct cloud_init *cloud)
{
	if (!cloud || --cloud->refs)
		return;
	for (size_t i = 0; i < CLOUD_PART_N; i++) {
		/* Nothing of it stays in memory that is used again. */
		if (cloud->parts[i].data)
			explicit_bzero(cloud->parts[i].data, cloud->parts[i].size);
		free(cloud->parts[i].data);
	}
	free(cloud);
}

static void cleanup_cloud(struct cloud_init **cloud)
{
	cloud_init_unref(*cloud);
}

static size_t size_of(const struct cloud_init *cloud)
{
	size_t size = 0;

	for (size_t i = 0; cloud && i < CLOUD_PART_N; i++)
		size += cloud->parts[i].size;
	return size;
}

int cloud_init_make(const struct cloud_bytes parts[static CLOUD_PART_N], struct cloud_init **ret,
	struct err *err)
{
	_cleanup_(cleanup_cloud) struct cloud_init *cloud = calloc(1, sizeof(*cloud));

	if (!cloud)
		return err_oom(err);
	cloud->refs = 1;
	for (size_t i = 0; i < CLOUD_PART_N; i++) {
		if (!parts[i].size)
			continue;
		cloud->parts[i].data = malloc(parts[i].size);
		if (!cloud->parts[i].data)
			return err_oom(err);
		memcpy(cloud->parts[i].data, parts[i].data, parts[i].size);
		cloud->parts[i].size = parts[i].size;
	}
	*ret = take_ptr(cloud);
	return 0;
}

/* --- what a request says --- */

/* A line goes into the meta data as it is, so it must be one. */
static int check_key(const char *key, struct err *err)
{
	if (!strncmp(key, "-----", 5))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "CLOUD_INIT_INVALID", "ssh_keys",
			"that is no public key, and perhaps a private one, which nobody is to "
			"have: give what ends in .pub");
	for (const char *p = key; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_set_subject(err, ERR_INVALID_ARGUMENT, "CLOUD_INIT_INVALID",
				"ssh_keys", "a key has characters that no line of text has");
	if (!strchr(key, ' '))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "CLOUD_INIT_INVALID", "ssh_keys",
			"\"%.40s\" is not a public key as ssh-keygen writes it", key);
	return 0;
}

static int join_keys(const Croft__V1__CloudInit *msg, struct cloud_bytes *ret, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t size = 0;

	if (msg->n_ssh_keys > CLOUD_INIT_KEYS_MAX)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "CLOUD_INIT_INVALID", "ssh_keys",
			"a container is given at most %u keys", CLOUD_INIT_KEYS_MAX);
	for (size_t i = 0; i < msg->n_ssh_keys; i++) {
		if (check_key(msg->ssh_keys[i], err) < 0)
			return -EINVAL;
		size += strlen(msg->ssh_keys[i]) + 1;
	}
	data = malloc(size + 1);
	if (!data)
		return err_oom(err);
	size = 0;
	for (size_t i = 0; i < msg->n_ssh_keys; i++) {
		size_t length = strlen(msg->ssh_keys[i]) + 1;

		memcpy(data + size, msg->ssh_keys[i], length);
		size += length;
	}
	ret->data = take_ptr(data);
	ret->size = size;
	return 0;
}

/* Its place in the meta data is behind a line of ours. */
static int check_meta_data(const struct cloud_bytes *bytes, struct err *err)
{
	if (!bytes->size || !memchr(bytes->data, '\0', bytes->size))
		return 0;
	return err_set_subject(err, ERR_INVALID_ARGUMENT, "CLOUD_INIT_INVALID",
		part_names[CLOUD_META_DATA], "meta data are lines of YAML, without NUL bytes");
}

static int check_size(
	const struct tenant *tenant, const struct container *of, size_t size, struct err *err)
{
	size_t sum = size;
	struct map_node *node;

	MAP_FOREACH(node, &tenant->containers)
	{
		const struct container *c = map_object(node, struct container, by_name);

		if (c != of)
			sum += size_of(c->cloud_init);
	}
	if (sum <= CLOUD_INIT_TENANT_BYTES_MAX)
		return 0;
	return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "CLOUD_INIT_LIMIT", "cloud_init",
		"the containers of tenant %s would have %zu bytes for cloud-init, and may have %u "
		"together; take it from those that have booted (set --no-cloud-init)",
		tenant->name, sum, CLOUD_INIT_TENANT_BYTES_MAX);
}

/* The parts that a request sets, over the old ones. All but the keys are borrowed. */
static void merge(const struct cloud_init *old, const Croft__V1__CloudInit *msg, unsigned fields,
	const struct cloud_bytes *keys, struct cloud_bytes ret[static CLOUD_PART_N])
{
	const struct cloud_bytes given[CLOUD_PART_N] = {
		[CLOUD_USER_DATA] = {msg->user_data.data, msg->user_data.len},
		[CLOUD_META_DATA] = {msg->meta_data.data, msg->meta_data.len},
		[CLOUD_NETWORK_CONFIG] = {msg->network_config.data, msg->network_config.len},
		[CLOUD_KEYS] = *keys,
	};

	for (unsigned i = 0; i < CLOUD_PART_N; i++) {
		if (fields & (CLOUD_INIT_ALL | 2u << i))
			ret[i] = given[i];
		else if (old)
			ret[i] = old->parts[i];
	}
}

int cloud_init_change(const struct tenant *tenant, const struct container *of,
	struct cloud_init *old, const Croft__V1__CloudInit *msg, unsigned fields,
	struct cloud_init **ret, struct err *err)
{
	static const Croft__V1__CloudInit empty = CROFT__V1__CLOUD_INIT__INIT;
	struct cloud_bytes parts[CLOUD_PART_N] = {0};
	struct cloud_bytes keys = {0};
	size_t size = 0;
	int r;

	if (!fields || (!msg && fields & CLOUD_INIT_ALL)) {
		*ret = fields ? NULL : cloud_init_ref(old);
		return 0;
	}
	if (!msg)
		msg = &empty;
	r = join_keys(msg, &keys, err);
	if (r < 0)
		return r;
	merge(old, msg, fields, &keys, parts);
	for (size_t i = 0; i < CLOUD_PART_N; i++)
		size += parts[i].size;
	if (size > CLOUD_INIT_BYTES_MAX)
		r = err_set_subject(err, ERR_INVALID_ARGUMENT, "CLOUD_INIT_INVALID", "cloud_init",
			"the data for cloud-init are %zu bytes, and may be %u in all; have them "
			"include the rest from elsewhere",
			size, CLOUD_INIT_BYTES_MAX);
	if (r == 0)
		r = check_meta_data(&parts[CLOUD_META_DATA], err);
	if (r == 0)
		r = check_size(tenant, of, size, err);
	if (r == 0)
		r = cloud_init_make(parts, ret, err);
	free(keys.data);
	return r;
}

int cloud_init_copy(const struct container *from, struct container *to, struct err *err)
{
	int r = from->cloud_init ? check_size(to->tenant, to, size_of(from->cloud_init), err) : 0;

	if (r < 0)
		return r;
	to->cloud_init = cloud_init_ref(from->cloud_init);
	model_make_uid(to->cloud_id);
	return 0;
}

uint32_t cloud_init_count_keys(const struct cloud_bytes *keys)
{
	uint32_t n = 0;

	for (size_t i = 0; i < keys->size; i++)
		n += !keys->data[i];
	return n;
}

void cloud_init_info(const struct container *c, Croft__V1__CloudInitInfo *out)
{
	const struct cloud_bytes *parts = c->cloud_init->parts;

	croft__v1__cloud_init_info__init(out);
	out->instance_id = (char *)c->cloud_id;
	out->user_data_bytes = (uint32_t)parts[CLOUD_USER_DATA].size;
	out->meta_data_bytes = (uint32_t)parts[CLOUD_META_DATA].size;
	out->network_config_bytes = (uint32_t)parts[CLOUD_NETWORK_CONFIG].size;
	out->ssh_key_count = cloud_init_count_keys(&parts[CLOUD_KEYS]);
}
