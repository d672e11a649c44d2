"""One tenant takes all it can of everything the kernel has; its neighbour must not notice."""

import contextlib
import time

import pytest

import kernel
from croft_harness import SLOWNESS, debug, percentile, wait_until

NEIGHBOUR_SECONDS = 2.0


@pytest.fixture
def pair(box):
    """`acme/bad`, which attacks, and `calm/good`, which is asked all the while."""
    box.tenant("acme", memory="256M", pids=300)
    box.tenant("calm")
    box.launch("acme/bad")
    box.launch("calm/good")
    for name in ("acme/bad", "calm/good"):
        box.put_probe(name)
    return box


@contextlib.contextmanager
def neighbour_is_well(daemon):
    """Before, during and after: exec works, files, pipes and processes can be made."""
    def probe():
        start = time.monotonic()
        out = daemon.sh("calm/good", "echo a | cat; mkdir -p /t && echo b >/t/f && cat /t/f")
        assert out == "a\nb\n"
        return time.monotonic() - start

    quiet = [probe() for _ in range(5)]
    yield
    loud = [probe() for _ in range(10)]
    debug(f"neighbour: {percentile(quiet, 50) * 1e3:.0f} ms before, "
          f"{percentile(loud, 99) * 1e3:.0f} ms at worst during")
    # One may have met a disk that stood still for a moment.
    assert sorted(loud)[-2] < NEIGHBOUR_SECONDS * SLOWNESS, loud
    assert daemon.reaper.status(daemon.pids["croftd"]) == "running"


ATTACKS = {
    # Each ends by itself, or is killed with its exec.
    "processes": "b() { b | b & b; }; b",
    "memory": "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done",
    "tmpfs": "dd if=/dev/zero of=/dev/shm/x bs=1M",
    "many small tmpfs files": "i=0; while :; do : >/dev/shm/$i; i=$((i + 1)); done",
    "many small files": "mkdir /many; i=0; while :; do : >/many/$i; i=$((i + 1)); done",
    "deep directories": "cd /; while mkdir d 2>/dev/null && cd d; do :; done",
    "cpu": "for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done; wait",
    "pipes": "while :; do sleep 1000 | sleep 1000 & done",
    "mounts": "mkdir /m; i=0; while mount -t tmpfs t$i /m; do i=$((i + 1)); done",
    "terminals": "while :; do script -c 'sleep 1000' /dev/null & done",
    "page cache": "dd if=/dev/zero of=/big bs=1M count=400; cat /big /big >/dev/null",
    "log flood": "yes flood >/proc/1/fd/1",
    "sync": "while :; do echo x >/s; sync; done",
}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.replace(" ", "-"))
def test_neighbour_does_not_notice(pair, attack):
    with neighbour_is_well(pair):
        attacker = pair.background_exec("acme/bad", "/bin/sh", "-c", ATTACKS[attack])
        with attacker as child:
            end = time.monotonic() + 3
            while time.monotonic() < end and child.poll() is None:
                time.sleep(0.1)
    pids = pair.cgroup("acme").pids_max()
    assert pair.cgroup("acme").pids() <= pids
    # Whatever it left, it can be taken away, and soon.
    start = time.monotonic()
    pair.ok("delete", "--force", "acme/bad", timeout=60)
    wait_until("it is gone", lambda: not pair.cgroup("acme/bad").exists(), 20)
    debug(f"deleted in {time.monotonic() - start:.2f} s")


def test_control_without_a_limit_the_bomb_grows(box):
    """The same bomb in a container with room: what holds it is the limit."""
    box.tenant("acme", pids=2000)
    box.launch("acme/free")
    box.put_probe("acme/free")
    with box.background_exec("acme/free", "/probe", "forks", "1000") as forks:
        children, error = forks.stdout.readline().decode().split()
    assert int(children) > 1500 and error == "EAGAIN"


@pytest.mark.vm
class TestStubborn:
    """What does not want to end is ended."""

    def test_ignores_every_signal(self, box):
        box.tenant()
        script = "trap '' HUP INT QUIT TERM USR1 USR2 PWR; while :; do sleep 0.1; done"
        box.launch("acme/web", init=["/bin/sh", "-c", script])
        box.ok("stop", "--timeout", "1", "acme/web")

    @pytest.mark.native("signals, of no cgroup")
    def test_stopped_itself(self, box):
        box.tenant()
        box.launch("acme/web")
        box.sh("acme/web", "for i in 1 2 3; do (kill -STOP $(sh -c 'echo $PPID')) & done; true")
        box.ok("delete", "--force", "acme/web")

    @pytest.mark.native("test_endings.py shows it there")
    def test_froze_itself(self, box):
        """cgroup v2's own freezer, where the tree is delegated to it."""
        box.tenant()
        box.launch("acme/web")
        box.sh("acme/web", "d=/sys/fs/cgroup; mkdir $d/x 2>/dev/null && sleep 1000 & "
               "echo $! >$d/x/cgroup.procs 2>/dev/null; echo 1 >$d/x/cgroup.freeze; true")
        box.ok("delete", "--force", "acme/web")

    def test_debugs_itself(self, box):
        """A traced process is reaped by its tracer first."""
        box.tenant()
        box.launch("acme/web")
        box.put_probe("acme/web")
        box.sh("acme/web", "sleep 1000 & /probe call 101 16 $!")
        box.ok("delete", "--force", "acme/web")

    @pytest.mark.native("reaping, of no cgroup")
    def test_zombies(self, box):
        """An init that does not reap: its dead count, and go with it."""
        box.tenant(pids=64)
        box.launch("acme/web", init=["/bin/sh", "-c", "exec sleep 1000"])
        for _ in range(10):
            box.sh("acme/web", "sleep 0 & sleep 0 & true")
        assert box.cgroup("acme/web").pids() <= 64
        box.ok("kill", "acme/web")

    def test_swallows_a_whole_tree(self, box):
        box.tenant(pids=300)
        box.launch("acme/web")
        pids = None
        with box.background_exec("acme/web", "/bin/sh", "-c", "b() { b | b & b; }; b"):
            wait_until("it is full", lambda: box.cgroup("acme/web").pids() > 200)
            pids = box.cgroup("acme/web").processes()
            box.ok("kill", "acme/web")
        wait_until("all are gone", lambda: not any(kernel.is_alive(p) for p in pids))
