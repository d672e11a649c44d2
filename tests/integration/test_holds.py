"""Holds: why a tenant is suspended; what they keep from starting, and bring back."""

import concurrent.futures
import contextlib
import json
import os
import signal
import sqlite3

import pytest

from croft_harness import wait_until
from old_state import undo_from

TYPES = ("billing", "abuse", "operator")


def suspend(daemon, kind, *more, tenant="acme"):
    return daemon.json("tenant", "suspend", tenant, "--type", kind, "--reason", f"{kind} why",
                       *more)


def resume(daemon, kind, tenant="acme"):
    return daemon.json("tenant", "resume", tenant, "--type", kind)


def holds(daemon, tenant="acme"):
    return [h["type"].lower() for h in daemon.json("tenant", "show", tenant).get("holds", [])]


def told(daemon, kind):
    return [json.loads(e["details_json"]) for e in daemon.events() if e["type"] == kind]


def is_still(daemon, tenant="acme"):
    """Nothing of it runs, nor can before somebody thaws it: the kernel's word. Its directory stays
    frozen when there is nothing in it."""
    return daemon.cgroup(tenant).is_frozen()


def database(daemon, query, *args):
    """Reads beside croftd."""
    with contextlib.closing(sqlite3.connect(f"{daemon.state}/server/croft.db")) as db:
        return db.execute(query, args).fetchall()


@contextlib.contextmanager
def nothing_committed(daemon):
    """croftd's commits wait for as long as the block runs; after two seconds they fail. The one
    that is under way may take its time."""
    path = f"{daemon.state}/server/croft.db"
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as db:
        db.isolation_level = None
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            db.execute("ROLLBACK")


def counter(daemon, name):
    """A container that works all the time, and writes how far it has come."""
    daemon.ok("launch", "busybox", name, "--", "/bin/sh", "-c",
              "i=0; while :; do i=$((i+1)); echo $i >/count; done")
    count(daemon, name)


def count(daemon, name):
    return wait_until("it counts", lambda: daemon.croft(
        "exec", "-T", name, "--", "/bin/cat", "/count").out.strip())


