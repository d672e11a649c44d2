/*
 * What croftd knows, in memory: tenants, their containers, images. Every read is answered from
 * here; the database holds the same for the next start.
 *
 * Only the loop's thread touches it. An object that asynchronous work still needs is held by a
 * reference; `gone` tells that it has left the model meanwhile.
 */
#pragma once

#include "base/clock.h"
#include "base/limits.h"
#include "base/name.h"
#include "base/net_plan.h"
#include "base/net_refusal.h"
#include "sandbox/supervisor_client.h"
#include "server/actor.h"
#include "server/container_state.h"
#include "server/event_pace.h"
#include "server/map.h"
#include "server/usage_sum.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define UID_SIZE	    33 /* 32 hexadecimal digits and a terminator */
#define TENANT_UIDS_MAX	    64
#define ACCOUNT_REF_MAX	    128
#define HOLD_REASON_MAX	    256
#define END_NOTE_SIZE	    96
#define TENANTS_MAX	    4096
#define FORWARDS_MAX	    256 /* of a tenant */
#define FORWARD_KEY_SIZE    (NET_TEXT_MAX + 12)
#define IMAGES_MAX	    4096
#define IMAGE_ALIASES_MAX   32 /* of one image */
#define INIT_ARGS_MAX	    64
#define INIT_ARGS_BYTES_MAX 8192

struct abuse_procs;
struct abuse_subject;
struct cloud_init;
struct db_tx;
struct event;
struct health;
struct live;
struct log_source;
struct server;
struct volume;

/* Somebody who waits for something to happen to a container. fn is called once. */
struct waiter {
	TAILQ_ENTRY(waiter) entry;
	void (*fn)(void *arg, const struct err *err);
	void *arg;
};
TAILQ_HEAD(waiter_list, waiter);

/* Adds a waiter. Returns 0 or -ENOMEM. */
int waiters_add(struct waiter_list *list, void (*fn)(void *arg, const struct err *err), void *arg,
	struct err *err);
/* Empties the list and calls each; err is NULL when what they waited for happened. */
void waiters_call(struct waiter_list *list, const struct err *err);

/* Ports of the host that lead to a container. */
struct forward {
	struct map_node by_key;
	char key[FORWARD_KEY_SIZE]; /* "tcp/00080/192.0.2.1": one host has each once */
	struct container *container;
	struct net_forward ports; /* family 0: every one that the container has */
	bool visible;		  /* its making is committed */
	bool changing;
};

/* As in croft.v1.Exit.Kind. */
enum run_exit {
	RUN_EXIT_NONE = 0,
	RUN_EXIT_EXITED = 1,
	RUN_EXIT_SIGNALLED = 2,
	RUN_EXIT_POWEROFF = 3,
	RUN_EXIT_REBOOT = 4,
	RUN_EXIT_UNKNOWN = 5,
	RUN_EXIT_OOM = 6,
};

/* Who went into a container, so far as no event has told of it yet. */
struct entries {
	uint64_t commands;
	uint64_t transfers; /* push and pull */
	struct actor last;
	struct event_pace pace;
};

/* What the packet filter refused for one reason: so far as events have told, and in all. */
struct refusals {
	uint64_t told;
	uint64_t seen; /* the counter, as of the last look */
	bool looked;   /* there was one, by this croftd */
	struct event_pace pace;
};

/* What it let through: the counter, as of the last look. */
struct opened {
	uint64_t seen;
	bool looked; /* there was one, by this croftd */
};

/* What its own rate limit has dropped, in and out, since that was made: as of the last look. */
struct dropped {
	uint64_t packets[NET_DROPPED_N];
	bool looked;
};

enum fault { FAULT_OOM, FAULT_PIDS, FAULT_CALLS, FAULT_N };
enum pressure { PRESSURE_MEMORY, PRESSURE_CPU, PRESSURE_N };

