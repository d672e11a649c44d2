"""lxcfs runs as root of the host and answers tenants: what one tenant makes of it is that tenant's
alone, and it can be taken away by nobody inside."""

import contextlib
import os
import signal
import struct
import threading

import pytest

import kernel
from croft_harness import wait_until

LXCFS = "/usr/bin/lxcfs"
TOTAL = "grep MemTotal /proc/meminfo"
FILES = ("/proc/cpuinfo", "/proc/loadavg", "/proc/meminfo", "/proc/stat", "/proc/swaps",
         "/proc/uptime", "/sys/devices/system/cpu/online")

pytestmark = pytest.mark.skipif(not os.access(LXCFS, os.X_OK), reason="lxcfs is not installed")


@pytest.fixture
def two(bare_daemon):
    """Two tenants with a container each."""
    bare_daemon.start("--lxcfs", LXCFS)
    bare_daemon.busybox()
    for tenant in ("mallory", "alice"):
        bare_daemon.ok("tenant", "create", tenant, "--cpu", "1", "--memory", "512M",
                       "--pids", "200")
        bare_daemon.launch(f"{tenant}/box", memory="256M")
    return bare_daemon


def lxcfs_of(daemon, tenant):
    """Its pid, as the supervisor has it on file (struct view_file); None: none just now."""
    try:
        with open(f"{daemon.run}/views/{tenant}", "rb") as f:
            return struct.unpack_from("@37xi", f.read())[0]
    except FileNotFoundError:
        return None


def shown(daemon, name):
    return daemon.exec(name, "/bin/sh", "-c", TOTAL).out.split()[1:2] == [str(256 << 10)]


def test_one_that_hangs_is_its_tenants_alone(two):
    """A request that lxcfs has begun cannot be taken back, nor who waits for it be killed."""
    pid, other = lxcfs_of(two, "mallory"), lxcfs_of(two, "alice")
    assert pid != other
    held = []
    reader = threading.Thread(target=lambda: held.append(
        two.exec("mallory/box", "/bin/sh", "-c", TOTAL, timeout=120)))
    os.kill(pid, signal.SIGSTOP)
    reader.start()
    # The neighbour reads, and starts another, as if nothing were.
    assert shown(two, "alice/box")
    two.launch("alice/more", memory="256M")
    assert shown(two, "alice/more")
    # It is found out, killed and replaced, and who waited goes on.
    wait_until("the mute one is replaced", lambda: not kernel.is_alive(pid), 120)
    reader.join(120)
    assert held and held[0].rc != 0, held
    wait_until("the limits are seen again", lambda: shown(two, "mallory/box"), 60)
    assert lxcfs_of(two, "alice") == other and kernel.is_alive(other)


def test_control_who_reads_from_one_that_hangs_waits(two):
    pid = lxcfs_of(two, "mallory")
    os.kill(pid, signal.SIGSTOP)
    two.sh("mallory/box", f"( {TOTAL}; echo over >/tmp/over ) >/dev/null 2>&1 &")
    over = two.exec("mallory/box", "/bin/sh", "-c", "sleep 1; ls /tmp/over").rc == 0
    # On a slow machine it may have been found out by now.
    assert not over or not kernel.is_alive(pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
    wait_until("it goes on", lambda: two.exec("mallory/box", "/bin/ls", "/tmp/over").rc == 0, 60)


def test_a_flood_of_questions_is_bounded(two):
    """What lxcfs does for a tenant is on nobody's bill, so it is little."""
    group = kernel.Cgroup(two.parent, "_views", "mallory")
    assert group.cpu_milli() == 200
    assert group.memory_max() == 64 << 20
    assert group.pids_max() == 64
    two.sh("mallory/box", "for i in $(seq 60); do (while :; do cat /proc/stat; done) "
           ">/dev/null 2>&1 & done")
    assert shown(two, "alice/box")
    wait_until("it has met its limit", lambda: throttled(two, "mallory"), 60)
    assert shown(two, "alice/box")
    assert not throttled(two, "alice")
    # Its tenant has all of its pids.
    assert lxcfs_of(two, "mallory") not in kernel.Cgroup(two.parent, "mallory").processes()


def throttled(daemon, tenant):
    text = kernel.Cgroup(daemon.parent, "_views", tenant).read("cpu", "cpu.stat")
    return int(dict(line.split() for line in text.splitlines())["nr_throttled"]) > 2


def test_they_are_locked(two):
    for path in FILES:
        assert two.exec("mallory/box", "/bin/umount", path).rc != 0, path
        assert two.exec("mallory/box", "/bin/mount", "-o", "remount,rw,bind", path).rc != 0, path
        assert two.exec("mallory/box", "/bin/sh", "-c", f"echo 1 >{path}").rc != 0, path
    assert shown(two, "mallory/box")
    # Nor is the program seen, or found by its pid.
    pid = lxcfs_of(two, "mallory")
    assert "lxcfs" not in two.sh("mallory/box", "cat /proc/[0-9]*/comm")
    assert two.exec("mallory/box", "/bin/kill", "-0", str(pid)).rc != 0


def test_what_stands_in_a_files_place_is_left_alone(two):
    """A worker of the host's enters the container to renew the files: it follows no link there,
    and covers nothing that the tenant has put there."""
    two.sh("mallory/box", "echo mine >/tmp/mine; mount --bind /tmp/mine /proc/meminfo;"
           "mkdir /tmp/proc; ln -s /etc/passwd /tmp/proc/uptime; cp /etc/passwd /tmp/before")
    pid = lxcfs_of(two, "mallory")
    os.kill(pid, signal.SIGKILL)
    wait_until("the others are renewed",
               lambda: two.exec("mallory/box", "/bin/cat", "/proc/uptime").rc == 0, 60)
    assert two.sh("mallory/box", "cat /proc/meminfo") == "mine\n"
    # All of /proc another, and full of links.
    two.sh("mallory/box", "mount --bind /tmp/proc /proc")
    pid = lxcfs_of(two, "mallory")
    os.kill(pid, signal.SIGKILL)
    wait_until("there is another", lambda: lxcfs_of(two, "mallory") not in (None, pid), 60)
    wait_until("the last file is renewed", lambda: two.exec(
        "mallory/box", "/bin/sh", "-c", "read x </sys/devices/system/cpu/online").rc == 0, 60)
    assert "lxcfs" not in two.sh("mallory/box", "umount /proc; grep ' /etc' /proc/mounts || :")
    two.sh("mallory/box", "cmp /etc/passwd /tmp/before")