class TestStack:
    @pytest.mark.vm
    def test_each_type_once_and_all_must_be_lifted(self, box):
        box.tenant()
        counter(box, "acme/web")
        for kind in TYPES:
            suspend(box, kind)
        shown = box.json("tenant", "show", "acme")
        assert shown["suspended"] and shown["suspend_reason"] == "billing why"
        assert [(h["type"], h["reason"], h["set_by"]) for h in shown["holds"]] == [
            (kind.upper(), f"{kind} why", "uid:0") for kind in TYPES]
        assert all(h["create_time"] and h["stop_time"] for h in shown["holds"])
        text = box.ok("tenant", "show", "acme")
        assert "abuse hold" in text and "abuse why" in text and "by uid:0" in text
        assert is_still(box)
        for kind in ("abuse", "operator"):
            left = resume(box, kind)
            assert left["suspended"]
            assert is_still(box)
            box.refused("exec", "-T", "acme/web", "--", "/bin/true", rc=125, match="suspended")
        assert holds(box) == ["billing"]
        assert "suspended" not in resume(box, "billing")
        before = int(count(box, "acme/web"))
        wait_until("it goes on", lambda: int(count(box, "acme/web")) > before)
        assert [d["hold"] for d in told(box, "tenant.hold_added")] == list(TYPES)
        assert [d["hold"] for d in told(box, "tenant.hold_lifted")] == [
            "abuse", "operator", "billing"]
        assert [d["hold"] for d in told(box, "tenant.suspended")] == ["billing"]
        assert [d["hold"] for d in told(box, "tenant.resumed")] == ["billing"]

    def test_again_and_not_there(self, box):
        box.tenant()
        box.ok("tenant", "resume", "acme")
        box.ok("tenant", "resume", "acme", "--type", "abuse")
        first = suspend(box, "billing", "--grace", "3h")
        again = suspend(box, "billing", "--grace", "3h")
        assert again["holds"] == first["holds"]
        assert len(told(box, "tenant.hold_added")) == 1
        # Another reason or grace changes it; who set it, and when, stays.
        changed = box.json("tenant", "suspend", "acme", "--type", "billing", "--grace", "never",
                           "--tell", "--reason", "bill 7")["holds"]
        assert len(changed) == 1 and changed[0]["reason"] == "bill 7" and changed[0]["told"]
        assert changed[0]["create_time"] == first["holds"][0]["create_time"]
        assert "stop_time" not in changed[0]
        assert [d["reason"] for d in told(box, "tenant.hold_changed")] == ["bill 7"]
        # Without a type an operator's is meant, and no other is lifted by mistake.
        box.refused("tenant", "resume", "acme", match="no operator hold; .*billing")
        assert "still suspended: billing" in box.ok("tenant", "resume", "acme", "--type", "abuse")
        assert holds(box) == ["billing"]
        resume(box, "billing")
        assert holds(box) == [] and not told(box, "tenant.hold_stopped")

    def test_repeated_with_its_request_id(self, box):
        box.tenant()
        with box.api() as api:
            request = {"name": "tenants/acme", "type": "ABUSE", "request_id": "one"}
            first = api.call("Tenants/SuspendTenant", request)
            api.call("Tenants/ResumeTenant", {"name": "tenants/acme", "type": "ABUSE"})
            # The answer of then; nobody is suspended once more.
            assert api.call("Tenants/SuspendTenant", request) == first
        assert holds(box) == []

    def test_bad_input(self, box):
        box.tenant()
        assert box.croft("tenant", "suspend", "acme", "--type", "other", "--reason", "x").rc == 2
        assert box.croft("tenant", "suspend", "acme", "--type", "operator").rc == 2
        assert box.croft("tenant", "suspend", "acme", "--reason", "x", "--grace", "1").rc == 2
        assert box.croft("tenant", "resume", "acme", "--type", "").rc == 2
        box.refused("tenant", "suspend", "acme", "--reason", "x", "--grace", "400d",
                    match="366 days")
        box.refused("tenant", "suspend", "nobody", "--reason", "x", match="no tenant")
        import grpc
        with box.api() as api:
            for request in ({"type": 4}, {"type": "ABUSE", "grace": "-1s"},
                            {"type": "ABUSE", "grace": "1.5s"},
                            {"type": "ABUSE", "grace": "9s", "keep_frozen": True}):
                with pytest.raises(grpc.RpcError) as e:
                    api.call("Tenants/SuspendTenant", {"name": "tenants/acme", **request})
                assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT, request
        assert holds(box) == []

    def test_a_tenant_sees_the_type_and_what_it_is_told(self, box):
        box.tenant()
        box.ok("tenant", "bind", "acme", "4321")
        box.launch("acme/web")
        suspend(box, "abuse")
        suspend(box, "billing", "--tell")

        def own(*command):
            return box.croft("-o", "json", *command, uid=4321)

        seen = json.loads(own("tenant", "show", "acme").out)["holds"]
        assert [(h["type"], h.get("reason"), h.get("setBy")) for h in seen] == [
            ("ABUSE", None, None), ("BILLING", "billing why", None)]
        everything = (own("tenant", "list").out + own("events").out
                      + own("exec", "acme/web", "--", "true").err + own("start", "acme/web").err)
        assert "billing why" in everything and "abuse" in everything
        assert "abuse why" not in everything and "uid:0" not in everything
        # An operator who asks for the tenant's events is told all the same.
        assert "abuse why" in box.ok("-o", "json", "events", "--tenant", "acme")
        assert own("tenant", "resume", "acme", "--type", "billing").rc == 1
        assert holds(box) == ["abuse", "billing"]


def ways_to_start(daemon):
    """Every command that would start, make or wake anything of acme, which is suspended."""
    export = f"{daemon.base}/export"
    return [
        ("start", "acme/down"), ("launch", "busybox", "acme/n1"), ("restart", "acme/web"),
        ("create", "busybox", "acme/n2"), ("copy", "acme/down", "acme/n3"),
        ("import", "acme/n4", export), ("thaw", "acme/frozen"), ("thaw", "acme/idle"),
        ("push", "/etc/hostname", "acme/web:/x"), ("pull", "acme/web:/etc/passwd", "-"),
        ("freeze", "acme/web"),
    ]


