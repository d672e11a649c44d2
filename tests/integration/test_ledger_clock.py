"""The wall clock is set, by a day each way, while a container runs: the bill stays as it is, and so
does what proves it where the clock is weeks ahead. That it was set is on record, also where there
was no croftd meanwhile."""

import contextlib
import json
import os
import time

import pytest

from croft_harness import wait_until
from test_ledger import burn, check_proven, check_whole, everything, records, total

DAY = 86400
# An export is until now, unless it is asked for more: what was recorded under tomorrow's date, too.
ALL = ("--to", "2100-01-01T00:00:00Z")

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(os.environ.get("CROFT_VM") != "1", reason="sets the machine's clock"),
]


def boottime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@contextlib.contextmanager
def clock_off(seconds):
    """The machine's clock is off by so much, until the end."""
    time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)
    try:
        yield
    finally:
        time.clock_settime(time.CLOCK_REALTIME, time.time() - seconds)


def test_a_day_each_way(fresh_box):
    box = fresh_box
    box.tenant(cpu="1")
    begun = boottime()
    box.launch("acme/web")
    running = boottime()
    cgroup = burn(box)
    before = total(records(box))
    with clock_off(DAY):
        burn(box)
        assert total(records(box)) > before
        # Today's hour is over, by this clock.
        wait_until("it is closed", lambda: [r for r in records(box) if r["finalized_at"]], 90)
    burn(box)
    with clock_off(-DAY):
        burn(box)
        records(box)
    burn(box)
    box.ok("freeze", "acme/web")
    asked = boottime()
    found = records(box, *ALL)
    assert total(found) == cgroup.cpu_usec()
    # It ran for as long as it ran, whatever the clock said meanwhile.
    assert asked - running <= total(found, "running") / 1000000 <= boottime() - begun
    ids = [r["record_id"] for r in everything(box, *ALL)]
    assert len(ids) == len(set(ids))
    days = {r["window_start"][:10] for r in found}
    assert len(days) >= 3
    # What was used in an hour that was closed too early is a correction of it.
    late = [r for r in found if r["kind"] == "correction" and r["meter"] == "cpu.used"]
    assert late and all(r["corrects"] in ids and "late" in r["reason"] for r in late)
    assert [e["type"] for e in box.events()].count("host.clock_set") >= 2
    check_whole(box, period=ALL)


def test_samples_are_not_old_by_a_clock_that_was_just_set(fresh_box):
    box = fresh_box
    box.tenant(cpu="1")
    box.launch("acme/web")
    burn(box)
    with clock_off(60 * DAY):
        box.terminate("croftd")
        box.restart("croftd")
        # The round that closes hours is the one that deletes samples, behind that.
        wait_until("it is closed",
                   lambda: [r for r in records(box, *ALL) if r["finalized_at"]], 90)
        check_proven(box, recomputed=True)


def clock_events(box):
    return [e for e in box.events() if e["type"] == "host.clock_set"]


def test_the_clock_is_set_while_there_is_no_croftd(fresh_box):
    box = fresh_box
    box.tenant(cpu="1")
    box.launch("acme/web")
    burn(box)
    records(box)
    before = len(clock_events(box))
    box.terminate("croftd")
    with clock_off(DAY):
        box.restart("croftd")
        wait_until("it is on record", lambda: len(clock_events(box)) == before + 1)
        by = int(json.loads(clock_events(box)[-1]["details_json"])["by_usec"])
        assert abs(by - DAY * 1000000) < 5000000
        # Once: another croftd begins behind it.
        box.terminate("croftd")
        box.restart("croftd")
        burn(box)
        records(box)
        assert len(clock_events(box)) == before + 1
