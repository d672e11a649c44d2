/*
 * What croftd and the supervisor say to each other.
 *
 * One SOCK_SEQPACKET unix socket. Each message is a struct msg_header and the struct of its
 * opcode, of exactly that size; both ends run on one host, so the layout is the compiler's.
 * Requests carry an id and are answered out of order; events have id 0. Only names and numbers
 * are sent: what a path, mount flag or program is, the supervisor decides. Descriptors travel by
 * SCM_RIGHTS, in the order named below. An unknown opcode or a wrong size drops the peer.
 *
 * PROTOCOL_VERSION changes with any change in this file.
 */
#pragma once

#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mount_path.h"
#include "base/name.h"
#include "base/net_plan.h"
#include "base/net_refusal.h"
#include "sandbox/counters.h"
#include "sandbox/image_import.h"
#include "sandbox/net_peers.h"
#include "sandbox/net_rules.h"

#include <stdint.h>

#define PROTOCOL_MAGIC	  0x43524f46u /* "CROF" */
#define PROTOCOL_VERSION  28u
#define SUPERVISOR_SOCKET "supervisor.sock" /* in the run directory */
#define RUN_ID_SIZE	  33		    /* 32 hexadecimal digits and a terminator */
#define MSG_SIZE_MAX	  4096u

enum msg_op {
	/* Requests. A reply has the same opcode, MSG_REPLY set, and the same id. */
	MSG_HELLO = 1,	      /* msg_hello -> msg_hello_reply; the first message, once */
	MSG_LIST,	      /* msg_empty -> events for all there is, then msg_empty */
	MSG_TENANT_SET,	      /* msg_tenant_set -> msg_empty + counter directories */
	MSG_TENANT_REMOVE,    /* msg_tenant -> msg_empty */
	MSG_TENANT_FREEZE,    /* msg_freeze (container ""): all of the tenant, now and later */
	MSG_CONTAINER_CREATE, /* msg_container_create -> msg_empty: makes its upper */
	MSG_CONTAINER_START,  /* msg_container_start + args memfd, and cloud_seed.h's if it has any
				 -> msg_started + fds */
	MSG_CONTAINER_SIGNAL, /* msg_signal -> msg_empty: to its init */
	MSG_CONTAINER_KILL,   /* msg_container -> msg_empty: everything in it, now */
	MSG_CONTAINER_FREEZE, /* msg_freeze -> msg_empty */
	MSG_CONTAINER_LIMITS, /* msg_limits -> msg_empty */
	MSG_CONTAINER_REMOVE, /* msg_container -> msg_empty: its upper; it must be stopped */
	MSG_CONTAINER_DISK,   /* msg_container (or container "") -> msg_disk */
	MSG_RUN_ACK,	      /* msg_run_ack -> msg_empty: its final counters are committed */
	MSG_EXEC,	      /* msg_exec + args memfd, stdin, stdout, stderr (or none: a pty is
				 made) -> msg_exec_started + the pty's master */
	MSG_EXEC_SIGNAL,      /* msg_exec_signal -> msg_empty */
	MSG_IMAGE_IMPORT,     /* msg_image + archive fd -> msg_image_imported (slow) + the config of
				 an application image, see image_config.h */
	MSG_IMAGE_REMOVE,     /* msg_image -> msg_empty */
	MSG_POLICY_LIST,      /* msg_empty -> a MSG_EVENT_POLICY each, then msg_empty */
	MSG_POLICY_OPEN,      /* msg_policy -> msg_empty + the profile's fd, read-only */
	MSG_HOST_INFO,	      /* msg_empty -> msg_host_info */
	MSG_SHUTDOWN,	      /* msg_empty -> msg_empty: all containers are stopped and gone; the
				 supervisor ends after its reply */
	MSG_SNAPSHOT_MAKE,    /* msg_snapshot -> msg_snapshot_made */
	MSG_SNAPSHOT_RESTORE, /* msg_snapshot -> msg_empty: the container must be stopped */
	MSG_SNAPSHOT_REMOVE,  /* msg_snapshot -> msg_empty */
	MSG_SNAPSHOT_PUBLISH, /* msg_publish -> msg_image_imported (slow) */
	MSG_CONTAINER_COPY,   /* msg_copy -> msg_empty */
	MSG_CONTAINER_RENAME, /* msg_rename -> msg_empty: it must be stopped */
	MSG_CONTAINER_RESET,  /* msg_container_create -> msg_empty: a new upper; likewise */
	MSG_NET_RULES,	      /* msg_empty + rows for croft-net -> msg_empty */
	MSG_NET_CONFIG,	      /* msg_net_config -> msg_empty: before what has a network starts */
	MSG_VOLUME_MAKE,      /* msg_volume -> msg_empty */
	MSG_VOLUME_REMOVE,    /* msg_volume -> msg_empty: none that runs should have it */
	MSG_VOLUME_LIMIT,     /* msg_volume -> msg_empty */
	MSG_VOLUME_USAGE,     /* msg_volume -> msg_disk */
	MSG_HOST_DIRECTORY,   /* msg_host_directory -> msg_empty: containers may have it */
	MSG_CONSOLE_KEEP,     /* msg_console_keep + a console's master -> msg_empty: to a supervisor
				 that has none of that run, so that it outlives croftd, too */
	MSG_CONTAINER_EXPORT, /* msg_export + a pipe's writing end -> msg_exported (slow) */
	MSG_NET_USAGE,	      /* msg_empty -> msg_net_usages + a sealed memfd: its rows */
	MSG_CONTAINER_IMPORT, /* msg_container_import + a pipe's reading end -> msg_image_imported
				 (slow) + a config, as MSG_IMAGE_IMPORT: makes its upper */
	MSG_NET_PACKETS,      /* msg_empty -> msg_empty + a memfd of struct net_packets, sorted */
	MSG_DISK_LOOK,	      /* msg_look -> a MSG_EVENT_DISK for each that has little room left, or
				 for all, then msg_disk_look */
	MSG_WORK_END,	      /* msg_tenant -> msg_work_left: ends what moves or copies files on the
				 tenant's behalf; of a tenant "", on anybody's and the operator's */
	MSG_NET_REFUSALS,     /* msg_empty -> msg_empty + a memfd of struct net_refusal */
	MSG_FORKS,     /* msg_empty -> msg_empty + fork_count_fd(), unless nothing is counted */
	MSG_NET_PEERS, /* msg_net_peers -> net_peers (slow) */

