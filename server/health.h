/*
 * Whether a container works, by a command of its own: run inside by /bin/sh every so often, as exec
 * runs one, so on the container's account. Its exit status is the answer (ADR 64).
 *
 * Which of the states it is in is on record with the run, and a restart that follows from it in the
 * same transaction, so a croftd that was killed goes on where it was. How many answers were bad,
 * and what the last one said, begins anew.
 */
#pragma once

#include "server/server.h"

#include "croft/v1/containers.pb-c.h"

#define HEALTH_INTERVAL_MIN_S	  1
#define HEALTH_INTERVAL_MAX_S	  86400
#define HEALTH_INTERVAL_S	  30 /* where none is given */
#define HEALTH_RETRIES_MAX	  100u
#define HEALTH_RETRIES		  3u
#define HEALTH_START_PERIOD_MAX_S 86400
#define HEALTH_TIMEOUT_MAX_S	  300
#define HEALTH_TIMEOUT_S	  30
/* Commands of one tenant: at once, and a second. */
#define HEALTH_AT_ONCE	 8u
#define HEALTH_RATE	 10u
#define HEALTH_TEXT_SIZE (HEALTH_COMMAND_MAX + 60)
#define HEALTH_TOLD_SIZE (HEALTH_COMMAND_MAX + 120)

/* Reads and checks a request's; an empty command, or none, is no check. Returns 0 or -EINVAL. */
int health_read(const Croft__V1__HealthCheck *msg, bool ephemeral, struct health_check *ret,
	struct err *err);
/* For the database: "" is none. Returns out. */
const char *health_write(const struct health_check *check, char out[static HEALTH_TEXT_SIZE]);
/* "every 30s, timeout 10s, 3 retries: CMD": for people; "" for none. Returns out. */
const char *health_tell(const struct health_check *check, char out[static HEALTH_TOLD_SIZE]);
/* The same back. Returns 0 or -EBADMSG. */
int health_parse(const char *text, struct health_check *ret);
/* True when both ask for the same. */
bool health_equal(const struct health_check *a, const struct health_check *b);

/* A run is there; repeated for the same one it does nothing. */
void health_begin(struct server *server, struct container *container);
/* The check was changed: one that runs is watched anew. */
void health_changed(struct server *server, struct container *container);
/* The run has ended, or the container is being freed. */
void health_end(struct container *container);

/* A command of its is running. */
bool health_is_asking(const struct container *container);
/* What is known of the present run; the text is its last line of output, never NULL. */
enum health_state health_state(
	const struct container *container, unsigned *ret_failures, const char **ret_output);

/* The supervisor's word that a command has ended. False: it is none of these. */
bool health_command_ended(const struct msg_exec_ended *msg);
/* The supervisor is gone, and with it every command. */
void health_lost(void);

/*
 * The last line of what a command wrote, printable and in UTF-8, at most HEALTH_OUTPUT_MAX bytes.
 * The text is changed.
 */
void health_last_line(char *text, char ret[static HEALTH_OUTPUT_MAX + 1]);
