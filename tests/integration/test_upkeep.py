"""What croftd does unasked: restarts with growing pauses, and starting in order."""

import json
import os
import signal
import time

from croft_harness import wait_until


def runs(daemon, name):
    return daemon.info(name).get("run", {}).get("id")


def next_run(daemon, name, before, seconds=10):
    return wait_until(
        f"{name} runs again",
        lambda: (i := daemon.info(name)).get("state") == "RUNNING" and i["run"]["id"] != before
        and i, seconds)


def due(daemon, name):
    short = "/" + name.split("/")[1]
    return [json.loads(e["details_json"]) for e in daemon.events()
            if e["type"] == "container.restart_due" and e["resource"].endswith(short)]


def make(daemon, name, script, *options):
    daemon.ok("launch", "busybox", name, *options, "--", "/bin/sh", "-c", script)


class TestRestart:
    def test_what_fails_comes_back_with_growing_pauses(self, box):
        box.tenant()
        make(box, "acme/web", "exit 3", "--restart", "on-failure")
        wait_until("it was restarted twice", lambda: len(due(box, "acme/web")) >= 3, 20)
        told = due(box, "acme/web")
        assert [d["attempt"] for d in told[:3]] == [1, 2, 3]
        assert [d["seconds"] for d in told[:3]] == [1, 2, 4]
        info = box.info("acme/web")
        assert info["restart_policy"] == "ON_FAILURE"
        assert "on-failure" in box.ok("info", "acme/web")
        # Stopping it ends that, and says so no more.
        if info["state"] == "STOPPED":
            assert "restart_time" in info
            box.ok("stop", "acme/web")
        else:
            box.ok("kill", "acme/web")
        last = runs(box, "acme/web")
        assert "restart_time" not in box.info("acme/web")
        time.sleep(1.5)
        assert runs(box, "acme/web") == last
        box.refused("stop", "acme/web", match="not running")

    def test_which_ends_are_followed(self, box):
        box.tenant()
        make(box, "acme/good", "exit 0", "--restart", "on-failure")
        make(box, "acme/all", "sleep 0.3; exit 0", "--restart", "always")
        make(box, "acme/killed", "sleep 1000", "--restart", "on-failure")
        box.launch("acme/off", options=["--restart", "always"])
        first = {n: runs(box, n) for n in ("acme/all", "acme/killed", "acme/off")}
        box.exec("acme/off", "/sbin/poweroff", "-f")
        os.kill(box.init_pid("acme/killed"), signal.SIGKILL)
        next_run(box, "acme/killed", first["acme/killed"])
        wait_until("another run of it", lambda: runs(box, "acme/all") != first["acme/all"])
        box.wait_state("acme/off", "STOPPED")
        assert not due(box, "acme/off") and not due(box, "acme/good")
        assert runs(box, "acme/off") == first["acme/off"]
        # Asked for, an end is an end.
        second = runs(box, "acme/killed")
        box.ok("kill", "acme/killed")
        time.sleep(1.5)
        assert runs(box, "acme/killed") == second
        assert box.info("acme/killed")["state"] == "STOPPED"

    def test_is_changed_live(self, box):
        box.tenant()
        make(box, "acme/web", "sleep 1000")
        assert box.info("acme/web")["restart_policy"] == "NEVER"
        box.ok("set", "acme/web", "--restart", "always", "--autostart", "on",
               "--autostart-order", "7")
        info = box.info("acme/web")
        assert (info["restart_policy"], info["autostart"], info["autostart_order"]) == (
            "ALWAYS", True, 7)
        event = next(e for e in box.events() if e["type"] == "container.updated")
        changes = json.loads(event["details_json"])["changes"]
        assert changes["restart_policy"] == {"old": "never", "new": "always"}
        assert box.croft("set", "acme/web", "--restart", "perhaps").rc == 2
        assert box.croft("set", "acme/web", "--autostart-order", "10000").rc == 2
        box.refused("launch", "busybox", "acme/x", "--ephemeral", "--restart", "always",
                    match="ephemeral")
        box.ok("set", "acme/web", "--restart", "never")
        assert box.info("acme/web")["restart_policy"] == "NEVER"

    def test_a_suspended_tenant_is_waited_for(self, box):
        box.tenant()
        make(box, "acme/web", "sleep 0.5; exit 1", "--restart", "always")
        before = runs(box, "acme/web")
        wait_until("it is due", lambda: due(box, "acme/web"))
        box.ok("tenant", "suspend", "acme", "--reason", "test")
        time.sleep(1.5)
        assert runs(box, "acme/web") == before
        assert not [e for e in box.events() if e["type"] == "container.start_failed"]
        box.ok("tenant", "resume", "acme")
        wait_until("it runs again", lambda: runs(box, "acme/web") != before, 20)

    def test_outlives_croftd(self, fresh_box):
        daemon = fresh_box
        daemon.begin_events()
        daemon.tenant()
        make(daemon, "acme/web", "exit 1", "--restart", "always")
        wait_until("a long pause", lambda: len(due(daemon, "acme/web")) >= 3, 20)
        before = runs(daemon, "acme/web")
        daemon.kill9("croftd")
        daemon.restart("croftd")
        wait_until("it runs again", lambda: runs(daemon, "acme/web") != before, 10)

    def test_what_died_with_the_supervisor_comes_back(self, fresh_box):
        daemon = fresh_box
        daemon.tenant()
        make(daemon, "acme/web", "sleep 1000", "--restart", "on-failure")
        before = daemon.info("acme/web")["run"]
        daemon.kill9("croftd")
        daemon.kill9("supervisor")
        os.kill(before["host_pid"], signal.SIGKILL)
        daemon.restart("croftd")
        next_run(daemon, "acme/web", before["id"])


