"""The ledger: hours that are over become records in a chain, which anybody can check, and
whatever died meanwhile, they come to what the kernel counted.

A test cannot wait for hours: it stops croftd, and labels what was recorded as if it had been
earlier.
"""

import contextlib
import csv
import hashlib
import io
import os
import sqlite3
import time

import pytest

from croft_harness import wait_until
from old_state import undo_from
import samples

HOUR = 3600 * 1000000
# Presented in the CSV, but not part of what is hashed.
NOT_HASHED = ("final", "record_hash", "tenant_uid")
# A column that came later: where it is empty the hash is what it was without.
HASHED_IF_ANY = ("slots",)


@pytest.fixture
def box(fresh_box):
    """The ledger keeps what was deleted: each test needs one of its own."""
    return fresh_box


@contextlib.contextmanager
def stopped(box):
    """The database of a croftd that is down."""
    box.terminate("croftd")
    state = sqlite3.connect(f"{box.state}/server/croft.db")
    try:
        with state:
            yield state
    finally:
        state.close()
        box.restart("croftd")


def age(state, edge=None):
    """Labels all that was recorded as of two hours ago; with an edge (wall clock), so that an hour
    ended right then."""
    shift = 2 * HOUR
    if edge is not None:
        shift += edge % HOUR
    for table, column in (("runs", "start_wall"), ("runs", "end_wall"), ("samples", "wall"),
                          ("ledger_terms", "wall"), ("ledger_open", "window_start")):
        state.execute(f"UPDATE {table} SET {column} = {column} - ?", (shift,))
    state.execute("UPDATE ledger_open SET hour_end = window_start - window_start % ?1 + ?1",
                  (HOUR,))
    # What is held begins anew, as after a boot, so that all of before is closed at once.
    state.execute("UPDATE runs SET end_wall = start_wall WHERE kind <> 0 AND end_wall IS NULL")


# What is held whether anything runs or not has records of its own, which go on (test_held.py).
HELD = ("disk.used", "disk.allocated", "volume.allocated", "snapshot.used", "ipv4.address",
        "disk.denied")


def everything(box, *args):
    return list(csv.DictReader(io.StringIO(box.ok("usage", "export", "--format", "csv", *args))))


def records(box, *args):
    """Those of runs."""
    return [r for r in everything(box, *args)
            if r["meter"] not in HELD and not r["meter"].startswith("tenant.")]


def closed(box, n=1):
    """The records once at least so many are closed, and all that were aged."""
    def look():
        old = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
        if any(r["window_start"] < old and not r["finalized_at"] for r in everything(box)):
            return None
        found = [r for r in records(box) if r["finalized_at"]]
        return found if len(found) >= n else None
    return wait_until("the hours are closed", look, 60)


def total(found, meter="cpu.used"):
    return sum(int(r["quantity"]) for r in found if r["meter"] == meter)


def check_chain(found, tenant="acme"):
    """Walks a tenant's closed records by what they say themselves."""
    behind = {}
    for record in found:
        if not record["finalized_at"] or record["tenant"] != tenant:
            continue
        text = b"".join(value.encode() + b"\0" for name, value in record.items()
                        if name not in NOT_HASHED and (value or name not in HASHED_IF_ANY))
        assert hashlib.sha256(text).hexdigest() == record["record_hash"], record
        assert record["prev_hash"] not in behind, "two records behind one"
        behind[record["prev_hash"]] = record
    hash_, n = "", 0
    while hash_ in behind:
        hash_, n = behind[hash_]["record_hash"], n + 1
    assert n == len(behind) > 0
    ids = [r["record_id"] for r in found]
    assert len(ids) == len(set(ids))
    return hash_


def check_proven(box, recomputed=True):
    proof, = box.json_lines("usage", "verify", "acme")
    assert not proof.get("problem_count"), proof
    assert proof["records"] > 0
    assert (proof.get("recomputed", 0) == proof["records"]) == recomputed, proof
    return proof


