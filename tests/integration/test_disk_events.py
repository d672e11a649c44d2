"""A tenant that fills its disk gets an error and an event, one for each filling, and nobody else
notices; what is full starts again; and a disk limit of what runs is changed live. On btrfs here;
on XFS and ext4 the same stories are test_project_pool.py's."""

import csv
import io
import json
import sqlite3

from croft_harness import wait_until

MIB = 1 << 20
# A file system commits every half a minute.
COMMIT_SECONDS = 90


def disk_events(box):
    return [
        (e["type"], e["resource"], json.loads(e["details_json"]))
        for e in box.events() if e["type"].endswith(".disk_full")
    ]


def count(box, resource):
    return sum(r == resource for _, r, _ in disk_events(box))


def denied(box):
    """{resource: how often its disk was found full}, by the records: counted as it is told."""
    sums = {}
    for r in csv.DictReader(io.StringIO(box.ok("usage", "export", "--format", "csv"))):
        if r["meter"] == "disk.denied":
            sums[r["resource"]] = sums.get(r["resource"], 0) + int(r["quantity"])
    return sums


def wait_full(box, resource, times=1):
    wait_until(f"{resource} is told to be full", lambda: count(box, resource) >= times,
               COMMIT_SECONDS)
    return [e for e in disk_events(box) if e[1] == resource][-1]


def fill(box, name, mib, path="/fill"):
    """How much could be written, in MiB; an error ends it."""
    result = box.exec(name, "dd", "if=/dev/zero", f"of={path}", "bs=256k", f"count={mib * 4}")
    if result.rc:
        assert "No space left" in result.err or "quota exceeded" in result.err, result
    return int(box.sh(name, f"sync -f /; stat -c %s {path} 2>/dev/null || echo 0")) / MIB


def has_room_again(box):
    """As croftd has it on record."""
    state = sqlite3.connect(f"{box.state}/server/croft.db")
    try:
        return state.execute("SELECT count(*) FROM full_disks").fetchone() == (0,)
    finally:
        state.close()


def filling_is_told_once(box):
    own, acme, other = (f"tenants/{t}" for t in ("acme/containers/own", "acme", "other"))
    box.tenant(disk="96M")
    box.tenant("other", disk="96M")
    box.launch("acme/own", disk="32M")
    box.launch("acme/one")
    box.launch("other/web")
    assert 24 <= fill(box, "acme/own", 64) <= 32
    kind, _, details = wait_full(box, own)
    assert kind == "container.disk_full"
    assert details["limit_bytes"] == 32 * MIB
    assert 29 * MIB <= details["used_bytes"] <= 33 * MIB
    assert set(details) == {"used_bytes", "limit_bytes", "used_inodes", "limit_inodes"}
    assert denied(box) == {own: 1}
    # It goes on trying; both daemons die; and what is known stays known.
    for n in range(5):
        fill(box, "acme/own", 4, f"/more-{n}")
    box.kill9("croftd")
    box.kill9("supervisor")
    box.restart("croftd")
    # The rest of the tenant's. When that is told, the other has been looked at again.
    fill(box, "acme/one", 96)
    kind, _, details = wait_full(box, acme)
    assert kind == "tenant.disk_full" and details["limit_bytes"] == 96 * MIB
    assert count(box, own) == 1 and count(box, acme) == 1
    assert denied(box) == {own: 1, acme: 1}
    # A neighbour has what it bought, and nothing is told of it.
    assert fill(box, "other/web", 64) == 64
    assert count(box, other) == 0
    # Room, and a second filling.
    box.sh("acme/own", "rm -f /fill /more-*; sync -f /")
    box.sh("acme/one", "rm -f /fill; sync -f /")
    wait_until("there is room on record", lambda: has_room_again(box), COMMIT_SECONDS)
    assert count(box, own) == 1 and count(box, acme) == 1
    assert 24 <= fill(box, "acme/own", 64) <= 32
    wait_full(box, own, 2)
    assert len(disk_events(box)) == 3
    box.kill9("croftd")
    box.restart("croftd")
    assert denied(box) == {own: 2, acme: 1}


