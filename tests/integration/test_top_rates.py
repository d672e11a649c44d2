"""What croft top says of traffic and of the disk, beside what the kernel counted meanwhile."""

import contextlib
import time

import pytest

import netlab
from croft_harness import wait_until
from fixtures import keep
from iperf import running, server
from networked import KeptNetworked, lab  # noqa: F401
from test_io_usage import counted
from test_network_rates import inside, outside
from test_top import frame

MIB, KB = 1 << 20, 1000
SENT, RECEIVED = 400 * KB, 200 * KB  # a second
HEADERS = 28  # of a datagram: IPv4, UDP
LOAD = 10 * 60
READ = 8 * MIB
NET, IO = ("net_in_bytes", "net_out_bytes"), ("io_read_bytes", "io_write_bytes")
# Sweeps at any time between the two looks of a frame.
OPTIONS = ("--sample-interval", "0.7")


@pytest.fixture(scope="module")
def kept(schema, lab):  # noqa: F811
    instance = KeptNetworked(schema, lab)
    instance.options = OPTIONS
    yield from keep(instance)


def passed(box, name):
    """(bytes in, bytes out) of IP packets, by the container's own interface."""
    pid = box.info(name)["run"]["host_pid"]
    with open(f"/proc/{pid}/net/dev", encoding="ascii") as f:
        words = next(line for line in f if "eth0:" in line).split(":")[1].split()
    received, packets_in, sent, packets_out = (int(words[i]) for i in (0, 1, 8, 9))
    return received - 14 * packets_in, sent - 14 * packets_out


@contextlib.contextmanager
def steady_traffic(box, name):
    """Datagrams at an even rate, out and in."""
    own, there = inside(box, name), outside(box)
    load = [(SENT, 5201, ()), (RECEIVED, 5202, ("-R",))]
    with contextlib.ExitStack() as stack:
        for _, port, _ in load:
            stack.enter_context(server(there, port))
        for rate, port, more in load:
            stack.enter_context(endless(own, port, "-b", str(rate * 8), *more))
        yield


@contextlib.contextmanager
def endless(own, port, *more):
    """It is killed, so there is no account of it."""
    with contextlib.suppress(Ended), running(
            own, netlab.OUTSIDE4, "-u", "-l", "1000", *more, port=port, seconds=LOAD):
        yield
        raise Ended


class Ended(Exception):
    pass


def looked(box, name, keys, counted_now):
    """A frame's two rates, which cannot be of more than the kernel counted from before the first
    look to after the second."""
    # The first look is none that there was before.
    time.sleep(1)
    before = counted_now()
    row = frame(box)[name]
    after = counted_now()
    rates = [row.get(key, 0) for key in keys]
    for i, rate in enumerate(rates):
        most = after[i] - before[i]
        assert 0 <= rate * row["interval_usec"] / 1e6 <= most * 1.1 + 1000, (row, before, after)
    return rates


def test_traffic(box):
    box.tenant()
    for name in ("acme/web", "acme/calm"):
        box.launch(name)
    expected = [rate * (1000 + HEADERS) / 1000 for rate in (RECEIVED, SENT)]

    def look():
        return looked(box, "acme/web", NET, lambda: passed(box, "acme/web"))

    def is_near():
        """A busy host can make what comes uneven, and not for all of the time."""
        return all(abs(r / e - 1) < 0.2 for r, e in zip(look(), expected))

    with steady_traffic(box, "acme/web"):
        wait_until("it has begun", lambda: min(passed(box, "acme/web")) > 100 * KB, 30)
        for _ in range(4):
            wait_until("what is shown is what passes", is_near, 30)
        assert frame(box)["acme/calm"].get("net_out_bytes", 0) < 10 * KB
        tenant = frame(box)["acme"]
        assert tenant["net_out_bytes"] > SENT / 2
        for which in ("croftd", "supervisor"):
            box.kill9(which)
        box.restart("croftd", "supervisor")
        look()
    idle = wait_until("it is idle",
                      lambda: not set(NET) & set(row := frame(box)["acme/web"]) and row, 60)
    assert idle["interval_usec"] > 0
    # A new run's interface begins at nothing, and its place's counters go on.
    box.ok("restart", "--timeout", "0", "acme/web")
    row = frame(box)["acme/web"]
    assert max(row.get(key, 0) for key in NET) < 10 * KB, row


def test_disk(box):
    """Reads of what does not fit into memory, as fast as the limit lets them: the kernel knows of
    each whose it is, which it does not of writes on cgroup v1."""
    box.tenant()
    for name in ("acme/web", "acme/calm"):
        box.launch(name, memory="256M")
    # Written while there is room, and once only.
    box.sh("acme/web", "dd if=/dev/zero of=/big bs=1M count=96 && sync", timeout=120)
    box.ok("set", "acme/web", "--memory", "32M", "--io-read", str(READ))

    def look():
        return looked(box, "acme/web", IO, lambda: counted(box, "acme/web"))

    with box.background_exec("acme/web", "/bin/sh", "-c", "while :; do cat /big >/dev/null; done"):
        for _ in range(3):
            wait_until("what is shown is the limit", lambda: 0.7 < look()[0] / READ < 1.3, 60)
        assert frame(box)["acme/calm"].get("io_read_bytes", 0) < READ / 10
        box.kill9("croftd")
        box.restart("croftd")
        look()
    wait_until("it is idle", lambda: not set(IO) & set(frame(box)["acme/web"]), 60)
    # The next run's counters begin at nothing.
    box.ok("restart", "--timeout", "0", "acme/web")
    assert frame(box)["acme/web"].get("io_read_bytes", 0) < READ * 1.3