/* A time of being held by a limit; see pressure.h. */
struct episode {
	bool on;
	uint64_t
		turning_boot_usec; /* since when it seems to begin, or to be over; 0: it does not */
	uint64_t began_boot_usec;
	uint64_t began_counter;
	struct event_pace pace;
};

/* What was already told by events about the limits of a run. Its `told` and `on` are on record. */
struct fault_report {
	uint64_t told[FAULT_N]; /* how many of them */
	struct event_pace pace[FAULT_N];
	struct episode episodes[PRESSURE_N];
};

/* What the last sample has changed in memory, for the way back if it cannot be committed. */
struct unsure_sample {
	uint64_t sequence; /* 0: there is nothing to take back */
	uint64_t sweep;
	struct usage_point before;
	struct usage_totals delta;
	struct fault_report reported;
};

/* As in croft.v1.Container.Health. */
enum health_state { HEALTH_NONE, HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };

/* As in croft.v1.Container.RestartPolicy, but for its zero. */
enum restart_policy { RESTART_NEVER, RESTART_ON_FAILURE, RESTART_ALWAYS };

/* What is done for a container unasked; see upkeep.h. */
struct upkeep {
	enum restart_policy restart;
	bool autostart;
	uint32_t order;	 /* lower ones are started first */
	uint32_t idle_s; /* frozen when nothing happened for so long; 0: never */
};

/* What a container had begun of processes and threads; see forks.h. */
struct forks_look {
	uint64_t boot_usec;
	uint64_t count;
	uint64_t table; /* of which supervisor; 0: it is not known */
};

/* One boot of a container, or a tenant's own cgroup directory as long as it exists. */
struct run {
	uint64_t key; /* in the database; 0: there is none */
	char id[RUN_ID_SIZE];
	char boot_id[BOOT_ID_LEN];
	uint64_t cgroup_inode;
	bool stored;	/* its row is in the database */
	bool confirmed; /* the supervisor has started it */
	uint64_t start_boot_usec;
	int64_t start_wall_usec;
	uint64_t end_boot_usec;
	int64_t end_wall_usec; /* 0: it has not ended */
	int32_t pid;
	uint32_t id_base;
	enum run_exit exit;
	int32_t exit_status;
	int32_t exit_signal;
	char end_note[END_NOTE_SIZE]; /* why it stays down, where the exit does not say it */
	struct counter_files *files;  /* owned; NULL when there is nothing to read */
	struct stall_files *stalls;   /* owned; beside them */
	struct abuse_procs *procs;    /* owned; what runs in it */
	struct stalls stalled;	      /* at the last sweep */
	bool stalled_known;
	struct forks_look forks;  /* at the last sweep */
	struct net_base net_base; /* of its traffic; from its start on */
	struct usage_point last;
	struct fault_report reported;
	struct unsure_sample unsure;
	struct usage_totals underway; /* in the totals, and not known to be durable */
	enum health_state health;     /* that was last told */
	bool partial_writes;	      /* on record, of a run that is made; see ledger_walk.h */
	uint64_t kill_boot_usec;      /* its end was asked for, and follows then; 0: it was not */
	uint64_t idle; /* frozen for being idle: 1 and the packets that had come by then; 0: not */
};

#define TRAFFIC_RESET_DAY_MAX 31

/* A period of a tenant's traffic; see allowance.h. */
struct allowance_period {
	int64_t start_wall_usec; /* 0: there is none yet */
	int64_t end_wall_usec;
	uint64_t in_base; /* of the tenant's totals, when it began */
	uint64_t out_base;
	unsigned told;	      /* percent of the allowance, as an event has told; 0: none */
	uint64_t slowed_rate; /* as an event has told; 0: it is not slowed */
};

struct allowance {
	struct allowance_period now;
	struct allowance_period before; /* for when the clock is set back */
	uint32_t day;			/* by which the end was found; 0: it is to be looked at */
	bool busy;			/* a change of it is under way */
};

