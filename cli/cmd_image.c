/* croft image ...: the trees that containers are made from. Archives are sent, never unpacked. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/busybox.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/image_upload.h"
#include "cli/list.h"
#include "cli/usage.h"
#include "croft/v1/images.pb-c.h"

#include <fcntl.h>
#include <string.h>

#define SERVICE	     (&croft__v1__images__descriptor)
#define BUSYBOX_NAME "busybox"

static const char *signal_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Image *image = (const void *)m;
	int n = image->stop_signal < 65 ? (int)image->stop_signal : 0;
	const char *name = sigabbrev_np(n);

	if (!human || !name)
		snprintf(buf, COLUMN_TEXT_MAX, "%u", image->stop_signal);
	else
		snprintf(buf, COLUMN_TEXT_MAX, "%d (%s)", n, name);
	return buf;
}

static const char *join(char *const *list, size_t n, char buf[static COLUMN_TEXT_MAX])
{
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n && at < COLUMN_TEXT_MAX; i++)
		at += (size_t)snprintf(
			buf + at, COLUMN_TEXT_MAX - at, "%s%s", i ? " " : "", list[i]);
	return buf;
}

/* What an application image runs; nothing for others. */
static const char *command_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__ImageApplication *app = ((const Croft__V1__Image *)m)->application;

	(void)human;
	return join(app ? app->args : NULL, app ? app->n_args : 0, buf);
}

static const char *aliases_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Image *image = (const void *)m;

	(void)human;
	return join(image->aliases, image->n_aliases, buf);
}

static const char *user_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__ImageApplication *app = ((const Croft__V1__Image *)m)->application;

	(void)human;
	snprintf(buf, COLUMN_TEXT_MAX, "%s", app ? app->user : "");
	return buf;
}

static const char *directory_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__ImageApplication *app = ((const Croft__V1__Image *)m)->application;

	(void)human;
	snprintf(buf, COLUMN_TEXT_MAX, "%s", app ? app->working_dir : "");
	return buf;
}

const struct column image_list_columns[] = {
	{"name", "IMAGE", "name", COLUMN_RESOURCE, NULL},
	{"size_bytes", "SIZE", "size_bytes", COLUMN_SIZE, NULL},
	{"entries", "ENTRIES", "entries", COLUMN_PLAIN, NULL},
	{"init", "INIT", "init", COLUMN_PLAIN, NULL},
	{"container_count", "CONTAINERS", "container_count", COLUMN_PLAIN, NULL},
	{"create_time", "CREATED", "create_time", COLUMN_TIME, NULL},
	{0},
};

const struct column image_columns[] = {
	{"name", "image", "name", COLUMN_RESOURCE, NULL},
	{"aliases", "aliases", .kind = COLUMN_CUSTOM, .text = aliases_text},
	{"uid", "uid", "uid", COLUMN_PLAIN, NULL},
	{"init", "init", "init", COLUMN_PLAIN, NULL},
	{"command", "command", .kind = COLUMN_CUSTOM, .text = command_text},
	{"user", "user", .kind = COLUMN_CUSTOM, .text = user_text},
	{"working_dir", "directory", .kind = COLUMN_CUSTOM, .text = directory_text},
	{"stop_signal", "stop signal", .kind = COLUMN_CUSTOM, .text = signal_text},
	{"size_bytes", "size", "size_bytes", COLUMN_SIZE, NULL},
	{"entries", "entries", "entries", COLUMN_PLAIN, NULL},
	{"skipped_devices", "devices left out", "skipped_devices", COLUMN_PLAIN, NULL},
	{"container_count", "containers", "container_count", COLUMN_PLAIN, NULL},
	{"create_time", "created", "create_time", COLUMN_TIME, NULL},
	{0},
};

/* Sends an archive and reports the image. */
static int upload(struct cli *cli, const char *id, struct archive_source *source, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *image = NULL;
	const char *reference = options_get(&cli->options, "reference");
	const char *init = options_get(&cli->options, "init");
	const struct image_upload what = {
		.id = id,
		.init = init ? init : "",
		.reference = reference ? reference : "",
		.source = source,
	};
	struct client *client;
	int r = cli_connect(cli, &client, err);

	if (r == 0)
		r = image_upload(client, &what, &image, err);
	return r < 0 ? r : cli_report(cli, image_columns, image, err, "imported image %s", id);
}

