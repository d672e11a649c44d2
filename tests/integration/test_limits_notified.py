"""Limits that are met are told when the kernel says so, not when the next sweep looks: that is an
hour away here."""

import contextlib
import json
import os
import select
import time
import types

import pytest

import scrapes
from croft_harness import PATIENCE, Daemon, wait_until
from fixtures import Kept, keep

pytestmark = pytest.mark.vm

MIB = 1 << 20
WEB, CALM = "tenants/acme/containers/web", "tenants/acme/containers/calm"
INTERVAL, SOON = 3600, 10
# A wait for what is told could not last until a sweep.
assert SOON * PATIENCE < INTERVAL / 10


class Scraped(Daemon):
    def start(self, *more):
        return super().start("--sample-interval", str(INTERVAL), "--metrics", self.metrics, *more)

    @property
    def metrics(self):
        return f"unix:{self.base}/metrics.sock"


class KeptScraped(Kept):
    def make(self):
        return Scraped(self.schema)


@pytest.fixture(scope="module")
def kept(schema):
    yield from keep(KeptScraped(schema))


def sweeps(box):
    return scrapes.scrape(box.metrics).get("croft_sweep_seconds_count")


@contextlib.contextmanager
def no_sweep(box):
    """There is none while the block runs, unless it says that one is allowed; but at a full hour,
    when that comes, one is due."""
    # What croftd begins with is over by then. A page is of this second, or the one before.
    box.ok("usage", "export")
    time.sleep(1.1)
    before, hour = sweeps(box), time.time() // 3600
    assert before > 0
    swept = types.SimpleNamespace(allowed=False)
    yield swept
    time.sleep(1.1)
    assert swept.allowed or sweeps(box) == before or time.time() // 3600 != hour


def told(box, kind, resource):
    return [json.loads(e["details_json"]) for e in box.events()
            if e["type"] == kind and e["resource"] == resource]


def soon(box, kind, resource=WEB, times=1):
    return wait_until(f"{kind} of {resource}", lambda: len(found := told(box, kind, resource))
                      >= times and found, SOON)


def launch(box, **limits):
    for name, own in (("web", limits), ("calm", {})):
        box.launch(f"acme/{name}", **own)
        box.put_probe(f"acme/{name}")


def nothing_of_calm(box):
    assert not told(box, "container.oom", CALM) + told(box, "container.pids_denied", CALM)


def eat(box):
    box.exec("acme/web", "/probe", "eat", str(100 * MIB), "0")


@contextlib.contextmanager
def watched(box):
    """Yields a question: does the kernel itself say that a fork was refused? v1 of Linux 6.18
    counts, and does not: it notifies a file that v1 has not."""
    directory, poll, fds = box.cgroup("acme/web").directory("pids"), select.poll(), []
    try:
        for below, _, files in os.walk(directory):
            # v2 has it where there are limits alone.
            if "pids.events" not in files:
                continue
            fds.append(os.open(f"{below}/pids.events", os.O_RDONLY))
            # To be told is what follows a look.
            os.read(fds[-1], 100)
            poll.register(fds[-1], select.POLLPRI)
        yield lambda: bool(poll.poll(2000))
    finally:
        for fd in fds:
            os.close(fd)


def fork_until_refused(box):
    """Where the kernel does not say so, the next sweep is soon enough, and must have it."""
    with watched(box) as kernel_tells, box.forks("acme/web") as forks:
        forks.stdout.readline()
        told_by_itself = kernel_tells()
        if not told_by_itself:
            assert box.cgroup("acme/web").pids_denied() > 0
            box.ok("usage", "export")
        denied, = soon(box, "container.pids_denied")
    assert denied["limit"] == 16 and denied["count"] == denied["total"] > 0
    return told_by_itself


def test_forks_that_are_refused(box):
    box.tenant(pids=128)
    launch(box, pids=16)
    with no_sweep(box) as swept:
        swept.allowed = not fork_until_refused(box)
        nothing_of_calm(box)


def test_an_oom_kill_and_the_next(box):
    box.tenant(memory="256M")
    launch(box, memory="32M")
    with no_sweep(box):
        eat(box)
        first, = soon(box, "container.oom")
        assert (first["limit"], first["count"], first["total"]) == (32 * MIB, 1, 1)
        # Being told of one is no end of it; events of a kind are five seconds apart.
        time.sleep(5)
        eat(box)
        _, second = soon(box, "container.oom", times=2)
        assert second["total"] == 2
        nothing_of_calm(box)


def test_an_oom_kill_by_the_tenant_s_limit(box):
    """What is met is not the container's own directory's."""
    box.tenant(memory="48M")
    launch(box)
    with no_sweep(box):
        eat(box)
        oom, = soon(box, "container.oom")
        assert oom["limit"] == 48 * MIB and oom["count"] == 1
        nothing_of_calm(box)


@pytest.mark.native("what is watched is the same for one that was adopted")
def test_by_a_supervisor_that_has_adopted_them(box):
    box.tenant()
    launch(box, memory="32M", pids=16)
    box.kill9("supervisor")
    box.restart("supervisor")
    with no_sweep(box) as swept:
        eat(box)
        soon(box, "container.oom")
        swept.allowed = not fork_until_refused(box)
        nothing_of_calm(box)
