"""Receivers of webhooks that are slow, endless, or lead elsewhere, and an environment that would:
croftd holds to what it was told, and goes on. Each control is a stock client that falls for it.
"""

import contextlib
import json
import os
import socket
import subprocess
import threading
import urllib.request

import pytest

from croft_harness import run_program, wait_until
from netns import Netns
from receiver import receiver, verify

ANSWER_MAX = 65536  # of http_post.h
FAR_TOO_MUCH = 64 << 20


@pytest.fixture
def quick(bare_daemon):
    bare_daemon.start("--webhook-retry", "1", "--webhook-timeout", "4")
    return bare_daemon


def make(box, name, url, *options):
    return box.json("webhook", "create", name, url, "--events", *options)["secret"]


def shown(box, name):
    return box.json("webhook", "show", name)


def post(url, environment=None):
    """A stock client."""
    script = ("import sys, urllib.request\n"
              "with urllib.request.urlopen(sys.argv[1], b'[]', timeout=60) as r:\n"
              "    while r.read(65536):\n"
              "        pass\n")
    return run_program(["/usr/bin/python3", "-c", script, url], env=environment, timeout=120)


def test_who_never_answers_holds_nobody(quick):
    """As many as there may be but one do not answer; the one and the API do not notice."""
    with receiver(lambda m: held.wait(120) and None) as slow, receiver() as there:
        held = threading.Event()
        try:
            for i in range(31):
                make(quick, f"slow{i}", slow.url(f"/{i}"), "--from-start")
            secret = make(quick, "hook", there.url(), "--from-start")
            quick.refused("webhook", "create", "more", there.url(), "--events", match="the most")
            wait_until("all of them hold one", lambda: len(
                {m.path for m in slow.messages}) == 31, 60)
            quick.tenant()
            wait_until("it came", lambda: any(
                e["data"].get("tenant") == "acme" for m in there.taken for e in m.events), 60)
            for message in there.taken:
                verify(secret, message.headers, message.body)
            # Each has one transfer at a time.
            assert not slow.taken
            # Control: they were given time, and no more than that.
            wait_until("they were given up", lambda: all(
                w.get("last_error") for w in quick.json_lines("webhook", "list")
                if w["name"] != "webhooks/hook"), 60)
            for i in range(0, 31, 5):
                quick.ok("webhook", "delete", f"slow{i}")
        finally:
            held.set()


def endless(counts, head):
    """Answers 200 and does not end, in its body or in its head."""
    def answer(message):
        sent = counts.setdefault(message.path, [0])
        connection = message.handler.connection
        connection.settimeout(60)
        piece = b"x" * 65536 if head.endswith(b"\r\n\r\n") else b"x: " + b"y" * 1000 + b"\r\n"
        with contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + head)
            while sent[0] < FAR_TOO_MUCH:
                connection.sendall(piece)
                sent[0] += len(piece)
        message.status = 200
        message.handler.close_connection = True
    return answer


def test_a_body_without_end_is_let_go(quick):
    """The status has said all: it counts as taken, and the rest is not listened to."""
    counts = {}
    with receiver(endless(counts, b"content-length: 999999999999\r\n\r\n")) as there:
        make(quick, "hook", there.url(), "--from-start", "--type", "webhook.created")
        wait_until("it was taken", lambda: shown(quick, "hook").get("last_success_time"), 60)
        wait_until("the other side has noticed", lambda: there.taken, 60)
        # What lies in sockets' buffers between them counts.
        assert counts["/hook"][0] < FAR_TOO_MUCH / 2
        # Control: a stock client reads it all.
        post(there.url("/control"))
        assert counts["/control"][0] >= FAR_TOO_MUCH


def test_headers_without_end_are_no_answer(quick):
    counts = {}
    with receiver(endless(counts, b"")) as there:
        make(quick, "hook", there.url(), "--from-start", "--type", "webhook.created")
        wait_until("it was given up", lambda: shown(quick, "hook").get("last_error"), 60)
        wait_until("the other side has noticed", lambda: there.taken, 60)
        assert "last_success_time" not in shown(quick, "hook")
        assert all(n[0] < FAR_TOO_MUCH / 2 for n in counts.values())


