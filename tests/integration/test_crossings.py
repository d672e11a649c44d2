"""Requests that cross each other, or the end of what they are about, or of those who serve them:
whoever wins, nothing stays that nobody can see, and no name or port is lost."""

import os
import signal
import threading
import time

import pytest

import kernel
import netlab
from croft_harness import debug, wait_until
from networked import POOLS, lab  # noqa: F401

FORWARD_ROUNDS = 4


class Callers:
    """Threads that run croft commands, and what became of each."""

    def __init__(self, box):
        self.box, self.threads, self.results = box, [], []

    def call(self, *command):
        thread = threading.Thread(target=lambda: self.results.append(self.box.croft(*command)))
        thread.start()
        self.threads.append(thread)

    def wait(self):
        for thread in self.threads:
            thread.join()
        return self.results


def forget(box, name):
    """It is deleted, and its name is free for one that is made, runs and goes."""
    wait_until(f"{name} is gone", lambda: box.croft("info", name).rc == 1)
    wait_until(f"{name} can be made again", lambda: box.croft("launch", "busybox", name).rc == 0)
    box.ok("delete", "--force", name)


@pytest.mark.parametrize("who", [("supervisor",), ("croftd", "supervisor")], ids="+".join)
def test_changed_while_it_ends(box, who):
    """An ephemeral container goes when it ends, also while somebody changes it: what is committed
    of the change must not bring back the row of what is deleted."""
    box.tenant()
    for i in range(4):
        name = f"acme/c{i}"
        init = box.launch(name, options=["--ephemeral"])["run"]["host_pid"]
        stop = threading.Event()

        def change(n=name, s=stop):
            for pids in range(10, 1000):
                if s.is_set():
                    return
                box.croft("set", n, "--pids", str(pids), "--user-data", "-", stdin=b"#!/bin/sh\n")

        threads = [threading.Thread(target=change) for _ in range(3)]
        for thread in threads:
            thread.start()
        for which in who:
            box.kill9(which)
        if kernel.is_alive(init):
            os.kill(init, signal.SIGKILL)
        box.restart(*who)
        try:
            wait_until(f"{name} is gone", lambda n=name: box.croft("info", n).rc == 1)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        forget(box, name)


def test_made_by_a_supervisor_that_is_killed(box):
    """Whether it was made is not known to anybody then; its name must be free all the same."""
    box.tenant()
    box.launch("acme/other")
    unknown = 0
    for i in range(8):
        name = f"c{i}"
        pool = f"/proc/{box.pid('supervisor')}/root{box.base}/state/pool/tenants/acme"
        callers = Callers(box)
        callers.call("create", "busybox", f"acme/{name}")
        # As soon as its directory is there: the answer is still to come, or has just been given.
        wait_until("it is being made", lambda p=f"{pool}/{name}": os.path.exists(p), interval=0)
        box.kill9("supervisor")
        result = callers.wait()[0]
        unknown += result.rc
        box.restart("supervisor")
        if result.rc == 0:
            box.ok("delete", f"acme/{name}")
        forget(box, f"acme/{name}")
    debug(f"{unknown} of 8 not known to be made")


def forwarded(box):
    """The ports of the host that lead anywhere, as the packet filter has them."""
    rules = box.lab.run("host", "nft", "-j", "list", "ruleset").stdout
    return [port for port in range(9000, 9000 + FORWARD_ROUNDS) if f" {port}" in rules]


@pytest.fixture
def networked(lab, bare_daemon):  # noqa: F811
    box = bare_daemon
    box.netns, box.lab = lab.host, lab
    box.start(*POOLS, "--dns", netlab.HOST4)
    box.busybox()
    box.tenant()
    box.launch("acme/other")
    return box


@pytest.mark.parametrize("who", [("croftd",), ("supervisor",), ("croftd", "supervisor")],
                         ids="+".join)
def test_a_forward_whose_makers_are_killed(networked, who):
    """The packet filter has what is on record, whoever asked it for what before."""
    box = networked
    for i in range(FORWARD_ROUNDS):
        callers = Callers(box)
        for port in range(9000, 9000 + FORWARD_ROUNDS):
            callers.call("forward", "add", "acme/other", str(port), "80")
        time.sleep(0.01 + 0.02 * i)
        for which in who:
            box.kill9(which)
        callers.wait()
        box.restart(*who)

        def as_recorded():
            return forwarded(box) == [
                f["first_port"] for f in box.json_lines("forward", "list")]

        wait_until("the filter has what is on record", as_recorded)
        for forward in box.json_lines("forward", "list"):
            box.ok("forward", "delete", "acme/other", str(forward["first_port"]))
        assert forwarded(box) == []


def test_a_forward_to_what_is_being_deleted(networked):
    """Its rule may come after those of the container were taken away, and must not stay."""
    box = networked
    for i in range(FORWARD_ROUNDS):
        port = str(9000 + i)
        box.ok("create", "busybox", "acme/web")
        callers = Callers(box)
        with box.held("supervisor"):
            callers.call("forward", "add", "acme/web", port, "80")
            if i % 2:
                time.sleep(0.1)
            callers.call("delete", "acme/web")
            time.sleep(0.3)
        for result in callers.wait():
            assert result.rc == 0 or "deleted" in result.err or "no container" in result.err, result
        wait_until("it is gone", lambda: box.croft("info", "acme/web").rc == 1)
        wait_until("nothing leads to it", lambda: not forwarded(box))
        # Its port is free for another.
        box.ok("forward", "add", "acme/other", port, "80")
        assert forwarded(box) == [9000 + i]
        box.ok("forward", "delete", "acme/other", port)
