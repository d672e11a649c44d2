"""Every limit, held by the kernel, measured from outside: pids, memory, CPU, cores; changed live,
refused where it must be, the same on both cgroup drivers."""

import contextlib
import os
import threading
import time

import pytest

from croft_harness import debug, percentile, wait_until

pytestmark = pytest.mark.vm

MIB = 1 << 20
BURN_SECONDS = 10


class Watcher(threading.Thread):
    """The highest figure that a function gave while this ran."""

    def __init__(self, read):
        super().__init__(daemon=True)
        self.read, self.highest, self.looks = read, 0, 0
        self._over = threading.Event()

    def run(self):
        while not self._over.is_set():
            self.highest = max(self.highest, self.read())
            self.looks += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.join()


def exec_latencies(daemon, name, seconds):
    """How long `exec true` took, again and again."""
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        result = daemon.exec(name, "/bin/true")
        assert result.rc == 0, result
        found.append(time.monotonic() - start)
    return found


def host_busy_seconds():
    """CPU seconds that the whole host has spent at work, without what guests are billed twice."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _, _, irq, softirq, steal = (int(x) for x in f.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class Burn:
    """What each container got while all of them burn: cores, by the kernel's own counters; and
    what the rest of the host left for them."""

    def __init__(self, daemon, names, processes=4, seconds=BURN_SECONDS):
        for name in names:
            daemon.put_probe(name)
        cgroups = [daemon.cgroup(name) for name in names]
        # Detached, so that what is measured is the container and not the exec's stream.
        for name in names:
            daemon.sh(name, f"/probe burn {processes} {int(seconds * 4 + 30)} >/dev/null 2>&1 &")
        wait_until("all burn", lambda: all(c.cpu_usec() > 200_000 for c in cgroups), 20)
        first = [(time.monotonic(), c.cpu_usec()) for c in cgroups]
        host = host_busy_seconds()
        time.sleep(seconds)
        last = [(time.monotonic(), c.cpu_usec()) for c in cgroups]
        host = host_busy_seconds() - host
        for name in names:
            daemon.sh(name, "killall -9 probe")
        self.rates = [(b[1] - a[1]) / 1e6 / (b[0] - a[0]) for a, b in zip(first, last)]
        # On a busy host a limit can only be an upper bound.
        self.room = os.cpu_count() - (host / seconds - sum(self.rates))
        debug("cores used:", dict(zip(names, (round(r, 3) for r in self.rates))),
              f"of {self.room:.2f} that the host had to give")

    def at_least(self, cores):
        return sum(self.rates) >= min(cores, 0.9 * self.room)


class TestPids:
    def test_500_is_hit_at_exactly_500(self, box):
        box.tenant(pids=1000)
        box.launch("acme/web", pids=500)
        box.put_probe("acme/web")
        cgroup = box.cgroup("acme/web")
        assert cgroup.pids_max() == 500
        with box.forks("acme/web") as forks:
            children, error = forks.stdout.readline().decode().split()
            assert error == "EAGAIN"
            # Init and the forks' own process beside its children.
            assert 2 + int(children) == 500
            assert cgroup.pids() == 500
            assert cgroup.pids_denied() >= 1
            box.refused("exec", "-T", "acme/web", "--", "/bin/true", rc=125)
            assert cgroup.pids() == 500

    def test_exec_goes_on_when_there_is_room_again(self, box):
        box.tenant()
        box.launch("acme/web", pids=20)
        box.put_probe("acme/web")
        with box.background_exec("acme/web", "/probe", "forks", "1000") as forks:
            forks.stdout.readline()
            box.refused("exec", "-T", "acme/web", "--", "/bin/true", rc=125, match="pids|process")
        wait_until("its children are gone", lambda: box.cgroup("acme/web").pids() < 10)
        assert box.exec("acme/web", "/bin/true").rc == 0

    def test_bomb_leaves_the_neighbour_alone(self, box):
        box.tenant("acme", pids=200)
        box.tenant("calm")
        box.launch("acme/bomb")
        box.launch("calm/web")
        cgroup = box.cgroup("acme")
        quiet = exec_latencies(box, "calm/web", 2)
        with Watcher(cgroup.pids) as watcher:
            with box.background_exec("acme/bomb", "/bin/sh", "-c", "b() { b | b & b; }; b"):
                # At the tenant alone by later kernels: see test_limit_events.py.
                wait_until("forks are refused", lambda: box.cgroup(
                    "acme/bomb").pids_denied() + cgroup.pids_denied() > 0)
                loud = exec_latencies(box, "calm/web", 5)
        # A fork that is refused counts while it is looked at: one for each of the host's CPUs.
        assert watcher.highest <= 200 + os.cpu_count()
        assert (cgroup.pids_peak() or 200) <= 200
        debug(f"exec p99: {percentile(quiet, 99) * 1e3:.1f} ms quiet, "
              f"{percentile(loud, 99) * 1e3:.1f} ms beside a fork bomb ({len(loud)} execs)")
        assert box.croft("kill", "acme/bomb").rc == 0
        wait_until("the bomb is gone", lambda: not cgroup.processes())

    def test_tenants_total_holds_over_its_containers(self, box):
        box.tenant(pids=60)
        for name in ("acme/a", "acme/b"):
            box.launch(name, pids=50)
            box.put_probe(name)
        with box.forks("acme/a") as a:
            a.stdout.readline()
            with box.forks("acme/b") as b:
                b.stdout.readline()
                assert box.cgroup("acme").pids() == 60
                assert box.cgroup("acme/a").pids() <= 50

    def test_denials_are_events_and_usage(self, box):
        box.tenant()
        box.launch("acme/web", pids=16)
        box.put_probe("acme/web")
        with box.background_exec("acme/web", "/probe", "forks", "5") as forks:
            forks.stdout.readline()
            wait_until("an event", lambda: [
                e for e in box.events() if e["type"] == "container.pids_denied"
                and e["resource"] == "tenants/acme/containers/web"])
        wait_until("usage", lambda: box.usage("acme/web").get("pids_denied", 0) >= 1)


class TestMemory:
    EAT = ("/probe", "eat")

    def test_bomb_is_killed_inside(self, box):
        box.tenant(memory="256M")
        box.tenant("calm")
        box.launch("acme/web", memory="64M")
        box.launch("calm/web")
        box.put_probe("acme/web")
        daemons = dict(box.pids)
        init = box.init_pid("acme/web")
        result = box.exec("acme/web", *self.EAT, str(200 * MIB), "0")
        assert result.rc == 137, result
        assert box.cgroup("acme/web").memory() <= 64 * MIB
        assert box.cgroup("acme/web").oom_kills() >= 1
        # Only the bomb: the container's init, its neighbour and the daemons live.
        assert box.init_pid("acme/web") == init
        assert box.exec("calm/web", "/bin/true").rc == 0
        assert {w: box.pid(w) for w in daemons} == daemons
        wait_until("an event", lambda: [e for e in box.events() if e["type"] == "container.oom"])
        wait_until("usage", lambda: box.usage("acme/web").get("oom_kills", 0) >= 1)

    def test_oom_group_takes_the_whole_container(self, box):
        box.tenant()
        box.launch("acme/web", memory="64M", options=["--oom-group"])
        box.put_probe("acme/web")
        box.exec("acme/web", *self.EAT, str(200 * MIB), "0")
        info = box.wait_state("acme/web", "STOPPED")
        assert info["run"]["exit"]["kind"] == "OOM", info["run"]
        assert not box.cgroup("acme/web").exists() or not box.cgroup("acme/web").processes()

    def test_init_killed_for_memory_is_told_as_such(self, box):
        """Whoever asks why a container ended must learn that it was its memory."""
        box.tenant()
        script = "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"
        box.launch("acme/web", memory="64M", init=["/bin/sh", "-c", script])
        info = box.wait_state("acme/web", "STOPPED", 30)
        assert info["run"]["exit"]["kind"] == "OOM", info["run"]

    def test_tenants_total_holds(self, box):
        """Two containers, each below its own limit, together above the tenant's."""
        box.tenant(memory="128M")
        for name in ("acme/a", "acme/b"):
            box.launch(name, memory="100M")
            box.put_probe(name)
        with box.background_exec("acme/a", *self.EAT, str(80 * MIB), "60") as a:
            assert a.stdout.readline().decode().strip() == str(80 * MIB)
            with box.background_exec("acme/b", *self.EAT, str(80 * MIB), "60"):
                wait_until("someone was killed", lambda: sum(
                    box.cgroup(n).oom_kills() for n in ("acme", "acme/a", "acme/b")) > 0)
            assert 80 * MIB < box.cgroup("acme").memory_peak() <= 128 * MIB
        assert box.info("acme/a")["state"] == "RUNNING"
        assert box.info("acme/b")["state"] == "RUNNING"

    @pytest.mark.parametrize("where", ["/dev/shm/x", "/tmp/x", "/var/x"])
    def test_files_count_too(self, box, where):
        """tmpfs and page cache are the container's memory; the cache yields, tmpfs does not."""
        box.tenant(memory="256M")
        box.launch("acme/web", memory="100M")
        before = box.cgroup("acme/web").memory()
        box.sh("acme/web", f"dd if=/dev/zero of={where} bs=1M count=48 2>/dev/null")
        grown = box.cgroup("acme/web").memory() - before
        assert grown >= 40 * MIB
        assert grown <= 70 * MIB
        box.exec("acme/web", "/bin/sh", "-c", f"dd if=/dev/zero of={where} bs=1M count=300")
        assert box.cgroup("acme/web").memory() <= 100 * MIB

    def test_swap_is_none_unless_asked_for(self, box):
        box.tenant()
        box.launch("acme/web", memory="64M")
        cgroup = box.cgroup("acme/web")
        if cgroup.unified:
            assert cgroup.read("memory", "memory.swap.max") == "0"
        else:
            both = int(cgroup.read("memory", "memory.memsw.limit_in_bytes"))
            # One page more than the memory: so it is the memory limit that is met first.
            assert 0 <= both - int(cgroup.read("memory", "memory.limit_in_bytes")) <= 4096


