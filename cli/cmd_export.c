/*
 * croft export: a container as one file. What the server sends is not looked at; the file appears
 * only when it is whole.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "croft/v1/containers.pb-c.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SERVICE (&croft__v1__containers__descriptor)

static int receive_all(
	struct cli *cli, struct call *call, int fd, uint64_t *ret_bytes, struct err *err)
{
	char size[LIMIT_TEXT_MAX];
	struct progress progress;
	uint64_t bytes = 0;
	int r;

	progress_init(&progress);
	for (;;) {
		_cleanup_message_ ProtobufCMessage *message = NULL;
		const Croft__V1__ExportContainerResponse *response;

		r = cli_receive(cli, call, &message, err);
		if (r < 0 || r == CALL_END)
			break;
		response = (const void *)message;
		r = fd_write_full(fd, response->data.data, response->data.len);
		if (r < 0) {
			err_sys(err, r, "write the export");
			break;
		}
		bytes += response->data.len;
		progress_show(&progress, "received %s", size_format(bytes, size));
	}
	progress_clear(&progress);
	*ret_bytes = bytes;
	return r < 0 ? r : 0;
}

static int receive_to(
	struct cli *cli, const char *name, int fd, uint64_t *ret_bytes, struct err *err)
{
	Croft__V1__ExportContainerRequest request = CROFT__V1__EXPORT_CONTAINER_REQUEST__INIT;
	_cleanup_call_ struct call *call = NULL;
	int r;

	request.name = (char *)name;
	request.snapshots = options_has(&cli->options, "snapshots");
	r = cli_stream(cli, SERVICE, "ExportContainer", &request.base, &call, err);
	return r < 0 ? r : receive_all(cli, call, fd, ret_bytes, err);
}

static int export(struct cli *cli, struct err *err)
{
	const char *target = cli_arg(cli, 1);
	bool to_stdout = !strcmp(target, "-");
	_cleanup_close_ int fd = -1;
	char name[RESOURCE_SIZE];
	char size[LIMIT_TEXT_MAX];
	uint64_t bytes = 0;
	int r = cli_container_name(cli_arg(cli, 0), name, err);

	if (r < 0)
		return r;
	if (to_stdout)
		return receive_to(cli, name, STDOUT_FILENO, &bytes, err);
	/* It holds all that the container knows. */
	fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, errno, "%.200s", target);
	r = receive_to(cli, name, fd, &bytes, err);
	if (r == 0 && fsync(fd) < 0)
		r = err_sys(err, errno, "%.200s", target);
	if (r < 0) {
		unlink(target);
		return r;
	}
	return cli_report(cli, NULL, NULL, err, "exported %s, %s, to %s", cli_arg(cli, 0),
		size_format(bytes, size), target);
}

static const struct option_rule options[] = {
	{.name = "snapshots", .help = "put its snapshots into the file, too, each whole"},
	{0},
};

const struct command cmd_export = {
	.name = "export",
	.summary =
		"Write a container with its image to a new file that 'croft image import' takes; "
		"- is standard output.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER},
		{.name = "FILE|-", .kind = WORD_FILE}},
	.options = options,
	.run = export,
};
