/*
 * The files that cloud-init reads, made of what a container was given; see cloud_init.h. What
 * somebody else wrote into them is quoted, or follows what is Croft's.
 */
#include "server/cloud_init.h"

#include "base/cleanup.h"
#include "sandbox/supervisor_client.h"

#include <stdio.h>
#include <string.h>

/* Both files must be there for the data source to be found (cloud-init's ds-identify). */
static const char no_user_data[] = "#cloud-config\n{}\n";
/* Croft has set up the network before init ran (cloud-init: "Disabling network configuration"). */
static const char no_network_config[] = "config: disabled\n";

/* A scalar of YAML in double quotes; the key has no control characters. */
static void put_quoted(FILE *out, const char *key)
{
	fputc('"', out);
	for (; *key; key++) {
		if (*key == '"' || *key == '\\')
			fputc('\\', out);
		fputc(*key, out);
	}
	fputs("\"\n", out);
}

static void put_meta_data(FILE *out, const struct container *c)
{
	const struct cloud_bytes *keys = &c->cloud_init->parts[CLOUD_KEYS];
	const struct cloud_bytes *own = &c->cloud_init->parts[CLOUD_META_DATA];

	fprintf(out, "instance-id: %s\nlocal-hostname: %s\n", c->cloud_id, c->name);
	if (keys->size)
		fputs("public-keys:\n", out);
	for (size_t at = 0; at < keys->size; at += strlen((char *)keys->data + at) + 1) {
		fputs("  - ", out);
		put_quoted(out, (char *)keys->data + at);
	}
	if (own->size)
		fwrite(own->data, 1, own->size, out);
	fputc('\n', out);
}

static int make_meta_data(const struct container *c, char **ret, size_t *ret_size, struct err *err)
{
	FILE *out = open_memstream(ret, ret_size);

	if (!out)
		return err_oom(err);
	put_meta_data(out, c);
	if (fclose(out) == 0)
		return 0;
	free(*ret);
	*ret = NULL;
	return err_oom(err);
}

static void set_file(struct cloud_seed *seed, enum cloud_seed_file file,
	const struct cloud_bytes *bytes, const char *otherwise)
{
	seed->files[file].data = bytes->size ? (const void *)bytes->data : otherwise;
	seed->files[file].size = bytes->size ? bytes->size : strlen(otherwise);
}

int cloud_init_pack(const struct container *c, int *ret_fd, struct err *err)
{
	_cleanup_free_ char *meta_data = NULL;
	struct cloud_seed seed = {0};
	size_t size = 0;
	int r;

	if (!c->cloud_init) {
		*ret_fd = -1;
		return 0;
	}
	r = make_meta_data(c, &meta_data, &size, err);
	if (r < 0)
		return r;
	set_file(&seed, CLOUD_SEED_USER_DATA, &c->cloud_init->parts[CLOUD_USER_DATA], no_user_data);
	set_file(&seed, CLOUD_SEED_NETWORK, &c->cloud_init->parts[CLOUD_NETWORK_CONFIG],
		no_network_config);
	seed.files[CLOUD_SEED_META_DATA].data = meta_data;
	seed.files[CLOUD_SEED_META_DATA].size = size;
	return cloud_seed_pack(&seed, ret_fd, err);
}
