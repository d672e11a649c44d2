"""Output without end: one tenant's containers may make croftd read and write so much together."""

import time

from croft_harness import SLOWNESS

MIB = 1 << 20
FLOODERS = 8
SECONDS = 4
# Of log_quota.h.
RATE = 4 * MIB


def written(box):
    """Bytes that croftd has written, to files and sockets."""
    with open(f"/proc/{box.pid('croftd')}/io", encoding="ascii") as f:
        return int(dict(line.split(": ") for line in f)["wchar"])


def rate_of(box, names):
    """Bytes a second that croftd writes while each of them floods both of its outputs."""
    for name in names:
        box.launch(name, init=["/bin/sh", "-c", "yes >/dev/console & exec yes"])
    time.sleep(1)
    before, begin = written(box), time.monotonic()
    time.sleep(SECONDS)
    rate = (written(box) - before) / (time.monotonic() - begin)
    for name in names:
        box.ok("kill", name)
    return rate


def test_a_tenant_has_one_budget(box):
    """Beside it the control: as many containers, of as many tenants."""
    box.tenant("acme", cpu=2)
    together = rate_of(box, [f"acme/c{i}" for i in range(FLOODERS)])
    assert together < RATE * 1.3, together
    names = []
    for i in range(FLOODERS):
        box.tenant(f"t{i}")
        names.append(f"t{i}/c")
    apart = rate_of(box, names)
    assert apart > together * 1.5, (together, apart)


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
            assert time.monotonic() - begin < 30 * SLOWNESS
            time.sleep(0.05)
