"""Either process is killed again and again while containers are launched, end and are deleted.

Whatever the moment: a launch that was answered is on the bill, once; nothing is left half-made;
the events have no hole; and the tenant's total is the sum of its records.
"""

import csv
import io
import random
import re
import threading
import time

import pytest

from croft_harness import debug, wait_until

pytestmark = pytest.mark.vm

ROUNDS = 6
LAUNCHERS = 3
SCRIPT = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); done"


class Launcher(threading.Thread):
    """Launches containers that end by themselves, until told to stop."""

    def __init__(self, daemon, prefix):
        super().__init__()
        self.daemon_, self.prefix = daemon, prefix
        self.answered, self.refused, self.stopped = [], 0, False

    def run(self):
        count = 0
        while not self.stopped:
            count += 1
            name = f"{self.prefix}x{count}"
            result = self.daemon_.croft(
                "launch", "busybox", f"acme/{name}", "--ephemeral", "--", "/bin/sh", "-c", SCRIPT)
            if result.rc == 0:
                self.answered.append(name)
            else:
                self.refused += 1
                time.sleep(0.02)


def storm(daemon, who):
    # Names that no other storm of this instance has: its records stay.
    launchers = [Launcher(daemon, f"{'-'.join(who)}-{n}") for n in range(LAUNCHERS)]
    for launcher in launchers:
        launcher.start()
    try:
        for _ in range(ROUNDS):
            time.sleep(random.uniform(0.2, 0.8))
            for name in who:
                daemon.kill9(name)
                time.sleep(random.uniform(0, 0.03))
            try:
                daemon.restart(*who)
            except AssertionError as e:
                raise AssertionError(f"{e}\n{daemon.read_log()[-4000:]}") from None
    finally:
        for launcher in launchers:
            launcher.stopped = True
        for launcher in launchers:
            launcher.join()
    debug(f"{sum(len(x.answered) for x in launchers)} launched, "
          f"{sum(x.refused for x in launchers)} refused")
    return [name for launcher in launchers for name in launcher.answered]


def records(daemon, who):
    """cpu.used of every run of this storm, by the container's name."""
    table = csv.DictReader(io.StringIO(daemon.ok("usage", "export", "--format", "csv")))
    found = {}
    for row in table:
        name = row["resource"].rsplit("/", 1)[1]
        if row["meter"] == "cpu.used" and re.match(f"{'-'.join(who)}-[0-9]+x", name):
            found.setdefault(name, []).append(row)
    return found


def billed(found):
    return sum(int(row["quantity"]) for rows in found.values() for row in rows)


@pytest.mark.parametrize("who", [
    pytest.param(("croftd",), marks=pytest.mark.native("the last is the worst of the three")),
    pytest.param(("supervisor",), marks=pytest.mark.native("the last is the worst of the three")),
    ("supervisor", "croftd"),
], ids="+".join)
def test_storm(daemon, who):
    box = daemon
    box.busybox()
    box.tenant(containers=500, pids=4000, memory="1G")
    answered = storm(box, who)
    assert answered, "nothing was launched at all"
    try:
        wait_until("nothing is left", lambda: not box.ok("list").strip(), 30)
    except AssertionError as e:
        raise AssertionError(f"{e}\n{box.ok('list')}\n{box.read_log()[-4000:]}") from None
    # What croftd has forgotten may still be on its way down, and comes on the bill when it is.
    wait_until("the bill has what the tenant used", lambda: billed(
        records(box, who)) == box.usage("acme")["cpu_usec"], 30)
    found = records(box, who)
    # Each once: of one run, which has a record an hour that it was in.
    for name in answered:
        rows = found.get(name, [])
        assert len({row["run_id"] for row in rows}) == 1, f"{name}: {rows}"
        assert len({row["window_start"] for row in rows}) == len(rows) <= 2, f"{name}: {rows}"
    assert all(row["final"] == "true" for rows in found.values() for row in rows)
    assert all(sum(int(row["quantity"]) for row in rows) > 0 for rows in found.values())
    numbers = [event["number"] for event in box.events()]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
