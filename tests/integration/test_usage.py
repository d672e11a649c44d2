"""The bill: what the kernel counted, from the first microsecond to the last, and only once."""

import concurrent.futures
import csv
import io
import os
import signal
import subprocess
import time

import pytest

from croft_harness import wait_until

pytestmark = pytest.mark.vm


@pytest.fixture
def box(fresh_box):
    """The ledger keeps what was deleted: each test needs one of its own."""
    return fresh_box


def records(daemon, *args):
    """The CSV export, a dict a record."""
    return list(csv.DictReader(io.StringIO(daemon.ok(
        "usage", "export", "--format", "csv", *args))))


def quantity(daemon, container, meter):
    resource = f"tenants/{container.split('/')[0]}/containers/{container.split('/')[1]}"
    return sum(int(r["quantity"]) for r in records(daemon)
               if r["resource"] == resource and r["meter"] == meter)


class TestFinalRead:
    def test_five_milliseconds_are_billed(self, box):
        """A container that no sweep ever saw."""
        box.tenant()
        box.launch("acme/brief", init=["/bin/true"])
        box.wait_state("acme/brief", "STOPPED")
        usage = box.usage("acme/brief")
        assert 0 < usage["cpu_usec"] < 2_000_000
        assert usage["runs"] == 1
        assert usage["running_usec"] > 0
        assert quantity(box, "acme/brief", "cpu.used") == usage["cpu_usec"]
        found = [r for r in records(box) if r["resource"].endswith("/brief")]
        run, = {r["run_id"] for r in found if r["meter"] == "running"}
        # What the container holds while it is stopped is a record that goes on.
        assert all(r["final"] == "true" for r in found if r["run_id"] == run)

    def test_stop_returns_when_it_is_on_the_bill(self, box):
        box.tenant()
        box.launch("acme/web")
        box.put_probe("acme/web")
        cgroup = box.cgroup("acme/web")
        box.sh("acme/web", "/probe burn 1 1 >/dev/null")
        counted = cgroup.cpu_usec()
        box.ok("kill", "acme/web")
        assert box.usage("acme/web")["cpu_usec"] >= counted
        assert quantity(box, "acme/web", "cpu.used") == box.usage("acme/web")["cpu_usec"]

    def test_runs_add_up(self, box):
        box.tenant()
        total = 0
        box.ok("create", "busybox", "acme/web", "--", "/bin/sh", "-c",
               "i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); done")
        for n in range(1, 4):
            box.ok("start", "acme/web")
            box.wait_state("acme/web", "STOPPED")
            usage = box.usage("acme/web")
            assert usage["runs"] == n
            assert usage["cpu_usec"] > total
            total = usage["cpu_usec"]
        assert box.usage("acme")["cpu_usec"] == total

    def test_what_cannot_be_read_now_is_read_later(self, box):
        """A host short of memory or descriptors must cost nobody the bill of a run."""
        box.tenant()
        box.launch("acme/web")
        cgroup = box.cgroup("acme/web")
        in_supervisor = ["nsenter", "-t", str(box.pids["supervisor"]), "-m"]
        name = "cpu.stat" if cgroup.unified else "cpuacct.usage"
        path = f"{cgroup.directory('cpu' if cgroup.unified else 'cpuacct')}/{name}"
        counted = cgroup.cpu_usec()
        subprocess.run([*in_supervisor, "mount", "--bind", "/dev/null", path], check=True)
        try:
            os.kill(box.init_pid("acme/web"), signal.SIGKILL)
            wait_until("it is tried in vain", lambda: "teardown failed" in box.read_log())
            assert box.info("acme/web")["state"] != "STOPPED"
        finally:
            subprocess.run([*in_supervisor, "umount", path], check=True)
        box.wait_state("acme/web", "STOPPED", 20)
        assert box.usage("acme/web")["cpu_usec"] >= counted > 0

    def test_deleted_is_still_billed(self, box):
        box.tenant()
        box.launch("acme/web", init=["/bin/true"])
        box.wait_state("acme/web", "STOPPED")
        billed = quantity(box, "acme/web", "cpu.used")
        box.ok("delete", "acme/web")
        assert quantity(box, "acme/web", "cpu.used") == billed
        assert box.usage("acme")["cpu_usec"] == billed
        # One of the same name is another resource, and starts at nothing.
        box.launch("acme/web", init=["/bin/true"])
        box.wait_state("acme/web", "STOPPED")
        uids = {r["resource_uid"] for r in records(box) if r["resource"].endswith("/web")}
        assert len(uids) == 2


