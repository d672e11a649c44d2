/*
 * An OCI image layout (opencontainers/image-spec, image-layout.md): index.json leads to manifests,
 * directly or through further indexes, and everything is a blob named by its digest.
 */
#include "sandbox/importer/manifest_internal.h"

#include "base/cleanup.h"

#include <string.h>

#define INDEXES_MAX   32
#define MANIFESTS_MAX 256
#define DEPTH_MAX     4

#define INDEX_OCI	"application/vnd.oci.image.index.v1+json"
#define INDEX_DOCKER	"application/vnd.docker.distribution.manifest.list.v2+json"
#define MANIFEST_OCI	"application/vnd.oci.image.manifest.v1+json"
#define MANIFEST_DOCKER "application/vnd.docker.distribution.manifest.v2+json"

/* A manifest that an index leads to. Its name is a tag, or "" */
struct candidate {
	const struct spool_file *file;
	char *name;
};

struct search {
	const struct spool *spool;
	struct candidate found[MANIFESTS_MAX];
	size_t n;
	unsigned indexes;
};

/* The blob that a descriptor names, with the size and digest that it says. */
static int find_blob(const struct spool *spool, const json_t *descriptor, const char *what,
	const struct spool_file **ret, struct err *err)
{
	const char *text = json_doc_string(descriptor, "digest");
	const struct spool_file *file;
	uint8_t digest[SPOOL_DIGEST_SIZE];
	char path[128];

	if (strncmp(text, "sha256:", 7) || !manifest_parse_digest(text, digest))
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive names a %s by a digest that is none of sha256", what);
	snprintf(path, sizeof(path), "blobs/sha256/%s", text + 7);
	file = spool_find(spool, path);
	if (!file)
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive lacks the %s %s", what, text);
	if (memcmp(file->digest, digest, sizeof(digest)))
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive's %s %s is damaged: its digest is another", what, text);
	if (json_doc_number(descriptor, "size") != file->size)
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive's %s %s does not have the size that is said of it", what,
			text);
	*ret = file;
	return 0;
}

/* The tag, where the tools put it. */
static const char *tag_of(const json_t *descriptor)
{
	const json_t *annotations = json_object_get(descriptor, "annotations");
	const char *full = json_doc_string(annotations, "io.containerd.image.name");

	return full[0] ? full : json_doc_string(annotations, "org.opencontainers.image.ref.name");
}

static bool is_for_us(const json_t *descriptor)
{
	const json_t *platform = json_object_get(descriptor, "platform");
	const json_t *annotations = json_object_get(descriptor, "annotations");

	/* What buildkit says about the other manifests. */
	if (json_doc_string(annotations, "vnd.docker.reference.type")[0])
		return false;
	return manifest_fits_host(
		json_doc_string(platform, "os"), json_doc_string(platform, "architecture"));
}

static int add_candidate(
	struct search *s, const struct spool_file *file, const char *name, struct err *err)
{
	char *copy;

	if (s->n == MANIFESTS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive has more than %d images, which is the most", MANIFESTS_MAX);
	copy = strdup(name);
	if (!copy)
		return err_oom(err);
	s->found[s->n++] = (struct candidate){file, copy};
	return 0;
}

static int search_index(struct search *s, const struct spool_file *file, const char *name,
	int depth, struct err *err);

static int search_descriptor(
	struct search *s, const json_t *descriptor, const char *name, int depth, struct err *err)
{
	const char *type = json_doc_string(descriptor, "mediaType");
	const char *tag = tag_of(descriptor);
	const struct spool_file *file;
	bool is_index = !strcmp(type, INDEX_OCI) || !strcmp(type, INDEX_DOCKER);
	int r;

