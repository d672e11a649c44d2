"""croft noisy: who holds up whom, and who is nobody's victim."""

import contextlib
import csv
import io
import os

import grpc
import pytest

import api
from croft_harness import wait_until

BURN = ("/bin/sh", "-c", "while :; do :; done")
COUNTED = os.path.exists("/proc/pressure/cpu")
needs_pressure = pytest.mark.skipif(not COUNTED, reason="this kernel counts no pressure")
# Of svc_usage_noisy.c.
REPORTS = 8


def named(name):
    return "tenants/{}/containers/{}".format(*name.split("/"))


def rows(box, victim, *args):
    """The report's rows about that container."""
    report = box.json("noisy", *(args or ("--window", "2")))
    return [r for r in report.get("neighbours", []) if r["victim"] == named(victim)]


def wait_rows(box, victim, condition):
    """A report in which there is such a row; under whatever else the host is doing."""
    return wait_until(f"{victim} is a victim as it should be", lambda: next(
        (r for r in rows(box, victim) if condition(r)), None), 60)


@pytest.mark.vm
def test_a_culprit_is_named(box):
    """The story: both want the same core; with the culprit gone, nobody is held up by it."""
    for name, weight in (("acme", 10), ("other", 1000)):
        box.tenant(name, cpu_weight=weight, cpu=os.cpu_count(), memory="128M", pids=64)
    box.launch("acme/web", init=BURN, cores="0-0")
    box.launch("other/hog", init=BURN, cores="0-0")
    if not COUNTED:
        box.refused("noisy", "--window", "1", match="does not count who waits")
        return
    # It has what its weight says; for a while others of this host may have some of that.
    row = wait_rows(box, "acme/web", lambda r: r.get("culprit") == named("other/hog") and
                    r["waits_for"] == "cpu" and r["fair_permyriad"] > 8000)
    assert row["within"] == "host"
    assert 1000 <= row["held_up_permyriad"] <= row["waited_permyriad"] <= 10000
    assert row["held_up_permyriad"] + row.get("own_permyriad", 0) <= row["waited_permyriad"]
    assert row["share_permyriad"] >= 1000 and row["used"] > 0
    assert "same_tenant" not in row
    # So it is not above its share.
    assert "above_fair_share" not in row
    look_at_lines(box)
    box.ok("freeze", "other/hog")
    assert not [r for r in rows(box, "acme/web") if r.get("culprit") == named("other/hog")]


def look_at_lines(box):
    """For people at 80 columns, and for programs."""
    def lines():
        found = box.ok("noisy", "--window", "2").splitlines()
        return found if any(line.startswith("acme/web ") for line in found) else None

    text = wait_until("people see it", lines, 60)
    assert text[0].split() == ["WHO", "WAITS", "OTHERS", "FOR", "USES", "SHARE", "FAIR"]
    assert all(len(line) <= 80 for line in text)
    at = next(i for i, line in enumerate(text) if line.startswith("acme/web "))
    assert "cpu" in text[at].split() and text[at + 1].startswith("  ")

    def table():
        found = list(csv.DictReader(io.StringIO(box.ok("-o", "csv", "noisy", "--window", "2"))))
        return [r for r in found if r["victim"] == "acme/web"]

    assert wait_until("so do programs", table, 60)[0]["waits_for"] == "cpu"


@needs_pressure
def test_its_tenants_limit_is_its_neighbours_doing(box):
    """One that works all the time, and one that would: together they have what the tenant has."""
    box.tenant(cpu=0.2, memory="128M", pids=64)
    box.launch("acme/web", init=BURN)
    box.launch("acme/hog", init=BURN)
    row = wait_rows(box, "acme/web", lambda r: r["within"] == "tenant")
    assert row["culprit"] == named("acme/hog") and row["same_tenant"] and row["waits_for"] == "cpu"
    wait_until("people see it", lambda: any(
        "its tenant's limit" in line for line in box.ok("noisy").splitlines()), 60)
    # The control: alone it is held just as long, and nobody else's victim.
    box.ok("stop", "--timeout", "0", "acme/hog")
    assert not [r for r in rows(box, "acme/web") if r["within"] == "tenant"]


@needs_pressure
def test_its_own_limit_is_nobody_elses_doing(box):
    """Held at a twentieth of a core beside one that takes what is left, and gives way at once."""
    box.tenant(cpu_weight=10000, memory="128M", pids=64)
    box.tenant("other", cpu_weight=1, cpu=os.cpu_count(), memory="128M", pids=64)
    box.launch("acme/web", init=BURN, cpu=0.05)
    for i in range(os.cpu_count()):
        box.launch(f"other/hog{i}", init=BURN)

    def held():
        top = {r["name"]: r for r in box.json_lines("top")}[named("acme/web")]
        return top.get("throttled_milli", 0) > 300 and \
            top["cpu_pressure"].get("some_permyriad", 0) > 3000

    # The control: it does wait, for much longer than a victim has to.
    wait_until("it waits for its limit", held, 60)
    wait_until("nobody is blamed for it", lambda: held() and not rows(box, "acme/web"), 60)


def test_where_nobody_waits(box):
    box.tenant(memory="128M", pids=64)
    box.launch("acme/web")
    report = wait_until("nobody is a victim", lambda: (
        r := box.json("noisy", "--window", "1")) and not r.get("neighbours") and r, 60)
    assert report["containers"] == 1 and report["window_usec"] >= 900_000
    assert wait_until("they say so", lambda: (
        text := box.ok("noisy", "--window", "1")).startswith("nobody is held up") and text, 60)


def test_windows(box):
    for wrong in ("0", "61", "x"):
        assert box.croft("noisy", "--window", wrong).rc == 2
    with box.api() as client, pytest.raises(grpc.RpcError) as e:
        client.call("Usage/ReportNoisyNeighbours", {"windowSeconds": 61})
    assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert api.error_reason(e.value) == "WINDOW_INVALID"


@contextlib.contextmanager
def as_many_as_may_be(box):
    """Reports that are being made, and one more that was refused. Only these: a short one would
    take the place of one that is to stay."""
    children = []
    with contextlib.ExitStack() as stack:
        for _ in range(REPORTS + 1):
            children.append(stack.enter_context(box.background("noisy", "--window", "60")))
        refused = wait_until("one is too many", lambda: next(
            (c for c in children if c.poll() is not None), None), 50)
        assert refused.returncode == 1
        assert b"reports on noisy neighbours are being made" in refused.stderr.read()
        children.remove(refused)
        yield children


def test_reports_are_bounded_and_end_with_their_clients(box):
    """So many at a time; who leaves makes room; an end of croftd waits for none."""
    with as_many_as_may_be(box):
        pass
    wait_until("they have left", lambda: box.croft("noisy", "--window", "1", timeout=60).rc == 0,
               60)
    with as_many_as_may_be(box) as children:
        assert all(child.poll() is None for child in children)
        box.terminate("croftd")
        assert [child.wait(60) for child in children] == [1] * REPORTS
    box.restart("croftd")
