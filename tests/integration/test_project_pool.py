"""A pool of projects, on an XFS and an ext4 that the operator mounted with project quotas: what a
tenant bought is held by the kernel, costs nobody else anything, and cannot be got around from
inside."""

import errno
import fcntl
import os

import pytest

import test_disk_events
from project_pool import box  # noqa: F401

# linux/fs.h: FS_IOC_FSSETXATTR of a struct fsxattr, FS_IOC_SETFLAGS of a long; linux/quota.h.
IOCTL, QUOTACTL, QUOTACTL_FD = 16, 179, 443
FSSETXATTR, FSXATTR_SIZE = 0x401C5820, 28
SETFLAGS = 0x40086602
Q_SETQUOTA_PROJECT = 0x80000800 | 2

def fill(box, name, mib, path="/fill"):
    """How many MiB could be written."""
    box.exec(name, "dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={mib}")
    return int(box.sh(name, f"stat -c %s {path} 2>/dev/null || echo 0")) >> 20


@pytest.mark.vm
def test_what_a_tenant_bought_holds(box):
    assert box.json("host", "info")["pool_driver"] == "project"
    box.tenant(disk="128M")
    box.tenant("other", disk="128M")
    box.launch("acme/own", disk="32M", inodes=500)
    for name in ("acme/one", "acme/two", "other/web"):
        box.launch(name)
    # Its own limit, of bytes and of files.
    assert 25 <= fill(box, "acme/own", 64) <= 32
    box.sh("acme/own", "rm /fill")
    full = box.exec("acme/own", "sh", "-c", "for i in $(seq 600); do : >/file-$i || exit 1; done")
    assert full.rc == 1
    info = box.info("acme/own")
    assert info["inodes_used"] == 500 and info["disk_limit_enforced"]
    box.refused("set", "acme/own", "--inodes", "300", match="inodes are in use")
    box.ok("set", "acme/own", "--inodes", "900")
    box.sh("acme/own", "for i in $(seq 601 800); do : >/file-$i || exit 1; done")
    # The others share what is left: together, not each.
    got = fill(box, "acme/one", 128) + fill(box, "acme/two", 128)
    assert 80 <= got <= 96
    # A neighbour does not notice, nor does who has a share of its own.
    assert fill(box, "other/web", 100) == 100
    assert fill(box, "acme/own", 20, "/again") == 20
    used = box.json("usage", "show", "acme")
    assert 96 << 20 <= used["disk_bytes"] <= 128 << 20
    # What is refused says what to do.
    box.refused("set", "acme/own", "--disk", "64M", match="neither in use nor set aside")
    box.refused("set", "acme/one", "--disk", "32M", match="copy it")
    box.refused("tenant", "set", "acme", "--disk", "16M")
    box.sh("acme/one", "rm -f /fill")
    box.ok("set", "acme/own", "--disk", "64M")
    # Both daemons' death changes nothing of it.
    box.kill9("croftd")
    box.kill9("supervisor")
    box.restart("croftd", "supervisor")
    assert fill(box, "acme/one", 128) <= 64
    assert 40 <= fill(box, "acme/own", 100, "/more")


@pytest.mark.vm
@pytest.mark.parametrize("box", ["ext4"], indirect=True)
def test_a_project_cannot_be_left_from_inside(box):
    box.tenant(disk="64M")
    box.launch("acme/web", disk="32M")
    box.put_probe("acme/web")

    def attempt(call):
        text = box.sh("acme/web", f"mkdir -p /d; exec 3</d; /probe call {call}; true")
        return text.split()[-1]

    refused = ("EINVAL", "EPERM", "ENOTTY", "EOPNOTSUPP")
    # Project 0, which is never limited, and what is made there as well.
    assert attempt(f"{IOCTL} 3 {FSSETXATTR} b:{FSXATTR_SIZE}") in refused
    assert attempt(f"{IOCTL} 3 {SETFLAGS} b:8") in refused
    assert attempt(f"{QUOTACTL} {Q_SETQUOTA_PROJECT} s:/dev/loop0 0 b:72") in refused
    assert attempt(f"{QUOTACTL_FD} 3 {Q_SETQUOTA_PROJECT} 0 b:72") in refused + ("ENOSYS",)
    assert 20 <= fill(box, "acme/web", 64, "/d/fill") <= 32
    box.sh("acme/web", "rm -f /d/fill")
    # The control: root of the host may, and from then on the directory is not limited.
    init = box.info("acme/web")["run"]["host_pid"]
    fd = os.open(f"/proc/{init}/root/d", os.O_RDONLY | os.O_DIRECTORY)
    try:
        leave_project(fd)
    except OSError as e:
        # Not through the container's own mount, which is one of its namespace: below it.
        assert e.errno in (errno.EINVAL, errno.EPERM)
        leave_project_below(box)
    finally:
        os.close(fd)
    assert fill(box, "acme/web", 48, "/d/fill") == 48


