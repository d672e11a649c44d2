#!/usr/bin/python3
"""Parent of one instance's daemons: `reaper.py`, driven over its standard input and output.

A container outlives its supervisor, and a daemon the test that killed its parent. As a child
subreaper this process inherits all of them, reaps them at once, as init does, and so knows what
of an instance is left: whatever is below it.

    start JSON     runs {"argv": [...], "log": path, "env": {...}}; answers "pid N"
    status PID     answers "running", "exited N" or "signalled N" of a started process
    quit           answers "bye" and exits
"""

import ctypes
import json
import os
import select
import signal
import sys

PR_SET_CHILD_SUBREAPER = 36


def start(spec):
    log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    pid = os.posix_spawn(
        spec["argv"][0], spec["argv"], {**os.environ, **spec.get("env", {})},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
        ],
        setsid=True, setsigmask=[], setsigdef=[signal.SIGPIPE, signal.SIGCHLD],
    )
    os.close(log)
    os.close(null)
    return pid


def reap(statuses):
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if os.WIFSIGNALED(status):
            statuses[pid] = f"signalled {os.WTERMSIG(status)}"
        else:
            statuses[pid] = f"exited {os.WEXITSTATUS(status)}"


def main():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        return 1
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    statuses = {}
    pending = b""
    while True:
        ready, _, _ = select.select([0, wake_read], [], [])
        if wake_read in ready:
            os.read(wake_read, 4096)
        reap(statuses)
        if 0 not in ready:
            continue
        data = os.read(0, 65536)
        if not data:
            return 0
        pending += data
        while b"\n" in pending:
            line, pending = pending.split(b"\n", 1)
            word, _, rest = line.decode().partition(" ")
            if word == "start":
                try:
                    pid = start(json.loads(rest))
                    # Of another that had the number before.
                    statuses.pop(pid, None)
                    answer = f"pid {pid}"
                except OSError as e:
                    answer = f"error {e}"
            elif word == "status":
                reap(statuses)
                answer = statuses.get(int(rest), "running")
            else:
                answer = "bye"
            os.write(1, answer.encode() + b"\n")
            if word == "quit":
                return 0


if __name__ == "__main__":
    sys.exit(main())
