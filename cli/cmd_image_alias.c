/* croft image alias, image unalias: other names of images. */
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "croft/v1/images.pb-c.h"

#include "base/cleanup.h"

#define SERVICE (&croft__v1__images__descriptor)

static int alias(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__SetImageAliasRequest request = CROFT__V1__SET_IMAGE_ALIAS_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = cli_image_name(cli_arg(cli, 0), name, err);

	request.name = name;
	request.alias = (char *)cli_arg(cli, 1);
	if (r == 0)
		r = cli_call(cli, SERVICE, "SetImageAlias", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, image_columns, reply, err, "%s is an alias of image %s",
			       cli_arg(cli, 1), cli_arg(cli, 0));
}

static int unalias(struct cli *cli, struct err *err)
{
	Croft__V1__RemoveImageAliasRequest request = CROFT__V1__REMOVE_IMAGE_ALIAS_REQUEST__INIT;
	int r;

	request.alias = (char *)cli_arg(cli, 0);
	r = cli_call_only(cli, SERVICE, "RemoveImageAlias", &request.base, err);
	return r < 0 ? r
		     : cli_report(cli, NULL, NULL, err, "removed the alias %s", cli_arg(cli, 0));
}

const struct command cmd_image_alias = {
	.name = "image alias",
	.summary = "Give an image another name; one that another image has moves.",
	.args = {{.name = "NAME", .kind = WORD_IMAGE}, {.name = "ALIAS"}},
	.run = alias,
};

const struct command cmd_image_unalias = {
	.name = "image unalias",
	.summary = "Remove an alias; the image stays.",
	.args = {{.name = "ALIAS"}},
	.run = unalias,
};
