"""The panel's client of docs/examples, as a panel runs it: each verb once and again, over a croftd
that dies, the usage of all tenants, and where they stand."""

import datetime
import importlib.util
import json
import os
import subprocess

import pytest

from croft_harness import wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PANEL = os.path.join(ROOT, "docs", "examples", "croft_panel.py")
DESCRIPTORS = os.path.join(os.environ.get("CROFT_BUILD", os.path.join(ROOT, "build")),
                           "proto", "croft.desc")


@pytest.fixture
def box(fresh_box):
    """Its usage is of all tenants that ever were."""
    fresh_box.ok("plan", "create", "small", "--pids", "50", "--cpu", "1")
    fresh_box.ok("plan", "create", "large", "--pids", "90", "--cpu", "1")
    return fresh_box


def run(box, *args):
    return subprocess.run(
        ["/usr/bin/python3", "-B", PANEL, "--host", box.host, "--descriptors", DESCRIPTORS, *args],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)


def client():
    spec = importlib.util.spec_from_file_location("croft_panel", PANEL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def panel(box, *args):
    done = run(box, *args)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(box, *args):
    done = run(box, *args)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done
    return done.stderr


def usage(box):
    """Of this month and the one before, which may have ended while the test ran."""
    now, found = datetime.datetime.now(datetime.timezone.utc), {}
    for day in (now.replace(day=1) - datetime.timedelta(days=1), now):
        for x in panel(box, "usage", "--month", f"{day:%Y-%m}"):
            before = found.get(x["tenant"], {"usage": {}})["usage"]
            sums = {meter: n + before.get(meter, 0) for meter, n in x["usage"].items()}
            found[x["tenant"]] = {**x, "usage": {**before, **sums}}
    return found


def test_the_life_of_a_customer(box):
    made = panel(box, "create", "c17", "--plan", "small", "--account", "17")
    assert (made["plan"], made["account_ref"], made["limits"]["pids"]) == ("small", "17", "50")
    again = panel(box, "create", "c17", "--plan", "small", "--account", "17")
    assert again["uid"] == made["uid"]
    assert "another account" in refused(
        box, "create", "c17", "--plan", "small", "--account", "18")
    assert "change its package" in refused(
        box, "create", "c17", "--plan", "large", "--account", "17")
    box.launch("c17/web", init=["/bin/sh", "-c", "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done;"
                                " exec sleep 1000"])
    wait_until("it has used some", lambda: box.cgroup("c17/web").cpu_usec() > 5000)

    for _ in range(2):
        held = panel(box, "suspend", "c17", "--reason", "invoice 9 is overdue")
        assert [h["type"] for h in held["holds"]] == ["BILLING"]
    box.refused("exec", "c17/web", "--", "/bin/true", match="suspended", rc=125)
    box.ok("tenant", "suspend", "c17", "--type", "abuse", "--reason", "spam")
    # A payment does not lift what another suspended it for.
    for _ in range(2):
        assert [h["type"] for h in panel(box, "unsuspend", "c17")["holds"]] == ["ABUSE"]
    box.ok("tenant", "resume", "c17", "--type", "abuse")
    assert box.exec("c17/web", "/bin/true").rc == 0

    for _ in range(2):
        changed = panel(box, "change-package", "c17", "--plan", "large")
        assert (changed["plan"], changed["limits"]["pids"]) == ("large", "90")
    assert "plan" in refused(box, "change-package", "c17", "--plan", "nosuch")

    before = usage(box)["c17"]
    assert before["account"] == "17" and not before["stands"]
    for _ in range(2):
        assert panel(box, "terminate", "c17") == {}
    box.refused("tenant", "show", "c17")
    box.refused("info", "c17/web")
    # Its records stay, with its account.
    after = usage(box)["c17"]
    assert after["account"] == "17"
    assert after["usage"]["cpu.used"] >= before["usage"]["cpu.used"] > 5000
    assert usage(box)["c17"]["usage"] == after["usage"]


def test_who_is_held_for_abuse_is_not_terminated_unasked(box):
    panel(box, "create", "c2", "--plan", "small", "--account", "2")
    box.launch("c2/web")
    panel(box, "suspend", "c2", "--reason", "overdue")
    box.ok("tenant", "suspend", "c2", "--type", "abuse", "--reason", "spam")
    why = refused(box, "terminate", "c2")
    assert "croft tenant resume c2 --type abuse" in why
    assert "croft tenant delete c2 --force" in why
    assert box.info("c2/web")["state"] == "FROZEN"
    # The panel's own hold is no reason.
    box.ok("tenant", "resume", "c2", "--type", "abuse")
    for _ in range(2):
        assert panel(box, "terminate", "c2") == {}
    box.refused("tenant", "show", "c2")

    panel(box, "create", "c3", "--plan", "small", "--account", "3")
    box.launch("c3/web")
    box.ok("tenant", "suspend", "c3", "--type", "abuse", "--reason", "spam")
    for _ in range(2):
        assert panel(box, "terminate", "c3", "--erase-evidence") == {}
    box.refused("tenant", "show", "c3")


def test_usage_of_all_tenants_is_each_one_s(box):
    for tenant in ("a", "b"):
        panel(box, "create", tenant, "--plan", "small", "--account", f"of {tenant}")
        box.launch(f"{tenant}/web", init=["/bin/sh", "-c", "i=0; while [ $i -lt 2000 ]; do "
                                          "i=$((i+1)); done"])
        box.wait_state(f"{tenant}/web", "STOPPED")
    found = usage(box)
    assert set(found) == {"a", "b"}
    for tenant, one in found.items():
        assert one["account"] == f"of {tenant}"
        assert one["usage"]["cpu.used"] == box.usage(tenant)["cpu_usec"] > 0
    rows = [line.split(",") for line in box.ok(
        "usage", "totals", "-o", "csv", "--from", "2001-01-01T00:00:00Z").splitlines()]
    assert rows[0][:5] == ["tenant", "tenant_uid", "account_ref", "meter", "quantity"]
    assert {(r[0], int(r[4])) for r in rows if r[3] == "cpu.used"} == {
        (t, x["usage"]["cpu.used"]) for t, x in found.items()}
    assert "cpu.used" in box.ok("usage", "totals")
    assert box.ok("usage", "totals", "--month", "2001-01", "-o", "json") == ""
    assert box.croft("usage", "totals", "--month", "2001-01", "--to",
                     "2001-01-02T00:00:00Z").rc == 2
    box.refused("usage", "totals", "--from", "2001-01-02T00:00:00Z", "--to",
                "2001-01-01T00:00:00Z", match="before it begins")
    panel(box, "terminate", "a")
    # Another customer may have the name: each uid has sums of its own.
    panel(box, "create", "a", "--plan", "small", "--account", "new")
    rows = box.json_lines("usage", "totals")
    uids = [r["tenant_uid"] for r in rows if r["name"] == "tenants/a"]
    assert len(uids) == len(set(uids))
    old = next(r for r in rows if r.get("account_ref") == "of a")
    assert {m["meter"]: int(m["quantity"]) for m in old["sums"]}["cpu.used"] == \
        found["a"]["usage"]["cpu.used"]


def standing(box):
    done = run(box, "usage-update")
    assert done.returncode == 0, done.stderr
    return {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}


def test_where_accounts_stand(box):
    box.ok("plan", "create", "sized", "--pids", "50", "--cpu", "1", "--disk", "200MiB",
           "--traffic-out", "2GiB")
    panel(box, "create", "c4", "--plan", "sized", "--account", "4")
    panel(box, "create", "c5", "--plan", "small", "--account", "5")
    box.ok("tenant", "set", "c5", "--disk", "none")
    assert standing(box)["c5"] == {
        "name": "c5", "account_ref": "5", "disk_used_mb": 0, "disk_limit_mb": None,
        "bw_used_mb": 0, "bw_limit_mb": None}
    box.launch("c4/web")
    assert box.exec("c4/web", "dd", "if=/dev/urandom", "of=/fill", "bs=1M", "count=20").rc == 0
    box.sync_pool()
    # Disks are looked at when croftd begins, and then every half minute or so.
    box.kill9("croftd")
    box.restart("croftd")
    wait_until("its disk was looked at", lambda: standing(box)["c4"]["disk_used_mb"], 60)
    row, shown = standing(box)["c4"], box.json("tenant", "show", "c4")
    assert (row["account_ref"], row["disk_limit_mb"], row["bw_limit_mb"]) == ("4", 200, 2048)
    inside = int(box.exec("c4/web", "du", "-skx", "/").out.split()[0]) / 1024
    assert 20 <= row["disk_used_mb"] <= inside + 4 < 40
    assert (row["disk_used_mb"] - 1) << 20 < int(shown["disk_used_bytes"]) \
        <= row["disk_used_mb"] << 20
    assert standing(box)["c5"]["disk_used_mb"] == 0
    box.ok("delete", "--force", "c4/web")
    assert standing(box)["c4"]["disk_used_mb"] == 0


@pytest.mark.parametrize("limits, used, limit", [
    ({}, 7, None),
    ({"traffic_bytes": "10485760"}, 7, 10),
    ({"traffic_out_bytes": "10485760"}, 3, 10),
    ({"traffic_bytes": "10485760", "traffic_out_bytes": "104857600"}, 7, 10),
    ({"traffic_bytes": "104857600", "traffic_out_bytes": "10485761"}, 3, 11)])
def test_of_two_allowances_the_one_used_up_more_is_told(limits, used, limit):
    row = client()._standing({
        "name": "tenants/a", "container_count": 1, "limits": limits,
        "traffic": {"in_bytes": str(4 << 20), "out_bytes": str((2 << 20) + 1)}})
    assert (row["bw_used_mb"], row["bw_limit_mb"]) == (used, limit)
    # It has a container whose disk was not looked at yet: that is not zero.
    assert row["disk_used_mb"] is None


def test_a_croftd_that_dies_is_waited_for(box):
    panel(box, "create", "c1", "--plan", "small", "--account", "1")
    box.kill9("croftd")
    started = subprocess.Popen(
        ["/usr/bin/python3", "-B", PANEL, "--host", box.host, "--descriptors", DESCRIPTORS,
         "suspend", "c1", "--reason", "overdue"], stdout=subprocess.PIPE)
    box.restart("croftd")
    out, _ = started.communicate(timeout=120)
    assert started.returncode == 0
    assert [h["type"] for h in json.loads(out)["holds"]] == ["BILLING"]
    assert len(box.json("tenant", "show", "c1")["holds"]) == 1


def test_nobody_listens(tmp_path):
    done = subprocess.run(
        ["/usr/bin/python3", "-B", PANEL, "--host", f"unix:{tmp_path}/none", "--descriptors",
         DESCRIPTORS, "usage", "--month", "2026-11"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 3 and done.stderr


@pytest.mark.parametrize("month", ["2026-13", "2026", "november"])
def test_a_month_that_is_none(month):
    done = subprocess.run(
        ["/usr/bin/python3", "-B", PANEL, "--descriptors", DESCRIPTORS, "usage", "--month", month],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 2 and month in done.stderr and "Traceback" not in done.stderr
