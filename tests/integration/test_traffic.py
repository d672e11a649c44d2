"""Traffic on the bill: what the kernel counted at each container's cable, told apart into what was
the tenant's own affair and what went outside, whatever dies meanwhile."""

import contextlib
import csv
import io
import json
import os
import signal
import subprocess

import pytest

import netlab
from croft_harness import wait_until
from networked import host_links, kept, lab  # noqa: F401
from test_network_rates import inside, outside

HEADER = 14  # of Ethernet: the kernel's links count it, and the bill does not
ALL = ("net.ingress", "net.ingress.packets", "net.egress", "net.egress.packets")
OUTSIDE = ("net.ingress.outside", "net.ingress.outside.packets",
           "net.egress.outside", "net.egress.outside.packets")
PORT, SIZE = 9999, 1000
WIRE4, WIRE6 = SIZE + 28, SIZE + 48  # with the headers of UDP and IP

SENDER = """
import socket, sys
to, n = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(n):
    s.sendto(b"x" * %d, (to, %d))
""" % (SIZE, PORT)

SINK = """
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", %d))
print("bound", flush=True)
while True:
    s.recv(65536)
""" % PORT


def send(where, to, n):
    """Sends n datagrams. where: the words before a command that is to run in that network."""
    subprocess.run([*where, "/usr/bin/python3", "-c", SENDER, to, str(n)], check=True, timeout=60)