	/* Events. */
	MSG_EVENT_CONTAINER = 64, /* msg_event_container + fds as MSG_CONTAINER_START: after LIST */
	MSG_EVENT_TENANT,	  /* msg_tenant + counter directories: after LIST */
	MSG_EVENT_RUN_ENDED,	  /* msg_run_ended: repeated after LIST until acknowledged */
	MSG_EVENT_EXEC_ENDED,	  /* msg_exec_ended */
	MSG_EVENT_LIMIT_HIT,	  /* msg_limit_hit: OOM or pids, as the kernel notified */
	MSG_EVENT_IMPORT_PROGRESS, /* msg_import_progress */
	MSG_EVENT_POLICY,	   /* msg_policy_info */
	MSG_EVENT_DISK,		   /* msg_event_disk */
};

#define MSG_REPLY 0x8000u /* or'ed into op */

struct msg_header {
	uint32_t magic;
	uint16_t op;
	uint16_t reserved; /* 0 */
	uint32_t size;	   /* of what follows */
	uint32_t failed;   /* replies: 1 when a struct err follows instead of the reply's struct */
	uint64_t id;
};

struct msg_empty {
	uint64_t zero;
};

struct msg_hello {
	uint32_t version;
	uint32_t reserved;
};

struct msg_hello_reply {
	uint32_t version;
	uint32_t cgroup_kind; /* enum cgroup_kind: how counter directories are read */
	char instance[36];
};

struct msg_tenant {
	char tenant[NAME_SIZE];
};

struct msg_tenant_set {
	char tenant[NAME_SIZE];
	uint8_t force;
	struct limits limits;
	uint32_t net_number; /* of its network; 0: none yet */
};

struct msg_container {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
};

struct msg_freeze {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	uint8_t frozen; /* 1 freeze, 0 thaw; replies once the kernel says so */
};

struct msg_container_create {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	struct disk_limits disk; /* LIMIT_UNSET: none of its own */
};

#define CONTAINER_MOUNTS_MAX 8

/* A volume of the container's tenant, or a directory of the host (host_dirs.h), by its name. */
struct msg_mount {
	char name[NAME_SIZE];
	char path[MOUNT_PATH_SIZE]; /* in the container */
	uint8_t host;
	uint8_t read_only; /* a directory of the host always is */
};

struct msg_container_start {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	char image[NAME_SIZE]; /* on which it stands; "": on none, all its files are its own */
	char policy[NAME_SIZE];
	char run_id[RUN_ID_SIZE];
	uint8_t oom_group;
	uint8_t with_init;
	uint8_t create;	 /* make its upper first (launch: one round trip) */
	uint8_t nesting; /* it may have containers inside; only croftd knows who may */
	struct limits limits;
	uint32_t net_number; /* of its tenant's network; 0: loopback only */
	uint32_t net_slot;
	uint8_t net_add;  /* enum net_add */
	uint8_t net_smtp; /* with NET_ADD_TENANT: whether it may send mail */
	uint8_t n_mounts;
	struct msg_mount mounts[CONTAINER_MOUNTS_MAX];
};

