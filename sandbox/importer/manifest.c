/* Which kind of manifest an archive has, and what both kinds share; see manifest.h. */
#include "sandbox/importer/manifest_internal.h"

#include "base/cleanup.h"
#include "sandbox/importer/entry_path.h"

#include <string.h>

#define NAMES_SHOWN 12

bool manifest_parse_digest(const char *text, uint8_t ret[static SPOOL_DIGEST_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	if (!strncmp(text, "sha256:", 7))
		text += 7;
	if (strlen(text) != 2 * SPOOL_DIGEST_SIZE || strspn(text, digits) != strlen(text))
		return false;
	for (size_t i = 0; i < SPOOL_DIGEST_SIZE; i++)
		ret[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 |
				   (strchr(digits, text[2 * i + 1]) - digits));
	return true;
}

int manifest_add_layer(struct manifest *m, const struct spool_file *file, struct err *err)
{
	struct manifest_layer *layers;

	if (m->n_layers == MANIFEST_LAYERS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the image has more than %d layers, which is the most; flatten it",
			MANIFEST_LAYERS_MAX);
	layers = reallocarray(m->layers, m->n_layers + 1, sizeof(*layers));
	if (!layers)
		return err_oom(err);
	m->layers = layers;
	layers[m->n_layers++] = (struct manifest_layer){.file = file};
	return 0;
}

const char *manifest_host_architecture(void)
{
	/* As Go, and so every tool that writes such images, names them. */
#if defined(__x86_64__)
	return "amd64";
#elif defined(__aarch64__)
	return "arm64";
#elif defined(__riscv) && __riscv_xlen == 64
	return "riscv64";
#else
#error "name this machine's architecture here"
#endif
}

bool manifest_fits_host(const char *os, const char *architecture)
{
	return (!os[0] || !strcmp(os, "linux")) &&
	       (!architecture[0] || !strcmp(architecture, manifest_host_architecture()));
}

void manifest_names_add(struct manifest_names *names, const char *name)
{
	char quoted[ENTRY_QUOTED_MAX];
	size_t length = strlen(names->text);

	names->n++;
	if (names->n > NAMES_SHOWN)
		return;
	snprintf(names->text + length, sizeof(names->text) - length, "%s%s", length ? ", " : "",
		entry_path_quote(name, quoted));
}

int manifest_choose_failed(
	const struct manifest_names *names, const char *reference, struct err *err)
{
	char quoted[ENTRY_QUOTED_MAX];
	const char *more = names->n > NAMES_SHOWN ? ", ..." : "";

	if (!names->n)
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive has no image for this host (linux/%s)",
			manifest_host_architecture());
	if (reference[0])
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "IMAGE_NOT_IN_ARCHIVE",
			"reference", "the archive has no one image \"%s\"; it has: %s%s",
			entry_path_quote(reference, quoted), names->text, more);
	return err_set_subject(err, ERR_INVALID_ARGUMENT, "IMAGE_AMBIGUOUS", "reference",
		"the archive has %zu images; choose one with --reference: %s%s", names->n,
		names->text, more);
}

int manifest_read(
	const struct spool *spool, const char *reference, struct manifest *ret, struct err *err)
{
	int r;

	*ret = (struct manifest){0};
	if (!reference)
		reference = "";
	/* Newer dockers write both; the layout has digests for all. */
	if (spool_find(spool, "index.json") && spool_find(spool, "oci-layout"))
		r = manifest_read_oci(spool, reference, ret, err);
	else if (spool_find(spool, "manifest.json"))
		r = manifest_read_docker(spool, reference, ret, err);
	else
		r = err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive looks like one of an image, but has neither a manifest.json "
			"nor an oci-layout with its index.json");
	if (r < 0)
		manifest_finish(ret);
	return r;
}

void manifest_finish(struct manifest *m)
{
	for (char **arg = m->argv; *arg; arg++)
		free(*arg);
	for (char **env = m->envp; *env; env++)
		free(*env);
	free(m->user);
	free(m->working_dir);
	free(m->layers);
	*m = (struct manifest){0};
}
