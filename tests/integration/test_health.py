"""Health checks: what a container says of itself, and what follows from it."""

import json
import time

import pytest

import kernel
from croft_harness import wait_until

# A check is good as long as this file is there.
CHECK = "echo looking; cat /ok && echo fine"
EVERY = ("--health-interval", "1s", "--health-retries", "2")
WAIT = 60


def health(box, name="acme/web"):
    info = box.info(name)
    return info.get("health"), info.get("health_output", "")


def told(box):
    return [e["type"].removeprefix("container.") for e in box.events()
            if e["type"] in ("container.healthy", "container.unhealthy")]


def until_told(box, *states):
    """What is shown is a moment ahead of what is on record."""
    wait_until(f"{states} were told", lambda: told(box) == list(states), WAIT, 0.2)


def until(box, state):
    wait_until(f"it is {state}", lambda: health(box)[0] == state, WAIT, 0.2)


def launch(box, *options, check=CHECK, init=()):
    box.tenant()
    box.launch("acme/web", init=init, options=("--health-cmd", check, *EVERY, *options))


def next_run(box, before):
    return wait_until("another run is there", lambda: (i := box.info("acme/web")) and
                      i.get("state") == "RUNNING" and i["run"]["id"] != before and i, WAIT, 0.2)


@pytest.mark.vm
def test_it_follows_what_the_check_says(box):
    box.tenant()
    box.launch("acme/web")
    assert health(box) == (None, "")
    box.sh("acme/web", "touch /ok")
    box.ok("set", "acme/web", "--health-cmd", CHECK, *EVERY)
    until(box, "HEALTHY")
    assert health(box)[1] == "fine"
    assert box.json_lines("list")[0]["health"] == "HEALTHY"
    box.sh("acme/web", "rm /ok")
    until(box, "UNHEALTHY")
    state, output = health(box)
    assert "No such file" in output, output
    info = box.ok("info", "acme/web")
    assert "unhealthy (" in info and "running (unhealthy)" in info
    assert "running (unhealthy)" in box.ok("list")
    box.sh("acme/web", "touch /ok")
    until(box, "HEALTHY")
    until_told(box, "healthy", "unhealthy", "healthy")
    # Without a restart asked for, nothing was done.
    box.ok("set", "acme/web", "--health-cmd", "none")
    assert health(box) == (None, "")
    changes = [json.loads(e["details_json"])["changes"]["health_check"] for e in box.events()
               if e["type"] == "container.updated"]
    assert len(changes) == 2 and changes[0]["old"] == changes[1]["new"] == ""
    assert changes[0]["new"] == changes[1]["old"] == f"every 1s, timeout 30s, 2 retries: {CHECK}"


def test_an_unhealthy_one_is_started_again(box):
    """Whatever the restart policy says; and its files are as they were."""
    launch(box, "--health-restart", check="test ! -e /ill && echo well", init=["/bin/sleep", "1d"])
    until(box, "HEALTHY")
    run = box.info("acme/web")["run"]["id"]
    # Its init ends by SIGKILL only, after ten seconds; by then it is to be well.
    box.sh("acme/web", "touch /ill; echo kept > /file")
    until(box, "UNHEALTHY")
    wait_until("it is being ended", lambda: box.info("acme/web")["state"] != "RUNNING", WAIT)
    next_run(box, run)
    assert box.sh("acme/web", "rm -f /ill; cat /file") == "kept\n"
    until(box, "HEALTHY")
    due = [json.loads(e["details_json"]) for e in box.events()
           if e["type"] == "container.restart_due"]
    assert due and due[0]["attempt"] == 1
    # Somebody's stop counts more.
    box.ok("kill", "acme/web")
    assert box.info("acme/web")["state"] == "STOPPED"
    assert "restart_time" not in box.info("acme/web")


def test_one_that_stays_ill_is_started_less_and_less_often(box):
    launch(box, "--health-restart", check="false", init=["/bin/sh", "-c", "exit_on_term() { exit 0;"
           " }; trap exit_on_term TERM; while :; do sleep 0.2; done"])
    wait_until("it was restarted twice", lambda: len(
        [e for e in box.events() if e["type"] == "container.restart_due"]) >= 3, WAIT, 0.2)
    due = [json.loads(e["details_json"]) for e in box.events()
           if e["type"] == "container.restart_due"]
    assert [(d["attempt"], d["seconds"]) for d in due[:3]] == [(1, 1), (2, 2), (3, 4)]
    # A stop of what waits for its restart ends that.
    wait_until("it was stopped", lambda: box.croft("kill", "acme/web").rc == 0, WAIT)
    assert "restart_time" not in box.info("acme/web")