/* What is on record of what it holds, whether anything runs or not; see held.h. */
struct held {
	char id[RUN_ID_SIZE];	  /* of the row; "": there is none yet */
	char name[NAME_SIZE];	  /* that the row has */
	bool sampled;		  /* since it was made */
	uint64_t sequence;	  /* of the last sample */
	uint64_t begin_boot_usec; /* when it was made, on this boot; 0: before this croftd */
	int64_t begin_wall_usec;
	uint64_t disk_bytes; /* as last looked at; 0: not known */
	uint64_t disk_look;  /* when */
	uint64_t fills;	     /* how often that was found full since the row began */
};

/* As in croft.v1.Hold.Type, but for its zero; see hold.h. */
enum hold_type { HOLD_BILLING, HOLD_ABUSE, HOLD_OPERATOR, HOLD_TYPE_N };

#define HOLD_GRACE_NEVER (-1)

/* A reason for which a tenant is suspended. */
struct hold {
	bool set;
	bool told; /* the tenant may know the reason */
	char reason[HOLD_REASON_MAX + 1];
	char set_by[ACTOR_SIZE];
	int64_t set_wall_usec;
	int64_t grace_s; /* then what is frozen is stopped; or HOLD_GRACE_NEVER */
};

struct tenant {
	struct map_node by_name;
	unsigned refs;
	bool gone;
	bool visible;  /* its creation is committed */
	bool changing; /* a change is under way */
	bool deleting;
	bool seen;	   /* during a reconciliation: the supervisor named it */
	bool sweep_wanted; /* somebody waits for the next sweep over it */
	bool sweeping;	   /* the present sweep takes it */
	bool live_wanted;  /* the same of looks: live.h */
	bool live_looking;
	uint64_t live_looked_usec;
	struct live *live; /* owned */
	bool exporting;	   /* one of its containers is being exported */
	char name[NAME_SIZE];
	char uid[UID_SIZE];
	char plan[NAME_SIZE];
	char account_ref[ACCOUNT_REF_MAX + 1];
	struct limits limits;		  /* as asked */
	uint64_t cpus[LIMITS_CPU_WORDS];  /* its cores; all zero: every core of the host */
	uint32_t own_limits;		  /* 1 << limit_id: set for it, not by its plan */
	bool disk_unenforced;		  /* the pool cannot hold it */
	char limits_refusal[ERR_MSG_MAX]; /* why the supervisor does not hold its limits; "" */
	bool nesting;			  /* its containers may have containers */
	char *plan_refusal;		  /* owned: why it does not have its plan's limits; NULL */
	uint32_t traffic_reset_day;	  /* of the month */
	struct allowance allowance;
	bool suspended; /* there is a hold, or one is on its way */
	struct hold holds[HOLD_TYPE_N];
	unsigned hold_untold;	    /* containers marked by commits that failed: hold_stop.c */
	struct event *hold_timer;   /* owned: the end of the grace */
	struct server *hold_server; /* for the timers */
	bool thaw_due;		    /* no hold is left, and the kernel may hold it still */
	unsigned thaw_tries;	    /* that failed in a row */
	struct event *thaw_timer;   /* owned: the next try */
	bool returning;		    /* what is due of its containers is to be started; upkeep.h */
	uint32_t uids[TENANT_UIDS_MAX];
	size_t n_uids;
	int64_t created_wall_usec;
	uint32_t net_number;	/* of its network; 0: none */
	uint32_t net_next_slot; /* where the search for a free one goes on */
	bool net_smtp;		/* may connect to port 25 outside */
	struct refusals refusals[NET_REFUSED_OF_TENANTS];
	struct opened opened[NET_OPENED_N];
	struct dropped dropped;
	bool net_filtered;				  /* the packet filter knows it */
	uint8_t net_filtered_slots[NET_SLOT_MAX / 8 + 1]; /* and may know these places of it */
	struct map forwards;				  /* of its containers */
	struct map containers;
	struct map volumes; /* volume.h; owned */
	struct run own;	    /* its directory: a check on the sum of its containers and its work */
	struct run work;    /* work.h */
	struct usage_totals totals;
	struct usage_totals own_totals;
	struct held held;
	uint64_t log_bytes;	/* log_quota.h: the sum of its containers' */
	uint64_t log_paid_usec; /* CLOCK_BOOTTIME until which what was read of them is paid for */
	uint64_t health_paid_usec;    /* the same of its containers' health checks */
	struct abuse_subject *abuse;  /* owned: abuse.h */
	struct event_pace abuse_pace; /* of its cases that are only told */
	unsigned abuse_told;	      /* such cases that last */
};

