"""Containers that do nothing are frozen, and thawed by whoever needs them."""

import concurrent.futures
import contextlib
import json
import os
import signal
import time

import pytest

import kernel
from croft_harness import wait_until
from test_hold_thaw import starved
from test_views import LXCFS, lxcfs_of

WAIT = 60


def launch(box, *options, name="acme/web", init=()):
    box.tenant()
    box.launch(name, init=init, options=("--idle-freeze", "1s", *options))


def frozen(box, name="acme/web"):
    info = box.info(name)
    return info["state"] == "FROZEN" and info.get("idle_frozen", False)


def until_frozen(box, name="acme/web"):
    wait_until("it is frozen", lambda: frozen(box, name), WAIT, 0.2)


def told(box, kind):
    return [json.loads(e["details_json"]).get("reason") for e in box.events()
            if e["type"] == f"container.{kind}"]


def ticks(box):
    """How often its init has come round, as the host sees it."""
    with open(f"/proc/{box.init_pid('acme/web')}/root/ticks", encoding="ascii") as f:
        return len(f.read())


@pytest.mark.vm
def test_what_is_idle_stands_still_until_a_command_comes(box):
    launch(box, init=["/bin/sh", "-c", "while echo >>/ticks; do sleep 2; done"])
    until_frozen(box)
    assert "frozen (idle)" in box.ok("list")
    info = box.ok("info", "acme/web")
    assert "frozen (idle)" in info and "frozen now" in info
    before = ticks(box), box.usage("acme/web")["cpu_usec"]
    time.sleep(5)
    assert (ticks(box), box.usage("acme/web")["cpu_usec"]) == before
    # Of a command nobody sees that it was frozen, and as long as it runs it is not.
    with box.background("exec", "-T", "acme/web", "--", "sleep", "1d"):
        wait_until("it runs", lambda: box.info("acme/web")["state"] == "RUNNING", WAIT)
        wait_until("it has come round", lambda: ticks(box) > before[0] + 1, WAIT)
        assert box.info("acme/web")["state"] == "RUNNING"
    assert box.sh("acme/web", "echo here") == "here\n"
    until_frozen(box)
    assert told(box, "frozen")[0] == "idle" and told(box, "thawed")[0] == "exec"


def test_files_are_a_use_too(box, tmp_path):
    launch(box)
    (tmp_path / "a").write_text("words")
    until_frozen(box)
    box.ok("push", str(tmp_path / "a"), "acme/web:/a")
    until_frozen(box)
    box.ok("pull", "acme/web:/a", str(tmp_path / "b"))
    assert (tmp_path / "b").read_text() == "words"


def test_many_commands_come_at_once(box):
    launch(box)
    until_frozen(box)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        said = list(pool.map(lambda i: box.sh("acme/web", f"echo {i}"), range(6)))
    assert said == [f"{i}\n" for i in range(6)]


def test_what_works_is_not_idle(box):
    launch(box, init=["/bin/sh", "-c", "while :; do :; done"])
    time.sleep(4)
    assert box.info("acme/web")["state"] == "RUNNING"
    assert told(box, "frozen") == []


def test_by_hand_means_by_hand(box):
    """What somebody has frozen, also while it was idle, is thawed by nothing else."""
    launch(box)
    until_frozen(box)
    box.ok("freeze", "acme/web")
    assert not frozen(box) and box.info("acme/web")["state"] == "FROZEN"
    box.refused("exec", "-T", "acme/web", "--", "true", match="frozen", rc=125)
    box.ok("thaw", "acme/web")
    until_frozen(box)
    box.ok("thaw", "acme/web")
    assert told(box, "thawed")[-1] == "request"
    until_frozen(box)
    # No longer asked for, it runs.
    box.ok("set", "acme/web", "--idle-freeze", "none")
    wait_until("it runs", lambda: box.info("acme/web")["state"] == "RUNNING", WAIT)
    assert "idle_freeze" not in box.info("acme/web")
    box.ok("set", "acme/web", "--idle-freeze", "1s")
    until_frozen(box)
    box.ok("stop", "acme/web", "--timeout", "1")
    assert box.info("acme/web")["state"] == "STOPPED"