def test_failures_of_the_start_period_do_not_count(box):
    launch(box, "--health-start-period", "1h")
    wait_until("it was asked", lambda: health(box)[1], WAIT)
    time.sleep(3)
    assert health(box)[0] == "HEALTH_STARTING" and told(box) == []
    box.sh("acme/web", "touch /ok")
    until(box, "HEALTHY")
    # With the first good answer the period is over.
    box.sh("acme/web", "rm /ok")
    until(box, "UNHEALTHY")


def test_one_that_does_not_end_is_killed(box):
    launch(box, "--health-timeout", "1s", check="echo begun; exec sleep 987654")
    until(box, "UNHEALTHY")
    assert health(box)[1] == "it did not end within 1 s"
    # One at a time, and each is gone: at most the next is there.
    assert box.sh("acme/web", "ps -o args | grep -c '^slee[p] 987654' || true") in ("0\n", "1\n")


def test_output_without_end_is_bounded(box):
    """It is read no further than a pipe holds, and is late."""
    launch(box, "--health-timeout", "2s", check="yes")
    pid = box.pid("croftd")
    before = kernel_ticks(pid)
    until(box, "UNHEALTHY")
    assert kernel_ticks(pid) - before < 2 * 100
    assert len(health(box)[1]) <= 200


def kernel_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_a_frozen_one_is_not_asked(box):
    launch(box)
    box.sh("acme/web", "touch /ok")
    until(box, "HEALTHY")
    box.sh("acme/web", "rm /ok")
    until(box, "UNHEALTHY")
    box.sh("acme/web", "touch /ok")
    until(box, "HEALTHY")
    box.ok("freeze", "acme/web")
    time.sleep(4)
    assert health(box)[0] == "HEALTHY"
    box.ok("thaw", "acme/web")
    box.sh("acme/web", "rm /ok")
    until(box, "UNHEALTHY")
    until_told(box, *["healthy", "unhealthy"] * 2)


def test_it_outlives_either_daemon(fresh_box):
    """The state is on record: it is not told twice."""
    box = fresh_box
    box.begin_events()
    launch(box)
    box.sh("acme/web", "touch /ok")
    until(box, "HEALTHY")
    init = box.init_pid("acme/web")
    box.kill9("croftd")
    box.restart("croftd")
    assert box.info("acme/web")["health_check"]["retries"] == 2
    wait_until("it was asked again", lambda: health(box) == ("HEALTHY", "fine"), WAIT)
    until_told(box, "healthy")
    box.kill9("supervisor")
    box.restart("supervisor")
    box.sh("acme/web", "rm /ok")
    until(box, "UNHEALTHY")
    until_told(box, "healthy", "unhealthy")
    assert kernel.is_alive(init)


def test_a_restart_that_is_under_way_goes_on_after_kill_9(fresh_box):
    """Its init takes no signal, so croftd dies while it waits for the end."""
    box = fresh_box
    box.begin_events()
    launch(box, "--health-restart", check="test ! -e /ill",
           init=["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
    until(box, "HEALTHY")
    before = box.info("acme/web")["run"]["id"]
    box.sh("acme/web", "touch /ill")
    wait_until("it is being ended", lambda: box.info("acme/web")["state"] == "STOPPING", WAIT)
    until_told(box, "healthy", "unhealthy")
    box.kill9("croftd")
    box.restart("croftd")
    next_run(box, before)
    assert told(box)[:2] == ["healthy", "unhealthy"]


def test_what_is_refused(box):
    box.tenant()
    for words, why in ((("--health-cmd", "true", "--health-interval", "2d"), "every 1 to 86400"),
                       (("--health-interval", "10s"), "goes with --health-cmd"),
                       (("--health-cmd", "x" * 513), "at most 512 bytes"),
                       (("--health-cmd", "true", "--health-retries", "101"), "at most 100"),
                       (("--health-cmd", "true", "--health-timeout", "6m"), "1 to 300"),
                       (("--ephemeral", "--health-cmd", "true", "--health-restart"),
                        "ephemeral")):
        result = box.croft("launch", "busybox", "acme/web", *words)
        assert result.rc in (1, 2) and why in result.err, (words, result)