	if (!is_index && strcmp(type, MANIFEST_OCI) && strcmp(type, MANIFEST_DOCKER))
		return 0;
	if (!is_index && !is_for_us(descriptor))
		return 0;
	r = find_blob(s->spool, descriptor, is_index ? "index" : "manifest", &file, err);
	if (r < 0)
		return r;
	if (!tag[0])
		tag = name;
	return is_index ? search_index(s, file, tag, depth + 1, err)
			: add_candidate(s, file, tag, err);
}

static int search_index(struct search *s, const struct spool_file *file, const char *name,
	int depth, struct err *err)
{
	_cleanup_json_ json_t *index = NULL;
	const json_t *manifests;
	const json_t *descriptor;
	size_t i;
	int r;

	if (depth > DEPTH_MAX || ++s->indexes > INDEXES_MAX)
		return json_doc_refuse(err, file, "leads to more indexes than any image needs");
	r = json_doc_read(s->spool, file, &index, err);
	if (r < 0)
		return r;
	manifests = json_object_get(index, "manifests");
	if (json_doc_number(index, "schemaVersion") != 2 || !json_is_array(manifests))
		return json_doc_refuse(err, file, "is no index of images");
	json_array_foreach(manifests, i, descriptor)
	{
		r = search_descriptor(s, descriptor, name, depth, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A full name, its tag, or the manifest's digest. */
static bool is_called(const struct candidate *c, const char *reference)
{
	uint8_t digest[SPOOL_DIGEST_SIZE];

	return !strcmp(c->name, reference) ||
	       (manifest_parse_digest(reference, digest) &&
		       !memcmp(digest, c->file->digest, sizeof(digest)));
}

/* The only one of that name; several tags of one manifest are one. */
static const struct spool_file *choose(
	const struct search *s, const char *reference, struct manifest_names *names)
{
	const struct spool_file *chosen = NULL;
	bool several = false;

	for (size_t i = 0; i < s->n; i++) {
		const struct candidate *c = &s->found[i];
		char hex[SPOOL_HEX_SIZE];

		manifest_names_add(names, c->name[0] ? c->name : spool_hex(c->file->digest, hex));
		if (reference[0] && !is_called(c, reference))
			continue;
		several |= chosen && chosen != c->file;
		chosen = c->file;
	}
	return several ? NULL : chosen;
}

static int read_manifest(const struct spool *spool, const struct spool_file *file,
	struct manifest *m, struct err *err)
{
	_cleanup_json_ json_t *v = NULL;
	const struct spool_file *config;
	const json_t *layers;
	const json_t *layer;
	size_t i;
	int r = json_doc_read(spool, file, &v, err);

	if (r < 0)
		return r;
	layers = json_object_get(v, "layers");
	if (json_doc_number(v, "schemaVersion") != 2 || !json_is_array(layers))
		return json_doc_refuse(err, file, "is no manifest of an image");
	json_array_foreach(layers, i, layer)
	{
		const struct spool_file *blob;

		r = find_blob(spool, layer, "layer", &blob, err);
		if (r == 0)
			r = manifest_add_layer(m, blob, err);
		if (r < 0)
			return r;
	}
	r = find_blob(spool, json_object_get(v, "config"), "config", &config, err);
	return r < 0 ? r : manifest_read_config(spool, config, m, err);
}

static int check_layout(const struct spool *spool, struct err *err)
{
	const struct spool_file *file = spool_find(spool, "oci-layout");
	_cleanup_json_ json_t *v = NULL;
	int r = json_doc_read(spool, file, &v, err);

	if (r == 0 && strncmp(json_doc_string(v, "imageLayoutVersion"), "1.", 2))
		r = json_doc_refuse(err, file, "is of a version that is not known");
	return r;
}

int manifest_read_oci(
	const struct spool *spool, const char *reference, struct manifest *m, struct err *err)
{
	_cleanup_free_ struct search *s = calloc(1, sizeof(*s));
	const struct spool_file *file = NULL;
	struct manifest_names names = {0};
	int r;

	if (!s)
		return err_oom(err);
	s->spool = spool;
	r = check_layout(spool, err);
	if (r == 0)
		r = search_index(s, spool_find(spool, "index.json"), "", 0, err);
	if (r == 0)
		file = choose(s, reference, &names);
	if (r == 0 && !file)
		r = manifest_choose_failed(&names, reference, err);
	for (size_t i = 0; i < s->n; i++)
		free(s->found[i].name);
	return r < 0 ? r : read_manifest(spool, file, m, err);
}