def test_it_outlives_either_daemon(fresh_box):
    box = fresh_box
    box.begin_events()
    launch(box)
    until_frozen(box)
    init = box.init_pid("acme/web")
    box.kill9("croftd")
    box.restart("croftd")
    assert frozen(box)
    box.kill9("supervisor")
    box.restart("supervisor")
    wait_until("it is known", lambda: frozen(box), WAIT)
    assert box.sh("acme/web", "echo here") == "here\n"
    until_frozen(box)
    box.kill9("croftd")
    box.kill9("supervisor")
    box.restart("croftd")
    wait_until("it is known", lambda: frozen(box), WAIT)
    assert box.sh("acme/web", "echo here") == "here\n"
    assert kernel.is_alive(init)


def test_a_suspended_tenant_wakes_nobody(box):
    launch(box)
    until_frozen(box)
    box.ok("tenant", "suspend", "acme", "--reason", "test")
    box.refused("exec", "-T", "acme/web", "--", "true", match="suspended", rc=125)
    assert frozen(box)
    box.ok("tenant", "resume", "acme")
    assert box.sh("acme/web", "echo here") == "here\n"


def test_a_thaw_that_fails_is_tried_again(box):
    """Nobody else would: it is not to be frozen any more."""
    launch(box)
    until_frozen(box)
    box.ok("tenant", "suspend", "acme", "--reason", "test")
    box.ok("set", "acme/web", "--idle-freeze", "none")
    with starved(box):
        box.refused("tenant", "resume", "acme", match="goes on trying")
        assert frozen(box)
    wait_until("it runs", lambda: box.info("acme/web")["state"] == "RUNNING", WAIT)
    assert box.sh("acme/web", "echo here") == "here\n"


@pytest.fixture
def stuck(bare_daemon):
    """Launches acme/web, of which a process waits for a file system that does not answer: it cannot
    be frozen. Returns (daemon, its cgroup)."""
    if not os.access(LXCFS, os.X_OK):
        pytest.skip("lxcfs is not installed")
    bare_daemon.start("--lxcfs", LXCFS)
    bare_daemon.busybox()
    bare_daemon.tenant()
    lxcfs = []

    def begin(*options):
        bare_daemon.launch("acme/web", options=options, init=[
            "/bin/sh", "-c", "until [ -e /go ]; do sleep 0.1; done; cat /proc/meminfo; sleep 1000"])
        lxcfs.append(lxcfs_of(bare_daemon, "acme"))
        os.kill(lxcfs[0], signal.SIGSTOP)
        bare_daemon.sh("acme/web", "touch /go")
        return bare_daemon, bare_daemon.cgroup("acme/web")
    yield begin
    for pid in lxcfs:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def wchan(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/wchan", encoding="ascii") as f:
        return f.read()
    return ""


def test_what_cannot_be_frozen_is_not_left_half_frozen(stuck):
    """Though what was frozen beside it is not thawed at first."""
    box, cgroup = stuck("--idle-freeze", "1s")
    wait_until("it is told to freeze", cgroup.is_told_to_freeze, WAIT, 0.1)
    with starved(box):
        wait_until("it is given up", lambda: box.info("acme/web")["state"] != "FREEZING", WAIT)
        assert cgroup.is_told_to_freeze()
    assert box.exec("acme/web", "/bin/echo", "here").out == "here\n"
    assert not cgroup.is_told_to_freeze()
    assert told(box, "frozen") == told(box, "thawed") == []


def test_what_cannot_be_frozen_by_hand_goes_on(stuck):
    box, cgroup = stuck()
    wait_until("it waits", lambda: any("request_wait_answer" in wchan(pid)
                                       for pid in cgroup.processes()), WAIT)
    box.refused("freeze", "acme/web")
    assert box.info("acme/web")["state"] == "RUNNING"
    assert not cgroup.is_told_to_freeze()
    assert box.exec("acme/web", "/bin/echo", "here").out == "here\n"


def test_what_is_refused(box):
    box.tenant()
    for words, why in ((("--idle-freeze", "2d"), "1 to 86400"), (("--idle-freeze", "x"), "30m")):
        result = box.croft("launch", "busybox", "acme/web", *words)
        assert result.rc in (1, 2) and why in result.err, (words, result)