class TestAutostart:
    def test_starts_in_order_after_a_shutdown(self, fresh_box):
        daemon = fresh_box
        daemon.tenant()
        for name, order in (("acme/c", 3), ("acme/a", 30), ("acme/b1", 20), ("acme/b2", 20)):
            daemon.ok("create", "busybox", name, "--autostart", "on", "--autostart-order",
                      str(order))
        daemon.launch("acme/other")
        daemon.ok("start", "acme/c")
        daemon.shutdown()
        daemon.start()
        daemon.begin_events()
        for name in ("acme/a", "acme/b1", "acme/b2", "acme/c"):
            daemon.wait_state(name, "RUNNING")
        assert daemon.info("acme/other")["state"] == "STOPPED"
        started = [e["resource"].rsplit("/", 1)[1] for e in daemon.events("--after", "0")
                   if e["type"] == "container.started"][-4:]
        assert started[0] == "c" and started[3] == "a" and set(started[1:3]) == {"b1", "b2"}

    def test_is_once_a_boot(self, fresh_box):
        """What its owner has stopped since stays down when only croftd starts anew."""
        daemon = fresh_box
        daemon.tenant()
        daemon.launch("acme/web", options=["--autostart", "on"])
        daemon.ok("stop", "--timeout", "0", "acme/web")
        for _ in range(2):
            daemon.terminate("croftd")
            daemon.restart("croftd")
            time.sleep(0.3)
            assert daemon.info("acme/web")["state"] == "STOPPED"

    def test_one_that_cannot_start_does_not_hold_up_the_others(self, fresh_box):
        daemon = fresh_box
        daemon.tenant()
        daemon.tenant("globex")
        daemon.ok("create", "busybox", "acme/web", "--autostart", "on")
        daemon.ok("create", "busybox", "globex/web", "--autostart", "on", "--autostart-order", "1")
        daemon.ok("tenant", "suspend", "acme", "--reason", "unpaid")
        daemon.shutdown()
        daemon.start()
        daemon.wait_state("globex/web", "RUNNING")
        assert daemon.info("acme/web")["state"] == "STOPPED"
        daemon.ok("tenant", "resume", "acme")
        daemon.wait_state("acme/web", "RUNNING", 20)
