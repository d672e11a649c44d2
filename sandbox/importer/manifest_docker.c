/*
 * What `docker save` and `podman save` write: a manifest.json that names a config and layers for
 * each image.
 */
#include "sandbox/importer/manifest_internal.h"

#include "base/cleanup.h"
#include "sandbox/importer/entry_path.h"

#include <string.h>

static const struct spool_file *find(
	const struct spool *spool, const char *name, const char *what, struct err *err)
{
	const struct spool_file *file = NULL;
	char quoted[ENTRY_QUOTED_MAX];
	char path[PATH_MAX];

	if (entry_path_clean(name, path, NULL) == 0)
		file = spool_find(spool, path);
	if (!file)
		err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive lacks the %s \"%s\" that its manifest names", what,
			entry_path_quote(name, quoted));
	return file;
}

/* Configs are named by their digest: HEX.json, sha256:HEX, or blobs/sha256/HEX. */
static int check_config_name(const char *name, const struct spool_file *file, struct err *err)
{
	const char *slash = strrchr(name, '/');
	uint8_t digest[SPOOL_DIGEST_SIZE];
	char base[7 + 2 * SPOOL_DIGEST_SIZE + 1];

	snprintf(base, sizeof(base), "%s", slash ? slash + 1 : name);
	base[strcspn(base, ".")] = '\0';
	if (manifest_parse_digest(base, digest) && memcmp(digest, file->digest, sizeof(digest)))
		return json_doc_refuse(err, file, "does not have the digest that it is named by");
	return 0;
}

static int read_image(
	const struct spool *spool, const json_t *image, struct manifest *m, struct err *err)
{
	const char *config_name = json_doc_string(image, "Config");
	const json_t *layers = json_object_get(image, "Layers");
	const struct spool_file *config = find(spool, config_name, "config", err);
	const json_t *layer;
	size_t i;
	int r;

	if (!config)
		return -EINVAL;
	r = check_config_name(config_name, config, err);
	json_array_foreach(layers, i, layer)
	{
		const char *name = json_string_value(layer);
		const struct spool_file *file;

		if (r < 0)
			return r;
		file = find(spool, name ? name : "", "layer", err);
		if (!file)
			return -EINVAL;
		r = manifest_add_layer(m, file, err);
	}
	return r < 0 ? r : manifest_read_config(spool, config, m, err);
}

static bool has_name(const json_t *image, const char *reference)
{
	const char *config = json_doc_string(image, "Config");
	const json_t *tags = json_object_get(image, "RepoTags");
	uint8_t wanted[SPOOL_DIGEST_SIZE];
	const json_t *tag;
	size_t i;

	json_array_foreach(tags, i, tag)
	{
		if (json_is_string(tag) && !strcmp(json_string_value(tag), reference))
			return true;
	}
	if (!manifest_parse_digest(reference, wanted))
		return false;
	if (!strncmp(reference, "sha256:", 7))
		reference += 7;
	return strstr(config, reference) != NULL;
}

/* A tag, or else the config's name. */
static const char *name_of(const json_t *image)
{
	const char *tag = json_string_value(json_array_get(json_object_get(image, "RepoTags"), 0));

	return tag ? tag : json_doc_string(image, "Config");
}

int manifest_read_docker(
	const struct spool *spool, const char *reference, struct manifest *m, struct err *err)
{
	const struct spool_file *file = spool_find(spool, "manifest.json");
	struct manifest_names names = {0};
	_cleanup_json_ json_t *images = NULL;
	const json_t *chosen = NULL;
	const json_t *image;
	size_t i;
	int r = json_doc_read(spool, file, &images, err);

	if (r < 0)
		return r;
	if (!json_is_array(images) || !json_array_size(images))
		return json_doc_refuse(err, file, "is no list of images");
	json_array_foreach(images, i, image)
	{
		if (!json_is_object(image))
			return json_doc_refuse(err, file, "is no list of images");
		manifest_names_add(&names, name_of(image));
		if (reference[0] ? has_name(image, reference) : json_array_size(images) == 1)
			chosen = image;
	}
	if (!chosen)
		return manifest_choose_failed(&names, reference, err);
	return read_image(spool, chosen, m, err);
}
