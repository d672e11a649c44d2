/*
 * An image's config (opencontainers/image-spec, config.md; docker's is the same): what its layers
 * hold, and how it is run. What is not followed (ports, volumes, labels, health) is left out.
 */
#include "sandbox/importer/manifest_internal.h"

#include "base/cleanup.h"

#include <signal.h>
#include <string.h>

#define SIGNAL_MAX 64

static int check_platform(const json_t *v, struct err *err)
{
	const char *os = json_doc_string(v, "os");
	const char *architecture = json_doc_string(v, "architecture");

	if (manifest_fits_host(os, architecture))
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
		"the image is for %.20s/%.20s, and this host is linux/%s", os[0] ? os : "linux",
		architecture, manifest_host_architecture());
}

static int read_diff_ids(
	const json_t *v, const struct spool_file *file, struct manifest *m, struct err *err)
{
	const json_t *ids = json_object_get(json_object_get(v, "rootfs"), "diff_ids");

	if (!json_is_array(ids) || json_array_size(ids) != m->n_layers)
		return json_doc_refuse(err, file, "does not have a diff_id for each layer");
	for (size_t i = 0; i < m->n_layers; i++) {
		const char *text = json_string_value(json_array_get(ids, i));

		if (!text || strncmp(text, "sha256:", 7) ||
			!manifest_parse_digest(text, m->layers[i].diff_id))
			return json_doc_refuse(err, file, "has a diff_id that is none of sha256");
	}
	return 0;
}

/* Appends the strings of a list that may be missing. Returns their number or -errno. */
static int add_strings(const json_t *v, const char *key, char **list, size_t max,
	const struct spool_file *file, struct err *err)
{
	const json_t *strings = json_object_get(v, key);
	const json_t *string;
	size_t n = 0;
	size_t i;

	if (!strings || json_is_null(strings))
		return 0;
	if (!json_is_array(strings))
		return json_doc_refuse(err, file, "has a command or environment that is no list");
	while (list[n])
		n++;
	json_array_foreach(strings, i, string)
	{
		if (!json_is_string(string))
			return json_doc_refuse(err, file,
				"has a command or environment of other "
				"than strings");
		if (n == max)
			return json_doc_refuse(
				err, file, "has more arguments or variables than an image may");
		list[n] = strdup(json_string_value(string));
		if (!list[n++])
			return err_oom(err);
	}
	return (int)json_array_size(strings);
}

/* docker ignores what is no variable. */
static void drop_malformed(char **env)
{
	char **to = env;

	for (char **from = env; *from; from++) {
		if (**from != '=' && strchr(*from, '='))
			*to++ = *from;
		else
			free(*from);
	}
	*to = NULL;
}

/* "SIGTERM", "TERM", "15" or "SIGRTMIN+3". Returns 0 when it is none of these. */
static uint32_t parse_signal(const char *text)
{
	unsigned long number;
	char *end;

	if (!strncmp(text, "SIG", 3))
		text += 3;
	if (!strncmp(text, "RTMIN+", 6)) {
		number = strtoul(text + 6, &end, 10);
		return *end || number > 30 ? 0 : (uint32_t)((unsigned long)SIGRTMIN + number);
	}
	if (*text >= '0' && *text <= '9') {
		number = strtoul(text, &end, 10);
		return *end || number > SIGNAL_MAX ? 0 : (uint32_t)number;
	}
	for (int i = 1; i < SIGRTMIN; i++)
		if (sigabbrev_np(i) && !strcmp(sigabbrev_np(i), text))
			return (uint32_t)i;
	return 0;
}

/* A relative one is taken from the root, as docker does. */
static int set_working_dir(struct manifest *m, const char *dir, struct err *err)
{
	if (asprintf(&m->working_dir, "%s%s", dir[0] && dir[0] != '/' ? "/" : "", dir) < 0) {
		m->working_dir = NULL;
		return err_oom(err);
	}
	return 0;
}

static int read_run(
	const json_t *config, const struct spool_file *file, struct manifest *m, struct err *err)
{
	const char *stop = json_doc_string(config, "StopSignal");
	int r = add_strings(config, "Entrypoint", m->argv, IMAGE_CONFIG_ARGS_MAX, file, err);

	m->has_entrypoint = r > 0;
	if (r >= 0)
		r = add_strings(config, "Cmd", m->argv, IMAGE_CONFIG_ARGS_MAX, file, err);
	if (r >= 0)
		r = add_strings(config, "Env", m->envp, IMAGE_CONFIG_ENV_MAX, file, err);
	if (r < 0)
		return r;
	drop_malformed(m->envp);
	if (m->argv[0] && (!m->argv[0][0] || strlen(m->argv[0]) >= IMAGE_CONFIG_NAME_MAX))
		return json_doc_refuse(err, file, "has a command without a name, or a long one");
	if (stop[0]) {
		m->stop_signal = parse_signal(stop);
		if (!m->stop_signal)
			return json_doc_refuse(err, file, "has a StopSignal that is not known");
	}
	m->user = strdup(json_doc_string(config, "User"));
	if (!m->user)
		return err_oom(err);
	return set_working_dir(m, json_doc_string(config, "WorkingDir"), err);
}

int manifest_read_config(const struct spool *spool, const struct spool_file *file,
	struct manifest *m, struct err *err)
{
	_cleanup_json_ json_t *v = NULL;
	int r = json_doc_read(spool, file, &v, err);

	if (r == 0 && !json_is_object(v))
		r = json_doc_refuse(err, file, "is no config of an image");
	if (r == 0)
		r = check_platform(v, err);
	if (r == 0)
		r = read_diff_ids(v, file, m, err);
	return r < 0 ? r : read_run(json_object_get(v, "config"), file, m, err);
}
