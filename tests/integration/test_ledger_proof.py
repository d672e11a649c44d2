"""The proof of the ledger: a reader of the kernel's own files beside mixed load, a thousand
containers of some milliseconds and exports that are interrupted, while croftd is killed each second
for a minute. What comes out is what the kernel says: of what lives on to the microsecond, the byte
and the packet, of what was short less than a microsecond a run below that, and of memory to an
interval."""

import bisect
import collections
import contextlib
import itertools
import random
import sqlite3
import subprocess
import threading
import time

import kernel
import netlab
from croft_harness import measured, program, wait_until
from networked import kept, lab, ping  # noqa: F401
from test_ledger import age, burn, check_whole, everything, records, stopped, total
from test_network_rates import outside
from test_traffic import ALL, NOISE, OUTSIDE, counted, port

KILLS = 60
# Samples are further apart than this only where nobody looked (ledger_gap_usec()).
GAP_S = 4
BRIEF = 1000
LAUNCHERS = 4

PORT, SIZE = 9999, 256 << 10
# What `croft usage show` calls a meter.
USAGE = {"cpu.used": "cpu_usec", "running": "running_usec", "pids.denied": "pids_denied",
         "io.read": "io_read_bytes", "io.read.ops": "io_read_ops",
         "io.write": "io_write_bytes", "io.write.ops": "io_write_ops",
         "net.ingress": "net_ingress_bytes", "net.egress": "net_egress_bytes",
         "net.ingress.packets": "net_ingress_packets", "net.egress.packets": "net_egress_packets",
         "net.ingress.outside": "net_ingress_outside_bytes",
         "net.egress.outside": "net_egress_outside_bytes",
         "net.ingress.outside.packets": "net_ingress_outside_packets",
         "net.egress.outside.packets": "net_egress_outside_packets"}

# What `steady` does for as long as there is /go: files and memory, a disk past the page cache (of
# other writes cgroup v1 does not know whose they are), and TCP both ways. How often the disk and
# the network did, is in /disk and /net.
LOAD = f"""
busy() {{ while [ -e /go ]; do "$@"; usleep 100000; done; }}
some() {{ dd if=/dev/zero bs=64k count={SIZE >> 16} "$@"; }}
memory() {{ dd if=/dev/zero of=/f bs=64k count=32; /probe eat 8000000 0; }}
disk() {{ some of=/d oflag=direct && dd if=/d of=/dev/null bs=64k iflag=direct && echo >>/disk; }}
net() {{ [ "$(some | nc {netlab.OUTSIDE4} {PORT} | wc -c)" = {SIZE} ] && echo >>/net; }}
touch /go /running /disk /net
{{ busy memory & busy disk & busy net & wait; rm /running; }} >/dev/null 2>&1 &
"""

# Reads to the end, and sends as much.
LISTENER = f"""
import socketserver
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        n = 0
        while data := self.request.recv(65536):
            n += len(data)
        self.request.sendall(bytes(n))
with socketserver.ThreadingTCPServer(("", {PORT}), Handler) as server:
    print("bound", flush=True)
    server.serve_forever()
"""


def boottime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def looked_at(gaps, at, until):
    """How long of the time from `at` to `until` is in none of the gaps, which do not overlap."""
    return until - at - sum(max(0, min(end, until) - max(begin, at)) for begin, end in gaps)


