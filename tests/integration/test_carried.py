"""A container goes to another host: from cgroup v1 to v2, from one kernel, pool driver and range of
ids to others. tests/vm/carry made the file where the machine was started."""

import os

import pytest

import carried
from export_kinds import MIB, fill, pool, stopped
from project_pool import box  # noqa: F401
from tree_listing import differences, listing

TREE = 40 * MIB  # less than either of both holds


def in_pool(box, *parts):
    return listing(pool(box, "tenants", "acme", *parts, "upper"))


def start_elsewhere(box, name, base):
    """Under other ids than it had: should they be the next ones, another takes them first."""
    box.ok("start", name)
    if carried.id_base(box, name) == base:
        stopped(box, name)
        box.launch("acme/holder")
        box.ok("start", name)
    assert carried.id_base(box, name) != base


@pytest.mark.vm
@pytest.mark.parametrize("box", ["xfs"], indirect=True)
def test_a_distribution_from_another_host(box):
    made = carried.read()
    here = box.json("host", "info")
    assert here["pool_driver"] != made["pool_driver"]
    # A file with its holes must be smaller than the disk limits.
    box.tenant(memory="1G", cpu="2", pids=500, disk="2G")
    box.ok("import", "acme/web", carried.path(), timeout=300)
    # All of it, and of its past.
    assert differences(in_pool(box, "web"), made["container"]) == []
    assert differences(in_pool(box, "web.snapshots", "first"), made["snapshot"]) == []
    sparse = os.lstat(pool(box, "tenants", "acme", "web", "upper", "kinds", "sparse"))
    assert sparse.st_size == 512 * MIB and sparse.st_blocks * 512 < 2 * MIB
    # It counts: each tree to the tenant.
    assert int(box.json("usage", "show", "acme")["disk_bytes"]) > 2 * TREE

    start_elsewhere(box, "acme/web", made["id_base"])
    carried.wait_booted(box, "acme/web")
    assert box.sh("acme/web", """
        cat /home/moved/file /etc/skel/own
        [ ! -e /etc/motd ] && ls -A /etc/skel
        stat -c '%U %u:%g %a' /home/moved/file /kinds/owned /kinds/setuid
        """) == "second\nnew\nown\nmoved 1001:1001 644\nalice 1000:65533 640\nroot 0:0 6755\n"
    # What is setuid is so under these ids.
    assert box.exec("acme/web", "/usr/bin/sudo", "-n", "id", "-u",
                    options=["-u", "alice"]).out == "0\n"
    stopped(box)
    box.ok("snapshot", "restore", "acme/web", "first", timeout=120)
    assert differences(in_pool(box, "web"), made["snapshot"]) == []
    if here["cgroup_driver"] == made["cgroup_driver"]:
        pytest.skip("the file was made on the same cgroup mode: of the other nothing was shown")


def test_a_list_tells_of_every_change(tmp_path):
    """The control: what this compares by does not overlook anything."""
    root = os.fsencode(tmp_path)
    fill(root)
    before = listing(root)
    top = os.path.join(root, b"kinds")
    assert differences(listing(root), before) == []

    def write_hole():
        with open(os.path.join(top, b"hole"), "r+b") as f:
            f.seek(40 * MIB)
            f.write(b"x")

    changes = {
        "mode": lambda: os.chmod(os.path.join(top, b"fifo"), 0o644),
        "owner": lambda: os.chown(os.path.join(top, b"link"), 1, 0, follow_symlinks=False),
        "mtime": lambda: os.utime(os.path.join(top, b"dir"), ns=(1, 1)),
        "xattrs": lambda: os.removexattr(os.path.join(top, b"acl"), "system.posix_acl_access"),
        "same_as": lambda: relink(os.path.join(top, b"two")),
        "contents": write_hole,
        "is new": lambda: os.mkfifo(os.path.join(top, b"other")),
        "is missing": lambda: os.unlink(os.path.join(top, b"setuid")),
    }
    for word, change in changes.items():
        before = listing(root)
        change()
        assert any(word in line for line in differences(listing(root), before)), word


def relink(path):
    """The same contents in a file of its own."""
    st = os.lstat(path)
    with open(path, "rb") as f:
        data = f.read()
    os.unlink(path)
    with open(path, "wb") as f:
        f.write(data)
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
