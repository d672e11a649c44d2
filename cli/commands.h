/* Every command's row, and the list of them in the order of help. */
#pragma once

#include "cli/command.h"

/* NULL-terminated. */
extern const struct command *const commands[];

extern const struct command cmd_tenant_create, cmd_tenant_list, cmd_tenant_show, cmd_tenant_set,
	cmd_tenant_suspend, cmd_tenant_resume, cmd_tenant_bind, cmd_tenant_delete;
extern const struct command cmd_plan_create, cmd_plan_list, cmd_plan_show, cmd_plan_set,
	cmd_plan_delete;
extern const struct command cmd_image_import, cmd_image_build_busybox, cmd_image_list,
	cmd_image_show, cmd_image_delete, cmd_image_alias, cmd_image_unalias;
extern const struct command cmd_launch, cmd_create, cmd_set, cmd_cloud_init;
extern const struct command cmd_start, cmd_stop, cmd_kill, cmd_restart, cmd_freeze, cmd_thaw,
	cmd_delete;
extern const struct command cmd_list, cmd_info, cmd_top, cmd_noisy;
extern const struct command cmd_snapshot_create, cmd_snapshot_list, cmd_snapshot_restore,
	cmd_snapshot_delete, cmd_snapshot_publish;
extern const struct command cmd_copy, cmd_rename, cmd_rebuild;
extern const struct command cmd_exec, cmd_shell, cmd_console;
extern const struct command cmd_logs, cmd_events;
extern const struct command cmd_push, cmd_pull, cmd_export, cmd_import;
extern const struct command cmd_volume_create, cmd_volume_attach, cmd_volume_detach,
	cmd_volume_list, cmd_volume_show, cmd_volume_set, cmd_volume_delete;
extern const struct command cmd_network_show, cmd_network_set;
extern const struct command cmd_forward_add, cmd_forward_list, cmd_forward_delete;
extern const struct command cmd_usage_show, cmd_usage_export, cmd_usage_totals, cmd_usage_verify,
	cmd_usage_correct;
extern const struct command cmd_webhook_create, cmd_webhook_list, cmd_webhook_show, cmd_webhook_set,
	cmd_webhook_delete, cmd_webhook_test;
extern const struct command cmd_abuse_list, cmd_abuse_show, cmd_abuse_evidence, cmd_abuse_lift,
	cmd_abuse_rules, cmd_abuse_reload, cmd_abuse_check, cmd_abuse_defaults;
extern const struct command cmd_policy_list, cmd_policy_show, cmd_policy_check;
extern const struct command cmd_host_info, cmd_host_shutdown;
extern const struct command cmd_doctor;
extern const struct command cmd_version, cmd_completion;