class TestSweep:
    def test_follows_the_kernel(self, box):
        box.tenant(cpu="1")
        box.launch("acme/web")
        box.put_probe("acme/web")
        cgroup = box.cgroup("acme/web")
        box.sh("acme/web", "/probe burn 1 1000 >/dev/null 2>&1 &")
        wait_until("it burns", lambda: cgroup.cpu_usec() > 1_000_000)
        before = cgroup.cpu_usec()
        wait_until("the sweep has it", lambda: box.usage("acme/web")["cpu_usec"] >= before)
        assert box.usage("acme/web")["cpu_usec"] <= cgroup.cpu_usec()

    def test_gauges(self, box):
        box.tenant()
        box.launch("acme/web")
        box.put_probe("acme/web")
        mib = 1 << 20
        with box.background_exec("acme/web", "/probe", "eat", str(40 * mib), "300") as eater:
            eater.stdout.readline()
            wait_until("memory", lambda: box.usage("acme/web")["memory_bytes"] >= 40 * mib)
            wait_until("pids", lambda: box.usage("acme/web")["pids"] >= 2)
            assert box.usage("acme/web")["memory_peak_bytes"] >= 40 * mib
        wait_until("it is less", lambda: box.usage("acme/web")["memory_bytes"] < 30 * mib)
        assert box.usage("acme/web")["memory_peak_bytes"] >= 40 * mib

    def test_memory_over_time(self, box):
        """KiB·s grow with time while nothing is done."""
        box.tenant()
        box.launch("acme/web")
        first = wait_until("a first figure", lambda: int(
            box.usage("acme/web").get("memory_kib_seconds", 0)))
        wait_until("more", lambda: int(box.usage("acme/web")["memory_kib_seconds"]) > first)


class TestPresent:
    """An export that covers the present moment has what ran until then."""

    @pytest.fixture
    def box(self, daemon):
        """No sweep but those that exports ask for, and one that croftd begins with: it comes a
        second after its start, or later, of what runs by then."""
        daemon.terminate("croftd")
        daemon.start("--sample-interval", "3600")
        daemon.busybox()
        daemon.tenant()
        return daemon

    def test_right_after_a_launch(self, box):
        box.launch("acme/web")
        counted = box.cgroup("acme/web").cpu_usec()
        found = [r for r in records(box) if r["resource"].endswith("/web")]
        assert {r["meter"] for r in found} >= {"cpu.used", "memory.used", "running"}
        assert quantity(box, "acme/web", "cpu.used") >= counted > 0
        assert all(r["final"] == "false" for r in found)

    @pytest.mark.native("when croftd sweeps, of no kernel")
    def test_grows_with_each_export(self, box):
        box.launch("acme/web")
        first = quantity(box, "acme/web", "running")
        assert quantity(box, "acme/web", "running") > first > 0

    @pytest.mark.native("when croftd sweeps, of no kernel")
    def test_asking_often_makes_no_more_sweeps(self, box):
        """Exports at once share one, and those made for them are a second apart at least."""
        box.launch("acme/web")
        start = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: records(box), range(48)))
        seconds = time.monotonic() - start
        samples = {int(r["samples"]) for r in records(box) if r["meter"] == "running"}
        assert len(samples) == 1 and samples.pop() <= seconds + 3

    @pytest.mark.native("when croftd sweeps, of no kernel")
    def test_the_past_needs_no_sweep(self, box):
        box.launch("acme/web")

        def samples():
            return max(int(r["samples"]) for r in records(box) if r["meter"] == "running")

        def one_more_is_the_next_exports():
            before = samples()
            assert records(box, "--to", "2001-01-01T00:00:00Z") == []
            return samples() == before + 1

        # Another that comes by itself, comes once.
        wait_until("there is no other", one_more_is_the_next_exports, 10)


