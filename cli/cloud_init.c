/* Data for cloud-init as options; see cloud_init.h. What is in the files is the server's to judge,
 * but for a private key, which is not even sent. */
#include "cli/cloud_init.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/usage.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define FILE_MOST 65536u /* croft.v1.CloudInit: in all */

void cloud_init_finish(struct cloud_init_message *m)
{
	free(m->message.ssh_keys);
	for (size_t i = 0; i < m->n_files; i++)
		free(m->files[i]);
}

/* The whole file, with a NUL behind it. */
static int read_file(const char *path, char **ret, size_t *ret_size, struct err *err)
{
	_cleanup_free_ char *data = malloc(FILE_MOST + 2);
	_cleanup_close_ int opened = -1;
	int fd = STDIN_FILENO;
	ssize_t n;

	if (!data)
		return err_oom(err);
	if (strcmp(path, "-") != 0)
		fd = opened = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
	n = fd_read_full(fd, data, FILE_MOST + 1);
	if (n < 0)
		return err_sys(err, (int)n, "read %s", path);
	if ((size_t)n > FILE_MOST)
		return err_set(err, ERR_INVALID_ARGUMENT, "CLOUD_INIT_INVALID",
			"%s has more than %u bytes, the most that a container is given for "
			"cloud-init; have it include the rest from elsewhere",
			path, FILE_MOST);
	data[n] = '\0';
	*ret = take_ptr(data);
	*ret_size = (size_t)n;
	return 0;
}

static int read_part(const struct options *o, const char *option, const char *mask_path,
	ProtobufCBinaryData *to, struct cloud_init_message *m, struct err *err)
{
	const char *path = options_get(o, option);
	char *data;
	size_t size;
	int r = path ? read_file(path, &data, &size, err) : 0;

	if (r < 0 || !path)
		return r;
	m->files[m->n_files++] = data;
	to->data = (uint8_t *)data;
	to->len = size;
	m->paths[m->n_paths++] = mask_path;
	return 0;
}

static int too_many_keys(struct err *err)
{
	return usage_error(err, "a container is given at most %d keys", CLOUD_INIT_KEYS);
}

/* Adds the lines of a file to the keys; they point into text, which is cut up. */
static int add_keys(struct cloud_init_message *m, const char *path, char *text, struct err *err)
{
	char *rest = NULL;
	size_t before = m->message.n_ssh_keys;

	for (char *line = strtok_r(text, "\r\n", &rest); line;
		line = strtok_r(NULL, "\r\n", &rest)) {
		line += strspn(line, " \t");
		if (!*line || *line == '#')
			continue;
		if (!strncmp(line, "-----", 5))
			return usage_error(err,
				"%s is no public key, and perhaps a private one: give what ends in "
				".pub",
				path);
		if (m->message.n_ssh_keys == CLOUD_INIT_KEYS)
			return too_many_keys(err);
		m->message.ssh_keys[m->message.n_ssh_keys++] = line;
	}
	return m->message.n_ssh_keys > before ? 0 : usage_error(err, "%s has no key in it", path);
}

static int read_keys(const struct options *o, struct cloud_init_message *m, struct err *err)
{
	const char *path;
	size_t pos = 0;
	size_t n = 0;
	int r = 0;

	if (!options_has(o, "ssh-key"))
		return 0;
	m->message.ssh_keys = calloc(CLOUD_INIT_KEYS, sizeof(char *));
	if (!m->message.ssh_keys)
		return err_oom(err);
	while (r == 0 && (path = options_next(o, "ssh-key", &pos))) {
		size_t size;

		if (n++ == CLOUD_INIT_KEYS)
			return too_many_keys(err);
		r = read_file(path, &m->files[m->n_files], &size, err);
		if (r == 0)
			r = add_keys(m, path, m->files[m->n_files++], err);
	}
	m->paths[m->n_paths++] = "cloud_init.ssh_keys";
	return r;
}

int cloud_init_read(const struct options *o, struct cloud_init_message *ret, struct err *err)
{
	Croft__V1__CloudInit *message = &ret->message;
	int r;

	memset(ret, 0, sizeof(*ret));
	croft__v1__cloud_init__init(message);
	r = read_part(o, "user-data", "cloud_init.user_data", &message->user_data, ret, err);
	if (r == 0)
		r = read_part(
			o, "meta-data", "cloud_init.meta_data", &message->meta_data, ret, err);
	if (r == 0)
		r = read_part(o, "network-config", "cloud_init.network_config",
			&message->network_config, ret, err);
	if (r == 0)
		r = read_keys(o, ret, err);
	if (r < 0) {
		cloud_init_finish(ret);
		return r;
	}
	ret->given = ret->n_paths || options_has(o, "cloud-init");
	return 0;
}

int cloud_init_read_change(const struct options *o, struct cloud_init_message *m,
	Croft__V1__Container *c, const char **paths, size_t *n_paths, struct err *err)
{
	bool removed = options_has(o, "no-cloud-init");
	int r = cloud_init_read(o, m, err);

	if (r < 0)
		return r;
	if (removed && m->given) {
		cloud_init_finish(m);
		return usage_error(err, "--no-cloud-init takes away what the others give");
	}
	c->cloud_init = m->given ? &m->message : NULL;
	if (removed)
		paths[(*n_paths)++] = "cloud_init";
	for (size_t i = 0; i < m->n_paths; i++)
		paths[(*n_paths)++] = m->paths[i];
	return 0;
}

static size_t put_size(char *buf, size_t n, const char *what, uint32_t bytes)
{
	if (!bytes || n >= COLUMN_TEXT_MAX)
		return n;
	return n + (size_t)snprintf(buf + n, COLUMN_TEXT_MAX - n, "%s%s %u bytes", n ? ", " : "",
			   what, bytes);
}

const char *cloud_init_text(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__CloudInitInfo *info = ((const Croft__V1__Container *)m)->cloud_init_info;
	size_t n = 0;

	(void)human;
	buf[0] = '\0';
	if (!info)
		return buf;
	n = put_size(buf, n, "user data", info->user_data_bytes);
	n = put_size(buf, n, "meta data", info->meta_data_bytes);
	n = put_size(buf, n, "network config", info->network_config_bytes);
	if (info->ssh_key_count && n < COLUMN_TEXT_MAX)
		n += (size_t)snprintf(buf + n, COLUMN_TEXT_MAX - n, "%s%u key%s", n ? ", " : "",
			info->ssh_key_count, info->ssh_key_count == 1 ? "" : "s");
	if (!n)
		snprintf(buf, COLUMN_TEXT_MAX, "its name and id");
	return buf;
}
