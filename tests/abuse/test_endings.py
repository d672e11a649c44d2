"""A container that does all it can not to end, or to take something with it: forks while it is
stopped, freezes itself, is entered while it is killed, keeps descriptors open, floods its
console."""

import concurrent.futures
import contextlib
import os
import subprocess
import time

import pytest

import kernel
from croft_harness import PATIENCE, SLOWNESS, program, wait_until

BOMB = "b() { b | b & b; }; trap '' HUP INT TERM QUIT; b"

FIND = "d=/sys/fs/cgroup; [ -d $d/unified ] && d=$d/unified; "
# Everything of the container but the command itself goes into a cgroup of its own, and is frozen.
# (0 is who is not in its pid namespace, as croft's own on the way in; to write 0 moves the writer.)
FREEZE = FIND + """
mkdir $d/x || exit 1
for p in $(cat $d/cgroup.procs); do
	case $p in 0 | $$) ;; *) echo $p >$d/x/cgroup.procs ;; esac
done 2>/dev/null
echo 1 >$d/x/cgroup.freeze && grep -q 1 $d/x/cgroup.freeze
"""
FREEZE_ALL = FIND + "echo 1 >$d/cgroup.freeze"
SHAPES = {
    "threaded": FIND + "mkdir $d/x && echo threaded >$d/x/cgroup.type",
    "all in threaded": FIND + "mkdir $d/x && echo threaded >$d/x/cgroup.type; "
                              "for p in $(cat $d/cgroup.procs); do "
                              "echo $p >$d/x/cgroup.procs; done",
    "controllers": FIND + "for c in cpu memory pids io hugetlb; do "
                          "echo +$c >$d/cgroup.subtree_control; done",
    "deep": FIND + "cd $d; while mkdir x && cd x; do :; done; echo 0 >cgroup.procs",
    "deep v1": "cd /sys/fs/cgroup/systemd || exit; i=0; while [ $i -lt 500 ] && mkdir x && "
               "cd x; do i=$((i + 1)); done; echo 1 >cgroup.procs",
}


@pytest.fixture
def web(box):
    box.tenant("acme", pids=300)
    box.launch("acme/web")
    return box


def ended(box, pids):
    wait_until("all of it is gone", lambda: not any(kernel.is_alive(p) for p in pids), 20)
    assert box.reaper.status(box.pids["croftd"]) == "running"
    assert kernel.is_alive(box.pids["supervisor"])


@pytest.mark.parametrize("how", [("stop", "--timeout", "1"), ("kill",), ("restart",),
                                 ("delete", "--force")], ids=lambda h: h[0])
def test_fork_bomb_while_it_ends(web, how):
    with web.background_exec("acme/web", "/bin/sh", "-c", BOMB):
        wait_until("the bomb has gone off", lambda: web.cgroup("acme/web").pids() > 200, 20)
        # What is read of a bomb is what holds still.
        pids = wait_until("some of it is read", lambda: len(
            p := web.cgroup("acme/web").processes()) > 10 and p, 20)
        start = time.monotonic()
        web.ok(*how, "acme/web", timeout=60)
        assert time.monotonic() - start < 20 * PATIENCE
        ended(web, pids)
    if how[0] == "restart":
        assert web.sh("acme/web", "echo served") == "served\n"


ACTS = {
    "exec": ("exec", "-T", "acme/web", "--", "/bin/true"),
    "exec with a terminal": ("exec", "-t", "acme/web", "--", "/bin/true"),
    "stop": ("stop", "--timeout", "1", "acme/web"),
    "kill": ("kill", "acme/web"),
    "restart": ("restart", "--timeout", "1", "acme/web"),
    "freeze and thaw": ("freeze", "acme/web"),
    "delete": ("delete", "--force", "acme/web"),
    "set": ("set", "acme/web", "--memory", "64M"),
}
# Done as the others are: by joining, by thawing, by cgroup.kill.
ALIKE = ("exec with a terminal", "kill", "restart", "freeze and thaw")


def is_frozen(pid):
    """By the kernel's word on the cgroup2 tree that a process is in."""
    with open(f"/proc/{pid}/cgroup", encoding="ascii") as f:
        path = next(line.rstrip("\n").split(":", 2)[2] for line in f if line.startswith("0:"))
    with open(f"{kernel.hierarchies()['unified']}{path}/cgroup.events", encoding="ascii") as f:
        return "frozen 1" in f.read()


@pytest.mark.vm
@pytest.mark.parametrize("act", [
    pytest.param(act, marks=pytest.mark.native("as the others")) if act in ALIKE else act
    for act in ACTS
], ids=lambda act: act.replace(" ", "-"))
def test_froze_itself(web, act):
    """A frozen init answers no signal but SIGKILL; what is done from outside is done all the
    same, and soon."""
    pid = web.init_pid("acme/web")
    assert not is_frozen(pid)
    web.exec("acme/web", "/bin/sh", "-c", FREEZE, timeout=20)
    wait_until("it is frozen", lambda: is_frozen(pid))
    start = time.monotonic()
    result = web.croft(*ACTS[act], timeout=30)
    assert time.monotonic() - start < 20 * PATIENCE
    assert result.rc == 0, result
    if act == "freeze and thaw":
        web.ok("thaw", "acme/web")
    if act in ("stop", "kill", "restart", "delete"):
        ended(web, [pid])
    else:
        web.ok("kill", "acme/web")