@contextlib.contextmanager
def sink(*places):
    """Somebody takes the datagrams, so that nothing is answered."""
    with contextlib.ExitStack() as stack:
        for where in places:
            process = stack.enter_context(subprocess.Popen(
                [*where, "/usr/bin/python3", "-c", SINK], stdout=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            assert process.stdout.readline() == "bound\n"
        yield


def records(box):
    return list(csv.DictReader(io.StringIO(box.ok("usage", "export", "--format", "csv"))))


def bill(box, uid, meters=ALL):
    """{meter: quantity} over all runs of a container."""
    found = [r for r in records(box) if r["resource_uid"] == uid]
    assert found
    return {m: sum(int(r["quantity"]) for r in found if r["meter"] == m) for m in meters}


def port(box, name):
    """The host's end of a container's cable."""
    text = subprocess.run([*inside(box, name), "ip", "-j", "link", "show", "eth0"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    index = json.loads(text)[0]["link_index"]
    return next(x["ifname"] for x in host_links(box) if x["ifindex"] == index)


def counted(box, link):
    """What the kernel counted at the cable, which is another counter than Croft's: of what went to
    the container and came from it, without the headers of Ethernet."""
    text = netlab.ip("-j", "-s", "link", "show", "dev", link, netns=box.netns)
    stats = json.loads(text)[0]["stats64"]
    return {f"net.{way}{unit}": stats[side]["packets"] if unit else
            stats[side]["bytes"] - HEADER * stats[side]["packets"]
            for way, side in (("ingress", "tx"), ("egress", "rx")) for unit in ("", ".packets")}


def unplug(box, name):
    """From now on no packet passes its cable. Returns what did, and its uid."""
    link = port(box, name)
    box.sh(name, "ip link set eth0 down")
    wait_until("it is down", lambda: "NO-CARRIER" in netlab.ip(
        "link", "show", "dev", link, netns=box.netns))
    return counted(box, link), box.usage(name)["uid"]


@pytest.mark.vm
def test_the_bill_is_what_the_kernel_counted(box):
    box.tenant()
    box.launch("acme/web")
    db = box.launch("acme/db")
    box.ok("forward", "add", "acme/web", f"{PORT}/udp", str(PORT))
    web_net, db_net = inside(box, "acme/web"), inside(box, "acme/db")
    with sink(web_net, db_net, outside(box)):
        send(web_net, netlab.OUTSIDE4, 50)
        send(web_net, netlab.OUTSIDE6, 30)
        send(web_net, db["ipv4_address"], 40)
        send(db_net, box.info("acme/web")["ipv6_address"], 10)
        send(outside(box), netlab.HOST4, 20)
    web, web_uid = unplug(box, "acme/web")
    db, db_uid = unplug(box, "acme/db")
    assert bill(box, web_uid) == web
    assert bill(box, db_uid) == db
    assert list(bill(box, web_uid, OUTSIDE).values()) == [
        20 * WIRE4, 20, 50 * WIRE4 + 30 * WIRE6, 80]
    assert set(bill(box, db_uid, OUTSIDE).values()) == {0}
    # The rest is the tenant's own affair: what was sent, and the finding of neighbours.
    assert web["net.egress"] >= 50 * WIRE4 + 30 * WIRE6 + 40 * WIRE4
    assert db["net.ingress"] >= 40 * WIRE4
    assert db["net.egress"] >= 10 * WIRE6
    # The same on `usage show`, of the tenant as the sum; and after the end, and for ever.
    def shown():
        usage = box.usage("acme")
        return [usage[f"net_{key}"] for key in (
            "ingress_bytes", "egress_packets", "egress_outside_bytes")]
    figures = [web["net.ingress"] + db["net.ingress"],
               web["net.egress.packets"] + db["net.egress.packets"], 50 * WIRE4 + 30 * WIRE6]
    wait_until("it is shown", lambda: shown() == figures)
    assert "of it to outside" in box.ok("usage", "show", "acme/web")
    for name in ("acme/web", "acme/db"):
        box.ok("delete", "--force", name)
    for _ in range(2):
        assert (bill(box, web_uid), bill(box, db_uid)) == (web, db)
        assert shown() == figures
        assert all(int(r["counter_end"]) - int(r["counter_start"]) == int(r["quantity"])
                   for r in records(box) if r["meter"].startswith("net."))
        box.kill9("croftd")
        box.restart("croftd")


@pytest.mark.parametrize("who", [("croftd",), ("supervisor",), ("croftd", "supervisor")],
                         ids="+".join)
class TestKill9:
    def test_of_daemons_costs_and_doubles_nothing(self, box, who):
        box.tenant()
        box.launch("acme/web")
        net = inside(box, "acme/web")
        with sink(outside(box)):
            for n in range(1, 4):
                send(net, netlab.OUTSIDE4, 10 * n)
                records(box)
                for daemon in who:
                    box.kill9(daemon)
                send(net, netlab.OUTSIDE4, n)
                box.restart(*who)
        sent, uid = unplug(box, "acme/web")
        assert bill(box, uid) == sent
        assert bill(box, uid, OUTSIDE)["net.egress.outside.packets"] == 60 + 6
        # And of what ends while nobody is there.
        pid = box.info("acme/web")["run"]["host_pid"]
        for daemon in who:
            box.kill9(daemon)
        os.kill(pid, signal.SIGKILL)
        box.restart(*who)
        box.wait_state("acme/web", "STOPPED", 60)
        assert bill(box, uid) == sent
        assert box.usage("acme")["net_egress_bytes"] == sent["net.egress"]

    def test_while_it_ends(self, box, who):
        """What was sent since the last sample is in the final figures alone."""
        box.tenant()
        box.launch("acme/web")
        net = inside(box, "acme/web")
        with sink(outside(box)):
            send(net, netlab.OUTSIDE4, 25)
        sent, uid = unplug(box, "acme/web")
        os.kill(box.info("acme/web")["run"]["host_pid"], signal.SIGKILL)
        for daemon in who:
            box.kill9(daemon)
        box.restart(*who)
        box.wait_state("acme/web", "STOPPED", 60)
        assert bill(box, uid) == sent


def test_each_run_has_its_own(box):
    """The kernel's counters of a place run on over its runs."""
    box.tenant()
    box.launch("acme/web")
    total = dict.fromkeys(ALL, 0)
    for n in range(1, 4):
        with sink(outside(box)):
            send(inside(box, "acme/web"), netlab.OUTSIDE4, n)
        if n == 2:
            # Seen by no sweep.
            for daemon in ("croftd", "supervisor"):
                box.kill9(daemon)
            box.restart("croftd", "supervisor")
        sent, uid = unplug(box, "acme/web")
        total = {meter: total[meter] + sent[meter] for meter in ALL}
        box.ok("kill", "acme/web")
        assert bill(box, uid) == total
        runs = [r for r in records(box) if r["resource_uid"] == uid]
        assert [int(r["quantity"]) for r in runs
                if r["meter"] == "net.egress.outside.packets"] == list(range(1, n + 1))
        box.ok("start", "acme/web")


def test_a_place_that_is_given_again_starts_at_nothing(box):
    box.tenant()
    for n in (3, 4):
        box.launch("acme/web")
        with sink(outside(box)):
            send(inside(box, "acme/web"), netlab.OUTSIDE4, n)
        sent, uid = unplug(box, "acme/web")
        box.ok("delete", "--force", "acme/web")
        assert bill(box, uid) == sent
        assert bill(box, uid, OUTSIDE)["net.egress.outside"] == n * WIRE4


def test_what_is_dropped_is_not_billed(box):
    """What the rules refuse passes the cable, but nobody delivers it."""
    box.tenant()
    box.launch("acme/web")
    link = port(box, "acme/web")
    # So that it knows the gateway, which answers nobody's question who is not who he says.
    send(inside(box, "acme/web"), netlab.OUTSIDE4, 1)
    before = counted(box, link)["net.egress"]
    subprocess.run([*inside(box, "acme/web"), "ip", "addr", "add", "10.99.0.1/32", "dev", "eth0"],
                   check=True)
    subprocess.run([*inside(box, "acme/web"), "/usr/bin/python3", "-c", SENDER.replace(
        "for _", 's.bind(("10.99.0.1", 0))\nfor _'), netlab.OUTSIDE4, "50"], check=True)
    seen, uid = unplug(box, "acme/web")
    assert seen["net.egress"] - before >= 50 * WIRE4
    assert bill(box, uid)["net.egress"] <= seen["net.egress"] - 50 * WIRE4
    assert bill(box, uid, OUTSIDE)["net.egress.outside"] == WIRE4


def test_somebody_flushed_the_hosts_rules(box):
    """The counters went with them: that is told, nothing is guessed, and it is counted on."""
    box.tenant()
    box.launch("acme/web")
    uid = box.usage("acme/web")["uid"]
    net = inside(box, "acme/web")
    with sink(outside(box)):
        send(net, netlab.OUTSIDE4, 5)
        assert bill(box, uid, OUTSIDE)["net.egress.outside.packets"] == 5
        cpu = box.usage("acme/web")["cpu_usec"]
        box.lab.run("host", "nft", "flush", "ruleset")
        assert bill(box, uid, OUTSIDE)["net.egress.outside.packets"] == 5
        assert "usage.counter_fell" in [e["type"] for e in box.events()]
        box.kill9("supervisor")
        box.restart("supervisor")
        send(net, netlab.OUTSIDE4, 7)
    assert bill(box, uid, OUTSIDE)["net.egress.outside.packets"] == 12
    assert box.usage("acme/web")["cpu_usec"] >= cpu


def test_the_supervisor_stands_still(box):
    """Samples are made all the same, and what could not be read is in the next."""
    box.tenant()
    box.launch("acme/web")
    with sink(outside(box)):
        send(inside(box, "acme/web"), netlab.OUTSIDE4, 5)
    sent, uid = unplug(box, "acme/web")
    before = len({r["samples"] for r in records(box)})
    assert before
    os.kill(box.pids["supervisor"], signal.SIGSTOP)
    try:
        samples = max(int(r["samples"]) for r in records(box) if r["resource_uid"] == uid)
        wait_until("it is sampled", lambda: max(
            int(r["samples"]) for r in records(box) if r["resource_uid"] == uid) > samples)
        assert bill(box, uid) == sent
    finally:
        os.kill(box.pids["supervisor"], signal.SIGCONT)
    assert bill(box, uid) == sent


def test_without_a_network_there_are_no_such_meters(box):
    box.tenant()
    box.launch("acme/alone", options=["--no-network"])
    uid = box.usage("acme/alone")["uid"]
    meters = {r["meter"] for r in records(box) if r["resource_uid"] == uid}
    assert "cpu.used" in meters and not [m for m in meters if m.startswith("net.")]
    assert "net_ingress_bytes" not in box.usage("acme/alone")