@contextlib.contextmanager
def listener(box):
    command = [*outside(box), "/usr/bin/python3", "-c", LISTENER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "bound\n"
            yield
        finally:
            process.kill()


def wire(box):
    """What the world outside had of IPv4, by its own account: from its counters of IP, which has
    neither the frames' headers nor what the two hosts say to each other unasked."""
    found = {}
    for file in ("snmp", "netstat"):
        lines = box.lab.run("outside", "cat", f"/proc/net/{file}").stdout.splitlines()
        for names, values in zip(lines[::2], lines[1::2]):
            found.update(zip(names.split(), values.split()))
    return dict(zip(OUTSIDE, (int(found[key]) for key in (
        "OutOctets", "OutRequests", "InOctets", "InReceives"))))


class Reader(threading.Thread):
    """Reads counters and the working set of a container from the kernel's own files, all the
    while."""

    def __init__(self, box, name):
        super().__init__()
        self.cgroup, self.disk = box.cgroup(name), kernel.disk_of(box.base)
        self.port = port(box, name)
        self.seen = collections.Counter()
        self.memory_seen = []  # (BOOTTIME, KiB)
        self.fell, self.ended = [], threading.Event()

    def counters(self):
        return {"cpu.used": self.cgroup.cpu_usec(), "pids.denied": self.cgroup.pids_denied(),
                **self.cgroup.io(self.disk)}

    def run(self):
        while not self.ended.wait(0.05):
            with contextlib.suppress(OSError):
                before, self.seen = self.seen, self.counters()
                self.fell += [m for m in self.seen if self.seen[m] < before[m]]
                self.memory_seen.append((boottime(), self.cgroup.working_set() // 1024))

    def end(self):
        self.ended.set()
        self.join()
        assert not self.fell

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
            least += min(near) * looked_at(gaps, at, until) if at - times[0] > GAP_S else 0
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
            result = self.box.croft(
                "launch", "--ephemeral", "--no-network", "busybox", f"{self.tenant}/{name}", "--",
                "/bin/usleep", str(usec))
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
    measured(f"gaps: {[round(end - begin, 1) for begin, end in gaps]} s,"
             f" {len(looks)} exports through")
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
    measured(f"cpu.used: {missing} of {directory_usec} us are not in {runs} runs")
    assert 0 <= missing < runs


def check_short_runs(found, slept):
    """Each for itself: it ran for as long as it slept at least, and used what it takes to end."""
    ran, used = collections.Counter(), collections.Counter()
    for r in found:
        name = r["resource"].rpartition("/")[2]
        ran[name] += int(r["quantity"]) if r["meter"] == "running" else 0
        used[name] += int(r["quantity"]) if r["meter"] == "cpu.used" else 0
    assert not [name for name, usec in slept.items() if ran[name] < usec or not used[name]]


def launch_steady(box):
    """With what it does beside burning, and one fork that was refused. Returns its reader, and how
    much of what passed its cable nobody is billed for, since its bridge did not take it yet."""
    box.launch("acme/steady", memory="128M", pids="64")
    reader = Reader(box, "acme/steady")
    gateway = box.json("network", "show", "acme")["ipv4_gateway"]
    wait_until("its gateway answers", lambda: ping(box, "acme/steady", gateway).rc == 0, 30)
    found, seen = at_rest(box, lambda: counted(box, reader.port))
    early = {meter: seen[meter] - total(found, meter) for meter in ALL}
    assert all(0 <= early[meter] <= NOISE[meter] for meter in ALL)
    burn(box, "acme/steady")
    # Forks until one is refused, here and at the end.
    box.exec("acme/steady", "/probe", "forks", "0")
    wait_until("there is room again", lambda: box.cgroup("acme/steady").pids() < 16)
    box.sh("acme/steady", f"/probe eat {48 << 20} 100000 >/dev/null 2>&1 &")
    box.sh("acme/steady", LOAD)
    return reader, early


def kill_for_a_minute(box, launchers):
    """From when to when by BOOTTIME exports were answered, and croftd was away for so long that
    nobody knows what memory there was."""
    looks, down = [], None
    for kills in range(1, 20 * KILLS):
        looks.append(interrupt_an_export(box))
        time.sleep(1)
        box.kill9("croftd")
        if kills == KILLS // 2:
            begun = boottime()
            time.sleep(GAP_S + 1)
            down = begun, boottime()
        box.restart("croftd")
        if kills >= KILLS and not launchers.busy():
            return list(filter(None, looks)), down
    raise AssertionError(f"{len(launchers.slept)} containers ran")


def at_rest(box, kernel_says):
    """(the records, what the kernel says) at a moment in which it counts nothing."""
    def look():
        before = kernel_says()
        found = records(box)
        return kernel_says() == before and (found, before)
    return wait_until("the kernel counts nothing", look, 60)


def end_of_load(box):
    box.sh("acme/steady", "rm /go")
    wait_until("its load has ended",
               lambda: box.sh("acme/steady", "[ -e /running ] || echo no") == "no\n", 60)
    # How much there must have been at least; that every write was attributed no v1 promises.
    disk, net = (SIZE * int(box.sh("acme/steady", f"wc -l </{file}")) for file in ("disk", "net"))
    assert disk and net
    box.exec("acme/steady", "/probe", "forks", "0")
    box.ok("freeze", "acme/steady")
    return {"io.read": disk, "io.read.ops": 1, "io.write": 1, "io.write.ops": 1,
            "net.egress.outside": net, "net.ingress.outside": net, "pids.denied": 2}


def check_filtered(billed, says, unit):
    """The packet filter stands between the cable and the world outside, and traffic is billed
    behind it: not what it drops, as it does with a few packets while it is made anew with each
    croftd. So what is billed lies between what went into the filter and what came out; and beside
    the latter there is only what kernels say unasked, which does not go outside."""
    home = 10 * NOISE["net.egress" + unit]
    out, back = says["net.egress.outside" + unit], says["net.ingress" + unit]
    assert out <= billed["net.egress" + unit] <= min(says["net.egress" + unit], out + home)
    assert back - home <= billed["net.ingress.outside" + unit] <= min(
        says["net.ingress.outside" + unit], back)


def check_counters(box, reader, early, before):
    """The records have what the kernel counted, each to its unit. Returns them."""
    least = end_of_load(box)
    found, says = at_rest(box, lambda: {
        **reader.counters(), **wire(box), **counted(box, reader.port)})
    mine = of_tenant(found, "acme")
    for meter, n in {**early, **before}.items():
        says[meter] -= n
    billed = {meter: total(mine, meter) for meter in says}
    other = {meter: says[meter] - billed[meter] for meter in says if says[meter] != billed[meter]}
    measured(f"counted: {says}; less on the bill: {other}")
    for unit in ("", ".packets"):
        check_filtered(billed, says, unit)
        for meter in ("net.egress", "net.ingress.outside"):
            other.pop(meter + unit, None)
    assert not other
    assert not {meter: n for meter, n in billed.items() if n < max(
        least.get(meter, 0), reader.seen.get(meter, 0))}
    return found


def check_memory(box, reader, mine, looks, down):
    """It is what was looked at now and then, and nothing where nobody looked: gaps are on record
    when their hours are closed."""
    gaps = gaps_of(box, "steady")
    check_gaps(gaps, mine, looks, down)
    least, most = reader.memory_bounds(total(mine, "running") / 1000000, 8192, gaps)
    measured(f"memory.used: {least:.0f} <= {total(mine, 'memory.used')} <= {most:.0f} KiB.s")
    assert 0 < least <= total(mine, "memory.used") <= most


def check_peaks(reader, mine):
    assert highest(mine, "memory.peak") == reader.cgroup.memory_peak()
    pids = reader.cgroup.pids_peak()
    assert highest(mine, "pids.peak") == pids or (pids is None and highest(mine, "pids.peak") <= 64)


def check_closed(box):
    """Closed it is the same, and what usage says."""
    usage = {name: box.usage(name) for name in ("acme", "brief")}
    with stopped(box) as state:
        age(state)
    wait_until("all is closed", lambda: all(r["finalized_at"] for r in records(box)), 120)
    closed = records(box)
    interrupt_an_export(box)
    assert records(box) == closed
    for name, of in usage.items():
        for meter, key in USAGE.items():
            assert total(of_tenant(closed, name), meter) == of.get(key, 0), (name, meter)
    ids = [r["record_id"] for r in everything(box)]
    assert len(ids) == len(set(ids))
    check_whole(box)


def test_a_minute_of_kills_beside_mixed_load(box):
    before = wire(box)
    box.tenant(cpu="2", memory="512M")
    box.tenant("brief", cpu="2", containers=500, pids=4000, memory="512M")
    with listener(box):
        reader, early = launch_steady(box)
        launchers = Launchers(box, "brief", BRIEF)
        reader.start()
        try:
            looks, down = kill_for_a_minute(box, launchers)
        finally:
            launchers.end(), reader.end()
        wait_until("all that was brief is gone", lambda: only_steady_is_left(box), 120)
        found = check_counters(box, reader, early, before)
    mine, brief = of_tenant(found, "acme"), of_tenant(found, "brief")
    assert len(mine) + len(brief) == len(found)
    check_peaks(reader, mine)
    check_sum_of_runs(mine, box.cgroup("acme").cpu_usec())
    check_sum_of_runs(brief, box.cgroup("brief").cpu_usec())
    assert len({r["run_id"] for r in brief}) >= len(launchers.slept) >= BRIEF
    check_short_runs(brief, launchers.slept)
    box.ok("thaw", "acme/steady")
    box.ok("kill", "acme/steady")
    box.wait_state("acme/steady", "STOPPED", 30)
    check_closed(box)
    check_memory(box, reader, mine, looks, down)
