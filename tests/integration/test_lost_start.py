"""A start whose worker is killed: it is answered when what it had made has been taken back, and not
before. Who was told earlier would forget what a supervisor that dies then leaves behind.

No luck is needed for that: the worker is held where it writes the container's name into its
tenant's hosts file, which this test has locked, and so is the one that takes it back."""

import fcntl
import os
import signal

import pytest

import kernel
from croft_harness import wait_until
from networked import lab  # noqa: F401
from test_crossings import Callers, networked  # noqa: F401


class Held:
    """The lock on a tenant's hosts file, and who waits for it."""

    def __init__(self, path):
        self._file = open(path, encoding="utf-8")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._inode = os.fstat(self._file.fileno()).st_ino

    def waiting(self):
        """Their pids, as /proc/locks has them: "7: -> FLOCK ADVISORY WRITE 1234 00:3d:56 0 EOF"."""
        with open("/proc/locks", encoding="ascii") as f:
            words = [line.split() for line in f]
        return {int(w[5]) for w in words
                if w[1:3] == ["->", "FLOCK"] and w[6].endswith(f":{self._inode}")}

    def wait_for_one(self, but=()):
        wait_until("somebody waits for the lock", lambda: self.waiting() - set(but), 30)
        (pid,) = self.waiting() - set(but)
        return pid

    def release(self):
        self._file.close()


@pytest.fixture
def held(networked):  # noqa: F811
    lock = Held(f"{networked.run}/names/acme")
    yield lock
    lock.release()


def upper(box, name):
    supervisor = f"/proc/{box.pid('supervisor')}/root"
    return f"{supervisor}{box.base}/state/pool/tenants/acme/{name}"


def lose_the_worker(box, held, *command):
    """The command, unanswered, and its worker dead, while the next is about to take it back."""
    callers = Callers(box)
    callers.call(*command)
    worker = held.wait_for_one()
    assert worker in kernel.descendants(box.pid("supervisor"))
    os.kill(worker, signal.SIGKILL)
    held.wait_for_one(but={worker})
    # What the supervisor had said by now croftd has heard: answers stay in order.
    box.ok("host", "info")
    assert "container-not-started" not in box.read_log()
    assert callers.results == [] and os.path.exists(upper(box, "web"))
    return callers


def refused(callers):
    (result,) = callers.wait()
    assert result.rc == 1 and result.err.startswith("croft: "), result


def test_it_is_answered_when_nothing_is_left(networked, held):  # noqa: F811
    box = networked
    callers = lose_the_worker(box, held, "launch", "busybox", "acme/web")
    held.release()
    refused(callers)
    log = box.read_log()
    assert log.index("start taken back") < log.index("container-not-started")
    assert not os.path.exists(upper(box, "web"))
    box.launch("acme/web")


def test_the_supervisor_dies_before_that(networked, held):  # noqa: F811
    """It was not answered, so croftd knows that something may be left, and has it removed."""
    box = networked
    callers = lose_the_worker(box, held, "launch", "busybox", "acme/web")
    box.kill9("supervisor")
    held.release()
    refused(callers)
    box.restart("supervisor")
    wait_until("it is gone", lambda: not os.path.exists(upper(box, "web")), 30)
    box.launch("acme/web")
    box.ok("tenant", "delete", "acme", "--force", timeout=60)


@pytest.mark.parametrize("dies", [False, True], ids=["lives", "dies"])
def test_one_that_was_there_before_keeps_its_files(networked, dies, request):  # noqa: F811
    box = networked
    box.launch("acme/web")
    box.sh("acme/web", "echo kept >/kept; sync")
    box.ok("kill", "acme/web")
    box.wait_state("acme/web", "STOPPED")
    held = request.getfixturevalue("held")
    callers = lose_the_worker(box, held, "start", "acme/web")
    if dies:
        box.kill9("supervisor")
    held.release()
    refused(callers)
    if dies:
        box.restart("supervisor")
    box.wait_state("acme/web", "STOPPED")
    box.ok("start", "acme/web")
    assert box.sh("acme/web", "cat /kept") == "kept\n"