def test_no_way_to_start(box):
    box.tenant()
    for name in ("acme/web", "acme/frozen", "acme/idle"):
        box.launch(name)
    box.ok("create", "busybox", "acme/down")
    box.ok("export", "acme/down", f"{box.base}/export")
    box.ok("freeze", "acme/frozen")
    box.ok("set", "acme/idle", "--idle-freeze", "1s")
    box.wait_state("acme/idle", "FROZEN", 30)
    box.ok("launch", "busybox", "acme/again", "--restart", "always", "--", "/bin/sh", "-c",
           "sleep 1000")
    suspend(box, "abuse")
    for command in ways_to_start(box):
        box.refused(*command, match="tenant acme is suspended")
    for name in ("acme/web", "acme/frozen", "acme/idle"):
        box.refused("exec", "-T", name, "--", "/bin/true", rc=125, match="suspended")
        box.refused("console", name, match="suspended")
    # What changes a setting is no start, even where it would wake what is idle.
    box.ok("set", "acme/idle", "--idle-freeze", "none")
    assert sorted(c["name"].rsplit("/", 1)[1] for c in box.json_lines("list")) == [
        "again", "down", "frozen", "idle", "web"]
    resume(box, "abuse")
    assert box.exec("acme/web", "/bin/true").rc == 0
    # As they were.
    assert box.info("acme/frozen")["state"] == "FROZEN"
    assert box.info("acme/down").get("state", "STOPPED") == "STOPPED"
    box.wait_state("acme/idle", "RUNNING")
    # And without the hold each of them works.
    box.ok("freeze", "acme/idle")
    for command in ways_to_start(box):
        box.ok(*command)


def test_old_suspensions_become_holds(fresh_box):
    daemon = fresh_box
    daemon.tenant()
    counter(daemon, "acme/web")
    suspend(daemon, "operator")
    for who in ("croftd", "supervisor"):
        daemon.kill9(who)
    # The state as the last version left it.
    with contextlib.closing(sqlite3.connect(f"{daemon.state}/server/croft.db")) as db:
        undo_from(db, "holds")
        db.execute("UPDATE tenants SET suspended = 1, suspend_reason = 'since ever'")
        db.commit()
    daemon.restart("croftd")
    hold = daemon.json("tenant", "show", "acme")["holds"][0]
    assert (hold["type"], hold["reason"], hold["told"]) == ("OPERATOR", "since ever", True)
    assert "stop_time" not in hold and hold["create_time"]
    assert is_still(daemon)
    daemon.ok("tenant", "resume", "acme")
    assert daemon.exec("acme/web", "/bin/true").rc == 0


