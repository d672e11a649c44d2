/* From a manifest to an image's config; see app_config.h. Nothing of the image is executed. */
#include "sandbox/importer/app_config.h"

#include "base/cleanup.h"
#include "sandbox/importer/entry_path.h"

#include <signal.h>
#include <string.h>

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_among(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* What images of distributions have as their command, for want of another. */
static bool is_bare_shell(const struct manifest *m)
{
	static const char *const shells[] = {"ash", "bash", "dash", "sh", "zsh"};

	return !m->has_entrypoint && m->argv[0] && !m->argv[1] &&
	       is_among(base_name(m->argv[0]), shells, ARRAY_SIZE(shells));
}

/* Programs that want to be pid 1 themselves. */
static bool is_init(const char *command)
{
	static const char *const inits[] = {"dumb-init", "init", "openrc-init", "runit",
		"runit-init", "s6-svscan", "systemd", "tini"};

	return command[0] == '/' && is_among(base_name(command), inits, ARRAY_SIZE(inits));
}

static uint32_t stop_signal(const struct manifest *m, const struct image_report *report)
{
	if (m->stop_signal)
		return m->stop_signal;
	/* As croftd has it for an init that was found. */
	if (report->init == IMAGE_INIT_SYSTEMD && !strcmp(m->argv[0], report->init_path))
		return (uint32_t)SIGRTMIN + 3;
	return SIGTERM;
}

/* As docker does when such an image is run; a name that leads nowhere is left to the start. */
static int make_working_dir(const char *dir, struct tree *tree, struct err *err)
{
	char path[PATH_MAX];

	while (*dir == '/')
		dir++;
	if (!*dir || entry_path_clean(dir, path, NULL) < 0)
		return 0;
	return tree_make_dir(tree, path, err);
}

int app_config_write(const struct manifest *m, struct tree *tree, const struct image_report *report,
	struct wire_writer *w, struct err *err)
{
	bool has_init = report->init != IMAGE_INIT_NONE;
	struct image_config config;
	int r;

	if (!m->argv[0] || (has_init && is_bare_shell(m)))
		return 0;
	config = (struct image_config){
		.argv = (char **)m->argv,
		.envp = (char **)m->envp,
		.user = m->user,
		.working_dir = m->working_dir,
		.stop_signal = stop_signal(m, report),
		.is_init = is_init(m->argv[0]),
	};
	image_config_write(&config, w);
	if (w->error == -EMSGSIZE)
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the image's command and environment are larger than the %u KiB that they "
			"may be",
			IMAGE_CONFIG_BYTES_MAX >> 10);
	if (w->error)
		return err_oom(err);
	r = make_working_dir(m->working_dir, tree, err);
	return r < 0 ? err_wrap(err, r, "the working directory") : 0;
}