@pytest.mark.native("the ledger's rows, of no kernel")
class TestGone:
    """What a container had used stays to be seen when it is gone."""

    def test_an_ephemeral_one(self, box):
        box.tenant()
        box.ok("launch", "busybox", "acme/web", "--ephemeral", "--", "/bin/true")
        wait_until("it is deleted", lambda: box.croft("info", "acme/web").rc == 1)
        usage = box.usage("acme/web")
        assert usage["cpu_usec"] == quantity(box, "acme/web", "cpu.used") > 0
        assert usage["runs"] == 1 and not usage.get("running") and usage["end_time"]
        assert usage["name"] == "tenants/acme/containers/web"
        assert usage["cpu_usec"] == box.usage("acme")["cpu_usec"]
        box.kill9("croftd")
        box.restart("croftd")
        assert box.usage("acme/web")["cpu_usec"] == usage["cpu_usec"]

    def test_by_uid_when_the_name_is_taken_again(self, box):
        box.tenant()
        seen = []
        for _ in range(3):
            box.launch("acme/web", init=["/bin/true"])
            box.wait_state("acme/web", "STOPPED")
            seen.append(box.usage("acme/web"))
            box.ok("delete", "acme/web")
        assert len({usage["uid"] for usage in seen}) == 3
        for usage in seen:
            found = box.usage(f"acme/{usage['uid']}")
            assert (found["uid"], found["cpu_usec"]) == (usage["uid"], usage["cpu_usec"])
        assert box.usage("acme/web")["uid"] == seen[-1]["uid"]
        box.launch("acme/web")
        live = box.usage("acme/web")
        assert live["running"] == 1 and "end_time" not in live
        assert box.usage(f"acme/{live['uid']}")["running"] == 1

    def test_of_nobody_else(self, box):
        for name in ("acme", "other"):
            box.tenant(name)
            box.launch(f"{name}/{name}", init=["/bin/true"])
            box.wait_state(f"{name}/{name}", "STOPPED")
            box.ok("delete", f"{name}/{name}")
        uid = box.usage("other/other")["uid"]
        box.ok("tenant", "bind", "acme", "4321")
        box.refused("usage", "show", "other/other", uid=4321, match="no tenant other")
        box.refused("usage", "show", f"other/{uid}", uid=4321, match="no tenant other")
        box.refused("usage", "show", f"acme/{uid}", uid=4321, match="no container")
        box.refused("usage", "show", "acme/never", match="no container acme/never")


@pytest.mark.native("the ledger's rows, of no kernel")
class TestExport:
    def test_repeated_exports_are_the_same(self, box):
        box.tenant()
        for name in ("acme/a", "acme/b"):
            box.launch(name, init=["/bin/true"])
            box.wait_state(name, "STOPPED")
        first, second = records(box), records(box)
        assert first == second
        ids = [r["record_id"] for r in first]
        assert len(ids) == len(set(ids)) > 0

    def test_formats_agree(self, box):
        import json

        box.tenant()
        box.launch("acme/web", init=["/bin/true"])
        box.wait_state("acme/web", "STOPPED")
        table = {r["record_id"]: r["quantity"] for r in records(box)}
        lines = box.ok("usage", "export", "--format", "jsonl").splitlines()
        assert {(j := json.loads(x)).get("recordId", j.get("record_id")): j["quantity"]
                for x in lines} == table
        assert all(q.isdigit() for q in table.values())

    def test_of_one_tenant(self, box):
        for name in ("acme", "other"):
            box.tenant(name)
            box.launch(f"{name}/web", init=["/bin/true"])
            box.wait_state(f"{name}/web", "STOPPED")
        found = {r["tenant"] for r in records(box, "--tenant", "acme")}
        assert len(found) == 1 and "acme" in found.pop()
        box.ok("tenant", "bind", "acme", "4321")
        text = box.ok("usage", "export", "--format", "csv", uid=4321)
        assert "acme" in text and "other" not in text

    def test_windows_are_half_open(self, box):
        box.tenant()
        box.launch("acme/web", init=["/bin/true"])
        box.wait_state("acme/web", "STOPPED")
        everything = records(box)
        assert records(box, "--from", "2001-01-01T00:00:00Z", "--to",
                       "2001-01-02T00:00:00Z") == []
        assert records(box, "--from", "2001-01-01T00:00:00Z") == everything

    def test_a_quoted_account(self, box):
        account = 'a,b "c" ü'
        box.ok("tenant", "create", "acme", "--account", account)
        box.launch("acme/web", init=["/bin/true"])
        box.wait_state("acme/web", "STOPPED")
        assert {r["account_ref"] for r in records(box)} == {account}


@pytest.mark.native("the table of events, of no kernel")
class TestEvents:
    def test_are_numbered_without_gaps_and_replayable(self, box):
        box.tenant()
        box.launch("acme/web")
        box.ok("stop", "--timeout", "0", "acme/web")
        box.ok("delete", "acme/web")
        events = box.events()
        assert [e["number"] for e in events] == list(range(1, len(events) + 1))
        kinds = [e["type"] for e in events]
        for kind in ("tenant.created", "container.started", "container.ended"):
            assert kind in kinds
        middle = events[len(events) // 2]["number"]
        assert box.events("--after", str(middle)) == events[middle:]
        box.kill9("croftd")
        box.restart("croftd")
        assert box.events()[: len(events)] == events