def a_volume_is_told_of(box):
    box.tenant(disk="96M")
    box.ok("volume", "create", "acme/data", "--size", "32M")
    box.ok("create", "busybox", "acme/web")
    box.ok("volume", "attach", "acme/data", "acme/web:/data")
    box.ok("start", "acme/web")
    assert 24 <= fill(box, "acme/web", 64, "/data/fill") <= 32
    wait_until("the volume is told to be full", lambda: disk_events(box), COMMIT_SECONDS)
    (kind, resource, details), = disk_events(box)
    assert (kind, resource) == ("volume.disk_full", "tenants/acme")
    assert details["volume"] == "data" and details["limit_bytes"] == 32 * MIB
    assert denied(box) == {"tenants/acme/volumes/data": 1}
    # What is gone is not remembered, and its name tells nothing of the next.
    box.ok("kill", "acme/web")
    box.wait_state("acme/web", "STOPPED")
    box.ok("volume", "detach", "acme/data", "acme/web")
    box.ok("volume", "delete", "acme/data")
    wait_until("it is forgotten", lambda: has_room_again(box), COMMIT_SECONDS)
    # But for the bill.
    assert denied(box) == {"tenants/acme/volumes/data": 1}


def limits_change_live(box):
    box.tenant(disk="96M")
    run = box.launch("acme/web", disk="32M")["run"]["id"]
    first = fill(box, "acme/web", 48)
    assert 24 <= first <= 32
    box.ok("set", "acme/web", "--disk", "64M")
    second = fill(box, "acme/web", 80, "/more")
    assert 52 <= first + second <= 64
    box.refused("set", "acme/web", "--disk", "32M", match="in use")
    box.refused("tenant", "set", "acme", "--disk", "48M")
    assert box.json("list", "acme")["limits"]["disk_bytes"] == 64 * MIB
    # Down, to what is there and a little more, and that holds.
    box.sh("acme/web", "rm /more; sync -f /")
    box.ok("set", "acme/web", "--disk", "40M")
    assert fill(box, "acme/web", 32, "/more") + first <= 40
    # The tenant's own, up and down.
    box.ok("tenant", "set", "acme", "--disk", "160M")
    box.ok("set", "acme/web", "--disk", "112M")
    assert fill(box, "acme/web", 64, "/again") == 64
    box.refused("tenant", "set", "acme", "--disk", "64M")
    box.ok("set", "acme/web", "--disk", "112M")
    assert box.info("acme/web")["run"]["id"] == run
    # By force below what is there; then nothing is in the way of other limits.
    box.refused("set", "acme/web", "--disk", "32M", match="in use")
    box.ok("set", "acme/web", "--disk", "32M", "--force")
    box.ok("set", "acme/web", "--pids", "50")
    box.refused("tenant", "set", "acme", "--disk", "48M", match="in use")
    box.ok("tenant", "set", "acme", "--pids", "100")
    assert fill(box, "acme/web", 4, "/no-more") < 4


def fill_to_the_brim(box, name):
    """Until there is no room for a file of one byte."""
    script = ("dd if=/dev/zero of=/fill bs=64k; n=0; "
              "while echo >/brim-$n; do n=$((n + 1)); done; sync -f /")
    assert box.exec(name, "/bin/sh", "-c", script).rc == 0
    assert box.exec(name, "/bin/sh", "-c", "echo >/more").rc == 1


def what_is_full_starts_again(box):
    """Else nobody could go in and remove anything. It is not given more than it had by that."""
    box.tenant(disk="96M")
    box.launch("acme/own", disk="32M")
    box.launch("acme/one")
    names = ("acme/own", "acme/one")
    for name in names:
        fill_to_the_brim(box, name)
    for which in ("croftd", "supervisor", None):
        for name in names:
            box.ok("stop", "--timeout", "0", name)
        if which:
            box.kill9(which)
            box.restart(which)
        for name in names:
            box.ok("start", name)
            assert box.exec(name, "/bin/sh", "-c", "mkdir /a && mkdir /b").rc == 1
    # The limits are what they were, and there is a way out.
    box.refused("tenant", "set", "acme", "--disk", "64M", match="in use")
    assert box.info("acme/own")["limits"]["disk_bytes"] == 32 * MIB
    got = []
    for name in names:
        box.sh(name, "rm -f /fill /brim-*; sync -f /; echo >/there-is-room")
        got.append(fill(box, name, 128, "/again"))
    assert 22 <= got[0] <= 32 and 54 <= got[1] and sum(got) <= 96, got


def test_filling_is_told_once(fresh_box):
    filling_is_told_once(fresh_box)


def test_a_volume_is_told_of(fresh_box):
    a_volume_is_told_of(fresh_box)


def test_limits_change_live(fresh_box):
    limits_change_live(fresh_box)
    # Also the tenant's, where no container's share is set aside.
    fresh_box.ok("tenant", "set", "acme", "--disk", "48M", "--force")
    fresh_box.ok("tenant", "set", "acme", "--pids", "101")


def test_what_is_full_starts_again(fresh_box):
    what_is_full_starts_again(fresh_box)