/* See health.h. */
#define HEALTH_COMMAND_MAX 512
#define HEALTH_OUTPUT_MAX  200

struct health_check {
	char command[HEALTH_COMMAND_MAX + 1]; /* "": none */
	uint32_t interval_s;
	uint32_t retries;
	uint32_t start_period_s;
	uint32_t timeout_s;
	bool restart; /* an unhealthy container is stopped, and started again */
};

/* See snapshot_schedule.h. */
struct snapshot_schedule {
	int64_t every_s; /* 0: none */
	unsigned keep;
	int64_t expire_s; /* 0: never */
	int64_t next_wall_usec;
};

/* What a container has mounted beside its root. */
struct container_mount {
	struct volume *volume;	  /* of its tenant, which stays as long; NULL: */
	char host_dir[NAME_SIZE]; /* a directory of the host */
	char path[MOUNT_PATH_SIZE];
	bool read_only;
};

/* What idle.c knows of a container. */
struct idle {
	uint64_t since_boot_usec;
	uint64_t look_boot_usec; /* of the last look at its CPU time */
	uint64_t cpu_usec;	 /* as it was then */
	uint64_t packets;	 /* that came for it, as last seen */
	bool marking;		 /* that it is to be frozen is being committed */
	bool wanted;		 /* it is to be thawed */
	bool thaw_due;		 /* that has failed, and is tried again */
	const char *why;
	struct waiter_list waiters; /* for that */
};

struct container {
	struct map_node by_name;
	unsigned refs;
	bool gone;
	bool visible;
	bool changing;
	struct tenant *tenant; /* holds a reference */
	char name[NAME_SIZE];
	char uid[UID_SIZE];
	char image[NAME_SIZE]; /* "": it stands on none, see own */
	char policy[NAME_SIZE];
	/*
	 * Owned: how its own files start, of one that was imported. NULL: it never stood on none.
	 * It stays when the container is rebuilt from an image, for snapshots of before.
	 */
	struct image *own;
	struct limits limits;		 /* as asked */
	uint64_t cpus[LIMITS_CPU_WORDS]; /* the cores chosen; all zero: all of the tenant's */
	char **init_args;		 /* NULL-terminated; owned */
	bool with_init;
	bool ephemeral;
	bool oom_group;
	bool nesting;
	struct upkeep upkeep;
	struct cloud_init *cloud_init; /* cloud_init.h; a reference; NULL: nothing */
	char cloud_id[UID_SIZE];       /* the instance that it is for cloud-init */
	bool no_network;
	uint32_t net_slot; /* its place in its tenant's network; 0: none */
	bool net_filtered; /* the packet filter knows it */
	struct dropped dropped;
	struct net_address ipv4; /* what follows from it */
	struct net_address ipv6;
	int64_t created_wall_usec;

