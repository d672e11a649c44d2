/* Between the supervisor and croft-refuser; both are of one build, or agree on the version. */
#pragma once

#include <stdint.h>

#define REFUSER_VERSION	  1u
#define REFUSER_SOCKET	  "socket" /* in the run directory's "refused" */
#define REFUSER_SOCKET_FD 3	   /* listens; SOCK_SEQPACKET */

/* The listener of a run's policy, and the open file of its struct refused_count. Unanswered. */
struct refuser_message {
	uint32_t version;
};
enum refuser_fd { REFUSER_FD_LISTENER, REFUSER_FD_COUNT, REFUSER_FD_N };
