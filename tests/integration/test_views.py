"""What a container sees of its limits in /proc and /sys, by lxcfs: as they are, as they change, and
when lxcfs dies, hangs, or is not there. Where Debian's lxcfs is not installed, nothing to test."""

import calendar
import os
import signal
import struct
import time

import pytest

import kernel
from croft_harness import wait_until

LXCFS = "/usr/bin/lxcfs"
KIB = 1024

pytestmark = pytest.mark.skipif(not os.access(LXCFS, os.X_OK), reason="lxcfs is not installed")


@pytest.fixture
def viewed(bare_daemon):
    """An instance that uses lxcfs, with a tenant of 2 CPUs and 1 GiB."""
    bare_daemon.start("--lxcfs", LXCFS)
    bare_daemon.busybox()
    bare_daemon.ok("tenant", "create", "acme", "--cpu", "2", "--memory", "1G", "--pids", "500")
    return bare_daemon


def meminfo(daemon, name, key="MemTotal"):
    """A figure of /proc/meminfo inside, in bytes."""
    for line in daemon.sh(name, "cat /proc/meminfo").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * KIB
    raise AssertionError(f"no {key}")


def own(daemon, name, megabytes):
    """True when /proc/meminfo can be read and tells that limit."""
    result = daemon.exec(name, "/bin/grep", "MemTotal", "/proc/meminfo")
    return result.rc == 0 and int(result.out.split()[1]) == megabytes * KIB


def processors(daemon, name):
    """How many CPUs each of the files tells."""
    *counts, online = daemon.sh(
        name, "grep -c ^processor /proc/cpuinfo; grep -c '^cpu[0-9]' /proc/stat;"
        "read x </sys/devices/system/cpu/online; echo $x").split()
    spans = [[int(x) for x in span.split("-")] for span in online.split(",")]
    return [*map(int, counts), sum(span[-1] - span[0] + 1 for span in spans)]


def lxcfs_of(daemon, tenant):
    """The pid of a tenant's lxcfs, as the supervisor has it on file (struct view_file); None: it
    has none that lives."""
    try:
        with open(f"{daemon.run}/views/{tenant}", "rb") as f:
            pid = struct.unpack_from("@37xi", f.read())[0]
    except FileNotFoundError:
        return None
    return pid if pid in kernel.Cgroup(daemon.parent, "_views", tenant).processes() else None


def mounts(daemon, name):
    return [line.split()[1] for line in daemon.sh(name, "cat /proc/mounts").splitlines()
            if " fuse.lxcfs " in line]


def host_total():
    with open("/proc/meminfo", encoding="ascii") as f:
        return int(f.readline().split()[1]) * KIB


@pytest.mark.vm
def test_shows_the_limits_as_they_are_now(viewed):
    viewed.launch("acme/web", memory="256M", cpu="1")
    assert meminfo(viewed, "acme/web") == 256 << 20
    assert 0 < meminfo(viewed, "acme/web", "MemFree") <= 256 << 20
    assert meminfo(viewed, "acme/web", "SwapTotal") == 0
    assert len(viewed.sh("acme/web", "cat /proc/swaps").splitlines()) == 1
    # Since its own start, and of its own processes.
    up = float(viewed.sh("acme/web", "cat /proc/uptime").split()[0])
    assert up < time.clock_gettime(time.CLOCK_BOOTTIME) - 1
    assert len(viewed.sh("acme/web", "cat /proc/loadavg").split()) == 5

    viewed.ok("set", "acme/web", "--memory", "512M")
    assert meminfo(viewed, "acme/web") == 512 << 20
    # One with no limit of its own has its tenant's.
    viewed.ok("set", "acme/web", "--memory", "none")
    assert meminfo(viewed, "acme/web") == 1 << 30
    viewed.ok("tenant", "set", "acme", "--memory", "768M")
    assert meminfo(viewed, "acme/web") == 768 << 20
    assert viewed.json("host", "info")["proc_view"] == "lxcfs"


@pytest.mark.vm
def test_shows_as_many_cpus_as_it_may_use(viewed):
    allowed = sorted(os.sched_getaffinity(0))
    both = min(2, len(allowed))
    # v2 counts no use of single CPUs: /proc/stat has all on which it may run (ADR 67).
    one = [1, 1 if kernel.driver() == "hybrid" else len(allowed), 1]
    viewed.launch("acme/web", cpu="1", memory="256M")
    assert processors(viewed, "acme/web") == one
    viewed.ok("set", "acme/web", "--cpu", "2")
    assert processors(viewed, "acme/web")[0] == both
    # Without a quota of its own it has its tenant's, however that changes.
    viewed.ok("set", "acme/web", "--cpu", "none")
    viewed.ok("tenant", "set", "acme", "--cpu", "1")
    assert processors(viewed, "acme/web") == one
    viewed.ok("tenant", "set", "acme", "--cpu", "2")
    assert processors(viewed, "acme/web")[0] == both
    # Of cores it is all that programs ask: the list, its length, and sched_getaffinity(2).
    last = allowed[-1]
    viewed.ok("set", "acme/web", "--cores", f"{last}-{last}")
    assert processors(viewed, "acme/web") == [1] * 3
    assert viewed.sh("acme/web", "nproc").strip() == "1"


