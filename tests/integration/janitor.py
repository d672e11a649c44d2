"""Cleans up behind this process, whatever becomes of it, SIGKILL included.

    with janitor.after(clean):
        ...

A child in a session of its own waits for the end of the block, or of this process, and then runs
clean() in its copy of this process's memory. SIGINT, SIGTERM and SIGHUP leave the block early and
in order. What the block makes must be found by clean() from what was known when it began.
"""

import contextlib
import os
import signal
import sys
import traceback

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def hold_signals():
    """Before anything is made that the janitor does not know of yet; after() lets them in again."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _leave(number, _):
    raise SystemExit(128 + number)


def _wait_and_clean(end, clean):
    os.setsid()
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.read(end, 1)
    try:
        clean()
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


@contextlib.contextmanager
def after(clean):
    hold_signals()
    sys.stdout.flush()
    end, ours = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        os._exit(_wait_and_clean(end, clean))
    os.close(end)
    try:
        for number in SIGNALS:
            signal.signal(number, _leave)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        yield
    finally:
        # From here on it takes a few seconds, which nothing but SIGKILL may cut short.
        hold_signals()
        os.close(ours)
        os.waitpid(pid, 0)
