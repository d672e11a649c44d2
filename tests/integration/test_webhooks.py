"""Webhooks: what was recorded comes to its receiver, signed, in order and at least once, whoever
fails or dies in between.
"""

import concurrent.futures
import json
import sqlite3
import threading

import pytest

from croft_harness import wait_until
from receiver import Unverified, receiver, throw_away_ca, verify
from test_holds import nothing_committed
from test_ledger import stopped
from test_usage_new import closed_records, run_and_close


@pytest.fixture
def quick(bare_daemon):
    """croftd that tries again soon, so that a test need not wait for minutes."""
    bare_daemon.start("--webhook-retry", "1", "--webhook-timeout", "3")
    return bare_daemon


def make(box, name, there, *options, source="--events"):
    """A webhook. Returns its secret."""
    made = box.json("webhook", "create", name, there.url(), source, *options)
    assert made["secret"].startswith("whsec_")
    return made["secret"]


def shown(box, name="hook"):
    return box.json("webhook", "show", name)


def numbers(messages):
    """Of the events in messages."""
    return [int(e["data"]["number"]) for m in messages for e in m.events]


def listed(box, *args):
    return [json.loads(line) for line in box.ok("-o", "json", "events", *args).splitlines()]


def all_taken(box, there, name="hook"):
    def look():
        now = shown(box, name)
        return not int(now.get("waiting", 0)) and not now.get("waiting_more")
    wait_until("nothing waits", look, 60)
    return there.taken


def check_events(box, there, secret, after=0):
    """Every event on record since, once and in order, signed, and as `croft events` shows it."""
    taken = all_taken(box, there)
    for message in taken:
        verify(secret, message.headers, message.body)
        assert message.headers["content-type"].startswith("application/cloudevents-batch+json")
    wanted = [e for e in listed(box) if int(e["number"]) > after]
    got = [e for m in taken for e in m.events]
    assert [e["data"] for e in got][:len(wanted)] == wanted
    for event in got:
        assert event["specversion"] == "1.0"
        assert event["type"] == f"croft.event.{event['data']['type']}.v1"
        assert event["subject"] == event["data"]["resource"]
    assert len({(e["source"], e["id"]) for e in got}) == len(got)


def test_events_come_in_order_and_signed(quick):
    with receiver() as there:
        secret = make(quick, "hook", there, "--from-start")
        for i in range(100):
            quick.tenant(f"t{i}")
        check_events(quick, there, secret)
        assert shown(quick)["last_success_time"]
        # Who does not have the secret could not have sent it, nor changed a byte.
        message = there.taken[0]
        other = make(quick, "other", there)
        with pytest.raises(Unverified):
            verify(other, message.headers, message.body)
        with pytest.raises(Unverified):
            verify(secret, message.headers, message.body + b" ")


def test_records_come_as_an_export_has_them(bare_daemon):
    box = bare_daemon.start("--webhook-retry", "1")
    box.busybox()
    box.tenant()
    box.tenant("other")
    with receiver() as there, receiver() as of_one:
        secret = make(box, "hook", there, source="--usage")
        make(box, "one", of_one, "--tenant", "other", source="--usage")
        run_and_close(box, "acme/web", "other/web")
        taken = all_taken(box, there)
        for message in taken:
            verify(secret, message.headers, message.body)
        got = [e for m in taken for e in m.events]
        wanted = [json.loads(line) for line in
                  box.ok("usage", "export", "--format", "cloudevents").splitlines()]
        assert sorted(e["id"] for e in got) == sorted(e["id"] for e in wanted)
        assert len(got) == len({e["id"] for e in got}) > 10
        by_id = {e["id"]: e for e in wanted}
        assert all(by_id[e["id"]] == e for e in got)
        ones = [e for m in all_taken(box, of_one, "one") for e in m.events]
        assert sorted(e["id"] for e in ones) == sorted(
            e["id"] for e in wanted if e["subject"] == "other")


