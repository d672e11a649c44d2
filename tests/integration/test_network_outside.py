"""The world outside, by way of the packet filter: out by the host's address, in by forwards, and
tenants apart. In depth: test_net_rules.py."""

import contextlib
import subprocess
import sys

import pytest

import netlab
from croft_harness import wait_until
from networked import POOLS, addresses, host_links, kept, lab, lookup, ping  # noqa: F401


class TestOutside:
    """What the packet filter lets through; in depth: test_net_rules.py."""

    def test_out_by_the_hosts_address(self, box):
        box.tenant()
        web = box.launch("acme/web")
        for target in (netlab.OUTSIDE4, netlab.OUTSIDE6):
            result = ping(box, "acme/web", target)
            assert result.rc == 0, result
        # Outside knows no way to the container, so it was the host's address that it answered.
        there = ("busybox", "ping", "-c", "1", "-W", "1")
        assert box.lab.run("outside", *there, web["ipv4_address"]).returncode != 0
        assert box.lab.run("outside", *there, netlab.HOST4).returncode == 0

    def test_tenants_are_apart(self, box):
        for tenant in ("acme", "other"):
            box.tenant(tenant)
            box.launch(f"{tenant}/web")
        box.launch("acme/db")
        for key in ("ipv4_address", "ipv6_address"):
            there = box.info("other/web")[key]
            assert ping(box, "acme/web", there).rc != 0
            # The controls: it is there, and pings are let through otherwise.
            assert ping(box, "acme/web", box.info("acme/db")[key]).rc == 0
            probe = ("busybox", "ping", "-c", "1", "-W", "1", there)
            assert box.lab.run("host", *probe).returncode == 0

    def test_not_into_the_host(self, box):
        box.tenant()
        box.launch("acme/web")
        gateway = box.json("network", "show", "acme")["ipv4_gateway"]
        script = f"nc -w 2 {gateway} 8099 </dev/null"
        listener = subprocess.Popen(
            ["ip", "netns", "exec", box.netns, "busybox", "nc", "-ll", "-p", "8099", "-e",
             "/bin/true"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            wait_until("somebody listens", lambda: box.lab.run(
                "host", "busybox", "nc", "-w", "1", gateway, "8099").returncode == 0)
            assert box.exec("acme/web", "/bin/sh", "-c", script).rc != 0
        finally:
            listener.kill()
            listener.wait()

    def test_rules_are_there_again_after_kill_9(self, box):
        box.tenant()
        web = box.launch("acme/web")
        box.lab.run("host", "nft", "flush", "ruleset")
        for daemon in ("croftd", "supervisor"):
            box.kill9(daemon)
        box.restart("croftd", "supervisor")
        assert ping(box, "acme/web", netlab.OUTSIDE4).rc == 0
        tables = box.lab.run("host", "nft", "list", "tables").stdout
        assert "inet croft_cft" in tables and "bridge croft_cft" in tables
        assert web["ipv4_address"] in box.lab.run("host", "nft", "list", "ruleset").stdout

    def test_rules_go_with_the_tenant(self, box):
        box.tenant()
        info = box.launch("acme/web")
        ruleset = ("host", "nft", "list", "ruleset")
        assert info["ipv4_address"] in box.lab.run(*ruleset).stdout
        box.ok("tenant", "delete", "--force", "acme")
        wait_until("its rules are gone",
                   lambda: info["ipv4_address"] not in box.lab.run(*ruleset).stdout)


def fetch(lab, address, port):
    """What somebody outside reads at a port; "" when nobody answers."""
    done = lab.run("outside", "busybox", "nc", "-w", "2", address, str(port))
    return done.stdout if done.returncode == 0 else ""


def serve(box, name, port, text):
    """Has a container answer each connection to a port with a line."""
    box.sh(name, f"nc -ll -p {port} -e echo {text} >/dev/null 2>&1 </dev/null &")


# Answers each datagram with its text in upper case, until it is killed.
UDP_SERVER = """
import select, socket, sys
sockets = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in sys.argv[1:]]
for sock, port in zip(sockets, sys.argv[1:]):
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", int(port)))
print("ready", flush=True)
while True:
    for sock in select.select(sockets, [], [])[0]:
        data, peer = sock.recvfrom(100)
        sock.sendto(data.upper() + b" %d" % sock.getsockname()[1], peer)
"""
# A connected socket: an answer from elsewhere than where it was sent is not seen.
UDP_CLIENT = """
import socket, sys
address, port = sys.argv[1], int(sys.argv[2])
with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(float(sys.argv[3]))
    s.connect((address, port))
    s.send(b"hello")
    try:
        print(s.recv(100).decode())
    except OSError:
        pass
"""


@contextlib.contextmanager
def udp_server(box, name, *ports):
    """Somebody who answers in a container's network: busybox has none for UDP."""
    child = subprocess.Popen(
        ["nsenter", f"--net=/proc/{box.init_pid(name)}/ns/net", sys.executable, "-B", "-c",
         UDP_SERVER, *map(str, ports)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline() == b"ready\n"
        yield
    finally:
        child.kill()
        child.communicate()


def ask_udp(box, address, port, seconds=1):
    return box.lab.run("outside", sys.executable, "-B", "-c", UDP_CLIENT, address, str(port),
                       str(seconds)).stdout.strip()


class TestForwards:
    def test_datagrams_and_a_range_of_them(self, box):
        box.tenant()
        box.launch("acme/web")
        with udp_server(box, "acme/web", 53, 54):
            assert ask_udp(box, netlab.HOST4, 5300) == ""
            box.ok("forward", "add", "acme/web", "5300-5301/udp", "53")
            for address in (netlab.HOST4, netlab.HOST6):
                wait_until("the first answers", lambda a=address: ask_udp(
                    box, a, 5300) == "HELLO 53")
                wait_until("the second answers", lambda a=address: ask_udp(
                    box, a, 5301) == "HELLO 54")
            # TCP of the same number is another port.
            box.ok("forward", "add", "acme/web", "5300", "80")
            serve(box, "acme/web", 80, "page")
            wait_until("the page comes", lambda: "page" in fetch(box.lab, netlab.HOST4, 5300))
            for daemon in ("croftd", "supervisor"):
                box.kill9(daemon)
            box.restart("croftd", "supervisor")
            wait_until("it answers again", lambda: ask_udp(
                box, netlab.HOST4, 5301) == "HELLO 54")
            box.ok("forward", "delete", "acme/web", "5300/udp")
            assert ask_udp(box, netlab.HOST4, 5301) == ""
            assert "page" in fetch(box.lab, netlab.HOST4, 5300)

    @pytest.mark.vm
    def test_a_page_from_outside(self, box):
        box.tenant()
        box.launch("acme/web")
        serve(box, "acme/web", 80, "hello")
        assert fetch(box.lab, netlab.HOST4, 8080) == ""
        box.ok("forward", "add", "acme/web", "8080", "80")
        for address in (netlab.HOST4, netlab.HOST6):
            wait_until("it answers", lambda a=address: "hello" in fetch(box.lab, a, 8080))
        assert box.json_lines("forward", "list", "acme") == [
            {"container": "tenants/acme/containers/web", "protocol": "TCP", "first_port": 8080,
             "last_port": 8080, "target_port": 80}]
        assert "8080" in box.ok("forward", "list")
        events = [e["type"] for e in box.events()]
        assert "forward.added" in events
        box.ok("forward", "delete", "acme/web", "8080")
        assert fetch(box.lab, netlab.HOST4, 8080) == ""
        assert box.json_lines("forward", "list", "acme") == []
        box.refused("forward", "delete", "acme/web", "8080", match="no forward")

    def test_kept_over_restarts_and_gone_with_the_container(self, box):
        box.tenant()
        box.launch("acme/web")
        box.ok("forward", "add", "acme/web", f"{netlab.HOST4}:9000-9002/tcp", "90")
        for daemon in ("croftd", "supervisor"):
            box.kill9(daemon)
        box.restart("croftd", "supervisor")
        box.ok("restart", "--timeout", "0", "acme/web")
        serve(box, "acme/web", 92, "third")
        wait_until("it answers", lambda: "third" in fetch(box.lab, netlab.HOST4, 9002))
        assert fetch(box.lab, netlab.HOST6, 9002) == ""
        box.ok("delete", "--force", "acme/web")
        assert box.json_lines("forward", "list", "acme") == []
        rules = ("host", "nft", "list", "ruleset")
        wait_until("it is gone", lambda: "9002" not in box.lab.run(*rules).stdout)
        # Its ports are free again.
        box.launch("acme/web")
        box.ok("forward", "add", "acme/web", "9001", "90")

    def test_what_is_refused(self, box):
        box.tenant("acme")
        box.tenant("other")
        box.launch("acme/web")
        box.launch("other/web")
        box.launch("acme/alone", options=["--no-network"])
        box.ok("forward", "add", "acme/web", "8080-8089", "80")
        for taken in ("8080", "8085-8095", f"{netlab.HOST4}:8089", "8000-9000"):
            box.refused("forward", "add", "other/web", taken, "80", match="already")
        box.ok("forward", "add", "other/web", "8080/udp", "53")
        box.refused("forward", "add", "acme/alone", "7000", "80", match="no address")
        box.refused("forward", "add", "acme/none", "7000", "80", match="no container")
        box.refused("forward", "add", "acme/web", "127.0.0.1:7000", "80", match="not an address")
        box.refused("forward", "add", "acme/web", "7000-20000", "80", match="range")
        box.refused("forward", "add", "acme/web", "7000-7001", "65535", match="65535")
        for bad in ("0", "65536", "80-70", "x", "80/sctp", "::1:80", "[::1:80", "80-", ""):
            assert box.croft("forward", "add", "acme/web", bad, "80").rc == 2, bad
        # A tenant sees its own, and gives itself none.
        box.ok("tenant", "bind", "acme", "4321")
        assert len(box.json_lines("forward", "list", "acme", uid=4321)) == 1
        hidden = box.refused("forward", "list", "other", uid=4321)
        absent = box.refused("forward", "list", "nothing", uid=4321)
        assert hidden.replace("other", "X") == absent.replace("nothing", "X")
        box.refused("forward", "add", "acme/web", "7000", "80", uid=4321, match="operator")
        box.refused("forward", "delete", "acme/web", "8080", uid=4321, match="operator")
        box.refused("network", "set", "acme", "--smtp", "on", uid=4321, match="operator")


class TestMail:
    def test_off_until_an_operator_says_so(self, box):
        box.tenant()
        box.launch("acme/web")
        assert "smtp" not in box.json("network", "show", "acme")
        script = f"nc -w 2 {netlab.OUTSIDE4} 25 </dev/null"
        server = subprocess.Popen(
            ["ip", "netns", "exec", box.lab.outside, "busybox", "nc", "-ll", "-p", "25", "-e",
             "echo", "220 mail"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            wait_until("the mail server is there", lambda: "220" in box.lab.run(
                "outside", "busybox", "nc", "-w", "1", "127.0.0.1", "25").stdout)
            assert "220" not in box.exec("acme/web", "/bin/sh", "-c", script).out
            box.ok("network", "set", "acme", "--smtp", "on")
            assert box.json("network", "show", "acme")["smtp"] is True
            assert "220" in box.exec("acme/web", "/bin/sh", "-c", script).out
            for daemon in ("croftd", "supervisor"):
                box.kill9(daemon)
            box.restart("croftd", "supervisor")
            assert "220" in box.exec("acme/web", "/bin/sh", "-c", script).out
            box.ok("network", "set", "acme", "--smtp", "off")
            assert "220" not in box.exec("acme/web", "/bin/sh", "-c", script).out
        finally:
            server.kill()
            server.wait()