/* What the packet filter does not know yet when a container starts. */
enum net_add { NET_ADD_NOTHING, NET_ADD_PLACE, NET_ADD_TENANT /* the place, too */ };

/*
 * fds of a started container: its counter directories (counters_n_dirs()), where its policy tells
 * the count of its refused calls (refused_count.h), the read end of its
 * standard output, its console's master. After a restart of the supervisor the console may be
 * missing (n_fds tells).
 */
struct msg_started {
	char run_id[RUN_ID_SIZE];
	int32_t pid;
	uint32_t id_base;
	uint64_t start_boot_usec; /* CLOCK_BOOTTIME when init was released */
	int64_t start_wall_usec;
	struct net_base net_base;
	struct io_disk disk; /* for counter_files_open() */
	uint32_t tells;	     /* 1: there is such a count among them */
	uint32_t reserved;
};

struct msg_signal {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	int32_t signal;
};

struct msg_limits {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	uint8_t oom_group;
	uint8_t force;
	uint8_t running; /* 0: only the disk limit is in force now */
	struct limits limits;
};

struct msg_disk {
	struct disk_limits used;
	uint64_t enforced; /* 1 when the pool's driver can limit */
};

struct msg_console_keep {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	char run_id[RUN_ID_SIZE];
};

struct msg_run_ack {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	char run_id[RUN_ID_SIZE];
};

/* What is executed: the caller's command, or Croft's own program that moves files. */
enum exec_program { EXEC_COMMAND = 0, EXEC_FILES = 1 };

struct msg_exec {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	uint8_t tty;
	uint8_t program; /* enum exec_program */
	uint16_t rows;
	uint16_t columns;
};

struct msg_exec_started {
	uint64_t exec_id;
	int32_t pid;
};

struct msg_exec_signal {
	uint64_t exec_id;
	int32_t signal;
};

/* How a process ended, as waitid(2) or PIDFD_GET_INFO told it. */
enum exit_kind {
	EXIT_KIND_UNKNOWN = 0,	 /* nobody was there to be told */
	EXIT_KIND_EXITED = 1,	 /* status */
	EXIT_KIND_SIGNALLED = 2, /* signal */
	EXIT_KIND_REFUSED = 3,	 /* exec only: never executed; status is 125, 126 or 127, see err */
};

struct exit_info {
	uint32_t kind; /* enum exit_kind */
	int32_t status;
	int32_t signal;
};

struct msg_exec_ended {
	uint64_t exec_id;
	struct exit_info exit;
	struct err err; /* EXIT_KIND_REFUSED */
};

struct msg_image {
	char image[NAME_SIZE];
	/* MSG_IMAGE_IMPORT only: */
	struct image_limits limits;
	/* What must be there and executable, told to the importer and looked up by nobody else; ""
	   for nothing. */
	char init[IMAGE_INIT_PATH_MAX];
	char reference[IMAGE_REFERENCE_MAX]; /* which of several; "": the only one */
};

/*
 * With a descriptor of the config when the report has a config_size, and behind it, where they were
 * asked for, one of the list of the snapshots that came with it (snapshot_list.h).
 */
struct msg_image_imported {
	struct image_report report;
};

struct msg_import_progress {
	char image[NAME_SIZE]; /* "": of a container */
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	uint64_t bytes;
	uint64_t entries;
};

struct msg_policy {
	char policy[NAME_SIZE];
};

struct msg_policy_info {
	char policy[NAME_SIZE];
	uint32_t instructions;
	uint32_t warnings;
	struct err err; /* code ERR_OK: usable */
};

/* Whether containers see their own limits in /proc (view.h). */
enum view_kind {
	VIEW_KIND_NONE = 0, /* lxcfs is not installed, or the kernel has no FUSE */
	VIEW_KIND_OFF = 1,  /* the operator does not want it */
	VIEW_KIND_LXCFS = 2,
};

struct msg_host_info {
	uint32_t cgroup_kind;
	uint32_t cpus;
	uint64_t cpu_mask[LIMITS_CPU_WORDS];
	char pool_driver[16]; /* "" before the pool was made or opened */
	uint64_t pool_size_bytes;
	uint64_t pool_used_bytes;
	uint32_t pool_has_limits;
	uint32_t view_kind;
	uint32_t io_limits; /* enum io_limits, once there is a pool */
	uint32_t reserved;
};