@pytest.mark.vm
def test_cannot_freeze_where_commands_join(web):
    """The root of what it sees is the host's but for what delegation gives away."""
    pid = web.init_pid("acme/web")
    result = web.exec("acme/web", "/bin/sh", "-c", FREEZE_ALL, timeout=20)
    assert result.rc != 0 and not is_frozen(pid), result
    assert web.exec("acme/web", "/bin/true", timeout=20).rc == 0


@pytest.mark.vm
@pytest.mark.parametrize("script", SHAPES.values(), ids=SHAPES)
def test_cgroups_of_a_shape_that_none_can_join(web, script):
    """A command may be refused then, in a sentence; the end comes all the same."""
    pid = web.init_pid("acme/web")
    web.exec("acme/web", "/bin/sh", "-c", script, timeout=20)
    result = web.exec("acme/web", "/bin/true", timeout=20)
    assert result.rc == 0 or (result.rc == 125 and result.err.strip()), result
    web.ok("kill", "acme/web")
    ended(web, [pid])


def test_a_storm_of_commands_while_it_is_killed(web):
    """500 commands, of which some have run, some are entering and some come too late."""
    command = [program("croft"), "--host", web.host, "exec", "-T", "acme/web", "--", "/bin/true"]
    web.tenant("calm")
    web.launch("calm/good")

    def enter(_):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                              timeout=120)
        return done.returncode, done.stderr.decode()

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        storm = [pool.submit(enter, i) for i in range(500)]
        wait_until("the first have run", lambda: sum(s.done() for s in storm) > 50, 60)
        pids = web.cgroup("acme/web").processes()
        web.ok("kill", "acme/web", timeout=60)
        assert web.sh("calm/good", "echo served", timeout=60) == "served\n"
        ends = [s.result() for s in storm]
    ended(web, pids)
    ran = [e for e in ends if e[0] == 0]
    refused = [e for e in ends if e[0] != 0]
    assert ran and refused, (len(ran), len(refused))
    for status, words in refused:
        assert status in (125, 128 + 9), (status, words)
        assert status != 125 or len(words.strip().splitlines()) == 1, words
    web.ok("start", "acme/web")
    assert web.sh("acme/web", "echo served") == "served\n"


def test_a_child_that_keeps_a_commands_output_open(web):
    """The command has ended; what it left behind does not hold up whoever asked for it."""
    start = time.monotonic()
    result = web.exec("acme/web", "/bin/sh", "-c", "sleep 1000 & echo told; exit 3", timeout=20)
    assert result.rc == 3 and result.out == "told\n", result
    assert time.monotonic() - start < 10 * PATIENCE
    start = time.monotonic()
    result = web.croft("exec", "-t", "acme/web", "--", "/bin/sh", "-c",
                       "trap '' HUP; setsid sleep 1000 </dev/tty & echo told; exit 3", timeout=20)
    assert result.rc == 3 and "told" in result.out, result
    assert time.monotonic() - start < 10 * PATIENCE


def test_a_command_that_reads_nothing(web):
    """Input that nobody takes is held by whoever sends it, not by the daemon."""
    child = subprocess.Popen(
        [program("croft"), "--host", web.host, "exec", "-T", "acme/web", "--", "/bin/sleep",
         "1000"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        os.set_blocking(child.stdin.fileno(), False)
        before = rss(web.pids["croftd"])
        sent, quiet = 0, time.monotonic()
        while time.monotonic() - quiet < 1 and sent < 64 << 20:
            try:
                sent += os.write(child.stdin.fileno(), bytes(1 << 16))
                quiet = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        assert sent < 8 << 20, sent
        assert rss(web.pids["croftd"]) - before < 8 << 20
        assert web.sh("acme/web", "echo served") == "served\n"
    finally:
        child.kill()
        child.communicate()


def rss(pid):
    return int(kernel.status_field(pid, "VmRSS").split()[0]) << 10


FLOODS = {
    "output": "yes flood >/proc/1/fd/1",
    "console": "yes flood >/dev/console",
    "both, unread": "yes $(head -c 60000 /dev/zero | tr '\\0' x) | tee /dev/console >/proc/1/fd/1",
    "no line ends": "cat /dev/zero >/dev/console",
    "settings of the terminal": "while :; do stty -F /dev/console raw; "
                                "stty -F /dev/console sane; "
                                "printf '\\033[2J\\0' >/dev/console; done",
}


@pytest.mark.parametrize("flood", FLOODS, ids=lambda f: f.replace(" ", "-").replace(",", ""))
def test_floods_are_bounded(web, flood):
    """What is kept of a container's output has an end, and so has the daemon's work on it."""
    before = rss(web.pids["croftd"])
    with web.background_exec("acme/web", "/bin/sh", "-c", FLOODS[flood]):
        end = time.monotonic() + 3
        took = []
        while time.monotonic() < end or len(took) < 5:
            start = time.monotonic()
            assert web.sh("acme/web", "echo served") == "served\n"
            took.append(time.monotonic() - start)
    # A flood holds up whatever is asked meanwhile; a disk that stands still for once, one of them.
    assert sorted(took)[-2] < 3 * SLOWNESS, took
    assert rss(web.pids["croftd"]) - before < 16 << 20
    kept = sum(os.path.getsize(os.path.join(folder, name))
               for folder, _, names in os.walk(f"{web.state}/server") for name in names
               if ".log" in name)
    assert kept < 40 << 20, kept
    web.ok("logs", "acme/web", timeout=30)
    web.ok("kill", "acme/web")
    web.ok("start", "acme/web")
