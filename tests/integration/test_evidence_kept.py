"""Under a hold for abuse nothing ends files of the tenant by itself: they may be evidence."""

import os
import signal

import pytest

from croft_harness import wait_until
from test_snapshot_schedule import names


def suspend(box):
    box.ok("tenant", "suspend", "acme", "--type", "abuse")


def resume(box):
    box.ok("tenant", "resume", "acme", "--type", "abuse")


def test_what_an_operator_deletes_is_meant(box):
    box.tenant()
    box.ok("create", "busybox", "acme/web")
    for name in ("one", "two"):
        box.ok("snapshot", "create", "acme/web", name)
        box.ok("volume", "create", f"acme/{name}")
    suspend(box)
    for words in (("snapshot", "delete", "acme/web", "one"), ("volume", "delete", "acme/one")):
        box.refused(*words, match="may be evidence")
        box.ok(*words, "--force")
    # Under another hold nobody asks.
    box.ok("tenant", "suspend", "acme", "--type", "billing")
    resume(box)
    box.ok("snapshot", "delete", "acme/web", "two")
    box.ok("volume", "delete", "acme/two")
    assert not names(box) and not box.json_lines("volume", "list", "acme")


def test_snapshots_stay_until_it_is_over(box):
    box.tenant()
    box.tenant("calm")
    for name in ("acme/web", "calm/web"):
        box.ok("create", "busybox", name)
    box.ok("snapshot", "create", "acme/web", "brief", "--expire", "10s")
    suspend(box)
    # One of somebody whom nobody holds tells when it is due.
    box.ok("snapshot", "create", "calm/web", "brief", "--expire", "10s")
    wait_until("that of another has expired", lambda: not names(box, "calm/web"), 40)
    assert names(box) == ["brief"]
    resume(box)
    wait_until("it has gone", lambda: not names(box), 10)


def ephemeral(box, name="acme/once"):
    box.launch(name, options=["--ephemeral"])
    box.sh(name, "echo kept >/kept")


def gone(box, name="acme/once"):
    return box.croft("info", name).rc == 1


@pytest.mark.parametrize("how", ["stop", "kill", "SIGKILL"])
def test_an_ephemeral_container_stays_until_it_is_over(box, how):
    box.tenant()
    ephemeral(box)
    init = box.init_pid("acme/once")
    suspend(box)
    box.ok("tenant", "suspend", "acme", "--type", "billing")
    if how == "SIGKILL":
        os.kill(init, signal.SIGKILL)
    else:
        box.ok(how, "acme/once")
    box.wait_state("acme/once", "STOPPED", 30)
    box.ok("export", "acme/once", f"{box.base}/{how}")
    box.refused("delete", "acme/once", match="may be evidence")
    # Another hold keeps down what comes back, and this does not.
    resume(box)
    wait_until("it has gone", lambda: gone(box), 30)


def test_an_ephemeral_container_outlives_the_host(fresh_box):
    box = fresh_box
    box.tenant()
    ephemeral(box)
    box.launch("acme/other", options=["--ephemeral"])
    suspend(box)
    box.shutdown()
    box.start()
    for name in ("acme/once", "acme/other"):
        assert box.info(name)["state"] == "STOPPED"
    box.ok("delete", "--force", "acme/other")
    resume(box)
    wait_until("it has gone", lambda: gone(box), 30)
