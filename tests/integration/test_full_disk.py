"""The disk of croftd's state is full: what runs goes on, what was committed stays, what cannot be
recorded is refused before it is begun, and what has ended is billed as soon as there is room."""

import contextlib
import os
import sqlite3
import subprocess

import pytest

from croft_harness import wait_until
from test_ledger import age, burn, check_whole, closed, everything, records, total
from test_usage import quantity


FULL = "disk of croftd's state is full"


class Disk:
    """The file system that croftd's state lies on."""

    def __init__(self, path):
        self.path = path
        self.filler = f"{path}/filler"

    def fill(self):
        """To the last byte."""
        fd = os.open(self.filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for size in (1 << 16, 1 << 12):
                try:
                    while True:
                        os.write(fd, b"x" * size)
                except OSError as e:
                    assert e.errno == 28, e
        finally:
            os.close(fd)

    def empty(self):
        os.unlink(self.filler)


@pytest.fixture
def disk(bare_daemon, request):
    """8 MiB for the state of croftd alone, while the pool and the supervisor's files are elsewhere;
    or, parametrized, one disk for the state of all."""
    box = bare_daemon
    whole = getattr(request, "param", None) == "whole"
    path = box.state if whole else f"{box.state}/server"
    os.makedirs(path)
    options = "size=48M,mode=711" if whole else "size=8M,mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "croft-test", path], check=True)
    try:
        box.start("--pool-driver", "plain")
        yield Disk(path)
        if os.path.exists(f"{path}/filler"):
            os.unlink(f"{path}/filler")
        box.revive()
        box.kill_all()
        box.shutdown()
    finally:
        # Lazily: what a failed test left is ended behind it.
        subprocess.run(["umount", "-l", path], check=True)


@pytest.fixture
def box(bare_daemon, disk):
    bare_daemon.busybox()
    bare_daemon.tenant(pids=100)
    return bare_daemon


def notice(box):
    """Something is recorded until it fails: that is how croftd learns of it."""
    for pids in range(101, 400):
        result = box.croft("tenant", "set", "acme", "--pids", str(pids))
        if result.rc:
            assert FULL in result.err, result
            return pids - 1
    raise AssertionError("it never was full")


def check_refusals(box):
    box.refused("tenant", "create", "other", match=FULL)
    box.refused("tenant", "set", "acme", "--pids", "77", match=FULL)
    box.refused("launch", "busybox", "acme/new", match=FULL)
    box.refused("create", "busybox", "acme/new", match=FULL)
    box.refused("start", "acme/idle", match=FULL)
    box.refused("set", "acme/web", "--pids", "33", match=FULL)
    box.refused("image", "build-busybox", "other", match=FULL)


def names(box):
    return sorted(c["name"].rpartition("/")[2] for c in box.json_lines("list"))


class TestFull:
    def test_what_runs_goes_on(self, box, disk):
        box.launch("acme/web")
        box.ok("create", "busybox", "acme/idle")
        before = box.events("--after", "0")
        disk.fill()
        pids = notice(box)
        check_refusals(box)
        assert not box.cgroup("acme/new").exists()
        assert names(box) == ["idle", "web"]
        assert box.sh("acme/web", "echo alive") == "alive\n"
        assert box.usage("acme/web")["running"] == 1
        assert box.cgroup("acme").pids_max() == pids
        assert "state-disk-full" in box.read_log()
        # From the reserve: what has happened, and what makes room.
        box.ok("stop", "--timeout", "1", "acme/web")
        usage = box.usage("acme/web")
        box.ok("tenant", "suspend", "acme", "--reason", "full")
        box.ok("tenant", "resume", "acme")
        box.ok("delete", "acme/idle")
        box.ok("delete", "acme/web")
        told = box.refused("tenant", "create", "other", match=FULL)
        assert "stopping and deleting still work" in told
        disk.empty()
        wait_until("there is room", lambda: box.croft("tenant", "create", "other").rc == 0)
        assert quantity(box, "acme/web", "cpu.used") == usage["cpu_usec"]
        events = box.events("--after", "0")
        assert events[:len(before)] == before
        assert [e["number"] for e in events] == list(range(1, len(events) + 1))
        box.launch("acme/new")

    def test_a_sweep_that_cannot_be_kept_is_taken_back(self, box, disk):
        """What `usage show` adds up is what the ledger holds, also of such an interval."""
        box.launch("acme/web")
        wait_until("a sample", lambda: quantity(box, "acme/web", "running"))
        disk.fill()
        wait_until("a sweep fails", lambda: "sweep-not-committed" in box.read_log())
        disk.empty()
        wait_until("there is room", lambda: box.croft("tenant", "create", "other").rc == 0)
        box.ok("kill", "acme/web")
        usage = box.usage("acme/web")
        for meter, total in (("cpu.used", usage["cpu_usec"]), ("running", usage["running_usec"]),
                             ("memory.used", usage["memory_kib_seconds"])):
            assert quantity(box, "acme/web", meter) == total, meter

    def test_nothing_committed_is_lost_by_a_crash(self, box, disk):
        box.launch("acme/web")
        box.ok("create", "busybox", "acme/idle")
        disk.fill()
        pids = notice(box)
        box.ok("delete", "acme/idle")
        events = box.events("--after", "0")
        box.kill9("croftd")
        box.restart("croftd")
        assert names(box) == ["web"]
        assert box.events("--after", "0")[:len(events)] == events
        assert box.json("tenant", "show", "acme")["limits"]["pids"] == pids
        box.refused("tenant", "create", "other", match=FULL)
        box.ok("kill", "acme/web")
        disk.empty()
        wait_until("there is room", lambda: box.croft("tenant", "create", "other").rc == 0)

    def test_a_launch_that_cannot_be_recorded_leaves_nothing(self, box, disk):
        """The first to meet the full disk: it runs before its commit fails."""
        disk.fill()
        for n in range(20):
            result = box.croft("launch", "busybox", f"acme/c{n}")
            if result.rc:
                break
        assert FULL in result.err, result
        wait_until("it is gone", lambda: not box.cgroup(f"acme/c{n}").exists())
        assert f"c{n}" not in names(box)
        disk.empty()
        wait_until("there is room", lambda: box.croft("tenant", "create", "other").rc == 0)
        box.launch(f"acme/c{n}")


def room(box):
    wait_until("there is room", lambda: box.croft("tenant", "set", "acme", "--pids", "99").rc == 0)


class TestLedger:
    """Hours are due while nothing can be written, and the load goes on."""

    @pytest.fixture
    def due(self, box, disk):
        """All that has run is of an hour that is over, and the disk is full when croftd starts."""
        for name in ("acme/steady", "acme/ends"):
            box.launch(name)
            burn(box, name)
        box.ok("launch", "busybox", "acme/ended", "--", "/bin/true")
        box.wait_state("acme/ended", "STOPPED")
        state = sqlite3.connect(f"{box.state}/server/croft.db")
        with contextlib.closing(state):
            # What was never sampled before is of the hour that it is sampled in.
            wait_until("the two that run were sampled", lambda: state.execute(
                "SELECT count(DISTINCT s.run) FROM samples s JOIN runs r ON r.key = s.run"
                " WHERE r.kind = 0 AND r.container_uid <> ''"
                " AND r.end_wall IS NULL").fetchone() == (2,))
            box.terminate("croftd")
            with state:
                age(state)
        disk.fill()
        box.restart("croftd")
        wait_until("it is noticed", lambda: "state-disk-full" in box.read_log(), 60)
        return box

    @pytest.mark.parametrize("killed", [False, True], ids=["", "killed"])
    def test_nothing_is_lost_and_nothing_counted_twice(self, due, disk, killed):
        box, steady = due, due.cgroup("acme/steady")
        counted = box.cgroup("acme/ends").cpu_usec()
        box.ok("kill", "acme/ends")
        box.wait_state("acme/ends", "STOPPED")
        # The load goes on through some sweeps that cannot be kept.
        goal = steady.cpu_usec() + 1_500_000
        wait_until("it goes on", lambda: steady.cpu_usec() > goal, 60)
        if killed:
            box.kill9("croftd")
            box.restart("croftd")
        disk.empty()
        room(box)
        closed(box)
        box.ok("freeze", "acme/steady")
        found, used = records(box), {}
        for name in ("steady", "ends", "ended"):
            mine = [r for r in found if r["resource"].endswith(f"/{name}")]
            used[name] = total(mine)
            assert len({r["run_id"] for r in mine}) == 1
            assert any(r["finalized_at"] for r in mine), name
        assert used["steady"] == steady.cpu_usec()
        assert used["ends"] == box.usage("acme/ends")["cpu_usec"] >= counted
        assert sum(used.values()) == total(found) == box.usage("acme")["cpu_usec"]
        ids = [r["record_id"] for r in everything(box)]
        assert len(ids) == len(set(ids))
        check_whole(box)


@pytest.mark.parametrize("disk", ["server", "whole"], indirect=True)
class TestReserveUsedUp:
    """Somebody has filled the reserve as well: nothing at all can be written."""

    def brim(self, box, disk):
        disk.fill()
        notice(box)
        disk.fill()

    def test_an_end_waits_for_room(self, box, disk):
        box.launch("acme/web")
        pid, counted = box.init_pid("acme/web"), box.cgroup("acme/web").cpu_usec()
        self.brim(box, disk)
        os.kill(pid, 9)
        wait_until("it is tried", lambda: box.info("acme/web")["state"] == "STOPPING" or
                   "No space" in box.read_log())
        assert box.info("acme/web")["state"] != "STOPPED"
        assert box.reaper.status(box.pids["croftd"]) == "running"
        disk.empty()
        box.wait_state("acme/web", "STOPPED")
        assert box.usage("acme/web")["cpu_usec"] >= counted
        assert quantity(box, "acme/web", "cpu.used") == box.usage("acme/web")["cpu_usec"]
        wait_until("there is room", lambda: box.croft("start", "acme/web").rc == 0)

    def test_an_end_waits_also_for_the_next_croftd(self, box, disk):
        box.launch("acme/web")
        pid, counted = box.init_pid("acme/web"), box.cgroup("acme/web").cpu_usec()
        self.brim(box, disk)
        os.kill(pid, 9)
        wait_until("it is tried", lambda: "final-usage-not-committed" in box.read_log() or
                   "No space" in box.read_log())
        box.kill9("croftd")
        disk.empty()
        box.restart("croftd")
        box.wait_state("acme/web", "STOPPED")
        assert box.usage("acme/web")["cpu_usec"] >= counted
        assert quantity(box, "acme/web", "cpu.used") == box.usage("acme/web")["cpu_usec"]