class TestCpu:
    def test_half_a_core_is_half_a_core(self, box):
        box.tenant(cpu="1")
        box.launch("acme/web", cpu="0.5")
        burn = Burn(box, ["acme/web"])
        assert burn.rates[0] <= 0.525 and burn.at_least(0.475)
        # A host too busy to give it half a core throttles nobody.
        if burn.rates[0] >= 0.475:
            assert box.usage("acme/web")["cpu_throttled_usec"] > 0

    def test_two_share_their_tenants_core(self, box):
        box.tenant(cpu="1")
        for name in ("acme/a", "acme/b"):
            box.launch(name)
        burn = Burn(box, ["acme/a", "acme/b"])
        assert sum(burn.rates) <= 1.05 and burn.at_least(0.95)
        assert min(burn.rates) >= 0.35 * sum(burn.rates)

    def test_weights_share_a_full_core(self, box):
        box.tenant(cpu="2", pids=100)
        box.launch("acme/light", cpu_weight=100, cores="0-0")
        box.launch("acme/heavy", cpu_weight=300, cores="0-0")
        light, heavy = Burn(box, ["acme/light", "acme/heavy"], processes=2).rates
        assert 2.4 <= heavy / light <= 3.6

    def test_cores_pin(self, box):
        box.tenant(cpu="2")
        box.launch("acme/web", cores="1-1")
        assert box.cgroup("acme/web").cpus() == "1"
        assert box.sh("acme/web", "grep Cpus_allowed_list /proc/self/status").split()[1] == "1"
        box.ok("set", "acme/web", "--cores", "0-0")
        assert box.sh("acme/web", "grep Cpus_allowed_list /proc/self/status").split()[1] == "0"

    @pytest.mark.native("croftd's choice")
    def test_a_number_of_cores_is_chosen_evenly(self, box):
        box.tenant(cpu="2")
        for name in ("acme/a", "acme/b"):
            box.launch(name, cores="1")
        chosen = [box.cgroup(n).cpus() for n in ("acme/a", "acme/b")]
        assert sorted(chosen) == ["0", "1"]


