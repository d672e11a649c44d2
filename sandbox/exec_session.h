/* Commands that are running in containers, until their end has been told. */
#pragma once

#include "sandbox/peer.h"
#include "sandbox/reactor.h"
#include "sandbox/supervisor.h"

struct exec_session;

/* Carries out MSG_EXEC; answers it. fds: the arguments, then stdin, stdout, stderr without a tty.
 */
void exec_session_start(struct supervisor *s, const struct request *request,
	const struct msg_exec *msg, int *fds, size_t n_fds);
/* Sends a signal to a command. NOT_FOUND / EXEC_NOT_FOUND when it has ended. */
int exec_session_signal(struct supervisor *s, uint64_t exec_id, int sig, struct err *err);
/* The server that the commands' pipes led to is gone: they get SIGHUP, as from a lost terminal. */
void exec_session_hang_up_all(struct supervisor *s);
/* True for the pid of a command that has not been reaped. */
bool exec_session_has_pid(const struct supervisor *s, pid_t pid);
/* Forgets all of them; they run on. */
void exec_session_forget_all(struct supervisor *s);
