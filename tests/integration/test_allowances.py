"""Traffic allowances: what is used of a month is what the bill says, it is told once at each level,
slows the network where that is asked for, and survives whatever dies."""

import collections
import contextlib
import json
import sqlite3

import pytest

import netlab
from croft_harness import wait_until
from networked import kept, lab  # noqa: F401
from test_network_rates import MB, inside, outside, rates
from test_panel import standing
from test_traffic import OUTSIDE, WIRE4, agree, bill, launch, send, sink

MIB = 1 << 20
SLOW = 100 * 1000


def traffic(box, tenant="acme"):
    """What `tenant show` says of it, after a sweep."""
    box.ok("usage", "export")
    return collections.defaultdict(int, box.json("tenant", "show", tenant)["traffic"])


def told(box, kind):
    return [json.loads(e["details_json"])
            for e in box.events() if e["type"] == f"tenant.traffic_{kind}"]


def highest(box):
    """The highest level that was told. Each is told once; a sweep may pass over one."""
    levels = [x["percent"] for x in told(box, "used")]
    assert levels == sorted(set(levels)) and set(levels) <= {80, 90, 100}
    return max(levels, default=0)


def use(box, name, total):
    """Sends datagrams outside until so many bytes were sent in its period: who sends fast loses
    some on the way, and they count for nothing."""
    while (left := total - traffic(box)["out_bytes"]) > 0:
        for _ in range(left // (50 * WIRE4) + 1):
            send(inside(box, name), netlab.OUTSIDE4, 50)


def make(box, *options):
    box.tenant()
    box.ok("tenant", "set", "acme", *options)
    launch(box, "acme/web")


def slowed(box):
    """The rates of the tenant's bridge, of which there are none when it is not slowed."""
    return sorted(set(rates(box).values()))


@pytest.mark.vm
def test_what_is_used_is_told_and_slows(box):
    make(box, "--traffic-out", "1MiB", "--traffic-rate", f"{SLOW}")
    with sink(outside(box)):
        use(box, "acme/web", MIB * 7 // 10)
        assert not told(box, "used")
        use(box, "acme/web", MIB * 8 // 10 + 1)
        now = wait_until("80 % is told", lambda: told(box, "used"))
        assert [(x["percent"], x["limit"], x["limit_bytes"]) for x in now] == [
            (80, "traffic-out", MIB)]
        assert MIB * 8 // 10 <= now[0]["used_bytes"] <= traffic(box)["out_bytes"]
        assert not slowed(box)
        use(box, "acme/web", MIB)
        wait_until("it is slowed", lambda: traffic(box)["slowed_to_bytes"] == SLOW)
    assert highest(box) == 100
    assert told(box, "slowed") == [{"rate_bytes": SLOW}]
    assert slowed(box) == [SLOW]
    box.kill9("croftd")
    box.restart("croftd")
    assert slowed(box) == [SLOW]
    # A new bridge has it, too.
    box.ok("restart", "--timeout", "0", "acme/web")
    assert slowed(box) == [SLOW]
    box.ok("tenant", "set", "acme", "--traffic-out", "10MiB")
    wait_until("it is as it was", lambda: told(box, "restored"))
    assert not slowed(box)
    assert traffic(box)["percent_used"] < 20
    assert highest(box) == 100


def test_both_ways_count_and_a_lower_rate_stays(box):
    make(box, "--traffic", "1MiB", "--traffic-rate", "8MB", "--rate-in", f"{SLOW}")
    with sink(outside(box), inside(box, "acme/web")):
        use(box, "acme/web", MIB // 2)
        box.ok("forward", "add", "acme/web", "9999/udp", "9999")
        before = traffic(box)
        for _ in range(40):
            send(outside(box), netlab.HOST4, 30)
            if traffic(box)["percent_used"] >= 100:
                break
        now = traffic(box)
    assert now["in_bytes"] > before["in_bytes"]
    assert (now["in_bytes"] + now["out_bytes"]) * 100 // MIB == now["percent_used"] >= 100
    # A panel is told the same.
    row, later = standing(box)["acme"], traffic(box)
    assert row["bw_limit_mb"] == 1 and now["in_bytes"] + now["out_bytes"] <= row["bw_used_mb"] * MIB
    assert (row["bw_used_mb"] - 1) * MIB < later["in_bytes"] + later["out_bytes"]
    wait_until("it is slowed", lambda: traffic(box)["slowed_to_bytes"] == 8 * MB)
    # Of two rates the lower one holds.
    assert slowed(box) == [SLOW, 8 * MB]


def test_without_a_rate_it_is_told_alone(box):
    make(box, "--traffic", "1MiB")
    with sink(outside(box)):
        use(box, "acme/web", MIB)
        wait_until("100 % is told", lambda: traffic(box) and highest(box) == 100)
    assert highest(box) == 100
    assert not told(box, "slowed") and not slowed(box)
    assert not traffic(box)["slowed_to_bytes"]


def test_own_traffic_is_free(box):
    make(box, "--traffic", "1MiB")
    other = launch(box, "acme/db")[0]["ipv4_address"]
    before = traffic(box)
    with sink(inside(box, "acme/db")):
        for _ in range(24):
            send(inside(box, "acme/web"), other, 50)
        box.ok("usage", "export")
    now = traffic(box)
    assert now["out_bytes"] - before["out_bytes"] < 10 * WIRE4
    assert not told(box, "used")


def set_period(box, start, end):
    """As if its present period had been from and to these, in seconds from now."""
    with contextlib.closing(sqlite3.connect(f"{box.state}/server/croft.db")) as db, db:
        n = db.execute(
            "UPDATE traffic_periods SET start_wall = CAST(unixepoch('now') AS INTEGER) * 1000000"
            " + ?, end_wall = CAST(unixepoch('now') AS INTEGER) * 1000000 + ?",
            (start * 1000000, end * 1000000)).rowcount
    assert n == 1


def test_the_next_period_begins_at_zero(box):
    make(box, "--traffic-out", "1MiB", "--traffic-rate", f"{SLOW}")
    with sink(outside(box)):
        use(box, "acme/web", MIB)
        wait_until("it is slowed", lambda: traffic(box)["slowed_to_bytes"] == SLOW)
    used = traffic(box)
    box.terminate("croftd")
    set_period(box, -40 * 86400, -1)
    box.restart("croftd")
    wait_until("it is as it was", lambda: traffic(box) and told(box, "restored"))
    ended, = told(box, "period")
    assert (ended["in_bytes"], ended["out_bytes"]) == (used["in_bytes"], used["out_bytes"])
    now = traffic(box)
    assert now["period_start"].endswith("-01T00:00:00Z")
    assert now["period_end"].endswith("-01T00:00:00Z")
    assert now["out_bytes"] < 10 * WIRE4
    assert not slowed(box)
    assert highest(box) == 100


def test_a_kill_loses_nothing_and_tells_nothing_twice(box):
    box.tenant()
    box.ok("tenant", "set", "acme", "--traffic-out", "4MiB")
    _, uid = launch(box, "acme/web")
    with sink(outside(box)):
        for i in range(1, 7):
            use(box, "acme/web", i * 600 * WIRE4)
            box.kill9("croftd")
            box.restart("croftd")
        agree(box, "acme/web", uid)
    assert traffic(box)["out_bytes"] == bill(box, uid, OUTSIDE)["net.egress.outside"]
    assert highest(box) == 80
    box.ok("stop", "--timeout", "0", "acme/web")
    box.ok("delete", "acme/web")
    assert traffic(box)["out_bytes"] == bill(box, uid, OUTSIDE)["net.egress.outside"]
    assert highest(box) == 80


def test_the_day_is_checked_shown_and_moves_the_end(box):
    box.tenant()
    shown = box.json("tenant", "show", "acme")
    assert shown["traffic_reset_day"] == 1
    assert shown["traffic"]["period_end"].endswith("-01T00:00:00Z")
    box.ok("tenant", "set", "acme", "--traffic-reset-day", "15")
    wait_until("its period ends on that day", lambda: box.json(
        "tenant", "show", "acme")["traffic"]["period_end"].endswith("-15T00:00:00Z"))
    box.refused("tenant", "set", "acme", "--traffic-reset-day", "32", match="1 to 31")
    assert box.croft("tenant", "set", "acme", "--traffic-reset-day", "0").rc == 2
    box.refused("tenant", "create", "two", "--traffic-reset-day", "99", match="1 to 31")
    box.refused("tenant", "set", "acme", "--traffic", "1K", match="traffic")
    changed = [e for e in box.events() if e["type"] == "tenant.updated"][-1]["details_json"]
    assert json.loads(changed)["changes"] == {"traffic_reset_day": {"old": 1, "new": 15}}


def test_a_plan_gives_allowances(box):
    box.ok("plan", "create", "small", "--traffic", "2TiB", "--traffic-rate", "1MB")
    box.ok("tenant", "create", "acme", "--plan", "small")
    limits = box.json("tenant", "show", "acme")["limits"]
    assert (limits["traffic_bytes"], limits["traffic_rate_bytes"]) == (2 << 40, MB)
    box.ok("plan", "set", "small", "--traffic", "3TiB")
    assert box.json("tenant", "show", "acme")["limits"]["traffic_bytes"] == 3 << 40
    assert "3 TiB" in box.ok("plan", "show", "small")
    assert box.croft("launch", "busybox", "acme/web", "--traffic", "1GiB").rc == 2