class TestLive:
    """Limits change while the container runs, in the kernel before the command returns."""

    def test_set_and_lift(self, box):
        box.tenant(cpu="2", memory="512M", pids=500)
        box.launch("acme/web", cpu="0.5", memory="64M", pids=50)
        cgroup = box.cgroup("acme/web")
        assert (cgroup.cpu_milli(), cgroup.memory_max(), cgroup.pids_max()) == (
            500, 64 * MIB, 50)
        box.ok("set", "acme/web", "--cpu", "1.5", "--memory", "128M", "--pids", "100")
        assert (cgroup.cpu_milli(), cgroup.memory_max(), cgroup.pids_max()) == (
            1500, 128 * MIB, 100)
        box.ok("set", "acme/web", "--pids", "none", "--memory", "none", "--cpu", "none")
        assert (cgroup.cpu_milli(), cgroup.memory_max(), cgroup.pids_max()) == (None, None, None)
        assert "pids" not in box.info("acme/web").get("limits", {})

    def test_tenant(self, box):
        box.tenant(pids=100)
        box.launch("acme/web")
        box.ok("tenant", "set", "acme", "--pids", "200", "--memory", "300M", "--cpu", "0.25")
        cgroup = box.cgroup("acme")
        assert (cgroup.cpu_milli(), cgroup.memory_max(), cgroup.pids_max()) == (
            250, 300 * MIB, 200)

    def test_limits_survive_a_restart_of_the_container(self, box):
        box.tenant(memory="512M")
        box.launch("acme/web", memory="64M", pids=40)
        box.ok("set", "acme/web", "--pids", "33")
        box.ok("restart", "--timeout", "0", "acme/web")
        cgroup = box.cgroup("acme/web")
        assert (cgroup.memory_max(), cgroup.pids_max()) == (64 * MIB, 33)

    def test_odd_sizes_are_taken_as_the_kernel_rounds_them(self, box):
        box.tenant()
        box.launch("acme/web", memory="67108865")
        assert 67108864 - 4096 <= box.cgroup("acme/web").memory_max() <= 67108865 + 4096