def test_a_redirect_is_not_followed(quick):
    with receiver() as inside, receiver(
            lambda m: (307, {"location": inside.url("/metadata")})) as there:
        secret = make(quick, "hook", there.url(), "--from-start")
        wait_until("it failed", lambda: shown(quick, "hook").get("last_error"), 60)
        assert "redirect" in shown(quick, "hook")["last_error"]
        assert shown(quick, "hook")["last_status"] == 307
        assert not inside.messages
        verify(secret, there.messages[0].headers, there.messages[0].body)
        # Control: one that follows gets there.
        with urllib.request.urlopen(there.url(), timeout=60):
            assert inside.messages


def test_a_proxy_of_the_environment_is_none(bare_daemon):
    with receiver() as proxy, receiver() as there:
        environment = {name: proxy.url("") for name in (
            "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")}
        start = bare_daemon.reaper.start
        bare_daemon.reaper.start = lambda argv, log, env=None: start(argv, log, environment)
        bare_daemon.start("--webhook-retry", "1")
        make(bare_daemon, "hook", there.url(), "--from-start")
        wait_until("it came", lambda: there.taken, 60)
        assert not proxy.messages
        # Control: the environment has it, and one that heeds it goes there.
        with open(f"/proc/{bare_daemon.pids['supervisor']}/environ", "rb") as f:
            assert b"http_proxy=" in f.read()
        post(there.url("/control"), environment)
        assert proxy.messages and not [m for m in there.messages if m.path == "/control"]


def test_http_stays_on_the_host(quick):
    """What must lead to loopback is looked at once more when it is known where it leads."""
    for url in ("http://192.0.2.1/", "http://example.com/", "http://127.0.0.1@192.0.2.1/",
                "ftp://127.0.0.1/", "file:///etc/passwd", "https://user:word@127.0.0.1/"):
        sentence = quick.refused("webhook", "create", "hook", url, "--events", match="URL")
        assert "word" not in sentence
    # Control: the same where somebody says that it may be so.
    quick.ok("webhook", "create", "hook", "http://192.0.2.1/", "--events", "--insecure-http",
             "--type", "nothing.")
    quick.refused("webhook", "set", "hook", "--insecure-http", "off", match="https")


@pytest.fixture
def mute(bare_daemon):
    """A host on which every name is asked for in vain: whatever its name server is, what answers
    at that address does not."""
    ns = Netns(f"croft-mute-{os.getpid()}")
    try:
        ns.batch("route add local 0.0.0.0/0 dev lo")
        ns.run("ip", "-6", "route", "add", "local", "::/0", "dev", "lo", check=False)
        with ns.inside():
            silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            silent.bind(("0.0.0.0", 53))
        with silent:
            bare_daemon.netns = ns.name
            bare_daemon.start("--webhook-retry", "1", "--webhook-timeout", "2")
            yield bare_daemon
            bare_daemon.kill_all()
            bare_daemon.shutdown()
    finally:
        ns.close()


def threads(box):
    return set(os.listdir(f"/proc/{box.pids['croftd']}/task"))


def test_names_that_nobody_answers_for(mute):
    """They are waited for beside the loop, also when the time for them is over."""
    before = threads(mute)
    mute.ok("webhook", "create", "hook", "https://nowhere.example/", "--events", "--from-start")
    wait_until("a name is looked up", lambda: threads(mute) - before, 30)
    # While it is: many calls, each answered.
    looking = threads(mute) - before
    for i in range(20):
        mute.ok("host", "info")
    outcome = mute.croft("-o", "json", "webhook", "test", "hook", timeout=60)
    assert outcome.rc == 1 and "esolv" in json.loads(outcome.out)["error"], outcome
    # The transfer is over; its thread is not, and nobody waits for it.
    assert threads(mute) - before, "the lookup was over before it could be in anybody's way"
    mute.ok("host", "info")
    mute.ok("webhook", "delete", "hook")
    mute.ok("host", "info")
    # Control: that lookup blocks who does it for himself.
    with mute_lookup(mute) as child:
        for i in range(5):
            mute.ok("host", "info")
        assert child.poll() is None
    assert looking


@contextlib.contextmanager
def mute_lookup(box):
    child = subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{box.netns}", "getent", "ahosts", "nowhere.example"],
        stdout=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.kill()
        child.wait()
