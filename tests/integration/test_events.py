"""What happened, told by events: every container comes and goes in them, and they say why."""

import json
import os
import re

from croft_harness import ROOT, wait_until


def told(daemon, resource=None):
    """(type, details) of what happened in this test."""
    events = []
    for event in daemon.events():
        details = json.loads(event["details_json"])
        assert isinstance(details, dict), event
        assert event["message"] and event["time"] and event["resource"], event
        if resource is None or event["resource"] == resource:
            events.append((event["type"], details))
    return events


def types(daemon, resource=None):
    return [kind for kind, _ in told(daemon, resource)]


def documented():
    """Type -> the words of events.proto about it."""
    with open(os.path.join(ROOT, "proto/croft/v1/events.proto"), encoding="utf-8") as f:
        listed = f.read().partition("\nservice Events")[0]
    entries = re.findall(r"^//   ([a-z]+\.[a-z_]+.*(?:\n//     .*)*)", listed, re.MULTILINE)
    found = {}
    for entry in entries:
        types_told = re.match(r"[a-z.]+\.[a-z_]+(?:, [a-z]+\.[a-z_]+)*", entry)
        words = set(re.findall(r"\w+", entry[types_told.end():]))
        found.update((kind, words) for kind in types_told[0].split(", "))
    return found


def only(daemon, kind):
    """The details of the one event of a type."""
    found = [details for k, details in told(daemon) if k == kind]
    assert len(found) == 1, (kind, told(daemon))
    return found[0]


WEB = "tenants/acme/containers/web"
MIB = 1 << 20


class TestFailures:
    def test_a_launch_that_fails(self, box):
        box.tenant()
        box.refused("launch", "busybox", "acme/web", "--", "/no/such/init", match="/no/such/init")
        assert types(box, WEB) == [
            "container.created", "container.start_failed", "container.deleted"]
        why = only(box, "container.start_failed")
        assert (why["code"], why["reason"]) == ("FAILED_PRECONDITION", "INIT_NOT_EXECUTED")
        assert "/no/such/init" in why["message"]

    def test_a_start_that_fails(self, box):
        box.tenant()
        box.ok("create", "busybox", "acme/web", "--", "/no/such/init")
        box.refused("start", "acme/web", match="/no/such/init")
        assert types(box, WEB) == ["container.created", "container.start_failed"]
        assert "/no/such/init" in only(box, "container.start_failed")["message"]
        assert box.info("acme/web")["state"] == "STOPPED"

    def test_a_start_that_nobody_carried_out(self, box):
        """The supervisor dies with the request in its hands."""
        import os
        import signal
        import threading

        box.tenant()
        box.ok("create", "busybox", "acme/web")
        os.kill(box.pids["supervisor"], signal.SIGSTOP)
        results = []
        start = threading.Thread(target=lambda: results.append(box.croft("start", "acme/web")))
        start.start()
        wait_until("it is starting", lambda: "STARTING" in box.ok("-o", "json", "list"))
        box.kill9("supervisor")
        start.join()
        assert results[0].rc == 1, results
        box.restart("supervisor")
        box.wait_state("acme/web", "STOPPED")
        assert types(box, WEB) == ["container.created", "container.start_failed"]
        assert only(box, "container.start_failed")["reason"] == "START_INTERRUPTED"
        box.ok("start", "acme/web")

    def test_a_create_that_fails(self, bare_daemon):
        """A pool without limits refuses a disk limit, after the row is committed."""
        box = bare_daemon
        box.start("--pool-driver", "plain")
        box.busybox()
        box.tenant()
        box.refused("create", "busybox", "acme/web", "--disk", "64M", match="disk")
        assert types(box, WEB) == [
            "container.created", "container.create_failed", "container.deleted"]
        assert only(box, "container.create_failed")["reason"] == "DISK_LIMIT_UNSUPPORTED"


class TestReboots:
    def test_a_loop_is_stopped_and_told(self, box):
        box.tenant()
        box.launch("acme/web", init=["/bin/sh", "-c", "reboot -f; sleep 100"])
        wait_until("it stays down", lambda: "container.reboot_limit" in types(box, WEB), 60)
        info = box.wait_state("acme/web", "STOPPED")
        assert only(box, "container.reboot_limit") == {"reboots": 6, "seconds": 60}
        assert types(box, WEB).count("container.started") == 6
        assert info["run"]["exit"]["kind"] == "REBOOT"
        assert "rebooted 6 times" in info["run"]["exit"]["note"]
        assert "rebooted 6 times" in box.ok("info", "acme/web")
        box.kill9("croftd")
        box.restart("croftd")
        assert box.info("acme/web")["run"]["exit"] == info["run"]["exit"]