class TestRefusals:
    """Refused with a sentence, and nothing written."""

    def test_above_the_tenants(self, box):
        box.tenant(cpu="1", memory="128M", pids=100)
        for flag, value in (("--pids", "101"), ("--memory", "129M"), ("--cpu", "1.5")):
            box.refused("launch", "busybox", "acme/web", flag, value, match="tenant")
        assert not box.cgroup("acme/web").exists()
        box.launch("acme/web", pids=50)
        box.refused("set", "acme/web", "--pids", "101", match="101.*100")
        assert box.cgroup("acme/web").pids_max() == 50

    def test_memory_below_present_use(self, box):
        box.tenant(memory="256M")
        box.launch("acme/web", memory="128M")
        box.put_probe("acme/web")
        with box.background_exec("acme/web", "/probe", "eat", str(64 * MIB), "300") as eater:
            eater.stdout.readline()
            box.refused("set", "acme/web", "--memory", "32M", match=r"[67]\d.*MiB")
            assert box.cgroup("acme/web").memory_max() == 128 * MIB
            assert eater.poll() is None
            box.ok("set", "acme/web", "--memory", "32M", "--force")
            wait_until("it fits", lambda: self.fits_or_has_ended(box, 32 * MIB))

    @staticmethod
    def fits_or_has_ended(box, memory):
        """The kernel may take init, too (v2), before the first it took has given anything back."""
        cgroup = box.cgroup("acme/web")
        if cgroup.unified and box.info("acme/web")["state"] == "STOPPED":
            return box.info("acme/web")["run"]["exit"]["kind"] == "OOM"
        with contextlib.suppress(FileNotFoundError):
            return cgroup.memory_max() == memory and cgroup.memory() <= memory
        return False

    @pytest.mark.native("croftd's decision")
    def test_tenant_below_a_container(self, box):
        box.tenant(memory="256M", pids=100)
        box.launch("acme/web", memory="128M", pids=80)
        box.refused("tenant", "set", "acme", "--memory", "64M",
                    match="acme/web stands in the way: its memory limit is 128 MiB; make that less")
        box.refused("tenant", "set", "acme", "--pids", "79",
                    match="acme/web stands in the way: its pids limit is 80; make that less first")
        assert box.cgroup("acme").memory_max() == 256 * MIB
        assert box.cgroup("acme").pids_max() == 100

    @pytest.mark.native("croftd's decision")
    def test_sums_may_exceed(self, box):
        box.tenant(memory="128M")
        for name in ("acme/a", "acme/b", "acme/c"):
            box.launch(name, memory="100M")

    @pytest.mark.native("croftd's decision")
    def test_container_count(self, box):
        box.tenant(containers=2)
        box.launch("acme/a")
        box.ok("create", "busybox", "acme/b")
        box.refused("create", "busybox", "acme/c", match="2")
        box.ok("delete", "acme/b")
        box.ok("create", "busybox", "acme/c")


@pytest.mark.native("quotas of that kernel: root_pool_limits")
class TestDisk:
    def test_container(self, box):
        box.tenant(disk="256M")
        box.launch("acme/web", disk="32M")
        result = box.exec("acme/web", "/bin/sh", "-c", "dd if=/dev/zero of=/big bs=1M count=64")
        assert result.rc != 0
        assert "quota" in result.err.lower() or "space" in result.err.lower(), result
        size = int(box.sh("acme/web", "stat -c %s /big"))
        assert size <= 33 * MIB
        box.sh("acme/web", "rm /big && sync")

    def test_tenants_total(self, box):
        box.tenant(disk="64M")
        for name in ("acme/a", "acme/b"):
            box.launch(name)
        first = box.exec("acme/a", "/bin/sh", "-c", "dd if=/dev/urandom of=/x bs=1M count=40")
        assert first.rc == 0, first
        second = box.exec("acme/b", "/bin/sh", "-c", "dd if=/dev/urandom of=/x bs=1M count=40")
        assert second.rc != 0, second
        total = sum(int(box.sh(n, "stat -c %s /x")) for n in ("acme/a", "acme/b"))
        assert total <= 66 * MIB

    def test_live(self, box):
        box.tenant(disk="256M")
        box.launch("acme/web", disk="32M")
        box.ok("set", "acme/web", "--disk", "128M")
        result = box.exec("acme/web", "/bin/sh", "-c", "dd if=/dev/zero of=/big bs=1M count=64")
        assert result.rc == 0, result

    def test_plain_refuses(self, bare_daemon):
        bare_daemon.start("--pool-driver", "plain")
        bare_daemon.busybox()
        bare_daemon.tenant()
        bare_daemon.refused(
            "launch", "busybox", "acme/web", "--disk", "64M", match="disk.*plain|plain.*disk")
        bare_daemon.launch("acme/web")
        assert not bare_daemon.info("acme/web").get("disk_limit_enforced")