def check_whole(box, recomputed=True, period=()):
    """The chain as exported is that which is proven, once both see the same hours closed."""
    wait_until("the chain is as long as its proof", lambda: check_chain(
        everything(box, *period)) == check_proven(box, recomputed)["head"], 60)


def burn(box, name="acme/web", usec=200_000):
    """Has it use that much CPU time. Returns its cgroup."""
    if box.exec(name, "/bin/sh", "-c", "[ -e /probe ]").rc:
        box.put_probe(name)
    cgroup = box.cgroup(name)
    goal = cgroup.cpu_usec() + usec
    box.sh(name, "/probe burn 1 1000 >/dev/null 2>&1 &")
    wait_until("it burns", lambda: cgroup.cpu_usec() > goal, 60)
    return cgroup


class TestHours:
    def test_closed_hours_are_what_was_used(self, box):
        box.tenant(cpu="1")
        box.launch("acme/web", memory="64M")
        burn(box)
        time_in_between = time.time_ns() // 1000
        burn(box)
        box.ok("kill", "acme/web")
        box.wait_state("acme/web", "STOPPED")
        usage, before = box.usage("acme/web"), records(box)
        with stopped(box) as state:
            age(state, edge=time_in_between)
        found = closed(box)
        assert len({r["window_start"] for r in found}) == 2
        assert all(r["final"] == "true" and r["kind"] == "usage" for r in found)
        assert total(found) == usage["cpu_usec"] == total(before)
        assert total(found, "running") == usage["running_usec"]
        assert total(found, "memory.used") == int(usage["memory_kib_seconds"])
        # What it was allowed to have, as long as it ran.
        seconds = usage["running_usec"] / 1000000
        assert abs(total(found, "memory.allocated") - 65536 * seconds) <= 1
        first, second = (r for r in found if r["meter"] == "cpu.used")
        assert first["window_end"] == second["window_start"]
        assert first["counter_end"] == second["counter_start"]
        for record in (first, second):
            assert int(record["quantity"]) == (
                int(record["counter_end"]) - int(record["counter_start"]))
            assert record["plan"] == "default" and record["host"] == os.uname().nodename
        check_whole(box)
        # Sums of tenants and containers are not touched by closing.
        assert box.usage("acme/web")["cpu_usec"] == usage["cpu_usec"]
        assert records(box) == found
        box.kill9("croftd")
        box.restart("croftd")
        assert records(box) == found

    def test_what_runs_on_is_closed_up_to_now(self, box):
        """Of a run across hours the past is closed, the present goes on."""
        box.tenant(cpu="1")
        box.launch("acme/web")
        cgroup = burn(box)
        # Frozen, so that a sample that comes after this one has no more than it.
        box.ok("freeze", "acme/web")
        before = total(records(box))
        with stopped(box) as state:
            age(state)
        box.ok("thaw", "acme/web")
        found = closed(box)
        assert total(found) == before > 0
        # The clock was set, as far as anybody can see, so the last hour is open from there.
        assert not all(r["finalized_at"] for r in records(box))
        box.ok("freeze", "acme/web")
        counted = cgroup.cpu_usec()
        assert total(records(box)) == counted
        check_whole(box)
        assert {r["record_id"] for r in found} <= {r["record_id"] for r in records(box)}

    def test_new_terms_are_a_new_window(self, box):
        box.tenant()
        box.launch("acme/web")
        box.ok("set", "acme/web", "--memory", "32M")
        box.ok("tenant", "set", "acme", "--account", "customer 9")
        wait_until("a sample under these", lambda: any(
            r["account_ref"] == "customer 9" for r in records(box)))
        found = [r for r in records(box) if r["meter"] == "running"]
        # Three sets of terms; one more window when an hour happens to end meanwhile.
        assert {r["account_ref"] for r in found[:2]} == {""}
        assert found[-1]["account_ref"] == "customer 9"
        assert 3 <= len({r["window_start"] for r in found}) == len(found) <= 4
        allocated = {r["account_ref"] for r in records(box) if r["meter"] == "memory.allocated"}
        assert "customer 9" in allocated
        box.ok("kill", "acme/web")
        box.wait_state("acme/web", "STOPPED")
        with stopped(box) as state:
            age(state)
        assert total(closed(box), "running") == box.usage("acme/web")["running_usec"]
        check_whole(box)

    def test_a_tenant_cannot_fill_it_with_changes(self, box):
        """Each change of limits is a window with records for ever: so many an hour are enough."""
        box.tenant()
        box.ok("create", "busybox", "acme/web")
        box.ok("tenant", "bind", "acme", "4321")
        done = 0
        while done <= 60 and box.croft("set", "acme/web", "--pids", str(10 + done),
                                       uid=4321).rc == 0:
            done += 1
        assert done == 60
        box.refused("set", "acme/web", "--pids", "9", uid=4321, match="60 times within an hour")
        # The same again is no change; and an operator may.
        box.ok("set", "acme/web", "--pids", "69", uid=4321)
        box.ok("set", "acme/web", "--pids", "9")

    def test_what_somebody_changed_is_found(self, box):
        box.tenant()
        for name in ("acme/a", "acme/b"):
            box.launch(name, init=["/bin/true"])
            box.wait_state(name, "STOPPED")
        with stopped(box) as state:
            age(state)
        closed(box, 2)
        check_proven(box)
        for fraud, words in (
                (lambda state: samples.add(state, 1, 1000, "sequence = 1 AND ids & 2"),
                 "cpu.used is"),
                ("DELETE FROM ledger_entries WHERE number = 1", "is missing"),
                ("DELETE FROM ledger_entries", "last records are missing")):
            with stopped(box) as state:
                if callable(fraud):
                    fraud(state)
                else:
                    state.execute(fraud)
            result = box.croft("usage", "verify")
            assert result.rc == 1 and words in result.out, result

    def test_what_nobody_read_is_said(self, box):
        """Hours in which croftd was down say so, and the gap is on record: each proves the
        other."""
        box.tenant(cpu="1")
        box.launch("acme/web")
        burn(box)
        with stopped(box):
            down = time.clock_gettime(time.CLOCK_BOOTTIME) + 6
            wait_until("it is longer down than a gap is",
                       lambda: time.clock_gettime(time.CLOCK_BOOTTIME) > down)
        burn(box)
        box.ok("kill", "acme/web")
        box.wait_state("acme/web", "STOPPED")
        with stopped(box) as state:
            age(state)
        found = [r for r in closed(box) if r["resource"].endswith("/web")]
        assert "gap" in {r["reason"] for r in found if r["meter"] == "running"}
        check_whole(box)
        web = "FROM runs WHERE container = 'web' AND kind = 0"
        with stopped(box) as state:
            (span,), = state.execute(
                f"SELECT to_boot - from_boot FROM gaps WHERE run = (SELECT key {web})")
            assert span > 6000000
            state.execute("DELETE FROM gaps")
        result = box.croft("usage", "verify")
        assert result.rc == 1 and "none is on record" in result.out, result
        # An earlier croftd closed them without: that is no sign of anything.
        with stopped(box) as state:
            undo_from(state, "closed_gaps")
        check_proven(box)

    def test_months(self, box):
        box.tenant()
        box.launch("acme/web", init=["/bin/true"])
        box.wait_state("acme/web", "STOPPED")
        now, before = box.json_lines("usage", "show", "acme", "--months", "2")
        sums = {s["meter"]: int(s.get("quantity", 0)) for s in now["sums"]}
        # At the turn of a month it may be of the one before.
        for s in before.get("sums", ()):
            sums[s["meter"]] += int(s["quantity"])
        assert sums["cpu.used"] == box.usage("acme")["cpu_usec"] > 0
        assert sums["running"] == box.usage("acme/web")["running_usec"]
        text = box.ok("usage", "show", "acme/web", "--months", "1")
        assert "cpu.used" in text and "KiB.s" in text
        rows = list(csv.DictReader(io.StringIO(
            box.ok("-o", "csv", "usage", "show", "acme", "--months", "2"))))
        assert sum(int(r["quantity"]) for r in rows if r["meter"] == "cpu.used") == sums["cpu.used"]
        assert box.croft("usage", "show", "acme", "--months", "13").rc == 2

    def test_for_whom(self, box):
        for name in ("acme", "other"):
            box.tenant(name)
            box.launch(f"{name}/web", init=["/bin/true"])
            box.wait_state(f"{name}/web", "STOPPED")
        box.ok("tenant", "bind", "acme", "4321")
        box.refused("usage", "show", "other", "--months", "1", uid=4321, match="no tenant other")
        box.refused("usage", "verify", uid=4321)
        assert box.ok("usage", "show", "acme", "--months", "1", uid=4321)
        box.refused("usage", "verify", "nobody", match="no tenant nobody")
        # No hour is over, but for the full one that may be right now.
        answer = box.croft("usage", "verify")
        assert answer.rc == 0 and (answer.out or "nothing to prove yet" in answer.err)


