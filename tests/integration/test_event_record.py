"""The record of events: bounded, fair to who is quiet, and honest to who comes too late; and who
asked for what is on it."""

import contextlib
import json
import os
import signal
import sqlite3

import h2.settings
import pytest

import grpc_wire
from croft_harness import from_json, wait_until
from old_state import undo_from

LOUD, CALM = 4601, 4602
KEPT = 100
DAY_USEC = 86400 * 10**6


def listed(box, *options, uid=None):
    """What `croft events` prints, as a user of the host."""
    return box.json_lines("events", *options, uid=uid)


def number(event):
    return int(event.get("number", 0))


def on_record(box):
    with contextlib.closing(sqlite3.connect(f"{box.state}/server/croft.db")) as state:
        return state.execute("SELECT count(*) FROM events").fetchone()[0]


def two_tenants(box):
    for name, uid in (("loud", LOUD), ("calm", CALM)):
        box.tenant(name)
        box.ok("tenant", "bind", name, str(uid))
        box.launch(f"{name}/web")
    box.ok("tenant", "suspend", "loud", "--reason", "unpaid")
    box.ok("tenant", "resume", "loud")


def make_noise(box, times):
    """Events of a tenant, by what its user may do."""
    for _ in range(times):
        box.ok("freeze", "loud/web", uid=LOUD)
        box.ok("thaw", "loud/web", uid=LOUD)


def noise_is_dropped(box):
    make_noise(box, 70)
    wait_until("what is too much is gone", lambda: on_record(box) <= KEPT, 60)


@pytest.mark.vm
def test_who_is_loud_loses_its_own(bare_daemon):
    box = bare_daemon
    box.start("--event-count", str(KEPT))
    box.busybox()
    two_tenants(box)
    for uid in (LOUD, CALM):
        box.ok("list", uid=uid)
    calm = listed(box, uid=CALM)
    cursor = number(listed(box)[-1])
    noise_is_dropped(box)
    # The quiet one has all it had, and nothing is said to it.
    assert listed(box, uid=CALM) == calm
    # The loud one's own youngest are kept, and all that operators did to it.
    marker, *left = listed(box, uid=LOUD)
    assert marker["type"] == "events.dropped" and number(marker) == 0
    assert marker["resource"] == "tenants/loud" and "no longer kept" in marker["message"]
    kinds = [e["type"] for e in left]
    assert "tenant.suspended" in kinds and "tenant.resumed" in kinds
    assert kinds[-2:] == ["container.frozen", "container.thawed"]
    through = json.loads(marker["details_json"])["through"]
    assert [number(e) for e in left] == sorted({number(e) for e in left})
    freezes = [number(e) for e in left if e["type"] == "container.frozen"]
    assert cursor < through < min(freezes)
    # Whoever had read up to a number is told that it missed some, and then goes on.
    marker, *left = listed(box, "--after", str(cursor))
    assert marker["type"] == "events.dropped" and number(marker) == cursor
    assert json.loads(marker["details_json"]) == {"through": through}
    assert number(left[0]) > through
    last = number(left[-1])
    assert [number(e) for e in left] == list(range(number(left[0]), last + 1))
    # Who came in time is told nothing; and numbers go on through a restart.
    assert listed(box, "--after", str(through)) == left
    box.kill9("croftd")
    box.restart("croftd")
    box.ok("tenant", "set", "calm", "--pids", "77")
    assert number(listed(box, "--after", str(last))[0]) == last + 1
    assert "no longer kept" in box.ok("events").splitlines()[0]


def test_a_number_that_is_yet_to_come_is_refused(box):
    """It is another croftd's, or of before a backup was restored: whoever waited behind it would
    never hear of what happens until then."""
    box.tenant()
    box.ok("tenant", "bind", "acme", str(CALM))
    last = number(listed(box)[-1])
    for after in (last + 1000, 2**63, 2**64 - 1):
        for more in ((), ("--follow",)):
            box.refused("events", "--after", str(after), *more, match="no event with that number")
    box.refused("events", "--after", str(2**63), uid=CALM, match="no event with that number")
    # The last is anybody's cursor, a tenant's too who has seen none of the others'.
    last = number(listed(box)[-1])
    assert listed(box, "--after", str(last)) == listed(box, "--after", str(last), uid=CALM) == []


def test_a_follower_goes_on_where_it_was(fresh_box):
    """It is killed, and so is croftd, while events go on: it sees each once, in order."""
    box = fresh_box
    two_tenants(box)
    seen, cursor = [], 0
    for _ in range(3):
        make_noise(box, 3)
        with box.background("-o", "json", "events", "--follow", "--after", str(cursor)) as follower:
            seen += [from_json(follower.stdout.readline()) for _ in range(4)]
        cursor = number(seen[-1])
        make_noise(box, 3)
        box.kill9("croftd")
        box.restart("croftd")
    seen += listed(box, "--after", str(cursor))
    assert [number(e) for e in seen] == list(range(1, len(seen) + 1))
    assert seen == listed(box)


