/* The list of commands, in the order that help shows; see commands.h. */
#include "cli/commands.h"

const struct command *const commands[] = {
	&cmd_tenant_create,
	&cmd_tenant_list,
	&cmd_tenant_show,
	&cmd_tenant_set,
	&cmd_tenant_suspend,
	&cmd_tenant_resume,
	&cmd_tenant_bind,
	&cmd_tenant_delete,
	&cmd_launch,
	&cmd_create,
	&cmd_start,
	&cmd_stop,
	&cmd_kill,
	&cmd_restart,
	&cmd_freeze,
	&cmd_thaw,
	&cmd_delete,
	&cmd_set,
	&cmd_list,
	&cmd_info,
	&cmd_exec,
	&cmd_shell,
	&cmd_version,
	NULL,
};