static int import(struct cli *cli, struct err *err)
{
	_cleanup_archive_source_ struct archive_source *source = NULL;
	const char *path = cli_arg(cli, 1);
	const char *rootfs = cli_arg(cli, 2);
	char name[RESOURCE_SIZE];
	int r = cli_image_name(cli_arg(cli, 0), name, err);

	if (r < 0)
		return r;
	if (rootfs && (!strcmp(path, "-") || !strcmp(rootfs, "-")))
		return usage_error(err, "of a split image, both archives must be files");
	if (!strcmp(path, "-") && isatty(STDIN_FILENO))
		return usage_error(err, "standard input is a terminal; give it the archive");
	r = rootfs ? archive_source_open_split(path, rootfs, &source, err)
		   : archive_source_open(path, &source, err);
	return r < 0 ? r : upload(cli, cli_arg(cli, 0), source, err);
}

static int build_busybox(struct cli *cli, struct err *err)
{
	const char *id = cli_arg(cli, 0) ? cli_arg(cli, 0) : BUSYBOX_NAME;
	const char *path = options_get(&cli->options, "busybox");
	_cleanup_archive_source_ struct archive_source *source = NULL;
	struct buffer tar = {0};
	int fd;
	char name[RESOURCE_SIZE];
	int r = cli_image_name(id, name, err);

	if (r == 0)
		r = busybox_build(path ? path : BUSYBOX_PATH, &tar, err);
	if (r < 0)
		return r;
	fd = fd_sealed_memfd("busybox.tar", buffer_bytes(&tar), buffer_size(&tar));
	buffer_finish(&tar);
	if (fd < 0)
		return err_sys(err, fd, "keep the archive in memory");
	r = archive_source_of_fd(fd, &source, err);
	return r < 0 ? r : upload(cli, id, source, err);
}

static int list(struct cli *cli, struct err *err)
{
	Croft__V1__ListImagesRequest request = CROFT__V1__LIST_IMAGES_REQUEST__INIT;

	return list_print(cli, SERVICE, "ListImages", &request.base, image_list_columns, err);
}

static int show(struct cli *cli, struct err *err)
{
	Croft__V1__GetImageRequest request = CROFT__V1__GET_IMAGE_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = cli_image_name(cli_arg(cli, 0), name, err);

	request.name = name;
	return r < 0 ? r : cli_show(cli, SERVICE, "GetImage", &request.base, image_columns, err);
}

static int delete_image(struct cli *cli, struct err *err)
{
	Croft__V1__DeleteImageRequest request = CROFT__V1__DELETE_IMAGE_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = cli_image_name(cli_arg(cli, 0), name, err);

	request.name = name;
	if (r == 0)
		r = cli_call_only(cli, SERVICE, "DeleteImage", &request.base, err);
	return r < 0 ? r : cli_report(cli, NULL, NULL, err, "deleted image %s", cli_arg(cli, 0));
}

static const struct option_rule import_options[] = {
	{.name = "init",
		.value = "PATH",
		.help = "what to run as pid 1, instead of what the import finds or the image says"},
	{.name = "reference",
		.value = "REF",
		.help = "which image of an archive with several, by its tag or digest"},
	{0},
};

static const struct option_rule busybox_options[] = {
	{.name = "busybox",
		.value = "FILE",
		.kind = WORD_FILE,
		.help = "a static busybox (default: " BUSYBOX_PATH ")"},
	{0},
};

const struct command cmd_image_import = {
	.name = "image import",
	.summary =
		"Make an image of a root file system's tar, or of an image of LXD, OCI or docker.",
	.args = {{.name = "NAME"}, {.name = "FILE|DIR|-", .kind = WORD_FILE},
		{.name = "ROOTFS", .kind = WORD_FILE, .optional = true}},
	.options = import_options,
	.run = import,
};

const struct command cmd_image_build_busybox = {
	.name = "image build-busybox",
	.summary = "Make an image of this host's static busybox, without any download.",
	.args = {{.name = "NAME", .optional = true}},
	.options = busybox_options,
	.run = build_busybox,
};

const struct command cmd_image_list = {
	.name = "image list",
	.summary = "List the images.",
	.run = list,
};

const struct command cmd_image_show = {
	.name = "image show",
	.summary = "Show one image.",
	.args = {{.name = "NAME", .kind = WORD_IMAGE}},
	.run = show,
};

const struct command cmd_image_delete = {
	.name = "image delete",
	.summary = "Delete an image that no container uses.",
	.args = {{.name = "NAME", .kind = WORD_IMAGE}},
	.run = delete_image,
};