	enum container_state state;
	struct run run; /* the present one, or the last */
	struct usage_totals totals;
	struct live *live;    /* owned */
	bool stored;	      /* its row is committed */
	bool row_gone;	      /* its row's deletion is committed, or on its way to be */
	bool start_pending;   /* its commit or the supervisor's answer is awaited */
	bool kill_wanted;     /* to be killed as soon as it has started */
	bool launching;	      /* a launch whose start is not confirmed */
	bool condemned;	      /* goes when its run has ended, or is found not to exist */
	bool stop_asked;      /* the present run was sent its stop signal */
	struct actor stopper; /* who asked for the end of the present run */
	bool killed;	      /* Croft killed the present run, so a SIGKILL tells nothing */
	bool delete_pending;  /* a deletion is under way */
	bool end_pending;     /* a RUN_ENDED is being committed */
	struct msg_run_ended *early_end; /* owned: ended before its start was committed */
	struct map snapshots;		 /* snapshot.h; owned */
	struct container_mount mounts[CONTAINER_MOUNTS_MAX]; /* in order of paths */
	size_t n_mounts;
	struct snapshot_schedule schedule;
	struct health_check health_check;
	struct health *health;	      /* owned; of a run that is watched */
	char pending[NAME_SIZE + 16]; /* container_pending.h; "": nothing */
	bool pending_begun;	      /* and is being carried out */
	struct event *stop_timer;     /* owned: SIGKILL after the stop signal */
	struct server *stop_server;   /* for the timer */
	bool kept_down;		      /* by a hold: it starts again after the last */
	bool restart_due;	      /* its run ended by itself: another is to follow */
	bool queued;		      /* in the upkeep queue, which starts it */
	unsigned restarts;	      /* since it last ran for long, or was started by hand */
	int64_t restart_wall_usec;    /* when the timer fires; 0: it does not run */
	struct event *restart_timer;  /* owned */
	unsigned reboots;	      /* since reboot_boot_usec */
	uint64_t reboot_boot_usec;
	unsigned changes; /* of its limits, by its tenant, since changes_boot_usec */
	uint64_t changes_boot_usec;
	struct held held;
	struct log_source *logs; /* owned */
	uint64_t log_bytes;	 /* that are kept of its output */
	bool log_trimming;
	LIST_HEAD(, console_viewer) viewers;
	unsigned n_viewers;
	unsigned n_log_readers[2]; /* of its tenant's users, and of operators */
	unsigned n_execs;	   /* sessions of exec, push and pull */
	struct entries entries[2]; /* by its tenant's users, and by operators */
	struct idle idle;
	struct waiter_list end_waiters; /* the run has ended and is committed */
	struct waiter_list gone_waiters;
	/* Adds to the transaction that deletes it (the first deleter's reply); may be NULL. */
	void (*delete_hook)(void *arg, struct db_tx *tx);
	void *delete_arg;
	bool seen;		      /* during a reconciliation: the supervisor named it */
	struct disk_limits disk_used; /* as last measured */
	bool disk_enforced;
	struct waiter_list move_waiters; /* container_move.h: it has been moved, or not */
	bool moving;			 /* to other cores, at this moment */
	bool unmovable;			 /* that was refused; until its limits are others */
	bool cores_unsure;		 /* the kernel may have it on others than cpus */
	struct abuse_subject *abuse;	 /* owned: abuse.h */
};

struct image {
	struct map_node by_name;
	bool visible; /* its import is committed */
	bool deleting;
	bool undone; /* its import came to nothing; it goes when the supervisor has none of it */
	bool undoing;
	char name[NAME_SIZE];
	char uid[UID_SIZE];
	char init[IMAGE_INIT_PATH_MAX];
	struct image_config *app; /* owned; NULL: a distribution */
	uint32_t stop_signal;
	uint64_t size_bytes;
	uint64_t entries;
	uint64_t skipped_devices;
	int64_t created_wall_usec;
	size_t n_aliases;
	unsigned alias_changes; /* of aliases that it has or is to have, on their way */
};

/* Another name of an image. No image has it. */
struct image_alias {
	struct map_node by_name;
	char name[NAME_SIZE];
	struct image *image; /* NULL: its first is not committed yet */
	bool changing;
};

struct model {
	struct map tenants;
	struct map plans; /* server/plan.h */
	struct map images;
	struct map aliases;
	struct map bindings;	  /* of local user ids to tenants */
	uint32_t net_next_number; /* where the search for a free network goes on */
};