class TestGrace:
    def test_stops_and_comes_back_as_it_was(self, box):
        box.tenant()
        counter(box, "acme/web")
        box.launch("acme/once", options=["--ephemeral"])
        box.sh("acme/once", "echo kept >/kept")
        box.ok("create", "busybox", "acme/down")
        box.launch("acme/stopped")
        suspend(box, "billing", "--grace", "1s")
        for name in ("acme/web", "acme/once", "acme/stopped"):
            box.wait_state(name, "STOPPED", 30)
        assert "suspended" in box.ok("info", "acme/web")
        assert told(box, "tenant.hold_stopped") == [{"containers": 3}]
        assert box.cgroup("acme").pids() == 0
        for command in (("start", "acme/web"), ("restart", "acme/web")):
            box.refused(*command, match="suspended")
        # An operator may say that one is to stay down.
        box.ok("stop", "acme/stopped")
        resume(box, "billing")
        for name in ("acme/web", "acme/once"):
            box.wait_state(name, "RUNNING", 30)
        assert box.sh("acme/once", "cat /kept") == "kept\n"
        for name in ("acme/down", "acme/stopped"):
            assert box.info(name).get("state", "STOPPED") == "STOPPED"

    def test_a_commit_that_fails_is_repeated_and_told(self, box):
        box.tenant()
        box.launch("acme/web")
        suspend(box, "billing", "--grace", "2s")
        with nothing_committed(box):
            wait_until("its commit has failed",
                       lambda: "held-not-marked tenant=acme" in box.read_log(), 30)
            assert box.info("acme/web")["state"] == "FROZEN"
        box.wait_state("acme/web", "STOPPED", 30)
        assert told(box, "tenant.hold_stopped") == [{"containers": 1}]

    def test_the_shortest_counts(self, box):
        box.tenant()
        box.launch("acme/web")
        suspend(box, "billing", "--grace", "never")
        suspend(box, "abuse", "--grace", "0")
        box.wait_state("acme/web", "STOPPED", 30)
        resume(box, "abuse")
        assert box.info("acme/web")["state"] == "STOPPED"
        resume(box, "billing")
        box.wait_state("acme/web", "RUNNING", 30)

    def test_lifted_in_time_stops_nothing(self, box):
        box.tenant()
        box.tenant("later")
        run = box.launch("acme/web")["run"]["id"]
        box.launch("later/web")
        suspend(box, "billing", "--grace", "2s")
        resume(box, "billing")
        suspend(box, "abuse", "--grace", "1d")
        # One that was set after it, and not lifted, says when its time was over.
        suspend(box, "billing", "--grace", "2s", tenant="later")
        box.wait_state("later/web", "STOPPED", 30)
        assert box.info("acme/web")["state"] == "FROZEN"
        resume(box, "abuse")
        assert box.info("acme/web")["run"]["id"] == run

    def test_a_restart_waits_for_the_last_hold(self, box):
        box.tenant()
        box.tenant("free")
        for name in ("acme/web", "free/web"):
            box.ok("launch", "busybox", name, "--restart", "always", "--", "/bin/sh", "-c",
                   "[ -e /once ] || { >/once; exit 1; }; exec sleep 1000")
        # Both are due in a second: one of them may.
        wait_until("it is due", lambda: told(box, "container.restart_due"))
        before = box.info("acme/web")["run"]["id"]
        suspend(box, "billing", "--grace", "0")
        box.wait_state("free/web", "RUNNING", 30)
        box.wait_state("acme/web", "STOPPED", 30)
        assert not told(box, "container.start_failed")
        resume(box, "billing")
        box.wait_state("acme/web", "RUNNING", 30)
        assert box.info("acme/web")["run"]["id"] != before

    def test_who_was_given_time_to_end_has_none_left(self, box):
        """An init that is frozen hears no signal: what waits for it is waited for no longer."""
        box.tenant()
        box.launch("acme/web", init=["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
        with box.background("stop", "--timeout", "3000", "acme/web"):
            box.wait_state("acme/web", "STOPPING")
            suspend(box, "abuse", "--grace", "0")
            box.wait_state("acme/web", "STOPPED", 30)
        resume(box, "abuse")
        # Whoever stopped it meant it.
        box.launch("acme/later")
        assert box.info("acme/web")["state"] == "STOPPED"

    @pytest.mark.parametrize("options", [(), ("--ephemeral",)], ids=["kept", "ephemeral"])
    def test_a_reboot_waits_for_the_last_hold(self, box, options):
        """The hold comes when one run has ended and the next is about to begin."""
        box.tenant()
        box.ok("launch", "busybox", "acme/web", *options, "--", "/bin/sh", "-c",
               "trap 'exec reboot -f' USR1; while :; do usleep 20000; done")

        def is_ending(run):
            with contextlib.suppress(ProcessLookupError):
                os.kill(run["host_pid"], signal.SIGUSR1)
            return box.info("acme/web")["state"] == "STOPPING"

        def suspended_meanwhile():
            run = box.wait_state("acme/web", "RUNNING")["run"]
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                with nothing_committed(box):
                    wait_until("it boots again", lambda: is_ending(run))
                    result = pool.submit(box.croft, "tenant", "suspend", "acme", "--type", "abuse")
                    wait_until("it is being suspended", lambda: result.done() or box.json(
                        "tenant", "show", "acme").get("suspended"))
            return result.result().rc == 0

        wait_until("it was suspended before its commit gave up", suspended_meanwhile, 120)
        box.wait_state("acme/web", "STOPPED", 30)
        assert "suspended" in box.ok("info", "acme/web")
        resume(box, "abuse")
        box.wait_state("acme/web", "RUNNING", 30)

    def test_the_disk_is_billed_on(self, box):
        """BILLING.md, rule 10: what is stopped for a hold still holds its files."""
        box.tenant()
        uid = box.launch("acme/web")["uid"]
        box.sh("acme/web", "dd if=/dev/zero of=/file bs=1M count=8 2>/dev/null; sync")
        suspend(box, "billing", "--grace", "0")
        box.wait_state("acme/web", "STOPPED", 30)

        def billed(meter):
            return sum(int(r["quantity"]) for r in box.json_lines(
                "usage", "export", "--tenant", "acme", "--format", "jsonl")
                if r.get("resource_uid") == uid and r["meter"] == meter)

        cpu, running, disk = billed("cpu.used"), billed("running"), billed("disk.used")
        # A second of 8 MiB, at least.
        wait_until("its disk is on the bill", lambda: billed("disk.used") - disk > 8192, 30)
        assert (billed("cpu.used"), billed("running")) == (cpu, running)


CRASHES = [("croftd",), ("supervisor",), ("croftd", "supervisor")]
# Of those the ones that take away what croftd has not committed.
OF_CROFTD = [who for who in CRASHES if "croftd" in who]


@pytest.mark.parametrize("who", CRASHES, ids="+".join)
class TestCrash:
    def test_holds_outlive_it(self, fresh_box, who):
        daemon = fresh_box
        daemon.tenant()
        counter(daemon, "acme/web")
        suspend(daemon, "billing")
        suspend(daemon, "abuse")
        for w in who:
            daemon.kill9(w)
        daemon.restart(*who)
        assert holds(daemon) == ["billing", "abuse"]
        assert is_still(daemon)
        daemon.refused("restart", "acme/web", match="suspended")
        resume(daemon, "billing")
        resume(daemon, "abuse")
        assert daemon.exec("acme/web", "/bin/true").rc == 0

    def test_what_was_stopped_comes_back(self, fresh_box, who):
        daemon = fresh_box
        daemon.tenant()
        for n in range(3):
            daemon.launch(f"acme/c{n}")
        suspend(daemon, "billing", "--grace", "0")
        # Whether it was marked, killed or committed by then.
        for w in who:
            daemon.kill9(w)
        daemon.restart(*who)
        for n in range(3):
            daemon.wait_state(f"acme/c{n}", "STOPPED", 30)
        resume(daemon, "billing")
        for w in who:
            daemon.kill9(w)
        daemon.restart(*who)
        for n in range(3):
            daemon.wait_state(f"acme/c{n}", "RUNNING", 30)
        assert holds(daemon) == []


@pytest.mark.parametrize("grace", ["0", "1d"])
def test_beside_a_storm_of_starts(box, grace):
    """Starts, deletions and holds at once: under the hold nothing runs, afterwards all works."""
    box.tenant()
    names = [f"acme/c{n}" for n in range(4)]
    for name in names:
        box.ok("create", "busybox", name)
    for _ in range(4):
        with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
            starts = [pool.submit(box.croft, "start", n) for n in names]
            suspend(box, "abuse", "--grace", grace)
            results = [s.result() for s in starts]
        for result in results:
            assert result.rc == 0 or "tenant acme is suspended" in result.err, result
        wait_until("it is still", lambda: is_still(box))
        if grace == "0":
            wait_until("all are stopped", lambda: box.cgroup("acme").pids() == 0, 30)
        resume(box, "abuse")
        for name, result in zip(names, results):
            if result.rc == 0:
                box.wait_state(name, "RUNNING", 30)
                assert box.exec(name, "/bin/true").rc == 0
            box.croft("kill", name)
            box.wait_state(name, "STOPPED", 30)


@contextlib.contextmanager
def under_way(daemon, *command):
    """A command whose answer is waited for by nobody."""
    with daemon.background("tenant", *command, "acme", "--type", "abuse"):
        yield


def marks(daemon):
    return database(daemon, "SELECT kept_down, restart_due FROM containers")


def kept_down(daemon):
    return marks(daemon) == [(1, 0)]


class TestKilledAt:
    """kill -9 at each point that a hold passes, which the test holds up: one of both daemons is
    dead or stands still, and the other has come just that far."""

    def kill(self, daemon, who):
        for w in who:
            daemon.kill9(w)

    def end(self, daemon, who, run=None):
        """Not suspended, and everything is as it was."""
        daemon.restart(*who)
        assert holds(daemon) == []
        now = daemon.wait_state("acme/web", "RUNNING", 30)["run"]["id"]
        assert not is_still(daemon) and daemon.exec("acme/web", "/bin/true").rc == 0
        assert run in (None, now)
        # No start is left over that would bring it back when its owner stops it.
        wait_until("nothing is due", lambda: marks(daemon) == [(0, 0)])

    @pytest.mark.parametrize("who", OF_CROFTD, ids="+".join)
    def test_it_is_frozen_and_not_on_record(self, fresh_box, who):
        daemon = fresh_box
        daemon.tenant()
        run = daemon.launch("acme/web")["run"]["id"]
        with nothing_committed(daemon):
            with under_way(daemon, "suspend"):
                wait_until("it is frozen", lambda: is_still(daemon))
                self.kill(daemon, who)
        self.end(daemon, who, run)

    @pytest.mark.parametrize("who", CRASHES, ids="+".join)
    def test_it_is_marked_and_not_stopped(self, fresh_box, who):
        daemon = fresh_box
        daemon.tenant()
        daemon.launch("acme/web")
        suspend(daemon, "billing")
        with daemon.held("supervisor"):
            suspend(daemon, "abuse", "--grace", "0")
            wait_until("it is marked", lambda: kept_down(daemon))
            self.kill(daemon, who)
        daemon.restart(*who)
        daemon.wait_state("acme/web", "STOPPED", 30)
        assert kept_down(daemon)
        resume(daemon, "billing")
        daemon.refused("start", "acme/web", match="suspended")
        resume(daemon, "abuse")
        self.end(daemon, ())

    @pytest.mark.parametrize("who", OF_CROFTD, ids="+".join)
    def test_it_is_lifted_and_not_on_record(self, fresh_box, who):
        daemon = fresh_box
        daemon.tenant()
        run = daemon.launch("acme/web")["run"]["id"]
        suspend(daemon, "abuse")
        with nothing_committed(daemon):
            with under_way(daemon, "resume"):
                self.kill(daemon, who)
        daemon.restart(*who)
        assert holds(daemon) == ["abuse"]
        wait_until("it is still", lambda: is_still(daemon))
        daemon.refused("restart", "acme/web", match="suspended")
        resume(daemon, "abuse")
        self.end(daemon, (), run)

    @pytest.mark.parametrize("who", CRASHES, ids="+".join)
    def test_it_is_lifted_on_record_and_frozen(self, fresh_box, who):
        daemon = fresh_box
        daemon.tenant()
        run = daemon.launch("acme/web")["run"]["id"]
        suspend(daemon, "abuse")
        with daemon.held("supervisor"):
            with under_way(daemon, "resume"):
                wait_until("it is lifted", lambda: not database(daemon, "SELECT * FROM holds"))
                self.kill(daemon, who)
        self.end(daemon, who, run)

    @pytest.mark.parametrize("who", CRASHES, ids="+".join)
    def test_it_is_stopped_and_due(self, fresh_box, who):
        daemon = fresh_box
        daemon.tenant()
        run = daemon.launch("acme/web")["run"]["id"]
        suspend(daemon, "abuse", "--grace", "0")
        daemon.wait_state("acme/web", "STOPPED", 30)
        with daemon.held("supervisor"):
            with under_way(daemon, "resume"):
                wait_until("it is lifted", lambda: not database(daemon, "SELECT * FROM holds"))
                self.kill(daemon, who)
        self.end(daemon, who)
        assert daemon.info("acme/web")["run"]["id"] != run


@pytest.mark.parametrize("left", ["kept_down", "restart_due"])
def test_a_mark_that_was_left_starts_nothing(fresh_box, left):
    """Lifted before what was marked was stopped, and croftd died before it took the mark off: its
    run went on, and when that ends by itself it stays ended."""
    daemon = fresh_box
    daemon.tenant()
    daemon.launch("acme/web", init=["/bin/sh", "-c", "while [ ! -e /now ]; do usleep 20000; done"])
    daemon.kill9("croftd")
    with contextlib.closing(sqlite3.connect(f"{daemon.state}/server/croft.db")) as db, db:
        db.execute(f"UPDATE containers SET {left} = 1")
    daemon.restart("croftd")
    wait_until("nothing is due", lambda: left == "kept_down" or marks(daemon) == [(0, 0)])
    daemon.sh("acme/web", ">/now")
    daemon.wait_state("acme/web", "STOPPED")
    # What is due is in the transaction of the end.
    assert "suspended" not in daemon.ok("info", "acme/web")
    assert daemon.info("acme/web")["state"] == "STOPPED"
    assert not told(daemon, "container.restart_due")
