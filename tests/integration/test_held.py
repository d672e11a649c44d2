"""What is held while nothing runs: disk, volumes, snapshots, addresses, what a tenant bought.

It is on the bill from when it was made to when it is gone, whoever was killed meanwhile."""

import time

import pytest

from croft_harness import wait_until
from networked import Networked
from test_ledger import HELD, age, check_whole, everything, stopped
import netlab

MIB = 1 << 20
LOOK_S = 6  # at disks, of which samples are taken


@pytest.fixture
def box(fresh_box):
    return fresh_box


def held(box, resource):
    """The quantity of each meter of a resource, as far as is known."""
    sums = {}
    for r in everything(box):
        if r["resource"] == resource and (r["meter"] in HELD or r["meter"].startswith("tenant.")):
            sums[r["meter"]] = sums.get(r["meter"], 0) + int(r["quantity"])
    return sums


def wait_for(box, resource, *meters, more_than=0):
    def look():
        sums = held(box, resource)
        return sums if all(sums.get(m, 0) > more_than for m in meters) else None
    box.sync_pool()
    return wait_until(f"{meters} of {resource}", look, 90)


def of(records, resource, meter):
    return [r for r in records if r["resource"] == resource and r["meter"] == meter]


WEB = "tenants/acme/containers/web"
DATA = "tenants/acme/volumes/data"


def test_a_container_that_never_ran_holds_disk(box):
    box.tenant(cpu="1", memory="64M", disk="128M")
    box.ok("create", "busybox", "acme/web", "--disk", "64M")
    box.ok("volume", "create", "acme/data", "--size", "32M")
    sums = wait_for(box, WEB, "disk.used", "disk.allocated")
    assert sums["disk.allocated"] > sums["disk.used"]
    volume = wait_for(box, DATA, "volume.allocated", "disk.used")
    assert volume["volume.allocated"] > volume["disk.used"]
    tenant = wait_for(box, "tenants/acme", "tenant.cpu.allocated", "tenant.memory.allocated")
    # One core, 64 MiB and 128 MiB over the same time.
    seconds = tenant["tenant.cpu.allocated"] / 1e6
    assert abs(tenant["tenant.memory.allocated"] - 65536 * seconds) < 65536 * 0.1
    assert abs(tenant["tenant.disk.allocated"] - 2 * 65536 * seconds) < 65536 * 0.1
    # Nothing of it is what a run uses.
    assert not [r for r in everything(box) if r["meter"] == "running"]


def rise(box, resource, before, meters, seconds):
    """What each has come to since, once the first has for so many seconds."""
    def look():
        now = held(box, resource)
        risen = {m: now[m] - before[m] for m in meters}
        return risen if risen[meters[0]] >= seconds * 65536 else None
    return wait_until(f"{meters[0]} of {resource} goes on", look, 90)


def test_amounts_are_what_is_held_for_as_long(box):
    """Of 24 MiB that nothing compresses, for some twenty seconds."""
    box.tenant(disk="256M")
    box.launch("acme/web", disk="64M")
    box.sh("acme/web", "dd if=/dev/urandom of=/big bs=1M count=24 2>/dev/null; sync")
    box.ok("snapshot", "create", "acme/web", "one")
    size = int(box.json_lines("snapshot", "list", "acme/web")[0].get("size_bytes", 0))
    box.ok("volume", "create", "acme/data", "--size", "64M")
    box.ok("kill", "acme/web")
    box.wait_state("acme/web", "STOPPED")
    meters = ["disk.allocated", "disk.used"] + ["snapshot.used"] * (size > 0)
    wait_for(box, WEB, *meters)
    wait_for(box, DATA, "volume.allocated")
    # Two looks later all of it is what is held now.
    rise(box, WEB, held(box, WEB), meters, 2 * LOOK_S)
    begun = time.clock_gettime(time.CLOCK_BOOTTIME)
    before, volume = held(box, WEB), held(box, DATA)
    risen = rise(box, WEB, before, meters, 20)
    of_volume = held(box, DATA)["volume.allocated"] - volume["volume.allocated"]
    # 64 MiB are 65536 KiB: that is the time.
    seconds = risen["disk.allocated"] / 65536
    assert abs(time.clock_gettime(time.CLOCK_BOOTTIME) - begun - seconds) < 2 * LOOK_S
    assert abs(of_volume / 65536 - seconds) < LOOK_S + 1
    assert 24 * MIB <= risen["disk.used"] / seconds * 1024 <= 32 * MIB
    if size:
        assert abs(risen["snapshot.used"] / seconds * 1024 - size) < MIB / 4