def test_types_and_tenants(quick):
    quick.tenant()
    with receiver() as there, receiver() as of_one:
        make(quick, "hook", there, "--type", "plan.", "--type", "tenant.upd")
        make(quick, "one", of_one, "--tenant", "acme")
        quick.tenant("other")
        quick.ok("plan", "create", "small", "--pids", "100")
        quick.ok("tenant", "set", "acme", "--pids", "50")
        quick.ok("tenant", "set", "other", "--pids", "50")
        wait_until("three are there", lambda: len(numbers(there.taken)) >= 3, 30)
        all_taken(quick, there)
        assert [e["data"]["type"] for m in there.taken for e in m.events] == [
            "plan.created", "tenant.updated", "tenant.updated"]
        wait_until("one is there", lambda: of_one.taken, 30)
        all_taken(quick, of_one, "one")
        assert {e["data"]["tenant"] for m in of_one.taken for e in m.events} == {"acme"}


class TestAgain:
    def test_what_was_not_taken_comes_again_with_its_id(self, quick):
        """500, a connection that is cut, no answer in time, a redirect: all in turn, and then
        nothing is missing and nothing has changed its order."""
        kinds = [lambda m: 500, lambda m: (302, {"location": "http://127.0.0.1:1/"}),
                 lambda m: m.handler.connection.close(), lambda m: threading.Event().wait(8),
                 lambda m: 100]

        def answer(message):
            with lock:
                tried.setdefault(message.id, []).append(message)
                n = len(tried[message.id])
            return kinds[n - 1](message) if n <= len(kinds) else 200

        tried, lock = {}, threading.Lock()
        with receiver(answer) as there:
            secret = make(quick, "hook", there, "--from-start", "--type", "tenant.")
            quick.tenant("one")
            wait_until("the first was taken", lambda: there.taken, 60)
            check_repeats(tried)
            now = shown(quick)
            assert now["last_error"] and "last_error_time" in now
            quick.tenant("two")
            wait_until("the second was taken", lambda: len(there.taken) == 2, 60)
            check_repeats(tried)
            events = [e for m in there.taken for e in m.events]
            assert [e["data"]["tenant"] for e in events] == ["one", "two"]
            for message in there.messages:
                verify(secret, message.headers, message.body)

    def test_kill_9_between_taken_and_recorded(self, quick):
        """The receiver has it, croftd dies before it could know: it comes again, the same."""
        came, go = threading.Event(), threading.Event()

        def answer(message):
            came.set()
            go.wait(60)
            return 200

        with receiver(answer) as there:
            secret = make(quick, "hook", there, "--from-start")
            quick.tenant("one")
            for _ in range(3):
                assert came.wait(30)
                first = there.messages[-1]
                quick.kill9("croftd")
                quick_tenants = len(there.messages)
                quick.restart("croftd")
                wait_until("it came again", lambda n=quick_tenants: len(there.messages) > n, 60)
                again = there.messages[-1]
                assert (again.id, again.body) == (first.id, first.body)
                quick.tenant(f"more{quick_tenants}")
            go.set()
            check_at_least_once(quick, there, secret)

    def test_kill_9_all_the_time(self, quick):
        with receiver() as there:
            secret = make(quick, "hook", there, "--from-start")
            for i in range(8):
                for j in range(5):
                    quick.tenant(f"t{i}x{j}")
                quick.kill9("croftd")
                quick.restart("croftd")
            check_at_least_once(quick, there, secret)

    def test_a_queue_survives_a_restart(self, quick):
        up = threading.Event()
        with receiver(lambda m: 200 if up.is_set() else 503) as there:
            secret = make(quick, "hook", there, "--from-start")
            for i in range(10):
                quick.tenant(f"t{i}")
            waiting = wait_until("it fails", lambda: shown(quick).get("failing_since"), 30)
            quick.terminate("croftd")
            quick.restart("croftd")
            now = shown(quick)
            assert now["failing_since"] == waiting and int(now["waiting"]) >= 10
            assert now["waiting_since"] <= now["failing_since"]
            up.set()
            check_events(quick, there, secret)
            assert "failing_since" not in shown(quick)