class TestRetention:
    def test_samples_go_and_nothing_else_changes(self, daemon):
        daemon.terminate("croftd")
        daemon.start("--keep-samples", "0")
        daemon.busybox()
        daemon.tenant(cpu="1")
        daemon.launch("acme/web")
        burn(daemon)
        daemon.ok("kill", "acme/web")
        daemon.wait_state("acme/web", "STOPPED")
        usage = daemon.usage("acme/web")
        with stopped(daemon) as state:
            age(state)
        found = closed(daemon)

        def left():
            state = sqlite3.connect(f"file:{daemon.state}/server/croft.db?mode=ro", uri=True)
            with contextlib.closing(state):
                n, = state.execute("SELECT count(*) FROM samples JOIN runs ON key = run"
                                   " WHERE container = 'web' AND kind = 0").fetchone()
            return n

        wait_until("its samples are gone", lambda: left() == 0, 60)
        assert records(daemon) == found
        assert total(found) == usage["cpu_usec"] == daemon.usage("acme/web")["cpu_usec"]
        check_whole(daemon, recomputed=False)
        daemon.launch("acme/next", init=["/bin/true"])
        daemon.wait_state("acme/next", "STOPPED")


class TestUpgrade:
    def test_what_was_recorded_before_there_was_a_ledger(self, box):
        """A croftd that knew nothing of hours has left its samples: they are closed as any."""
        box.tenant(cpu="1")
        for name in ("acme/ended", "acme/running"):
            box.launch(name)
            burn(box, name)
        box.ok("kill", "acme/ended")
        box.wait_state("acme/ended", "STOPPED")
        before = records(box)
        with stopped(box) as state:
            undo_from(state, "ledger")
        # Made anew, with what it then finds.
        box.kill9("croftd")
        for table, column in (("runs", "start_wall"), ("runs", "end_wall"), ("samples", "wall")):
            state = sqlite3.connect(f"{box.state}/server/croft.db")
            with contextlib.closing(state), state:
                state.execute(f"UPDATE {table} SET {column} = {column} - {2 * HOUR}"
                              " WHERE (SELECT max(number) FROM ledger_entries) IS NULL")
                state.execute("UPDATE ledger_open SET window_start = (SELECT start_wall FROM runs"
                              " WHERE key = run), hour_end = 0")
                state.execute("UPDATE ledger_open SET hour_end ="
                              f" window_start - window_start % {HOUR} + {HOUR}")
        box.restart("croftd")
        ended = [r for r in closed(box) if r["resource"].endswith("/ended")]
        assert total(ended) == total(
            [r for r in before if r["resource"].endswith("/ended")]) > 0
        # Under which terms it ran then, nobody knows; from now on they do.
        assert {r["plan"] for r in ended} == {""}
        assert not [r for r in ended if r["meter"].endswith(".allocated")]
        wait_until("what runs has terms", lambda: "default" in {
            r["plan"] for r in records(box) if r["resource"].endswith("/running")})
        check_whole(box)
        box.ok("kill", "acme/running")
        box.wait_state("acme/running", "STOPPED")
        assert total(records(box)) == box.usage("acme")["cpu_usec"]

    def test_samples_that_were_a_row_for_each_value(self, box):
        """They are packed when croftd starts, and say the same: closed hours are proven by them,
        and what is open goes on."""
        box.tenant(cpu="1")
        for name in ("acme/ended", "acme/running"):
            box.launch(name)
            burn(box, name)
        box.ok("kill", "acme/ended")
        box.wait_state("acme/ended", "STOPPED")
        with stopped(box) as state:
            age(state)
            # Records of then did not say it.
            state.execute("UPDATE runs SET partial_writes = 0")
        found = closed(box)
        box.terminate("croftd")
        state = sqlite3.connect(f"{box.state}/server/croft.db")
        # Of tenants' directories they begin anew (below).
        look = ("SELECT run, sequence, boot, wall, ids, packed FROM samples WHERE run NOT IN"
                " (SELECT key FROM runs WHERE kind = 5)")
        with contextlib.closing(state), state:
            before = state.execute(look).fetchall()
            undo_from(state, "packed_samples")
            rows, = state.execute("SELECT count(*) FROM samples").fetchone()
        assert rows > 5 * len(before) > 0
        box.restart("croftd")
        state = sqlite3.connect(f"file:{box.state}/server/croft.db?mode=ro", uri=True)
        with contextlib.closing(state):
            after = state.execute(look).fetchall()
        # But for the mark that samples of what is held had where they had nothing else, and what
        # has come meanwhile.
        assert {r for r in before if r[4]} <= set(after)
        assert {r[:4] for r in before} <= {r[:4] for r in after}
        assert {r["record_id"]: r for r in found}.items() <= {
            r["record_id"]: r for r in records(box)}.items()
        check_whole(box)
        box.ok("kill", "acme/running")
        box.wait_state("acme/running", "STOPPED")
        assert total(records(box)) == box.usage("acme")["cpu_usec"]

    def test_of_tenants_directories(self, box):
        """Once they were sampled and not billed: their meters begin where that ended."""
        box.tenant(cpu="1")
        box.launch("acme/web")
        burn(box)
        wait_until("it is on record", lambda: total(everything(box), "tenant.cpu.used") > 200_000)
        wait_until("it has more than one sample", lambda: any(
            int(r["samples"]) > 1 for r in everything(box) if r["meter"] == "tenant.cpu.used"))
        with stopped(box) as state:
            undo_from(state, "own_meters")
            old, = state.execute("SELECT key FROM runs WHERE kind = 0 AND container_uid = ''"
                                 " AND end_wall IS NULL").fetchone()
        burn(box)
        box.ok("kill", "acme/web")
        box.wait_state("acme/web", "STOPPED")
        whole = box.cgroup("acme").cpu_usec()

        def goes_on():
            found = [r for r in everything(box) if r["meter"] == "tenant.cpu.used"]
            return found if found and int(found[-1]["counter_end"]) == whole else None
        record, = wait_until("all of it is on record", goes_on)
        assert int(record["counter_start"]) > 200_000
        assert int(record["quantity"]) == whole - int(record["counter_start"])
        assert int(record["quantity"]) > 200_000
        with stopped(box) as state:
            kind, ended = state.execute(
                "SELECT kind, end_wall FROM runs WHERE key = ?", (old,)).fetchone()
            assert kind == 5 and ended
            age(state)
        closed(box)
        check_whole(box)