class TestChanges:
    def test_of_a_container(self, box):
        box.tenant()
        box.launch("acme/web", pids=50)
        box.ok("set", "acme/web", "--pids", "60", "--memory", "64M")
        assert only(box, "container.updated") == {"changes": {
            "limits.pids": {"old": 50, "new": 60},
            "limits.memory_bytes": {"old": None, "new": 64 * MIB}}}
        message = [e for e in box.events() if e["type"] == "container.updated"][0]["message"]
        assert "pids 50 to 60" in message and "memory none to 64 MiB" in message
        box.ok("set", "acme/web", "--pids", "60")
        assert types(box).count("container.updated") == 1

    def test_of_a_tenant(self, box):
        box.tenant(pids=100)
        box.ok("tenant", "set", "acme", "--pids", "200", "--account", 'a "b" ü')
        assert only(box, "tenant.updated") == {"changes": {
            "limits.pids": {"old": 100, "new": 200},
            "account_ref": {"old": "", "new": 'a "b" ü'}}}

    def test_suspension(self, box):
        box.tenant()
        box.ok("tenant", "suspend", "acme", "--reason", "unpaid")
        box.ok("tenant", "resume", "acme")
        assert only(box, "tenant.suspended") == {"hold": "operator", "reason": "unpaid"}
        assert only(box, "tenant.resumed") == {"hold": "operator", "reason": "unpaid"}
        hold = {"hold": "operator", "reason": "unpaid", "told": False, "grace_seconds": 86400,
                "set_by": "uid:0"}
        assert only(box, "tenant.hold_added") == hold
        assert only(box, "tenant.hold_lifted") == hold


class TestShapes:
    MEMBERS = {
        "tenant.created": {"uid", "plan", "account_ref", "nesting", "limits"},
        "tenant.bound": {"uid"},
        "container.created": {"uid", "image", "policy", "ephemeral", "nesting", "limits"},
        "container.started": {"host_pid", "id_base"},
        "container.ended": {"exit", "status", "signal", "cpu_usec", "running_usec"},
        "container.frozen": set(),
        "container.thawed": set(),
        "container.deleted": {"uid", "ephemeral"},
        "tenant.deleted": {"uid", "account_ref"},
        "image.imported": {"uid", "init", "size_bytes", "entries", "skipped_devices"},
        "image.deleted": {"uid"},
    }

    def test_are_as_documented(self, box):
        box.ok("image", "build-busybox", "other")
        box.tenant()
        box.ok("tenant", "bind", "acme", "4321")
        box.launch("acme/web")
        box.ok("freeze", "acme/web")
        box.ok("thaw", "acme/web")
        box.ok("kill", "acme/web")
        box.ok("delete", "acme/web")
        box.ok("tenant", "delete", "acme")
        box.ok("image", "delete", "other")
        seen = dict(told(box))
        assert set(seen) == set(self.MEMBERS)
        for kind, details in seen.items():
            assert set(details) == self.MEMBERS[kind], kind
            assert set(details) <= documented()[kind], kind
        assert seen["container.ended"]["exit"] == "SIGNALLED"
        assert seen["container.ended"]["signal"] == 9
        assert seen["container.ended"]["cpu_usec"] > 0
        assert seen["tenant.created"]["limits"]["limits.pids"] == 256

    def test_limits_that_were_met(self, box):
        box.tenant(pids=64)
        box.launch("acme/web", pids=16, memory="32M")
        box.put_probe("acme/web")
        box.exec("acme/web", "/probe", "eat", str(100 * MIB), "1")
        wait_until("it is told", lambda: "container.oom" in types(box))
        oom = only(box, "container.oom")
        assert oom["limit"] == 32 * MIB and oom["total"] >= oom["count"] > 0
        box.exec("acme/web", "/bin/sh", "-c", "for i in $(seq 30); do sleep 1000 & done")
        wait_until("it is told", lambda: "container.pids_denied" in types(box))
        denied = dict(reversed(told(box)))["container.pids_denied"]
        assert denied["limit"] == 16 and denied["total"] >= denied["count"] > 0
