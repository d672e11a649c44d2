"""make demo shows what it says; and it and make bench leave nothing behind, however they end."""

import contextlib
import csv
import os
import re
import signal
import subprocess

import pytest

import kernel
from croft_harness import PATIENCE, ROOT, wait_until

COMMANDS = {
    "demo": [os.path.join(ROOT, "tests", "demo")],
    # As little of it as there is all of: figures are not what is looked at here.
    "bench": [os.path.join(ROOT, "tests", "bench", "run"), "--runs", "3", "--containers", "100"],
}


class Running:
    """One of the two, and what it made."""

    def __init__(self, which):
        self.child = subprocess.Popen(COMMANDS[which], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      start_new_session=True)
        self.parent = f"croft-test-{self.child.pid}-1"
        self.base = None

    def pids(self):
        """croftd, the supervisor and the reaper, by what they were started with."""
        found = {}
        for pid in kernel.parents():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().decode(errors="replace").split("\0")
                if self.parent in words:
                    found[os.path.basename(words[0])] = pid
                    self.base = os.path.dirname(words[words.index("--state") + 1])
        if "croftd" in found:
            found["reaper"] = kernel.parents().get(found["croftd"])
        return found

    def wait(self, moment):
        """Until croftd is there, until it has a container, or until that runs something."""
        condition = {
            "starting": lambda: "croftd" in self.pids(),
            "set up": lambda: len(kernel.cgroup_directories(self.parent)) > 4,
            "at work": self.child.stdout.readline,
        }[moment]
        return wait_until(moment, condition, 20)

    def left(self):
        found = [kernel.describe(pid) for pid in self.pids().values()]
        found += kernel.cgroup_directories(self.parent)
        if self.base:
            found += kernel.loops_of(self.base)
            found += [point for _, point, _ in kernel.mounts_with(self.base)]
            found += [self.base] if os.path.exists(self.base) else []
        peers = f"croft-bench-{self.child.pid}-"
        found += [d for d in map(kernel.describe, kernel.parents()) if peers in d]
        found += [name for name in os.listdir("/tmp") if name.startswith(peers)]
        for root in kernel.hierarchies().values():
            found += [path for path, _, _ in os.walk(root) if peers in path]
        return found


@pytest.fixture
def run():
    if os.geteuid() != 0:
        pytest.skip("needs root")
    running = []

    def start(which):
        running.append(Running(which))
        return running[-1]

    yield start
    for one in running:
        if one.child.poll() is None:
            one.child.terminate()
        one.child.communicate(timeout=30 * PATIENCE)


def test_what_the_demo_shows(run):
    """The figures that it prints are those of the limits, and the CSV is what they come from."""
    one = run("demo")
    text, _ = one.child.communicate(timeout=60 * PATIENCE)
    text = text.decode()
    assert one.child.returncode == 0, text
    pids, denied = map(int, re.search(r"at most (\d+) pids, (\d+) forks refused", text).groups())
    assert pids == 64 and denied > 0, text
    peak, kills, status = re.search(r"peak ([\d.]+) MiB, (\d+) OOM kill, status (\d+)",
                                    text).groups()
    assert 250 < float(peak) <= 256 and int(kills) > 0 and status == "137", text
    # Less where others keep the host busy; more never.
    assert 0.1 < float(re.search(r"([\d.]+) CPU together", text)[1]) <= 1.05, text
    answered, failed = map(int, re.search(r"answered (\d+) execs, (\d+) failed", text).groups())
    assert answered > 10 and not failed, text
    records = list(csv.DictReader(text[text.index("record_id,"):].splitlines()))
    assert {r["final"] for r in records if r["meter"] == "running"} == {"true"}
    billed = sum(int(r["quantity"]) for r in records
                 if (r["tenant"], r["meter"]) == ("acme", "cpu.used"))
    said, counter = map(float, re.search(
        r"CPU billed to acme ([\d.]+) s; the kernel's own counter of acme ([\d.]+) s",
        text).groups())
    # Each run is cut to whole microseconds.
    assert billed / 1e6 == pytest.approx(said, abs=1e-6) == pytest.approx(counter, abs=1e-5), text


INTERRUPTED = [("demo", moment) for moment in ("starting", "set up", "at work")]


@pytest.mark.parametrize("name", ["INT", "TERM", "KILL"])
@pytest.mark.parametrize("which,moment", [*INTERRUPTED, ("bench", "at work")])
def test_interrupted(run, which, moment, name):
    one = run(which)
    one.wait(moment)
    one.pids()
    os.kill(one.child.pid, getattr(signal, f"SIG{name}"))
    status = one.child.wait(40 * PATIENCE)
    assert status == (-9 if name == "KILL" else 128 + getattr(signal, f"SIG{name}"))
    wait_until("nothing is left", lambda: not one.left() or print(one.left()), 30, 0.5)


@pytest.mark.parametrize("part", ["croftd", "croft-supervisor", "reaper"])
@pytest.mark.parametrize("which", COMMANDS)
def test_a_part_is_killed(run, which, part):
    one = run(which)
    one.wait("at work")
    os.kill(one.pids()[part], signal.SIGKILL)
    text, _ = one.child.communicate(timeout=60 * PATIENCE)
    assert b"Traceback" not in text, text
    # Nothing is asked of the reaper after the start, but at the end its orphans must be found.
    assert one.child.returncode == (0 if part == "reaper" else 1), text
    assert not one.left()
