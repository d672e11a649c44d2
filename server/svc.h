/* The handlers of each service, for grpc_server_config.handlers. Each table ends with a NULL path.
 */
#pragma once

#include "server/grpc.h"

extern const struct grpc_handler svc_abuse_handlers[];
extern const struct grpc_handler svc_tenants_handlers[];
extern const struct grpc_handler svc_plans_handlers[];
extern const struct grpc_handler svc_containers_handlers[];
extern const struct grpc_handler svc_container_runs_handlers[];
extern const struct grpc_handler svc_exec_handlers[];
extern const struct grpc_handler svc_cloud_init_handlers[];
extern const struct grpc_handler svc_console_handlers[];
extern const struct grpc_handler svc_files_handlers[];
extern const struct grpc_handler svc_export_handlers[];
extern const struct grpc_handler svc_logs_handlers[];
extern const struct grpc_handler svc_images_handlers[];
extern const struct grpc_handler svc_snapshots_handlers[];
extern const struct grpc_handler svc_forwards_handlers[];
extern const struct grpc_handler svc_networks_handlers[];
extern const struct grpc_handler svc_policies_handlers[];
extern const struct grpc_handler svc_usage_handlers[];
extern const struct grpc_handler svc_usage_closed_handlers[];
extern const struct grpc_handler svc_usage_correct_handlers[];
extern const struct grpc_handler svc_usage_live_handlers[];
extern const struct grpc_handler svc_usage_noisy_handlers[];
extern const struct grpc_handler svc_usage_export_handlers[];
extern const struct grpc_handler svc_usage_summary_handlers[];
extern const struct grpc_handler svc_usage_tenants_handlers[];
extern const struct grpc_handler svc_usage_verify_handlers[];
extern const struct grpc_handler svc_events_handlers[];
extern const struct grpc_handler svc_volumes_handlers[];
extern const struct grpc_handler volume_attach_handlers[];
extern const struct grpc_handler svc_webhooks_handlers[];
extern const struct grpc_handler svc_host_handlers[];
