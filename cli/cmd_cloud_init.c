/* croft cloud-init: what a container is given for cloud-init, as it was given. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/text_filter.h"
#include "cli/usage.h"
#include "croft/v1/containers.pb-c.h"

#include <string.h>
#include <unistd.h>

#define PARTS "user-data|meta-data|network-config|ssh-keys"

static void print_bytes(const ProtobufCBinaryData *bytes)
{
	struct text_filter filter = {0};

	if (!isatty(STDOUT_FILENO)) {
		fwrite(bytes->data, 1, bytes->len, stdout);
		return;
	}
	text_filter_write(&filter, bytes->data, bytes->len, stdout);
	text_filter_end(&filter, stdout);
}

static int print_part(const Croft__V1__CloudInit *from, const char *part, struct err *err)
{
	if (!strcmp(part, "user-data"))
		print_bytes(&from->user_data);
	else if (!strcmp(part, "meta-data"))
		print_bytes(&from->meta_data);
	else if (!strcmp(part, "network-config"))
		print_bytes(&from->network_config);
	else
		for (size_t i = 0; i < from->n_ssh_keys; i++)
			printf("%s\n", from->ssh_keys[i]);
	return output_flush(stdout, err);
}

static bool is_part(const char *word)
{
	static const char *const parts[] = {
		"user-data", "meta-data", "network-config", "ssh-keys", NULL};
	size_t i = 0;

	while (parts[i] && strcmp(parts[i], word) != 0)
		i++;
	return parts[i];
}

static int cloud_init(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__GetCloudInitRequest request = CROFT__V1__GET_CLOUD_INIT_REQUEST__INIT;
	const char *part = cli_arg(cli, 1);
	char name[RESOURCE_SIZE];
	int r = cli_container_name(cli_arg(cli, 0), name, err);

	if (r < 0)
		return r;
	if (cli->format == OUTPUT_CSV || (cli->format == OUTPUT_JSON && part))
		return usage_error(err, "cloud-init prints one part as it is, or all with -o json");
	if (cli->format == OUTPUT_TABLE && (!part || !is_part(part)))
		return usage_error(err, "say which part: user-data, meta-data, network-config or "
					"ssh-keys; -o json prints all");
	request.name = name;
	r = cli_call(cli, &croft__v1__containers__descriptor, "GetCloudInit", &request.base, &reply,
		err);
	if (r < 0)
		return r;
	if (cli->format == OUTPUT_JSON)
		return output_one(OUTPUT_JSON, NULL, reply, stdout, err);
	return print_part((const void *)reply, part, err);
}

const struct command cmd_cloud_init = {
	.name = "cloud-init",
	.summary = "Print one part of what a container was given for cloud-init, or, with -o json "
		   "and no part, all of it; secrets, too.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER},
		{.name = PARTS, .kind = WORD_CHOICE, .optional = true}},
	.run = cloud_init,
};
