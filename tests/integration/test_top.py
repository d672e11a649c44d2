"""croft top: what runs now, whose it is to see, on a terminal and without one."""

import os
import signal
import threading
import time

import pytest

import api
from croft_harness import wait_until
from terminal import terminal

ACME = 4242
BUSY = ("/bin/sh", "-c", "while :; do :; done")
# Of live.h, in seconds.
LIVE_AGE = 0.9
LEAVE = "\x1b[?25h\x1b[?1049l"


@pytest.fixture
def two(box):
    """Two tenants; of the first one container works and one waits."""
    box.tenant(cpu=1, memory="256M", pids=64)
    box.tenant("other")
    box.launch("acme/busy", init=BUSY)
    box.launch("acme/calm", memory="64M")
    box.launch("other/calm")
    box.ok("tenant", "bind", "acme", str(ACME))
    return box


def frame(box, *args, **kwargs):
    return {row["name"].removeprefix("tenants/").replace("/containers/", "/"): row
            for row in box.json_lines("top", *args, **kwargs)}


@pytest.mark.vm
def test_a_frame(two):
    """Rates of a second, gauges, limits, and pressure where the kernel has it."""
    two.ok("stop", "--timeout", "0", "other/calm")
    rows = frame(two)
    assert list(rows) == ["acme", "acme/busy", "acme/calm"]
    busy, calm, acme = rows["acme/busy"], rows["acme/calm"], rows["acme"]
    assert busy["cpu_milli"] > calm.get("cpu_milli", 0)
    assert busy["interval_usec"] >= 900_000
    assert busy["forks_counted"] and acme["forks_counted"]
    assert acme["cpu_milli"] > 0
    assert acme["running"] == 2 and acme["limits"]["pids"] == 64
    assert calm["limits"]["memory_bytes"] == 64 << 20
    assert calm["pids"] >= 1 and calm["memory_bytes"] > 0
    if os.path.exists("/proc/pressure/cpu"):
        assert all({"cpu_pressure", "memory_pressure", "io_pressure"} <= set(r)
                   for r in rows.values())


def test_throttling_is_shown(two):
    two.ok("set", "acme/busy", "--cpu", "0.05")
    wait_until("it is held", lambda: frame(two)["acme/busy"].get("throttled_milli"), 20)


def test_frozen_ones_are_named(two):
    two.ok("freeze", "acme/busy")
    rows = frame(two)
    assert rows["acme/busy"]["frozen"] and rows["acme/busy"].get("cpu_milli", 0) == 0
    assert "frozen" not in rows["acme/calm"]
    assert "  busy (frozen)" in two.ok("top", "acme")


def test_who_is_suspended_is_named(two):
    two.ok("tenant", "suspend", "acme", "--type", "abuse")
    rows = frame(two)
    assert {name for name, row in rows.items() if row.get("frozen")} == {
        name for name in rows if name.split("/")[0] == "acme"}
    assert "acme (frozen)" in two.ok("top")


def test_tenants_see_their_own(two):
    """The same words for another's as for one that is not there."""
    assert set(frame(two, uid=ACME)) == {"acme", "acme/busy", "acme/calm"}
    assert set(frame(two, "acme", uid=ACME)) == {"acme", "acme/busy", "acme/calm"}
    theirs = two.refused("top", "other", uid=ACME)
    absent = two.refused("top", "nobody", uid=ACME)
    assert theirs.replace("other", "x") == absent.replace("nobody", "x")
    assert set(frame(two, "other")) == {"other", "other/calm"}


def test_lines_for_people(two):
    text = two.ok("top")
    lines = text.splitlines()
    assert lines[0].split()[:3] == ["NAME", "CPU", "HELD"]
    assert lines[1].startswith("acme ") and lines[2].startswith("  busy ")
    assert all(len(line) <= 80 for line in lines)
    flat = two.ok("top", "--flat", "--sort", "name").splitlines()
    assert [line.split()[0] for line in flat[1:]] == ["acme/busy", "acme/calm", "other/calm"]
    assert len(two.ok("-o", "csv", "top").splitlines()) == 6
    for wrong, says in ((("--sort", "colour"), "--sort takes"), (("--interval", "0"), "1 second")):
        done = two.croft("top", *wrong)
        assert done.rc == 2 and says in done.err, done


class TestTerminal:
    def test_it_lives_until_q(self, two):
        with terminal(two, "top") as t:
            t.expect("2 tenants, 3 containers run  by cpu")
            assert t.is_raw()
            t.expect("busy")
            t.type("m")
            t.expect("by memory")
            t.type("f")
            t.expect("acme/calm")
            t.type("q")
            t.expect(LEAVE)
            assert t.wait() == 0
            assert t.is_restored()

    @pytest.mark.parametrize("how", ["ctrl-c", signal.SIGTERM, signal.SIGHUP])
    def test_however_it_ends_the_terminal_is_as_it_was(self, two, how):
        with terminal(two, "top") as t:
            t.expect("by cpu")
            if how == "ctrl-c":
                t.type("\x03")
                t.expect(LEAVE)
                assert t.wait() == 0
            else:
                t.end_by(how)
                assert t.wait() == 128 + how
            assert t.is_restored()

    def test_a_lost_croftd_ends_it_in_order(self, two):
        with terminal(two, "top") as t:
            t.expect("by cpu")
            two.kill9("croftd")
            t.expect(LEAVE, 20)
            assert t.wait(20) == 1
            assert t.is_restored()
        two.restart("croftd")

    def test_it_follows_the_window(self, two):
        """Down to a size at which nothing fits, and back."""
        with terminal(two, "top", rows=24, columns=80) as t:
            t.expect("WI")
            t.resize(2, 10)
            t.child.send_signal(signal.SIGWINCH)
            t.expect("croft top \x1b[K")
            t.resize(30, 120)
            t.child.send_signal(signal.SIGWINCH)
            t.expect("f flat")
            t.type("q")
            t.expect(LEAVE)
            assert t.wait() == 0

    def test_once_leaves_the_terminal_alone(self, two):
        with terminal(two, "top", "--once") as t:
            t.expect("NAME")
            t.expect("busy")
            assert t.wait() == 0
            assert b"\x1b[" not in t.text and t.is_restored()

    def test_a_refusal_is_a_sentence(self, two):
        with terminal(two, "top", "nobody") as t:
            text = t.expect("nobody")
            assert "\x1b[" not in text
            assert t.wait() == 1


def test_many_who_ask_share_looks(two):
    """However many ask, and how often: a look is not taken before the last one is LIVE_AGE old."""
    seen, asked, stop = set(), [], threading.Event()

    def ask():
        with api.Api(two.schema, two.host) as client:
            while not stop.is_set():
                rows = list(client.stream("Usage/ListLiveUsage", {}))
                seen.add(api.to_dict(rows[0])["read_time"])
                asked.append(len(rows))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    begun = time.monotonic()
    for t in threads:
        t.start()

    def looks():
        return (time.monotonic() - begun) / LIVE_AGE + 2

    # The control: they do ask more often than that.
    wait_until("they have asked often", lambda: time.monotonic() - begun > 3 and
               len(seen) > 1 and len(asked) > 2 * looks(), 30)
    stop.set()
    for t in threads:
        t.join()
    assert len(seen) <= looks(), (len(seen), looks())