def check_repeats(tried):
    """What has an id again is the same to the byte, and each attempt has a time of its own."""
    for messages in tried.values():
        assert len({m.body for m in messages}) == 1
        stamps = [int(m.headers["webhook-timestamp"]) for m in messages]
        assert stamps == sorted(stamps)
        assert stamps[-1] - stamps[0] >= (messages[-1].at - messages[0].at) / 2 - 1


def check_at_least_once(box, there, secret):
    """Nothing is missing; what came twice came with the same id and is the same."""
    wait_until("all is there", lambda: set(numbers(there.messages)) >= {
        int(e["number"]) for e in listed(box)}, 60)
    by_id = {}
    for message in there.messages:
        verify(secret, message.headers, message.body)
        by_id.setdefault(message.id, []).append(message)
    check_repeats(by_id)
    once = [messages[0] for messages in by_id.values()]
    assert numbers(once) == sorted(set(numbers(once)))


class TestSecrets:
    def test_a_secret_is_shown_once(self, quick, tmp_path):
        with receiver() as there:
            secret = make(quick, "hook", there, "--from-start")
            wait_until("one was taken", lambda: there.taken, 30)
            bare = secret.removeprefix("whsec_")
            told = [quick.ok("-o", form, "webhook", *words) for form in ("table", "json", "csv")
                    for words in (("list",), ("show", "hook"))]
            told += [quick.ok("webhook", "set", "hook", "--url", there.url("/other"))]
            told += [quick.ok("-o", "json", "events"), quick.read_log()]
            told += [m.body.decode() for m in there.messages]
            assert not any(bare in text for text in told)
            # It is given by a file, which is refused without being repeated.
            given = tmp_path / "secret"
            given.write_text("whsec_c2hvcnQ=\n")
            sentence = quick.refused("webhook", "create", "two", there.url(), "--events",
                                     "--secret-file", str(given), match="24 to 64 bytes")
            assert "c2hvcnQ" not in sentence
            given.write_text(secret + "\n")
            quick.ok("webhook", "create", "two", there.url("/two"), "--events", "--secret-file",
                     str(given))
            quick.tenant("one")
            message = wait_until(
                "it came", lambda: [m for m in there.taken if m.path == "/two"], 30)[0]
            verify(secret, message.headers, message.body)

    def test_rotation(self, quick):
        with receiver() as there:
            old = make(quick, "hook", there)
            new = quick.json("webhook", "set", "hook", "--new-secret", "--overlap", "1h")["secret"]
            assert new != old and shown(quick)["old_secret_until"]
            quick.tenant("one")
            wait_until("one was taken", lambda: any(
                e["data"].get("tenant") == "one" for m in there.taken for e in m.events), 30)
            verify(old, there.taken[-1].headers, there.taken[-1].body)
            verify(new, there.taken[-1].headers, there.taken[-1].body)
            third = quick.json("webhook", "set", "hook", "--new-secret", "--overlap", "0")["secret"]
            seen = len(there.messages)
            quick.tenant("two")
            wait_until("another was taken", lambda: any(
                e["data"].get("tenant") == "two" for m in there.taken for e in m.events), 30)
            assert len(there.messages) > seen
            message = there.taken[-1]
            verify(third, message.headers, message.body)
            for gone in (old, new):
                with pytest.raises(Unverified):
                    verify(gone, message.headers, message.body)
            quick.kill9("croftd")
            quick.restart("croftd")
            quick.tenant("three")
            wait_until("the third was taken", lambda: any(
                e["data"].get("tenant") == "three" for m in there.taken for e in m.events), 30)
            verify(third, there.taken[-1].headers, there.taken[-1].body)


