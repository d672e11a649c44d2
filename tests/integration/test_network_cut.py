"""What is no longer allowed ends at once: connections that a forward had led to a container before
it was deleted, and what is tracked of a tenant that is gone. What others have goes on."""

import contextlib
import select
import subprocess
import sys

import pytest

import netlab
from croft_harness import wait_until
from networked import kept, lab, ping  # noqa: F401

# Says on each line that it is given how its connection does: after it has sent it, or only heard.
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as s:
    print("connected", flush=True)
    for line in sys.stdin:
        try:
            s.settimeout(2 if line == "hear\\n" else 20)
            if line != "hear\\n":
                s.sendall(line.encode())
            got = s.recv(4096).decode()
            print("alive" if got else "ended", flush=True)
        except OSError as e:
            print("ended" if not isinstance(e, TimeoutError) else "silent", flush=True)
"""

# How many connections the kernel tracks that have the address as a source or destination.
TRACKED = """
import socket, struct, sys
wanted = socket.inet_pton(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, sys.argv[1])
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as s:
    s.sendto(struct.pack("=IHHIIBBH", 20, 0x101, 0x301, 1, 0, 0, 0, 0), (0, 0))
    n = over = 0
    while not over:
        data = s.recv(1 << 17)
        while data:
            size, kind = struct.unpack_from("=IH", data)
            over |= kind == 3
            n += kind == 0x100 and wanted in data[20:size]
            data = data[size + 3 & ~3:]
print(n)
"""


class Client:
    """A connection from outside that stays open."""

    def __init__(self, lab, address, port):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", lab.outside, sys.executable, "-c", CLIENT, address, str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._line() == "connected"

    def _line(self):
        assert select.select([self.process.stdout], [], [], 60)[0], "the client hangs"
        return self.process.stdout.readline().strip()

    def says(self, what="hello"):
        """"alive", "ended" or "silent", after it has waited for an answer, or to "hear"."""
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self._line()

    def end(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def connect(box):
    with contextlib.ExitStack() as clients:
        def make(port, address=netlab.HOST4):
            client = Client(box.lab, address, port)
            clients.callback(client.end)
            return client

        yield make


def tracked(box, address):
    done = box.lab.run("host", sys.executable, "-c", TRACKED, address, timeout=60)
    assert done.returncode == 0, done
    return int(done.stdout)


def serve(box, name, port, program="cat"):
    box.sh(name, f"nc -ll -p {port} -e {program} >/dev/null 2>&1 </dev/null &")
    box.sh(name, f"until netstat -ltn | grep -q ':{port} '; do sleep 0.1; done")


@pytest.mark.vm
def test_a_deleted_forward_takes_its_connections_along(box, connect):
    for tenant in ("acme", "other"):
        box.tenant(tenant)
        box.launch(f"{tenant}/web")
        serve(box, f"{tenant}/web", 80)
    serve(box, "acme/web", 81)
    for forward in (("acme/web", "8080", "80"), ("acme/web", "8081", "81"),
                    ("other/web", "9090", "80")):
        box.ok("forward", "add", *forward)
    doomed = [connect(8080), connect(8080), connect(8080, netlab.HOST6)]
    others = [connect(8081), connect(9090), connect(9090, netlab.HOST6)]
    assert [c.says() for c in doomed + others] == ["alive"] * 6
    box.ok("forward", "delete", "acme/web", "8080")
    assert [c.says() for c in doomed] == ["ended"] * 3
    assert [c.says() for c in others] == ["alive"] * 3
    # And it is not the end of the container's other connections, nor of new ones.
    assert connect(8081).says() == "alive"


def test_a_container_that_speaks_first_does_not_keep_it(box, connect):
    """Its packets look as those of a connection that began before anybody looked, and would leave
    from the very port that was forwarded."""
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "printf '#!/bin/sh\\nwhile echo tick; do sleep 0.3; done\\n' >/tmp/talk;"
                       "chmod 755 /tmp/talk")
    serve(box, "acme/web", 7070, "/tmp/talk")
    box.ok("forward", "add", "acme/web", "7070", "7070")
    client = connect(7070)
    assert client.says() == "alive"
    box.ok("forward", "delete", "acme/web", "7070")
    # What was received before that is heard first.
    said = [client.says("hear") for _ in range(3)]
    assert said[-1] in ("silent", "ended"), said
    box.sh("acme/web", "while pgrep -f '/tmp/[t]alk' >/dev/null; do sleep 0.1; done", timeout=60)
    assert client.says() == "ended"


def test_what_goes_takes_its_connections_along(box, connect):
    """A container its forwards', a tenant all of its network's."""
    infos = {}
    for tenant in ("acme", "other"):
        box.tenant(tenant)
        infos[tenant] = box.launch(f"{tenant}/web")
        serve(box, f"{tenant}/web", 80)
    box.ok("forward", "add", "acme/web", "8080", "80")
    box.ok("forward", "add", "other/web", "9090", "80")
    client, other = connect(8080, netlab.HOST6), connect(9090, netlab.HOST6)
    four, six = (infos["acme"][k] for k in ("ipv4_address", "ipv6_address"))
    assert ping(box, "acme/web", netlab.OUTSIDE4).rc == 0
    assert tracked(box, four) and tracked(box, six)
    box.ok("delete", "--force", "acme/web")
    assert tracked(box, six) == 0 and client.says() == "ended"
    box.ok("tenant", "delete", "--force", "acme")
    wait_until("all of it is gone", lambda: tracked(box, four) == 0, 20)
    assert tracked(box, infos["other"]["ipv6_address"]) and other.says() == "alive"


def test_a_suspended_tenants_connections_wait_for_it(box, connect):
    """Nothing of it answers; when it is resumed, all is as it was (ADR 73)."""
    box.tenant()
    box.launch("acme/web")
    serve(box, "acme/web", 80)
    box.ok("forward", "add", "acme/web", "8080", "80")
    client = connect(8080)
    assert client.says() == "alive"
    box.ok("tenant", "suspend", "acme", "--reason", "unpaid")
    box.ok("tenant", "resume", "acme")
    assert client.says() == "alive"
