/*
 * The config of an application image as bytes; see image_config.h. Must never believe a count, a
 * length or a string of them.
 */
#include "sandbox/image_config.h"

#include "base/cleanup.h"

#include <string.h>
#include <sys/stat.h>

#define SIGNAL_MAX 64

/* The config, its pointers and a copy of the bytes that they point into. */
struct parsed {
	struct image_config config; /* first: what callers hold */
	char *argv[IMAGE_CONFIG_ARGS_MAX + 1];
	char *envp[IMAGE_CONFIG_ENV_MAX + 1];
	uint8_t bytes[];
};

static void write_list(struct wire_writer *w, char *const *list)
{
	uint32_t n = 0;

	while (list[n])
		n++;
	wire_put_u32(w, n);
	for (uint32_t i = 0; i < n; i++)
		wire_put_str(w, list[i]);
}

void image_config_write(const struct image_config *config, struct wire_writer *w)
{
	write_list(w, config->argv);
	write_list(w, config->envp);
	wire_put_str(w, config->user);
	wire_put_str(w, config->working_dir);
	wire_put_u32(w, config->stop_signal);
	wire_put_u32(w, config->is_init);
}

static bool read_list(struct wire_reader *r, char **list, uint32_t max)
{
	uint32_t n = wire_get_u32(r);

	if (r->error || n > max)
		return false;
	for (uint32_t i = 0; i < n; i++)
		list[i] = (char *)wire_get_str(r, IMAGE_CONFIG_BYTES_MAX);
	return !r->error;
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static bool is_sound(const struct image_config *config)
{
	if (!config->argv[0] || !config->argv[0][0] ||
		strlen(config->argv[0]) >= IMAGE_CONFIG_NAME_MAX)
		return false;
	for (char **env = config->envp; *env; env++)
		if (**env == '=' || !strchr(*env, '='))
			return false;
	if (config->working_dir[0] && config->working_dir[0] != '/')
		return false;
	return is_printable(config->user) && is_printable(config->working_dir) &&
	       config->stop_signal >= 1 && config->stop_signal <= SIGNAL_MAX;
}

static bool parse(struct parsed *p, size_t size)
{
	struct image_config *config = &p->config;
	struct wire_reader r;
	uint32_t is_init;

	wire_reader_init(&r, p->bytes, size);
	config->argv = p->argv;
	config->envp = p->envp;
	if (!read_list(&r, p->argv, IMAGE_CONFIG_ARGS_MAX) ||
		!read_list(&r, p->envp, IMAGE_CONFIG_ENV_MAX))
		return false;
	config->user = wire_get_str(&r, IMAGE_CONFIG_BYTES_MAX);
	config->working_dir = wire_get_str(&r, IMAGE_CONFIG_BYTES_MAX);
	config->stop_signal = wire_get_u32(&r);
	is_init = wire_get_u32(&r);
	config->is_init = is_init;
	return wire_reader_end(&r) == 0 && is_init <= 1 && is_sound(config);
}

int image_config_parse(const void *data, size_t size, struct image_config **ret, struct err *err)
{
	_cleanup_free_ struct parsed *p = NULL;

	if (size > IMAGE_CONFIG_BYTES_MAX) {
		err_set(err, ERR_DATA_LOSS, "IMAGE_CONFIG_INVALID",
			"the image's config is too large");
		return -EBADMSG;
	}
	p = calloc(1, sizeof(*p) + size);
	if (!p)
		return err_oom(err);
	memcpy(p->bytes, data, size);
	if (!parse(p, size)) {
		err_set(err, ERR_DATA_LOSS, "IMAGE_CONFIG_INVALID",
			"the image's config is malformed");
		return -EBADMSG;
	}
	*ret = &take_ptr(p)->config;
	return 0;
}

int image_config_read(int fd, struct image_config **ret, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > IMAGE_CONFIG_BYTES_MAX)
		return err_sys(err, EBADMSG, "read the image's config");
	data = malloc((size_t)st.st_size + 1);
	if (!data)
		return err_oom(err);
	n = pread(fd, data, (size_t)st.st_size, 0);
	if (n != st.st_size)
		return err_sys(err, n < 0 ? errno : EBADMSG, "read the image's config");
	return image_config_parse(data, (size_t)n, ret, err);
}

void image_config_free(struct image_config *config)
{
	free(config);
}

bool image_reference_is_valid(const char *reference)
{
	size_t n = strnlen(reference, IMAGE_REFERENCE_MAX);

	if (n == IMAGE_REFERENCE_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (reference[i] <= ' ' || reference[i] >= 0x7f)
			return false;
	return true;
}