class TestDisabled:
    def test_gone_is_gone(self, quick):
        gone = threading.Event()
        gone.set()
        with receiver(lambda m: 410 if gone.is_set() else 200) as there:
            secret = make(quick, "hook", there, "--from-start", "--type", "tenant.")
            quick.tenant("one")
            wait_until("it is disabled", lambda: shown(quick).get("disabled"), 30)
            assert shown(quick)["disabled_reason"] == "gone"
            quick.tenant("two")
            events = listed(quick)
            [event] = [e for e in events if e["type"] == "webhook.disabled"]
            assert json.loads(event["detailsJson"])["webhook"] == "hook"
            assert len(there.messages) == 1
            # A restart does not enable it.
            quick.terminate("croftd")
            quick.restart("croftd")
            gone.clear()
            assert shown(quick)["disabled"] and int(shown(quick)["waiting"]) == 2
            quick.ok("webhook", "set", "hook", "--enable")
            wait_until("both are there", lambda: len(numbers(there.taken)) == 2, 30)
            for message in there.taken:
                verify(secret, message.headers, message.body)
            assert not shown(quick).get("disabled")

    def test_failing_for_days(self, quick):
        with receiver(lambda m: 500) as there:
            make(quick, "hook", there, "--from-start")
            wait_until("it fails", lambda: shown(quick).get("failing_since"), 30)
            # Days alone do it not: the clock may have been set.
            with stopped(quick) as state:
                state.execute("UPDATE webhooks SET failing_wall = failing_wall - 6 * 86400000000,"
                              " attempts = 2")
            wait_until("it was tried", lambda: shown(quick).get("attempts", 0) > 2, 30)
            assert not shown(quick).get("disabled")
            with stopped(quick) as state:
                state.execute("UPDATE webhooks SET attempts = 30")
            wait_until("it is disabled", lambda: shown(quick).get("disabled"), 30)
            assert shown(quick)["disabled_reason"] == "failing"
            assert [e for e in listed(quick) if e["type"] == "webhook.disabled"]

    def test_enabled_while_it_is_being_disabled(self, quick):
        """What the operator said last holds: in memory as on record."""
        gone, asked, locked = threading.Event(), threading.Event(), threading.Event()

        def answer(message):
            asked.set()
            locked.wait(30)
            return 410 if gone.is_set() else 200

        def enabled_meanwhile():
            before = quick.read_log().count("webhook-disabled")
            asked.clear(), locked.clear(), gone.set()
            quick.ok("webhook", "set", "hook", "--enable")
            assert asked.wait(30)
            with nothing_committed(quick):
                locked.set()
                wait_until("it is being disabled",
                           lambda: quick.read_log().count("webhook-disabled") > before)
                gone.clear()
                both = [pool.submit(quick.croft, "webhook", "set", "hook", "--enable")
                        for _ in range(2)]
                wait_until("one is refused, for the other's sake",
                           lambda: any(one.done() for one in both))
            return any(one.result().rc == 0 for one in both)

        with receiver(answer) as there, concurrent.futures.ThreadPoolExecutor(2) as pool:
            make(quick, "hook", there, "--from-start", "--type", "tenant.")
            quick.ok("webhook", "set", "hook", "--disable")
            quick.tenant("one")
            wait_until("it was enabled before the commits gave up", enabled_meanwhile, 120)
            wait_until("it is sent", lambda: there.taken)
            assert not shown(quick).get("disabled")
            quick.terminate("croftd")
            quick.restart("croftd")
            assert not shown(quick).get("disabled")

    def test_by_the_operator(self, quick):
        with receiver() as there:
            make(quick, "hook", there)
            quick.ok("webhook", "set", "hook", "--disable")
            seen = len(there.messages)
            quick.tenant("one")
            assert quick.json("webhook", "test", "hook")["taken"]
            assert [m.events[0]["type"] for m in there.messages[seen:]] == ["croft.webhook.test.v1"]
            quick.ok("webhook", "set", "hook", "--enable")
            wait_until("it is there", lambda: any(
                e.get("data", {}).get("tenant") == "one"
                for m in there.taken for e in m.events), 30)
            quick.ok("webhook", "delete", "hook")
            assert quick.json_lines("webhook", "list") == []
            quick.refused("webhook", "show", "hook", match="no webhook")