def leave_project(fd):
    fcntl.ioctl(fd, FSSETXATTR, bytes(FSXATTR_SIZE))


def leave_project_below(box):
    """Through the pool, in the supervisor's mount namespace."""
    path = f"/proc/{box.pids['supervisor']}/root{box.state}/pool/tenants/acme/web/upper/d"
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        leave_project(fd)
    finally:
        os.close(fd)


@pytest.mark.vm
@pytest.mark.parametrize("box", ["xfs"], indirect=True)
def test_snapshots_count_to_the_tenant(box):
    box.tenant(disk="88M")
    box.launch("acme/web", disk="32M")
    assert fill(box, "acme/web", 20) == 20
    box.ok("snapshot", "create", "acme/web", "one")
    box.sh("acme/web", "echo changed >/after")
    box.ok("snapshot", "create", "acme/web", "two")
    box.refused("snapshot", "create", "acme/web", "three", match="disk is full: there is no room")
    box.ok("kill", "acme/web")
    box.wait_state("acme/web", "STOPPED")
    box.ok("snapshot", "delete", "acme/web", "two")
    box.ok("snapshot", "restore", "acme/web", "one")
    box.ok("start", "acme/web")
    assert box.sh("acme/web", "test -e /after || echo gone") == "gone\n"
    assert fill(box, "acme/web", 64, "/more") <= 12


def taken_mib(box):
    """Of the file system, whoever it counts to."""
    os.sync()
    pool = os.statvfs(box.state)
    return (pool.f_blocks - pool.f_bfree) * pool.f_frsize / (1 << 20)


@pytest.mark.vm
def test_snapshots_share_what_they_can(box, request):
    """XFS has reflinks: a snapshot, a copy and what is restored take up what was written since.
    ext4 has none, and shows what they would take."""
    shares = request.node.callspec.params["box"] == "xfs"
    box.tenant(disk="512M")
    box.launch("acme/web")
    assert fill(box, "acme/web", 40) == 40
    box.ok("kill", "acme/web")
    box.wait_state("acme/web", "STOPPED")
    for take, each in ((("snapshot", "create", "acme/web", "one"), 40),
                       (("copy", "acme/web", "acme/twin"), 40),
                       (("snapshot", "restore", "acme/web", "one"), 0)):
        before = taken_mib(box)
        box.ok(*take, timeout=120)
        grown = taken_mib(box) - before
        assert abs(grown - (0 if shares else each)) < 8, (take, grown)
    # What shares its blocks is written anew by one of them alone.
    box.ok("start", "acme/web")
    box.ok("start", "acme/twin")
    box.sh("acme/web", "echo other | dd of=/fill conv=notrunc bs=4k count=1 2>/dev/null; sync -f /")
    assert box.sh("acme/twin", "head -c 5 /fill | od -An -c").split() == ["\\0"] * 5
    assert box.sh("acme/web", "head -c 5 /fill") == "other"
    # Who has a limit of its own is shown that, and not the whole pool.
    box.launch("acme/small", disk="32M")
    assert box.sh("acme/small", "df -k / | tail -n 1").split()[1] == str(32 << 10)