void model_finish(struct model *model);

/* A new random id of 32 hexadecimal digits. */
void model_make_uid(char ret[static UID_SIZE]);

/* Adds an object that is not visible yet. NULL when out of memory. The name must be free. */
struct tenant *model_add_tenant(struct model *model, const char *name);
struct container *model_add_container(struct tenant *tenant, const char *name);
struct image *model_add_image(struct model *model, const char *name);

/* By name, whether visible or not. NULL when there is none. */
struct tenant *model_any_tenant(const struct model *model, const char *name);
struct container *model_any_container(const struct tenant *tenant, const char *name);
struct image *model_any_image(const struct model *model, const char *name);
/*
 * What a container starts as, by the image on which it, or a snapshot of it, stands: "" for none,
 * its own files. NULL when there is no such image.
 */
const struct image *container_base(
	const struct model *model, const struct container *container, const char *image);
/* Lets it have files of its own, that start as `from` (NULL: not known yet). */
int container_set_own(struct container *container, const struct image *from, struct err *err);
/* Gives an image what another says about starting and stopping. */
int image_copy_start(struct image *image, const struct image *from, struct err *err);

/* Visible ones; NOT_FOUND. The names may come from a client; a bad one is INVALID_ARGUMENT. */
int model_find_tenant(
	const struct model *model, const char *resource, struct tenant **ret, struct err *err);
int model_find_container(
	const struct model *model, const char *resource, struct container **ret, struct err *err);
/* An image also by an alias. */
int model_find_image(
	const struct model *model, const char *resource, struct image **ret, struct err *err);

/* NOT_FOUND for a tenant of that name, the same whether it exists or may not be seen. */
int model_no_tenant(const char *name, struct err *err);

/* Aliases: see struct image_alias. An alias without an image is not visible. */
struct image_alias *model_add_alias(struct model *model, const char *name);
struct image_alias *model_any_alias(const struct model *model, const char *name);
void model_remove_alias(struct model *model, struct image_alias *alias);
/* Gives it to an image, NULL for none, instead of the one that has it. */
void image_alias_move(struct image_alias *alias, struct image *image);

/* Adds a forward of a container, whose key must be free. NULL when out of memory. */
struct forward *model_add_forward(struct container *container, const struct net_forward *ports);
/* The key of a forward of these ports. */
void model_forward_key(const struct net_forward *ports, char ret[static FORWARD_KEY_SIZE]);
void model_remove_forward(struct forward *forward);

/* Takes an object out; it is freed with its last reference. An image's aliases go with it. */
void model_remove_tenant(struct model *model, struct tenant *tenant);
void model_remove_container(struct container *container);
void model_remove_image(struct model *model, struct image *image);

struct tenant *tenant_ref(struct tenant *tenant);
void tenant_unref(struct tenant *tenant);
struct container *container_ref(struct container *container);
void container_unref(struct container *container);

/* The tenant a local user id is bound to, or NULL. */
struct tenant *model_bound_tenant(const struct model *model, uint32_t uid);
/* Binds a user id that is bound to nobody. RESOURCE_EXHAUSTED at TENANT_UIDS_MAX. */
int model_bind(struct model *model, struct tenant *tenant, uint32_t uid, struct err *err);

/* True when a limit is the tenant's own, false when its plan gives it (or none). */
static inline bool tenant_owns_limit(const struct tenant *tenant, enum limit_id id)
{
	return tenant->own_limits & (1u << id);
}

/* How many containers of a tenant have (or may have) processes. */
uint32_t tenant_running_count(const struct tenant *tenant);
/* How many containers use an image: of a tenant, and of all. */
uint32_t tenant_image_users(const struct tenant *tenant, const char *image);
uint32_t model_image_users(const struct model *model, const char *image);

/* Next containers in order of (tenant, name): NULL when there are no more. */
struct container *model_next_container(const struct model *model, const struct container *prev);

/* Forgets a run's descriptors. */
void run_close(struct run *run);