def test_it_goes_on_across_kills_and_ends_with_the_deletion(box):
    box.tenant()
    box.launch("acme/web")
    box.ok("snapshot", "create", "acme/web", "before")
    box.ok("kill", "acme/web")
    box.wait_state("acme/web", "STOPPED")
    before = wait_for(box, WEB, "disk.used")
    box.kill9("croftd")
    box.restart("croftd")
    after = wait_for(box, WEB, "disk.used", more_than=before["disk.used"])
    # One row goes on: nothing is counted twice, nor begun anew.
    assert len({r["run_id"] for r in of(everything(box), WEB, "disk.used")}) == 1
    box.kill9("supervisor")
    box.restart("supervisor")
    wait_for(box, WEB, "disk.used", more_than=after["disk.used"])
    box.ok("delete", "--force", "acme/web")
    found = of(everything(box), WEB, "disk.used")
    assert all(r["final"] == "true" for r in found)
    assert of(everything(box), WEB, "snapshot.used")
    last = sum(int(r["quantity"]) for r in found)
    with stopped(box) as state:
        age(state)
    wait_until("it is closed to its end", lambda: all(
        r["finalized_at"] for r in of(everything(box), WEB, "disk.used")), 60)
    assert sum(int(r["quantity"]) for r in of(everything(box), WEB, "disk.used")) == last
    check_whole(box)


def test_what_lived_for_a_moment_had_its_share(box):
    """Between two looks: its disk limit and place were held all the same."""
    box.tenant()
    box.ok("create", "busybox", "acme/web", "--disk", "64M")
    box.ok("delete", "acme/web")
    found = of(everything(box), WEB, "disk.allocated")
    assert found and all(r["final"] == "true" for r in found)
    assert sum(int(r["quantity"]) for r in found) > 0
    # A launch that came to nothing is no resource.
    box.refused("launch", "busybox", "acme/not", "--", "/bin/nothing-there")
    assert not of(everything(box), "tenants/acme/containers/not", "disk.allocated")


def test_snapshots_count_while_they_are_there(box):
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "dd if=/dev/zero of=/big bs=1M count=8 2>/dev/null; sync")
    box.ok("snapshot", "create", "acme/web", "one")
    size = int(box.json_lines("snapshot", "list", "acme/web")[0].get("size_bytes", 0))
    if not size:
        pytest.skip("this pool cannot tell a snapshot's size")
    first = wait_for(box, WEB, "snapshot.used")
    assert first["snapshot.used"] > 0


def test_a_new_name_is_a_new_row(box):
    box.tenant()
    box.ok("create", "busybox", "acme/web")
    wait_for(box, WEB, "disk.used")
    box.ok("rename", "acme/web", "site")
    wait_for(box, "tenants/acme/containers/site", "disk.used")
    found = of(everything(box), WEB, "disk.used")
    assert all(r["final"] == "true" for r in found)
    uids = {r["resource_uid"] for r in everything(box) if r["meter"] == "disk.used"}
    assert len(uids) == 1


def test_new_terms_split_what_is_held(box):
    box.tenant()
    box.ok("create", "busybox", "acme/web", "--disk", "64M")
    box.ok("volume", "create", "acme/data", "--size", "32M")
    wait_for(box, WEB, "disk.allocated")
    wait_for(box, DATA, "volume.allocated")
    box.ok("tenant", "set", "acme", "--account", "customer 9")
    wait_until("records under these", lambda: "customer 9" in {
        r["account_ref"] for r in of(everything(box), WEB, "disk.allocated")}, 90)
    assert len(of(everything(box), WEB, "disk.allocated")) >= 2
    # A volume is its tenant's, who pays for it now.
    wait_until("records of the volume, too", lambda: {"", "customer 9"} == {
        r["account_ref"] for r in of(everything(box), DATA, "volume.allocated")}, 90)


class TestAddress:
    @pytest.fixture
    def lab(self):
        lab = netlab.Lab()
        yield lab
        lab.finish()

    def test_is_held_while_it_is_down(self, schema, lab):
        box = Networked(schema, lab)
        box.start()
        try:
            box.busybox()
            box.tenant()
            box.ok("create", "busybox", "acme/web")
            box.ok("create", "busybox", "acme/alone", "--no-network")
            sums = wait_for(box, WEB, "ipv4.address")
            assert sums["ipv4.address"] > 0
            wait_for(box, "tenants/acme/containers/alone", "disk.used")
            assert not of(everything(box), "tenants/acme/containers/alone", "ipv4.address")
        finally:
            box.kill_all()
            box.shutdown()
            box.finish()