@pytest.mark.vm
@pytest.mark.parametrize("box", ["ext4"], indirect=True)
def test_what_is_imported_counts(box, tmp_path):
    """A container under its own limit, its snapshots under the tenant's alone; and what does not
    fit leaves nothing that counts."""
    box.tenant(disk="128M")
    box.launch("acme/web")
    box.sh("acme/web", "head -c 20000000 /dev/urandom >/noise; echo first >/file; sync")
    box.ok("snapshot", "create", "acme/web", "one", timeout=120)
    box.sh("acme/web", "echo second >/file; sync")
    file = str(tmp_path / "file")
    box.ok("export", "acme/web", file, "--snapshots", timeout=300)
    box.ok("kill", "acme/web")
    box.wait_state("acme/web", "STOPPED")
    box.ok("delete", "acme/web", "--force", timeout=120)
    box.ok("import", "acme/web", file, "--disk", "40M", timeout=300)
    box.ok("start", "acme/web")
    assert box.sh("acme/web", "cat /file") == "second\n"
    # Of its 40 MiB about 22 are taken, of the tenant's 128 another 22 by the snapshot.
    assert 10 <= fill(box, "acme/web", 64) <= 20
    box.refused("import", "acme/second", file, "--disk", "60M", timeout=300)
    box.refused("import", "acme/second", file, "--disk", "10M", timeout=300)
    box.launch("acme/third")
    assert 50 <= fill(box, "acme/third", 128) <= 70
    box.sh("acme/third", "rm /fill; sync")
    box.ok("kill", "acme/web")
    box.wait_state("acme/web", "STOPPED")
    box.ok("snapshot", "restore", "acme/web", "one", timeout=120)
    box.ok("start", "acme/web")
    assert box.sh("acme/web", "cat /file") == "first\n"


@pytest.mark.vm
@pytest.mark.parametrize("box", ["ext4"], indirect=True)
def test_volumes_are_dealt_out_too(box):
    box.tenant(disk="64M")
    box.ok("volume", "create", "acme/data", "--size", "32M")
    box.refused("volume", "create", "acme/more", "--size", "48M", match="neither in use nor set")
    box.ok("volume", "create", "acme/shared")
    box.ok("create", "busybox", "acme/web")
    box.ok("volume", "attach", "acme/data", "acme/web:/data")
    box.ok("volume", "attach", "acme/shared", "acme/web:/shared")
    box.ok("start", "acme/web")
    # Its own share, and what is left of the tenant's for all others together.
    assert 25 <= fill(box, "acme/web", 64, "/data/fill") <= 32
    assert 25 <= fill(box, "acme/web", 64, "/shared/fill") <= 32
    assert fill(box, "acme/web", 8) <= 1
    assert 25 << 20 <= box.json("volume", "show", "acme/data")["used_bytes"] <= 32 << 20
    box.sh("acme/web", "i=0; while echo x >/rest-$i; do i=$((i + 1)); done 2>/dev/null; true")
    box.refused("launch", "busybox", "acme/next", match="disk is full: there is no room")
    box.refused("volume", "create", "acme/next", match="disk is full: there is no room")
    box.refused("volume", "set", "acme/data", "--size", "16M", match="in use or set aside")
    box.refused("volume", "set", "acme/shared", "--size", "16M", match="copy it")
    # What is removed is given back.
    box.ok("kill", "acme/web")
    box.wait_state("acme/web", "STOPPED")
    box.ok("volume", "detach", "acme/data", "acme/web")
    box.ok("volume", "delete", "acme/data")
    box.ok("start", "acme/web")
    assert 25 <= fill(box, "acme/web", 64, "/more") <= 32


def test_is_refused_where_there_are_none(bare_daemon):
    bare_daemon.start("--pool-driver", "project")
    result = bare_daemon.croft("tenant", "create", "acme")
    assert result.rc == 1 and "prjquota" in result.err, result
    assert bare_daemon.base not in result.err
    assert bare_daemon.json_lines("tenant", "list") == []
    assert not bare_daemon.json("host", "info").get("pool_driver")


def test_inodes_are_refused_where_they_are_not_counted(fresh_box):
    fresh_box.refused("tenant", "create", "acme", "--inodes", "1000", match="btrfs.*inodes")
    fresh_box.tenant()
    fresh_box.refused("launch", "busybox", "acme/web", "--inodes", "1000", match="inodes")
    assert fresh_box.json_lines("list") == []


@pytest.mark.vm
@pytest.mark.parametrize("box", ["ext4"], indirect=True)
def test_filling_is_told_once(box):
    test_disk_events.filling_is_told_once(box)


@pytest.mark.vm
@pytest.mark.parametrize("box", ["xfs"], indirect=True)
def test_a_full_volume_is_told_of(box):
    test_disk_events.a_volume_is_told_of(box)


@pytest.mark.vm
@pytest.mark.parametrize("box", ["xfs"], indirect=True)
def test_limits_change_live(box):
    test_disk_events.limits_change_live(box)


@pytest.mark.vm
def test_what_is_full_starts_again(box):
    test_disk_events.what_is_full_starts_again(box)
