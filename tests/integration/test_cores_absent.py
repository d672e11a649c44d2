"""CPUs that a host had and has no more, after a boot or as they were taken from it: who was given
them starts on what is left of them, or is refused with the reason; and never runs unbounded."""

import contextlib
import os
import sqlite3

import kernel
import pytest

from test_cores_auto import HOST, cpus, parse

ABSENT = 900
ONLINE = "/sys/devices/system/cpu/cpu{}/online"


def forget(cgroup):
    for root in set(kernel.hierarchies().values()):
        for folder, _, _ in os.walk(f"{root}/{cgroup.path}", topdown=False):
            os.rmdir(folder)


def boot_with_fewer(box, *changes):
    """What is left of a host that goes down and comes up with fewer CPUs: nothing runs, there are
    no cgroups, and on record is what it had then. changes: (table, name, old list, new list)."""
    for daemon in ("croftd", "supervisor"):
        box.kill9(daemon)
    for tenant in ("acme", "other"):
        forget(box.cgroup(tenant))
    state = sqlite3.connect(f"{box.state}/server/croft.db", timeout=20)
    with state:
        for table, name, old, new in changes:
            done = state.execute(
                f"UPDATE {table} SET cpus=?, limits=replace(limits, ?, ?) WHERE name=?",
                (new, f"core-list={old}", f"core-list={new}", name))
            assert done.rowcount == 1
    state.close()
    box.restart("croftd")


def created(box, name, cores):
    box.ok("create", "busybox", name, "--cores", cores)


@pytest.mark.vm
def test_containers(box):
    first = HOST[0]
    pin = f"{first}-{first}"
    box.tenant(cpu="2")
    box.tenant("other")
    for name in ("gone", "part"):
        created(box, f"acme/{name}", pin)
    created(box, "acme/count", "1")
    boot_with_fewer(box, ("containers", "gone", first, ABSENT),
                    ("containers", "part", first, f"{first},{ABSENT}"),
                    ("containers", "count", first, ABSENT))
    box.refused("start", "acme/gone", match=f"pinned to cores {ABSENT}, none of which is there")
    assert box.info("acme/gone")["state"] == "STOPPED"
    box.ok("start", "acme/part")
    assert cpus(box, "acme/part") == {first}
    assert str(box.info("acme/part")["cores"]) == str(first)
    box.ok("start", "acme/count")
    (chosen,) = cpus(box, "acme/count")
    assert chosen in HOST and str(box.info("acme/count")["cores"]) == str(chosen)
    # What the sentence says to do helps.
    box.ok("set", "acme/gone", "--cores", pin)
    box.ok("start", "acme/gone")
    assert cpus(box, "acme/gone") == {first}


@pytest.mark.vm
def test_tenants(box):
    """One whose limits cannot be set starts nothing, as nothing would hold it."""
    first = HOST[0]
    box.ok("tenant", "create", "acme", "--memory", "64M", "--cores", f"{first}-{first}")
    box.ok("tenant", "create", "other", "--memory", "64M", "--cores", "1")
    for name in ("acme/web", "other/web"):
        box.ok("create", "busybox", name)
    boot_with_fewer(box, ("tenants", "acme", first, ABSENT), ("tenants", "other", first, ABSENT))
    sentence = box.refused("start", "acme/web", match="this host refuses the limits of tenant acme")
    assert f"none of the cores {ABSENT}" in sentence
    # The other's were Croft's choice.
    box.ok("start", "other/web")
    (chosen,) = cpus(box, "other/web")
    assert chosen in HOST and str(box.json("tenant", "show", "other")["cores"]) == str(chosen)
    box.ok("tenant", "set", "acme", "--cores", "none")
    box.ok("start", "acme/web")
    assert cpus(box, "acme/web") == set(HOST)
    assert box.cgroup("acme").memory_max() == 64 << 20


def test_tenants_have_what_is_left(box):
    first = HOST[0]
    box.ok("tenant", "create", "acme", "--cores", f"{first}-{first}")
    box.tenant("other")
    box.ok("create", "busybox", "acme/web")
    boot_with_fewer(box, ("tenants", "acme", first, f"{first},{ABSENT}"))
    box.ok("start", "acme/web")
    assert cpus(box, "acme/web") == {first}


@contextlib.contextmanager
def offline(cpu):
    """A host without that CPU: for a machine of one's own."""
    with open(ONLINE.format(cpu), "w", encoding="ascii") as f:
        f.write("0")
    try:
        yield
    finally:
        with open(ONLINE.format(cpu), "w", encoding="ascii") as f:
            f.write("1")


@pytest.mark.vm
@pytest.mark.skipif(kernel.driver() != "unified" or not os.path.exists(ONLINE.format(HOST[-1])),
                    reason="no CPU is taken from a host that others use")
def test_a_cpu_that_is_offline(box):
    first, last = HOST[0], HOST[-1]
    box.tenant(cpu="2")
    created(box, "acme/gone", f"{last}-{last}")
    created(box, "acme/part", f"{first},{last}")
    created(box, "acme/auto", "auto")
    with offline(last):
        box.refused("start", "acme/gone", match="none of which is there")
        box.refused("set", "acme/gone", "--cores", f"{last}-{last}", match="not all among")
        for name in ("acme/part", "acme/auto"):
            box.ok("start", name)
            assert last not in cpus(box, name)
    box.ok("start", "acme/gone")
    assert cpus(box, "acme/gone") == {last}
    assert parse(box.cgroup("acme/gone").cpus()) == {last}
