"""A suspended tenant tries everything that it may otherwise do: to run, or to get rid of what is
held against it."""

from croft_harness import wait_until
from test_tenants import ACME, calls, on_containers

# Whoever may look may still look.
READS = ("Get", "List", "Summarize", "Verify", "ExportUsage")


def still(box):
    """The kernel's word."""
    return box.cgroup("acme").is_frozen()


def prepare(box):
    box.tenant()
    box.ok("tenant", "bind", "acme", str(ACME))
    box.ok("launch", "busybox", "acme/web", "--restart", "always", "--", "/bin/sh", "-c",
           "while :; do :; done")
    box.ok("create", "busybox", "acme/down")
    box.ok("snapshot", "create", "acme/down", "mine")
    box.ok("volume", "create", "acme/mine", "--size", "16M")


def attempts():
    for method, request in on_containers("acme"):
        yield method, request
        if isinstance(request.get("name"), str) and request["name"].endswith("/web"):
            yield method, {**request, "name": "tenants/acme/containers/down"}


def state(box):
    """What there is: all of it is to stay as it is."""
    return [(c["name"], c["uid"], c.get("policy")) for c in box.json_lines("list", "acme")] + [
        v["name"] for v in box.json_lines("volume", "list", "acme")] + [
        box.croft("-o", "json", "snapshot", "list", "acme/down").out]


def test_nothing_moves(box):
    prepare(box)
    box.ok("tenant", "suspend", "acme", "--type", "abuse", "--reason", "scans")
    wait_until("it is still", lambda: still(box))
    before = state(box)
    for method, code, details, reason in calls(box, ACME, list(attempts())):
        if not method.split("/")[1].startswith(READS):
            assert code != "OK", method
        assert "scans" not in details
        # It is refused for that, not for something that it could mend.
        if code == "FAILED_PRECONDITION":
            assert reason == "TENANT_SUSPENDED", (method, details)
    assert still(box) and state(box) == before


def test_control_nobody_is_suspended(box):
    """The same tries move and change things without a hold."""
    prepare(box)
    before = state(box)
    assert not still(box)
    results = calls(box, ACME, [a for a in attempts() if a[0] not in (
        "Containers/Exec", "Containers/Console", "Containers/GetLogs")])
    assert any(code == "OK" and not method.split("/")[1].startswith(READS)
               for method, code, _, _ in results)
    assert state(box) != before
