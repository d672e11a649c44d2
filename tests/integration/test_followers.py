"""Calls that follow events or a log: bounded, and woken by what is theirs to see alone."""

import contextlib
import time

import pytest

import scrapes
from croft_harness import from_json, wait_until
from test_metrics import where  # noqa: F401

ACME, OTHER = 4601, 4602
EVENTS, LOGS = 16, 16  # followers of one tenant's events, readers of one container's log


@pytest.fixture
def two(bare_daemon, where):  # noqa: F811
    """An instance with two tenants of a user each, that writes nothing by itself meanwhile."""
    bare_daemon.start("--metrics", where, "--sample-interval", "60")
    bare_daemon.busybox()
    for name, uid in (("acme", ACME), ("other", OTHER)):
        bare_daemon.tenant(name)
        bare_daemon.ok("tenant", "bind", name, str(uid))
    return bare_daemon


def line(child):
    return from_json(child.stdout.readline())


@contextlib.contextmanager
def followers(box, n, *args, uid=None):
    """They have all read the first line there is."""
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(box.background(*args, uid=uid)) for _ in range(n)]
        for child in children:
            assert child.stdout.readline()
        yield children


def reads(where):
    """Of the database, up to now: pages are a second old."""
    time.sleep(1.1)
    return scrapes.scrape(where).get("croft_db_read_seconds_count")


FOLLOW = ("-o", "json", "events", "--follow")


def test_followers_of_events_are_bounded(two):
    with followers(two, EVENTS, *FOLLOW, uid=ACME) as children:
        two.refused("events", "--follow", uid=ACME, match="16 calls follow these events already")
        two.ok("events", uid=ACME)
        with followers(two, 1, *FOLLOW, uid=OTHER), followers(two, 1, *FOLLOW, "--tenant", "acme"):
            pass
        children[0].kill()
        children[0].wait()

        def one_more():
            with two.background(*FOLLOW, uid=ACME) as child:
                return child.stdout.readline()
        wait_until("the place of one that left is free", one_more)


def test_followers_see_what_is_theirs(two, where):  # noqa: F811
    """Each event once, in order; a commit of somebody else's costs them nothing."""
    with followers(two, 1, *FOLLOW) as (everything,), \
            followers(two, EVENTS, *FOLLOW, uid=ACME) as children:
        for _ in two.json_lines("events")[1:]:
            line(everything)
        before = reads(where)
        for pids in range(10, 30):
            two.ok("tenant", "set", "other", "--pids", str(pids))
        assert reads(where) - before < 20 * 8, "every follower looked at each commit"
        assert [line(everything)["resource"] for _ in range(20)] == ["tenants/other"] * 20
        two.ok("tenant", "set", "acme", "--pids", "77")
        for child in [everything, *children]:
            while "77" not in (event := line(child))["message"]:
                assert event["resource"] == "tenants/acme"


def test_readers_of_a_log_are_bounded(two):
    two.launch("acme/web", init=("/bin/sh", "-c", "echo hello; while :; do sleep 1; done"))
    with followers(two, LOGS, "logs", "-f", "acme/web", uid=ACME) as children:
        two.refused("logs", "acme/web", uid=ACME, match="16 read the log of acme/web already")
        assert "hello" in two.ok("logs", "acme/web"), "operators have places of their own"
        children[0].kill()
        children[0].wait()
        wait_until("the place of one that left is free",
                   lambda: two.croft("logs", "acme/web", uid=ACME).rc == 0)
