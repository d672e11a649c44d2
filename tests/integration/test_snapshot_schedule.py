"""Snapshots by the clock: made, kept so many, gone when they expire; also over restarts."""

import datetime
import json
import re
import time

from croft_harness import wait_until


def names(daemon, name="acme/web"):
    return [s["name"].rpartition("/")[2] for s in daemon.json_lines("snapshot", "list", name)]


def test_made_kept_and_expired(fresh_box):
    box = fresh_box
    box.tenant()
    box.launch("acme/web", options=("--snapshot-every", "10s", "--snapshot-keep", "1"))
    box.ok("create", "busybox", "acme/brief", "--snapshot-every", "10s", "--snapshot-expire",
           "3s")
    info = box.info("acme/web")
    assert info["snapshot_schedule"] == {"every": "10s", "keep": 1}
    assert info["next_snapshot_time"]
    box.ok("snapshot", "create", "acme/web", "mine")
    # What is due while nobody is there is made once.
    box.kill9("croftd")
    box.kill9("supervisor")
    due = datetime.datetime.fromisoformat(info["next_snapshot_time"].replace("Z", "+00:00"))
    wait_until("it is due", lambda: time.time() > due.timestamp() + 0.5, 20)
    box.restart("croftd", "supervisor")
    autos = wait_until("it is made", lambda: [n for n in names(box) if n != "mine"])
    assert len(autos) == 1 and re.fullmatch(r"auto-\d{8}-\d{4}(-\d\d)?", autos[0])
    # Of one look: another may come when it has expired.
    made = wait_until("it is made", lambda: box.json_lines("snapshot", "list", "acme/brief"))[0]
    assert made["automatic"] and made["expire_time"] > made["create_time"]
    wait_until("it has expired", lambda: not names(box, "acme/brief"), 8)
    # The next takes the place of the one before; what somebody made stays.
    wait_until("the next is made", lambda: autos[0] not in names(box), 14)
    # One of its own: there may be two for a moment, where a third is made by now.
    wait_until("the one before is gone", lambda: len(names(box)) == 2 and "mine" in names(box))
    box.ok("set", "acme/web", "--snapshot-every", "none")
    info = box.info("acme/web")
    assert "snapshot_schedule" not in info and "next_snapshot_time" not in info
    wait_until("nothing changes any more", lambda: len(names(box)) == 2)


def test_one_that_goes_by_itself(box):
    box.tenant()
    box.launch("acme/web")
    box.ok("snapshot", "create", "acme/web", "stays")
    # Of brief the answer: it may be no more when it is listed.
    brief = box.json("snapshot", "create", "acme/web", "brief", "--expire", "3s")
    box.ok("snapshot", "create", "acme/web", "long", "--expire", "1d")
    made = {"brief": brief, **{s["name"].rpartition("/")[2]: s
                               for s in box.json_lines("snapshot", "list", "acme/web")}}
    assert "expire_time" not in made["stays"] and "automatic" not in made["brief"]
    assert made["brief"]["expire_time"] > made["brief"]["create_time"]
    # Also when its time comes while nobody is there.
    box.kill9("croftd")
    due = datetime.datetime.fromisoformat(made["brief"]["expire_time"].replace("Z", "+00:00"))
    wait_until("it is due", lambda: time.time() > due.timestamp(), 20)
    box.restart("croftd")
    wait_until("it has gone", lambda: names(box) == ["long", "stays"])
    assert [e["details_json"] for e in box.events() if e["type"] == "snapshot.deleted"
            and '"brief"' in e["details_json"]]
    for wrong in ("0s", "never", "-1d"):
        assert box.croft("snapshot", "create", "acme/web", "x", "--expire", wrong).rc == 2
    box.refused("snapshot", "create", "acme/web", "x", "--expire", "9999d", match="ten years")
    box.ok("delete", "--force", "acme/web")


def test_what_makes_no_sense_is_refused(box):
    box.tenant()
    box.ok("create", "busybox", "acme/web")
    box.refused("set", "acme/web", "--snapshot-every", "1s",
                match="^croft: how often a snapshot is made is given in whole seconds, at least 10")
    box.refused("set", "acme/web", "--snapshot-every", "1d", "--snapshot-keep", "101",
                match="at most 100")
    for wrong in (("--snapshot-keep", "3"), ("--snapshot-every", "often"),
                  ("--snapshot-every", "-1d"),
                  ("--snapshot-every", "none", "--snapshot-keep", "3"),
                  ("--snapshot-every", "none", "--snapshot-expire", "3d")):
        result = box.croft("set", "acme/web", *wrong)
        assert result.rc == 2 and "--snapshot-" in result.err, result
    box.ok("set", "acme/web", "--snapshot-every", "1d", "--snapshot-expire", "30d")
    info = box.info("acme/web")
    assert info["snapshot_schedule"] == {"every": "86400s", "keep": 7, "expire": "2592000s"}
    changed = [e for e in box.events() if e["type"] == "container.updated"][-1]
    assert json.loads(changed["details_json"])["changes"]["snapshot_schedule"] == {
        "old": "", "new": "every 1d, 7 kept for 30d"}
    assert changed["message"].endswith("snapshot_schedule none to every 1d, 7 kept for 30d")
    # It is part of what a copy is.
    box.ok("copy", "acme/web", "acme/twin")
    assert box.info("acme/twin")["snapshot_schedule"] == info["snapshot_schedule"]
