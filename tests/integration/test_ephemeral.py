"""Ephemeral containers go with their run, whoever was killed when it ended; and what comes back
after the host has booted, and what does not."""

import os
import shutil
import signal
import sqlite3

from croft_harness import wait_until

WAIT = 60


def launch(box, name="acme/web"):
    box.tenant()
    box.ok("launch", "busybox", name, "--ephemeral", "--", "/bin/sleep", "1d")


def until_gone(box, name="acme/web"):
    wait_until("it is deleted", lambda: box.croft("info", name).rc == 1, WAIT, 0.1)
    assert not box.cgroup(name).exists()


def told(box):
    return [e["type"].removeprefix("container.") for e in box.events()
            if e["resource"].endswith("/web")]


def test_goes_when_it_is_stopped(box):
    launch(box)
    box.ok("stop", "acme/web", "--timeout", "1")
    until_gone(box)
    assert told(box)[-2:] == ["ended", "deleted"]
    # Its name is free, and what it used stays on the tenant's bill.
    assert box.usage("acme")["cpu_usec"] > 0
    box.launch("acme/web")


def test_goes_when_it_ended_while_croftd_was_dead(fresh_box):
    box = fresh_box
    box.begin_events()
    launch(box)
    init = box.init_pid("acme/web")
    box.kill9("croftd")
    os.kill(init, signal.SIGKILL)
    box.restart("croftd")
    until_gone(box)
    assert told(box)[-2:] == ["ended", "deleted"]


def test_goes_when_both_daemons_were_dead(fresh_box):
    box = fresh_box
    box.begin_events()
    launch(box)
    init = box.init_pid("acme/web")
    for daemon in ("croftd", "supervisor"):
        box.kill9(daemon)
    os.kill(init, signal.SIGKILL)
    box.restart("croftd")
    until_gone(box)
    assert told(box)[-2:] == ["ended", "deleted"]


def boot(box, *names):
    """What a host that went down and came up again leaves: other processes, no memory of the
    supervisor's, and another boot in the database than the present one."""
    inits = [box.init_pid(name) for name in names]
    for daemon in ("croftd", "supervisor"):
        box.kill9(daemon)
    for init in inits:
        os.kill(init, signal.SIGKILL)
    shutil.rmtree(f"{box.state}/supervisor/runs")
    state = sqlite3.connect(f"{box.state}/server/croft.db", timeout=20)
    other = "00000000-0000-4000-8000-000000000000"
    with state:
        state.execute("UPDATE runs SET boot_id=?", (other,))
        state.execute("UPDATE settings SET value=? WHERE key='autostart_boot'", (other,))
    state.close()
    box.restart("croftd")


def test_who_comes_back_with_the_host(fresh_box):
    box = fresh_box
    box.begin_events()
    launch(box)
    box.launch("acme/plain")
    box.launch("acme/again", options=["--restart", "on-failure"])
    box.launch("acme/auto", options=["--autostart", "on"])
    box.ok("create", "busybox", "acme/idle", "--autostart", "on")
    boot(box, "acme/web", "acme/plain", "acme/again", "acme/auto")
    until_gone(box)
    assert told(box)[-2:] == ["ended", "deleted"]
    for name in ("acme/again", "acme/auto", "acme/idle"):
        box.wait_state(name, "RUNNING", WAIT)
    plain = box.info("acme/plain")
    assert plain["state"] == "STOPPED" and plain["run"]["exit"]["kind"] == "UNKNOWN"