/* How a container is kept from writing while its directory is copied. */
enum pause {
	PAUSE_STOPPED = 0, /* it does not run */
	PAUSE_FREEZE = 1,  /* it runs: freeze and thaw it */
	PAUSE_FROZEN = 2,  /* it is frozen already, and stays so */
};

struct msg_snapshot {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	char snapshot[NAME_SIZE];
	uint8_t pause;		 /* enum pause; MSG_SNAPSHOT_MAKE only */
	struct disk_limits disk; /* the container's own, as in msg_container_create */
};

struct msg_snapshot_made {
	uint64_t used_bytes;
	uint64_t paused_usec; /* how long the container stood still */
};

struct msg_copy {
	char tenant[NAME_SIZE];
	char from[NAME_SIZE];
	char snapshot[NAME_SIZE]; /* of it; "": the container itself */
	char to[NAME_SIZE];
	uint8_t pause;
	struct disk_limits disk; /* of the copy */
};

struct msg_rename {
	char tenant[NAME_SIZE];
	char from[NAME_SIZE];
	char to[NAME_SIZE];
};

struct msg_publish {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	char snapshot[NAME_SIZE];
	char base[NAME_SIZE]; /* the image that it was made from; "": none */
	char image[NAME_SIZE];
};

/* docs/EXPORT-FORMAT.md */
struct msg_export {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	char image[NAME_SIZE]; /* on which it stands; "": on none */
	uint8_t pause;	       /* enum pause: how it is kept from writing while it is copied */
	uint32_t seconds;      /* it ends after so long without anything taken */
};

struct msg_container_import {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	struct image_limits limits;
	struct disk_limits disk; /* as in msg_container_create */
};

struct msg_exported {
	uint64_t bytes; /* of files' contents */
	uint64_t entries;
};

struct msg_look {
	uint8_t all; /* also of who has room */
};

struct msg_disk_look {
	uint64_t looked; /* 0: there is no pool yet, or none with limits */
};

struct msg_work_left {
	uint64_t left; /* is being ended, or taken back */
};

enum disk_owner { DISK_OF_TENANT, DISK_OF_CONTAINER, DISK_OF_VOLUME };

enum disk_state {
	DISK_ROOM,
	DISK_LITTLE, /* between the two: neither newly full, nor no longer */
	DISK_FULL,
	DISK_INODES_FULL,
};

/* See pool_fill.h. */
struct msg_event_disk {
	char tenant[NAME_SIZE];
	char name[NAME_SIZE]; /* of the container or volume; "" */
	uint8_t owner;	      /* enum disk_owner */
	uint8_t state;	      /* enum disk_state */
	struct disk_limits used;
	struct disk_limits limit;
};

struct msg_volume {
	char tenant[NAME_SIZE];
	char volume[NAME_SIZE];
	uint8_t force;	     /* MSG_VOLUME_LIMIT: also below what is in use */
	uint64_t size_bytes; /* its limit; LIMIT_UNSET: none of its own */
};

struct msg_host_directory {
	char name[NAME_SIZE];
};

struct msg_net_config {
	struct net_plan plan;
	struct net_resolvers resolvers;
};

enum run_state { RUN_STARTING = 1, RUN_RUNNING, RUN_FROZEN, RUN_STOPPING, RUN_ENDED };

struct msg_event_container {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	uint32_t state; /* enum run_state */
	struct msg_started started;
};

struct msg_run_ended {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	char run_id[RUN_ID_SIZE];
	char boot_id[BOOT_ID_LEN];
	uint64_t cgroup_inode;
	uint64_t start_boot_usec;
	uint64_t end_boot_usec;
	int64_t end_wall_usec;
	struct exit_info exit;
	uint32_t counters_valid; /* 0: the cgroup was gone before it could be read */
	struct counters counters;
	struct net_base net_base;
};

/* The traffic of all that runs with a network. */
struct msg_net_usages {
	uint64_t n; /* rows in the memfd */
};

struct msg_net_usage {
	char run_id[RUN_ID_SIZE]; /* "": it has ended meanwhile, and is not to be looked at */
	struct net_usage usage;	  /* as it was when this run's end had not been noticed */
};

/* What came for a container, to its own addresses, since the packet filter knows it. */
struct net_packets {
	char port[NET_IFNAME_SIZE]; /* of its place; zeros behind the name */
	uint64_t packets;
};

/* Whose connections are looked for. */
struct msg_net_peers {
	uint32_t number; /* of the tenant's network */
	uint32_t slot;	 /* of the container; 0: of all */
};

struct msg_limit_hit {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	char run_id[RUN_ID_SIZE];
	struct counters counters;
};