def test_a_gap_is_told(bare_daemon):
    """Retention does not wait for receivers; they are told what they missed."""
    box = bare_daemon.start("--webhook-retry", "1", "--event-count", "100")
    up = threading.Event()
    with receiver(lambda m: 200 if up.is_set() else 500) as there:
        secret = make(box, "hook", there, "--from-start")
        wait_until("it fails", lambda: shown(box).get("failing_since"), 30)
        box.tenant()
        for i in range(130):
            box.ok("tenant", "set", "acme", "--pids", str(50 + i))
        wait_until("some were dropped", lambda: listed(box)[0]["type"] == "events.dropped", 60)
        up.set()
        taken = all_taken(box, there)
        for message in taken:
            verify(secret, message.headers, message.body)
        got = [e for m in taken for e in m.events]
        gaps = [e for e in got if e["data"]["type"] == "events.dropped"]
        assert gaps and len({e["id"] for e in gaps}) == len(gaps)
        through = int(json.loads(gaps[-1]["data"]["detailsJson"])["through"])
        real = [int(e["data"]["number"]) for e in got if e["data"]["type"] != "events.dropped"]
        assert real == sorted(set(real))
        # Of what is not lost nothing is missing.
        last = max(int(e.get("number", 0)) for e in listed(box))
        assert set(real) >= set(range(through + 1, last + 1))
        assert [e for e in listed(box) if e["type"] == "webhook.gap"]


def test_retry_after_is_honoured(quick):
    """Asked for longer than croftd would wait: it does not come earlier."""
    with receiver(lambda m: (503, {"retry-after": "5"}) if len(there.messages) == 1
                  else 200) as there:
        make(quick, "hook", there, "--from-start")
        wait_until("it was taken", lambda: there.taken, 60)
        assert there.messages[1].at - there.messages[0].at >= 4.5
        assert there.messages[0].id == there.messages[1].id


def test_tls_is_verified(quick, tmp_path):
    ca, tls = throw_away_ca(tmp_path)
    other, _ = throw_away_ca(tmp_path, "other")
    _, wrong_host = throw_away_ca(tmp_path, "wrong", "DNS:elsewhere.example")
    with receiver(tls=tls) as there, receiver(tls=wrong_host) as elsewhere:
        secret = make(quick, "hook", there, "--ca-file", ca, "--from-start")
        wait_until("one was taken", lambda: there.taken, 30)
        verify(secret, there.taken[0].headers, there.taken[0].body)
        seen = len(there.messages)
        for name, url, file in (("unknown", there.url("/u"), None),
                                ("other", there.url("/o"), other),
                                ("host", elsewhere.url(), str(tmp_path / "wrong.pem"))):
            quick.ok("webhook", "create", name, url, "--events", "--type", "nothing.",
                     *(("--ca-file", file) if file else ()))
            answer = quick.croft("-o", "json", "webhook", "test", name)
            assert answer.rc == 1 and not json.loads(answer.out).get("taken")
            assert "ertificate" in answer.out or "SSL" in answer.out, answer
        assert not elsewhere.messages
        assert not [m for m in there.messages[seen:] if m.path != "/hook"]
        quick.refused("webhook", "set", "hook", "--ca-file", __file__, match="no certificate")
        quick.refused("webhook", "set", "hook", "--ca-file", "/dev/null", match="empty")


def test_state_has_what_it_needs_and_no_more(quick):
    """A cursor, not a copy."""
    with receiver(lambda m: 500) as there:
        make(quick, "hook", there, "--from-start")
        for i in range(30):
            quick.tenant(f"t{i}")
        wait_until("it fails", lambda: shown(quick).get("failing_since"), 30)
        with stopped(quick) as state:
            state.row_factory = sqlite3.Row
            [row] = [dict(r) for r in state.execute("SELECT * FROM webhooks")]
        assert sum(len(str(v)) for v in row.values()) < 1000
