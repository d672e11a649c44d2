"""The proof of the ledger: a reader of the kernel's own files beside mixed load, a thousand
containers of some milliseconds and exports that are interrupted, while croftd is killed each second
for a minute. What comes out is what the kernel says: of what lives on to the microsecond, of what
was short less than one a run below that, and of memory to an interval."""

import bisect
import collections
import contextlib
import itertools
import random
import sqlite3
import subprocess
import threading
import time

import pytest

from croft_harness import program, wait_until
from test_ledger import age, burn, check_whole, everything, records, stopped, total

KILLS = 60
# Samples are further apart than this only where nobody looked (ledger_gap_usec()).
GAP_S = 4
BRIEF = 1000
LAUNCHERS = 4


@pytest.fixture
def box(fresh_box):
    return fresh_box


def boottime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def outside(gaps, at, until):
    """How long of the time from `at` to `until` is in none of the gaps, which do not overlap."""
    return until - at - sum(max(0, min(end, until) - max(begin, at)) for begin, end in gaps)


class Reader(threading.Thread):
    """Reads counters and the working set from the kernel's own files, all the while."""

    def __init__(self, cgroup):
        super().__init__()
        self.cgroup = cgroup
        self.cpu_seen = 0
        self.memory_seen = []  # (BOOTTIME, KiB)
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(0.05):
            with contextlib.suppress(OSError):
                cpu = self.cgroup.cpu_usec()
                assert cpu >= self.cpu_seen
                self.cpu_seen = cpu
                self.memory_seen.append((boottime(), self.cgroup.working_set() // 1024))

    def end(self):
        self.ended.set()
        self.join()

    def memory_bounds(self, seconds, brief, gaps):
        """The least and the most KiB.s that a meter may count in so many seconds which looks now
        and then: of what was seen around each moment. There may have been `brief` KiB more for
        moments that this reader did not see, and before it was there whatever it saw later. In a
        gap, from when to when nobody looked, it may have counted nothing."""
        seen = self.memory_seen
        times = [at for at, _ in seen]
        least = most = 0
        for (at, _), (until, _) in zip(seen, seen[1:]):
            near = [kib for _, kib in seen[bisect.bisect_left(times, at - GAP_S):
                                           bisect.bisect_right(times, until + GAP_S)]]
            # The first look may have been at a run that had just begun.
            least += min(near) * outside(gaps, at, until) if at - times[0] > GAP_S else 0
            most += (max(near) + brief) * (until - at)
        unseen = max(0, seconds - (times[-1] - times[0]))
        return least, most + unseen * (max(kib for _, kib in seen) + brief)


class Launchers:
    """Containers of a tenant that live for 5 to 50 ms, one after the other in some threads: so
    many. `slept` has how many microseconds each of those slept that were launched."""

    def __init__(self, box, tenant, n):
        self.box, self.tenant, self.enough, self.slept = box, tenant, n, {}
        self.lock, self.given_up = threading.Lock(), threading.Event()
        self.threads = [
            threading.Thread(target=self._run, args=(i,)) for i in range(LAUNCHERS)]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        for i in itertools.count():
            with self.lock:
                if len(self.slept) >= self.enough or self.given_up.is_set():
                    return
            name, usec = f"l{number}n{i}", random.randint(5000, 50000)
            result = self.box.croft("launch", "--ephemeral", "busybox", f"{self.tenant}/{name}",
                                    "--", "/bin/usleep", str(usec))
            if result.rc:
                time.sleep(0.05)
                continue
            with self.lock:
                self.slept[name] = usec

    def busy(self):
        return any(thread.is_alive() for thread in self.threads)

    def end(self):
        self.given_up.set()
        for thread in self.threads:
            thread.join()


def interrupt_an_export(box):
    """It is ended in the middle, or is through: nobody may notice. From when to when by BOOTTIME it
    was answered; None: it was not."""
    begun, of = boottime(), random.choice(([], ["--tenant", "acme"]))
    export = subprocess.Popen(
        [program("croft"), "--host", box.host, "usage", "export", "--format", "csv", *of],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        export.wait(random.random() / 5)
    export.kill()
    return (begun, boottime()) if export.wait() == 0 else None


def highest(found, meter):
    return max(int(r["quantity"]) for r in found if r["meter"] == meter)


def only_steady_is_left(box):
    return {c["name"] for c in box.json_lines("list")} == {"tenants/acme/containers/steady"}


def gaps_of(box, container):
    """From when to when by BOOTTIME nobody looked at it, as is on record."""
    state = sqlite3.connect(f"file:{box.state}/server/croft.db?mode=ro", uri=True)
    with contextlib.closing(state):
        return [(begin / 1000000, end / 1000000) for begin, end in state.execute(
            "SELECT from_boot, to_boot FROM gaps JOIN runs ON key = run"
            " WHERE container = ? AND kind = 0", (container,))]


def check_gaps(gaps, found, looks, down):
    """What is on record as a gap is one: it is too long for samples that were missed, whoever was
    answered in it was told what a sample then had, and while croftd was down there was one."""
    print(f"gaps: {[round(end - begin, 1) for begin, end in gaps]} s, {len(looks)} exports through")
    assert all(end - begin > GAP_S for begin, end in gaps)
    assert any(begin <= down[0] and down[1] <= end for begin, end in gaps)
    assert not [look for look in looks for begin, end in gaps if begin < look[0] < look[1] < end]
    assert any("gap" in r["reason"] for r in found)


def of_tenant(found, tenant):
    return [r for r in found if r["tenant"] == tenant]


def check_sum_of_runs(found, directory_usec):
    """What runs used is what their tenant's directory counted, which is in nanoseconds and has the
    time of all that was ever below it. The last reading of a run is of an empty cgroup and rounded
    down to a microsecond, so less than one a run is missing, and nothing is there twice. Also what
    croftd did not live to commit the launch of is on the bill."""
    runs = len({r["run_id"] for r in found})
    missing = directory_usec - total(found)
    print(f"cpu.used: {missing} of {directory_usec} us are not in {runs} runs")
    assert 0 <= missing < runs


def check_short_runs(found, slept):
    """Each for itself: it ran for as long as it slept at least, and used what it takes to end."""
    ran, used = collections.Counter(), collections.Counter()
    for r in found:
        name = r["resource"].rpartition("/")[2]
        ran[name] += int(r["quantity"]) if r["meter"] == "running" else 0
        used[name] += int(r["quantity"]) if r["meter"] == "cpu.used" else 0
    assert not [name for name, usec in slept.items() if ran[name] < usec or not used[name]]


def test_a_minute_of_kills_beside_mixed_load(box):
    box.tenant(cpu="2", memory="512M")
    box.tenant("brief", cpu="2", containers=500, pids=4000, memory="512M")
    box.launch("acme/steady", memory="128M", pids="64")
    burn(box, "acme/steady")
    # What it does beside: files, memory, and (here and at the end) forks until one is refused.
    box.exec("acme/steady", "/probe", "forks", "0")
    wait_until("there is room again", lambda: box.cgroup("acme/steady").pids() < 16)
    box.sh("acme/steady", f"/probe eat {48 << 20} 100000 >/dev/null 2>&1 &")
    box.sh("acme/steady", "while :; do dd if=/dev/zero of=/f bs=64k count=32 2>/dev/null;"
                          " /probe eat 8000000 0 >/dev/null; usleep 100000; done >/dev/null 2>&1 &")
    steady = Reader(box.cgroup("acme/steady"))
    launchers = Launchers(box, "brief", BRIEF)
    steady.start()
    kills, looks, down = 0, [], None
    try:
        while kills < KILLS or launchers.busy():
            looks.append(interrupt_an_export(box))
            time.sleep(1)
            box.kill9("croftd")
            kills += 1
            # Once it is away for so long that nobody knows what memory there was.
            if kills == KILLS // 2:
                begun = boottime()
                time.sleep(GAP_S + 1)
                down = begun, boottime()
            box.restart("croftd")
            assert kills < 20 * KILLS, f"{len(launchers.slept)} containers ran"
    finally:
        launchers.end(), steady.end()
    wait_until("all that was brief is gone", lambda: only_steady_is_left(box), 120)
    box.exec("acme/steady", "/probe", "forks", "0")
    box.ok("freeze", "acme/steady")
    found = records(box)
    mine, brief = of_tenant(found, "acme"), of_tenant(found, "brief")
    assert len(mine) + len(brief) == len(found)
    assert total(mine) == steady.cgroup.cpu_usec() >= steady.cpu_seen > 0
    assert total(mine, "pids.denied") == steady.cgroup.pids_denied() >= 2
    # Memory is a gauge: what was looked at now and then, and nothing where nobody looked.
    gaps = gaps_of(box, "steady")
    check_gaps(gaps, mine, list(filter(None, looks)), down)
    least, most = steady.memory_bounds(total(mine, "running") / 1000000, 8192, gaps)
    print(f"memory.used: {least:.0f} <= {total(mine, 'memory.used')} <= {most:.0f} KiB.s")
    assert 0 < least <= total(mine, "memory.used") <= most
    assert highest(mine, "memory.peak") == steady.cgroup.memory_peak()
    pids = steady.cgroup.pids_peak()
    assert highest(mine, "pids.peak") == pids or (pids is None and highest(mine, "pids.peak") <= 64)
    check_sum_of_runs(mine, box.cgroup("acme").cpu_usec())
    check_sum_of_runs(brief, box.cgroup("brief").cpu_usec())
    assert len({r["run_id"] for r in brief}) >= len(launchers.slept) >= BRIEF
    check_short_runs(brief, launchers.slept)
    assert [total(mine), total(brief)] == [
        box.usage(name)["cpu_usec"] for name in ("acme", "brief")]
    # And closed it is the same.
    box.ok("thaw", "acme/steady")
    box.ok("kill", "acme/steady")
    box.wait_state("acme/steady", "STOPPED", 30)
    usage = [box.usage(name) for name in ("acme", "brief")]
    with stopped(box) as state:
        age(state)
    wait_until("all is closed", lambda: all(r["finalized_at"] for r in records(box)), 120)
    closed = records(box)
    interrupt_an_export(box)
    assert records(box) == closed
    for meter, key in (("cpu.used", "cpu_usec"), ("running", "running_usec")):
        assert [total(of_tenant(closed, name), meter) for name in ("acme", "brief")] == [
            of[key] for of in usage]
    ids = [r["record_id"] for r in everything(box)]
    assert len(ids) == len(set(ids))
    check_whole(box)
