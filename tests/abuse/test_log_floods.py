"""Output without end: one tenant's containers may make croftd read and write so much together."""

import time

from croft_harness import PATIENCE, wait_until

MIB = 1 << 20
FLOODERS = 8
SECONDS = 4
# Of log_quota.h.
RATE = 4 * MIB


def written(box):
    """Bytes that croftd has written, to files and sockets."""
    with open(f"/proc/{box.pid('croftd')}/io", encoding="ascii") as f:
        return int(dict(line.split(": ") for line in f)["wchar"])


def flood(box, names):
    """Each of them floods both of its outputs."""
    for name in names:
        box.launch(name, init=["/bin/sh", "-c", "yes >/dev/console & exec yes"])
    time.sleep(1)


def rate_of(box):
    """Bytes a second that croftd writes."""
    before, begin = written(box), time.monotonic()
    time.sleep(SECONDS)
    return (written(box) - before) / (time.monotonic() - begin)


def test_a_tenant_has_one_budget(box):
    """Beside it the control: as many containers, of as many tenants."""
    box.tenant("acme", cpu=2)
    names = [f"acme/c{i}" for i in range(FLOODERS)]
    flood(box, names)
    together = rate_of(box)
    assert together < RATE * 1.3, together
    for name in names:
        box.ok("kill", name)
    for i in range(FLOODERS):
        box.tenant(f"t{i}")
    flood(box, [f"t{i}/c" for i in range(FLOODERS)])
    # Nothing holds them to it; but the disk may for a while.
    wait_until("they may more, each for itself", lambda: rate_of(box) > together * 1.5, 30)


def test_a_quiet_neighbour_in_the_tenant_is_heard(box):
    """A line of another container waits for a turn of the flooders', not for their end."""
    box.tenant("acme", cpu=2)
    for i in range(FLOODERS):
        box.launch(f"acme/c{i}", init=["/bin/sh", "-c", "yes >/dev/console & exec yes"])
    box.launch("acme/quiet")
    begin = time.monotonic()
    for i in range(3):
        box.sh("acme/quiet", f"echo line {i} >/proc/1/fd/1")
        while f"line {i}" not in box.ok("logs", "acme/quiet"):
            assert time.monotonic() - begin < 30 * PATIENCE
            time.sleep(0.05)
