"""Ends of runs that croftd has no row of, because it was killed before its commit: they are on the
bill, once, however often they are told and whatever the database does meanwhile."""

import contextlib
import csv
import io
import os
import signal
import sqlite3

import pytest

import kernel
from croft_harness import wait_until

BURN = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; exec sleep 1000"
# The one in the middle is the stray: some commit is under way when it is told.
NAMES = ("acme/a", "acme/web", "acme/z")


@contextlib.contextmanager
def writer(box):
    """Somebody else writes to the database, a backup say: croftd's thread waits for the end."""
    other = sqlite3.connect(f"{box.state}/server/croft.db", isolation_level=None, timeout=20)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


def forget(box, name):
    """As if croftd had been killed before the launch was committed."""
    state = sqlite3.connect(f"{box.state}/server/croft.db")
    with state:
        state.execute("DELETE FROM samples WHERE run IN (SELECT key FROM runs WHERE container=?)",
                      (name,))
        state.execute("DELETE FROM runs WHERE container=?", (name,))
        state.execute("DELETE FROM containers WHERE name=?", (name,))
    state.close()


def records(box):
    rows = csv.DictReader(io.StringIO(box.ok("usage", "export", "--format", "csv")))
    return [row for row in rows if row["meter"] == "cpu.used"]


@pytest.fixture
def box(bare_daemon):
    """croftd is down; containers have ended, and of acme/web it has no row."""
    box = bare_daemon
    # No sample of them is in any sum.
    box.start("--sample-interval", "3600")
    box.busybox()
    box.tenant()
    pids = []
    for name in NAMES:
        box.launch(name, init=["/bin/sh", "-c", BURN])
        cgroup = box.cgroup(name)
        wait_until("it has used some", lambda c=cgroup: c.cpu_usec() > 5000)
        pids.append(box.init_pid(name))
    box.kill9("croftd")
    for pid in pids:
        assert pid in kernel.descendants(box.reaper_pid)
        os.kill(pid, signal.SIGKILL)
    for name in NAMES:
        wait_until("it is gone", lambda n=name: not box.cgroup(n).exists())
    forget(box, "web")
    return box


def check(box):
    def settled():
        usage, rows = box.usage("acme"), records(box)
        runs = {row["run_id"] for row in rows}
        total = sum(int(row["quantity"]) for row in rows)
        return len(runs) == usage.get("runs") == len(NAMES) and (
            total == usage.get("cpu_usec") and total)
    total = wait_until("all are on the bill, once", settled, 20)
    # The same after it was read from the database.
    box.terminate("croftd")
    box.restart("croftd")
    assert settled() == total


def test_told_once(box):
    box.restart("croftd")
    check(box)


def test_told_again_before_it_is_committed(box):
    """A supervisor that is started anew tells again what nobody has acknowledged."""
    with writer(box):
        box.restart("croftd")
        box.kill9("supervisor")
        box.restart("supervisor")
    check(box)


def test_a_commit_that_fails_is_repeated(box):
    """Nothing but the passing of time is needed."""
    with writer(box):
        box.restart("croftd")
        wait_until("it failed", lambda: "stray-run-not-committed" in box.read_log(), 20)
    check(box)