def test_programs_of_a_distribution_see_it(viewed, debian_image):
    """free, top, uptime, nproc and getconf of a Debian 12 under systemd."""
    viewed.ok("image", "import", "debian", debian_image, timeout=180)
    name = "acme/deb"
    viewed.launch(name, image="debian", memory="512M", cpu="1")

    def state():
        return viewed.exec(name, "/usr/bin/systemctl", "is-system-running").out.strip()

    wait_until("systemd has booted", lambda: state() in ("running", "degraded"), 90, 0.3)
    failed = viewed.exec(name, "/usr/bin/systemctl", "--failed", "--no-legend").out
    assert not failed.strip(), failed
    # On v2 it finds no controllers that it might pass on, and misses none.
    assert "controllers on cgroup" not in viewed.sh(name, "journalctl -b --no-pager")

    def free():
        memory, swap = [line.split() for line in viewed.sh(name, "free -m").splitlines()[1:3]]
        return int(memory[1]), int(swap[1])

    assert free() == (512, 0)
    viewed.ok("set", name, "--memory", "768M")
    assert free() == (768, 0)
    assert int(viewed.sh(name, "getconf _NPROCESSORS_ONLN")) == 1
    # What nproc counts are the CPUs that it may run on: cores, and no quota.
    assert int(viewed.sh(name, "nproc")) == len(os.sched_getaffinity(0))
    viewed.ok("set", name, "--cores", "1")
    assert [int(x) for x in viewed.sh(name, "nproc; getconf _NPROCESSORS_ONLN").split()] == [1, 1]
    boot = viewed.sh(name, "uptime -s").strip()
    with open("/proc/uptime", encoding="ascii") as f:
        of_host = time.time() - float(f.read().split()[0])
    assert calendar.timegm(time.strptime(boot, "%Y-%m-%d %H:%M:%S")) > of_host
    top = viewed.sh(name, "top -bn1 | head -5")
    assert "MiB Mem :    768.0 total" in top and "MiB Swap:      0.0 total" in top, top

    # In services with mounts of their own, too, once lxcfs was replaced.
    pid = lxcfs_of(viewed, "acme")
    os.kill(pid, signal.SIGKILL)
    wait_until("the limits are seen again", lambda: own(viewed, name, 768), 60)
    said = viewed.sh(name, "systemd-run -q --pipe --wait -p PrivateTmp=yes "
                     "grep MemTotal /proc/meminfo")
    assert int(said.split()[1]) == 768 * KIB


def test_dead_one_is_replaced(viewed):
    viewed.launch("acme/web", memory="256M")
    viewed.launch("acme/db", memory="128M")
    for _ in range(3):
        pid = lxcfs_of(viewed, "acme")
        os.kill(pid, signal.SIGKILL)
        for name, megabytes in (("acme/web", 256), ("acme/db", 128)):
            wait_until("the limits are seen again",
                       lambda n=name, m=megabytes: own(viewed, n, m), 60)
        assert lxcfs_of(viewed, "acme") not in (None, pid)
    # They do not pile up: those it began with, which are locked, and the present ones.
    assert len(mounts(viewed, "acme/web")) == 14


def test_outlives_the_supervisor(viewed):
    viewed.launch("acme/web", memory="256M")
    pid = lxcfs_of(viewed, "acme")
    viewed.kill9("supervisor")
    viewed.restart("supervisor")
    assert lxcfs_of(viewed, "acme") == pid
    assert own(viewed, "acme/web", 256)
    # One that died meanwhile is missed at the next start.
    viewed.kill9("supervisor")
    os.kill(pid, signal.SIGKILL)
    viewed.restart("supervisor")
    wait_until("the limits are seen again", lambda: own(viewed, "acme/web", 256), 60)
    # As is one that died after it was adopted.
    pid = lxcfs_of(viewed, "acme")
    os.kill(pid, signal.SIGKILL)
    wait_until("the limits are seen again", lambda: own(viewed, "acme/web", 256), 60)
    viewed.launch("acme/db", memory="128M")
    assert own(viewed, "acme/db", 128)


def test_goes_with_its_tenant(viewed):
    viewed.launch("acme/web", memory="256M")
    pid = lxcfs_of(viewed, "acme")
    viewed.ok("kill", "acme/web")
    viewed.ok("delete", "acme/web", "--force")
    viewed.ok("tenant", "delete", "acme")
    wait_until("lxcfs is gone", lambda: not kernel.is_alive(pid), 20)
    assert not kernel.Cgroup(viewed.parent, "_views", "acme").exists()


@pytest.mark.parametrize("script", ["exit 1", "kill -9 $$", "exec sleep 1000"])
def test_broken_one_keeps_nothing_from_starting(bare_daemon, script):
    broken = f"{bare_daemon.base}/lxcfs"
    with open(broken, "w", encoding="ascii") as f:
        f.write(f"#!/bin/sh\n{script}\n")
    os.chmod(broken, 0o755)
    bare_daemon.start("--lxcfs", broken)
    bare_daemon.busybox()
    bare_daemon.ok("tenant", "create", "acme", "--memory", "1G")
    bare_daemon.launch("acme/web", memory="256M")
    assert meminfo(bare_daemon, "acme/web") == host_total()
    assert not mounts(bare_daemon, "acme/web")
    assert "lxcfs not started tenant=acme" in bare_daemon.read_log()


@pytest.mark.parametrize("lxcfs, said", [("off", "off"), ("/nowhere/lxcfs", "none")])
def test_without(bare_daemon, lxcfs, said):
    bare_daemon.start("--lxcfs", lxcfs)
    bare_daemon.busybox()
    assert bare_daemon.json("host", "info")["proc_view"] == said
    bare_daemon.ok("tenant", "create", "acme", "--memory", "1G")
    bare_daemon.launch("acme/web", memory="256M")
    assert meminfo(bare_daemon, "acme/web") == host_total()
    assert not mounts(bare_daemon, "acme/web")