def lanes(state):
    return dict(state.execute("SELECT lane, n FROM event_lanes"))


def as_then(event):
    """Who asked was not on record, nor what an operator alone is told."""
    return {k: v for k, v in event.items() if not k.startswith("actor") and k != "details_json"}


def test_an_older_record_is_kept_with_its_numbers(bare_daemon):
    """Of a croftd that had no lanes: a cursor of then still holds, each event counts in the lane
    that it belongs to, and who is loud still pushes out nobody else's."""
    box = bare_daemon
    box.start("--event-count", str(KEPT))
    box.busybox()
    two_tenants(box)
    make_noise(box, 5)
    before = listed(box)
    cursor = number(before[len(before) // 2])
    box.kill9("croftd")
    with contextlib.closing(sqlite3.connect(f"{box.state}/server/croft.db")) as state:
        had = lanes(state)
        undo_from(state, "event_lanes")
        state.commit()
    box.restart("croftd")

    known = [as_then(e) for e in before]
    after = listed(box)
    assert [as_then(e) for e in after[:len(known)]] == known
    assert not any(e.get("actor") for e in after[:len(known)])
    assert as_then(listed(box, "--after", str(cursor))[0]) == known[len(known) // 2 + 1]
    with contextlib.closing(sqlite3.connect(f"{box.state}/server/croft.db")) as state:
        counted = dict(state.execute("SELECT lane, count(*) FROM events GROUP BY lane"))
        assert lanes(state) == counted
        of_operators = [lane for lane in had if lane.endswith("!")]
        assert of_operators and all(counted[lane] for lane in of_operators)
    noise_is_dropped(box)
    kept = {number(e) for e in listed(box)}
    assert {number(e) for e in known if e.get("tenant") == "calm"} <= kept
    assert {number(e) for e in known if e["type"] in ("tenant.suspended", "tenant.resumed")} <= kept


class SlowReader:
    """A client of ListEvents with the smallest of windows, that reads when it is told to."""

    def __init__(self, box):
        self.raw = grpc_wire.Raw(box.socket)
        self.raw.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 512})
        self.raw.flush()
        self.stream = self.raw.headers({":path": "/croft.v1.Events/ListEvents"})
        self.raw.data(self.stream, grpc_wire.frame(b""), end=True)

    def read(self):
        """All events, to the end of the stream."""
        reply = self.raw.reply(self.stream)
        assert reply["status"] == 0, reply
        data = reply["data"]
        kind = grpc_wire.message("croft.v1.Event")
        while data:
            size = 5 + int.from_bytes(data[1:5], "big")
            yield kind.FromString(data[5:size])
            data = data[size:]


def test_a_slow_reader_is_told_what_it_missed(bare_daemon):
    """What it had not taken is dropped between its beginning and its end."""
    box = bare_daemon
    box.start("--event-count", str(KEPT), "--sample-interval", "2")
    box.tenant("loud")
    box.terminate("croftd")
    with contextlib.closing(sqlite3.connect(f"{box.state}/server/croft.db")) as state:
        uid, = state.execute("SELECT uid FROM tenants").fetchone()
        first, = state.execute("SELECT max(number) + 1 FROM events").fetchone()
        state.executemany(
            "INSERT INTO events (number, wall, type, tenant_uid, tenant, resource, run_id, message,"
            " details, lane) VALUES (?, 1, 'container.oom', ?, 'loud', 'r', '', ?, '{}', ?)",
            [(n, uid, "m" * 400, uid) for n in range(first, 5000)])
        state.commit()
    box.restart("croftd")
    reader = SlowReader(box)
    wait_until("what is too much is gone", lambda: on_record(box) <= KEPT, 60)
    before, missed, n = 0, 0, 0
    for event in reader.read():
        if event.type == "events.dropped":
            assert event.number == before
            missed = json.loads(event.details_json)["through"]
        else:
            assert event.number == before + 1 or before < event.number - 1 <= missed, event
            before = event.number
            n += 1
    assert before >= 4999 and missed and KEPT <= n < 4999


def test_the_old_go(bare_daemon):
    box = bare_daemon
    box.start("--event-days", "2", "--sample-interval", "0.1")
    box.busybox()
    box.tenant()
    box.launch("acme/web")
    old = number(listed(box)[-1])
    box.terminate("croftd")
    with contextlib.closing(sqlite3.connect(f"{box.state}/server/croft.db")) as state:
        state.execute("UPDATE events SET wall = wall - ?", (3 * DAY_USEC,))
        state.commit()
    box.restart("croftd")
    box.ok("tenant", "set", "acme", "--pids", "99")
    wait_until("the old are gone", lambda: listed(box)[0]["type"] == "events.dropped", 60)
    marker, *left = listed(box)
    assert json.loads(marker["details_json"]) == {"through": old}
    assert [number(e) for e in left] == list(range(old + 1, old + 1 + len(left)))
    assert "tenant.updated" in [e["type"] for e in left]


def test_who_asked(fresh_box):
    box = fresh_box
    box.tenant("calm")
    box.ok("tenant", "bind", "calm", str(CALM))
    box.ok("launch", "busybox", "calm/web", "--pids", "20", uid=CALM)
    box.ok("set", "calm/web", "--pids", "30", uid=CALM)
    box.ok("set", "calm/web", "--pids", "40")
    box.ok("kill", "calm/web", uid=CALM)

    def who(uid, event):
        return [(e.get("actor", ""), e.get("actor_role", "")) for e in listed(box, uid=uid)
                if e["type"] == event]

    mine = (f"uid:{CALM}", "tenant")
    assert who(None, "tenant.created") == [("uid:0", "operator")]
    assert who(None, "container.created") == [mine]
    assert who(None, "container.updated") == [mine, ("uid:0", "operator")]
    # A tenant learns that it was an operator, and not which user of the host that is.
    assert who(CALM, "container.updated") == [mine, ("", "operator")]
    assert who(CALM, "tenant.created") == [("", "operator")]
    wait_until("it has ended", lambda: who(None, "container.ended"))
    assert who(None, "container.started") == [mine]
    assert who(None, "container.ended") == [mine]
    # Nobody asks for an end that comes by itself, nor is it put down to who asked for the last.
    box.ok("start", "calm/web")
    with contextlib.suppress(ProcessLookupError):
        os.kill(box.info("calm/web")["run"]["host_pid"], signal.SIGKILL)
    wait_until("it has ended", lambda: len(who(None, "container.ended")) == 2)
    assert who(None, "container.ended") == [mine, ("", "")]
    box.ok("start", "calm/web")
    box.ok("delete", "--force", "calm/web")
    assert who(None, "container.ended")[2:] == [("uid:0", "operator")]
    assert who(None, "container.deleted") == [("uid:0", "operator")]


def of_kind(box, kind, uid=None):
    return [e for e in listed(box, uid=uid) if e["type"] == kind]


def test_logins(fresh_box):
    """Who comes is told once, until it has been away; and who is nobody, a few times in all."""
    box = fresh_box
    box.tenant("calm")
    box.ok("tenant", "bind", "calm", str(CALM))
    for _ in range(3):
        box.ok("list", uid=CALM)
    first, = of_kind(box, "login.accepted", uid=CALM)
    assert (first["resource"], first["actor"]) == ("tenants/calm", f"uid:{CALM}")
    operators = [e for e in of_kind(box, "login.accepted") if e["resource"] == "host"]
    assert [e["actor"] for e in operators] == ["uid:0"]
    for _ in range(30):
        box.refused("list", uid=LOUD, match="bound to no tenant")
    told = of_kind(box, "login.refused")
    assert 1 <= len(told) <= 6
    assert {e["actor"] for e in told} == {f"uid:{LOUD}"}
    # What is not told yet is not lost: the next one that is told counts it.
    assert json.loads(told[0]["details_json"])["count"] == 1
    assert not of_kind(box, "login.refused", uid=CALM)


def entered(box, uid=None):
    found = [0, 0]
    for event in of_kind(box, "container.entered", uid=uid):
        details = json.loads(event["details_json"])
        found[0] += details["commands"]
        found[1] += details["transfers"]
    return tuple(found)


def test_who_enters(fresh_box, tmp_path):
    box = fresh_box
    box.tenant("calm")
    box.ok("tenant", "bind", "calm", str(CALM))
    box.launch("calm/web")
    for _ in range(20):
        assert box.croft("exec", "-T", "calm/web", "--", "/bin/true", uid=CALM).rc == 0
    # An operator is told of whatever its tenant did before, and not by the number of its user.
    (tmp_path / "file").write_text("hello")
    box.ok("push", str(tmp_path / "file"), "calm/web:/file")
    mine = of_kind(box, "container.entered", uid=CALM)
    assert [json.loads(e["details_json"])["by"] for e in mine[:1]] == [f"uid:{CALM}"]
    assert [e for e in mine if e["actor_role"] == "operator"
            and json.loads(e["details_json"])["by"] == "operator"]
    assert len(mine) <= 7
    # All of them are told when the run has ended at the latest.
    box.ok("kill", "calm/web")
    wait_until("all are told", lambda: entered(box) == (20, 1))


def test_a_shutdown_is_on_record(bare_daemon):
    box = bare_daemon
    box.start()
    box.shutdown()
    box.start()
    event, = of_kind(box, "host.shutdown")
    assert (event["actor"], event["resource"]) == ("uid:0", "host")
