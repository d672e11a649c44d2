"""Scrapers that come in numbers, speak slowly, without end, or do not listen: the listener of
/metrics holds few, not for long. In each test the control is the same listener without bounds."""

import contextlib
import os
import resource
import socket
import subprocess
import tempfile
import time

import pytest

import scrapes
from croft_harness import BUILD, PATIENCE, wait_until

# Of metrics_http.h.
CONNECTIONS = 32
SECONDS = 10
HEADERS = 8192
MANY = 1000
PAGE = 4 << 20


def raise_nofile():
    """A thousand connections at both ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * MANY)), hard))


class Listener:
    """tests/integration/metrics_http_tool, whose bounds are the test's."""

    def __init__(self, directory, connections, seconds, size=1000):
        raise_nofile()
        self.path = f"{directory}/{connections}-{seconds}.sock"
        self.where = f"unix:{self.path}"
        self.child = subprocess.Popen(
            [os.path.join(BUILD, "tests", "integration", "metrics_http_tool"), self.path,
             str(connections), str(seconds), str(size)], stdout=subprocess.PIPE)
        assert self.child.stdout.readline() == b"ready\n"

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    def end(self):
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()


@pytest.fixture
def listen():
    """Starts listeners, and ends them."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="croft-test-"))

        def start(*args, **kwargs):
            listener = Listener(directory, *args, **kwargs)
            stack.callback(listener.end)
            return listener

        yield start


@contextlib.contextmanager
def crowd(listener, n, say=b""):
    """n connections, of which each has said the same."""
    held = []
    try:
        for _ in range(n):
            s = socket.socket(socket.AF_UNIX)
            held.append(s)
            # Without a timeout, which would make a full backlog an error.
            s.connect(listener.path)
            s.settimeout(20 * PATIENCE)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(say)
        yield held
    finally:
        for s in held:
            s.close()


SAID = {"nothing": b"", "half a request": b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: "}


@pytest.mark.parametrize("said", SAID)
def test_a_crowd_is_held_in_bounds(listen, said):
    """And who has something to ask is answered meanwhile."""
    bounded = listen(CONNECTIONS, SECONDS)
    idle = bounded.descriptors()
    with crowd(bounded, MANY, SAID[said]):
        assert len(scrapes.scrape_text(bounded.where)) == 1000
        wait_until("it holds few", lambda: bounded.descriptors() <= idle + CONNECTIONS + 1, 20)
    open_to_all = listen(100000, 100000)
    idle = open_to_all.descriptors()
    with crowd(open_to_all, MANY, SAID[said]):
        wait_until("it holds all of them", lambda: open_to_all.descriptors() >= idle + MANY, 20)


def drip(listener, seconds):
    """Sends a byte of a request every so often; whether it was let for that long."""
    with crowd(listener, 1, SAID["half a request"]) as (s,):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                s.sendall(b"a")
            except (BrokenPipeError, ConnectionResetError):
                return False
            time.sleep(0.05)
    return True


def test_a_slow_request_is_not_waited_for(listen):
    """A byte in time keeps evhttp's own timer from firing: there is one for the whole, too."""
    assert not drip(listen(CONNECTIONS, 1), 20 * PATIENCE)
    assert drip(listen(CONNECTIONS, 1000), 4)


def test_headers_without_end_are_refused(listen):
    bounded = listen(CONNECTIONS, SECONDS)
    status, _, _ = scrapes.fetch(bounded.where, headers={"X-Long": "a" * (HEADERS - 200)})
    assert status == 200
    with crowd(bounded, 1, b"GET /metrics HTTP/1.1\r\nX-Long: ") as (s,):
        sent = 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while sent < 100 * HEADERS:
                sent += s.send(b"a" * 1024)
        assert sent < 100 * HEADERS
    assert scrapes.scrape_text(bounded.where)


def test_who_does_not_read_is_let_go(listen):
    """Large pages that nobody takes: their sockets are closed when the time is over."""
    request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    bounded = listen(CONNECTIONS, 1, size=PAGE)
    idle = bounded.descriptors()
    with crowd(bounded, 10, request):
        wait_until("they are let go", lambda: bounded.descriptors() <= idle, 30)
        assert len(scrapes.scrape_text(bounded.where)) == PAGE
    patient = listen(CONNECTIONS, 1000, size=PAGE)
    idle = patient.descriptors()
    with crowd(patient, 10, request):
        time.sleep(4)
        assert patient.descriptors() == idle + 10


def test_croftd_serves_beside_a_crowd(bare_daemon):
    """The API and an honest scraper, while a thousand connections come and drip."""
    where = f"unix:{bare_daemon.base}/metrics.sock"
    bare_daemon.start("--metrics", where)
    bare_daemon.tenant("acme")
    raise_nofile()
    descriptors = f"/proc/{bare_daemon.pid('croftd')}/fd"
    idle = len(os.listdir(descriptors))

    class At:
        path = where.removeprefix("unix:")

    with crowd(At, MANY, SAID["half a request"]):
        assert scrapes.scrape(where).get("croft_tenants") == 1
        bare_daemon.ok("tenant", "list")
        wait_until("it holds few",
                   lambda: len(os.listdir(descriptors)) <= idle + CONNECTIONS + 8, 20)
