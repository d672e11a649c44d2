"""Traffic on the bill: what the kernel counted at each container's cable, told apart into what was
the tenant's own affair and what went outside, whatever dies meanwhile."""

import contextlib
import csv
import io
import json
import os
import signal
import sqlite3
import subprocess

import pytest

import netlab
from croft_harness import wait_until
from networked import host_links, kept, lab, ping  # noqa: F401
from test_network_rates import inside, outside

HEADER = 14  # of Ethernet: the kernel's links count it, and the bill does not
ALL = ("net.ingress", "net.ingress.packets", "net.egress", "net.egress.packets")
OUTSIDE = ("net.ingress.outside", "net.ingress.outside.packets",
           "net.egress.outside", "net.egress.outside.packets")
PORT, SIZE = 9999, 1000
WIRE4, WIRE6 = SIZE + 28, SIZE + 48  # with the headers of UDP and IP
# What the kernels of host and container may say to each other unasked (ARP, ND, MLD) between two
# looks. None of it goes outside.
NOISE = {"net.ingress": 4000, "net.ingress.packets": 40,
         "net.egress": 4000, "net.egress.packets": 40}

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


def check_stretches(box, uid):
    """Each byte to or from outside is in the five minutes of one of its records."""
    found = [r for r in records(box) if r["resource_uid"] == uid and r["meter"] == "net.p95"]
    pairs = [pair.split("/") for r in found for pair in r["slots"].split(" ")]
    assert found and len(pairs) == 12 * len(found)
    assert [sum(int(pair[way]) for pair in pairs) for way in (0, 1)] == [
        bill(box, uid, OUTSIDE)[meter] for meter in ("net.ingress.outside", "net.egress.outside")]


EARLY = {}  # uid: what the cable counted before its bridge took any of it, and nobody is billed


def look(box, name, uid):
    """The bill and the cable's counters, at a moment when nothing passes it."""
    link = port(box, name)

    def quiet():
        before = counted(box, link)
        found = bill(box, uid)
        return counted(box, link) == before and (found, before)
    return wait_until("nothing passes the cable", quiet, 60)


def launch(box, name):
    """A container whose gateway answers: what it sends is not kept until it does."""
    info = box.launch(name)
    network = box.json("network", "show", name.split("/")[0])
    for key in ("ipv4_gateway", "ipv6_gateway"):
        wait_until("its gateway answers", lambda k=key: ping(box, name, network[k]).rc == 0, 30)
    uid = box.usage(name)["uid"]
    found, seen = look(box, name, uid)
    EARLY[uid] = {meter: seen[meter] - found[meter] for meter in ALL}
    assert all(0 <= EARLY[uid][meter] <= NOISE[meter] for meter in ALL)
    return info, uid


def agree(box, name, uid):
    """The bill says what the kernel counted at the cable, from launch() on. Returns that."""
    found, seen = look(box, name, uid)
    assert found == {meter: seen[meter] - EARLY[uid][meter] for meter in ALL}
    return found


def check_final(box, uid, seen):
    """After its end: what was seen last, and nothing but noise beside."""
    found = bill(box, uid)
    for meter in ALL:
        assert seen[meter] <= found[meter] <= seen[meter] + NOISE[meter], (meter, found, seen)
    return found


@pytest.mark.vm
def test_the_bill_is_what_the_kernel_counted(box):
    box.tenant()
    web, web_uid = launch(box, "acme/web")
    db, db_uid = launch(box, "acme/db")
    box.ok("forward", "add", "acme/web", f"{PORT}/udp", str(PORT))
    web_net, db_net = inside(box, "acme/web"), inside(box, "acme/db")
    with sink(web_net, db_net, outside(box)):
        send(web_net, netlab.OUTSIDE4, 50)
        send(web_net, netlab.OUTSIDE6, 30)
        send(web_net, db["ipv4_address"], 40)
        send(db_net, web["ipv6_address"], 10)
        send(outside(box), netlab.HOST4, 20)
        wait_until("all is counted", lambda: list(bill(box, web_uid, OUTSIDE).values()) == [
            20 * WIRE4, 20, 50 * WIRE4 + 30 * WIRE6, 80])
        web, db = agree(box, "acme/web", web_uid), agree(box, "acme/db", db_uid)
    assert set(bill(box, db_uid, OUTSIDE).values()) == {0}
    # The rest is the tenant's own affair: what was sent, and the finding of neighbours.
    assert web["net.egress"] >= 50 * WIRE4 + 30 * WIRE6 + 40 * WIRE4
    assert web["net.ingress"] >= 20 * WIRE4 + 10 * WIRE6
    assert db["net.ingress"] >= 40 * WIRE4
    assert db["net.egress"] >= 10 * WIRE6
    assert "of it to outside" in box.ok("usage", "show", "acme/web")
    for name in ("acme/web", "acme/db"):
        box.ok("delete", "--force", name)
    web, db = check_final(box, web_uid, web), check_final(box, db_uid, db)
    # From here on for ever; and on `usage show`, where a tenant's are the sum.
    for _ in range(2):
        usage = box.usage("acme")
        assert [usage[f"net_{key}"] for key in (
            "ingress_bytes", "egress_packets", "egress_outside_bytes")] == [
            web["net.ingress"] + db["net.ingress"],
            web["net.egress.packets"] + db["net.egress.packets"], 50 * WIRE4 + 30 * WIRE6]
        assert (bill(box, web_uid), bill(box, db_uid)) == (web, db)
        assert all(int(r["counter_end"]) - int(r["counter_start"]) == int(r["quantity"])
                   for r in records(box) if r["meter"] in ALL + OUTSIDE)
        for uid in (web_uid, db_uid):
            check_stretches(box, uid)
        box.kill9("croftd")
        box.restart("croftd")


@pytest.mark.parametrize("who", [("croftd",), ("supervisor",), ("croftd", "supervisor")],
                         ids="+".join)
class TestKill9:
    def test_of_daemons_costs_and_doubles_nothing(self, box, who):
        box.tenant()
        _, uid = launch(box, "acme/web")
        net = inside(box, "acme/web")
        with sink(outside(box)):
            for n in range(1, 4):
                send(net, netlab.OUTSIDE4, 10 * n)
                records(box)
                for daemon in who:
                    box.kill9(daemon)
                send(net, netlab.OUTSIDE4, n)
                box.restart(*who)
            seen = agree(box, "acme/web", uid)
        assert bill(box, uid, OUTSIDE)["net.egress.outside"] == 66 * WIRE4
        # And of what ends while nobody is there.
        pid = box.info("acme/web")["run"]["host_pid"]
        for daemon in who:
            box.kill9(daemon)
        os.kill(pid, signal.SIGKILL)
        box.restart(*who)
        box.wait_state("acme/web", "STOPPED", 60)
        found = check_final(box, uid, seen)
        assert bill(box, uid, OUTSIDE)["net.egress.outside"] == 66 * WIRE4
        check_stretches(box, uid)
        assert box.usage("acme")["net_egress_bytes"] == found["net.egress"]

    def test_while_it_ends(self, box, who):
        """What was sent since the last sample is in the final figures alone."""
        box.tenant()
        _, uid = launch(box, "acme/web")
        net = inside(box, "acme/web")
        link = port(box, "acme/web")
        with sink(outside(box)):
            send(net, netlab.OUTSIDE4, 25)
            wait_until("it is counted",
                       lambda: counted(box, link)["net.egress"] >= 25 * WIRE4)
        seen = {m: n - EARLY[uid][m] for m, n in counted(box, link).items()}
        os.kill(box.info("acme/web")["run"]["host_pid"], signal.SIGKILL)
        for daemon in who:
            box.kill9(daemon)
        box.restart(*who)
        box.wait_state("acme/web", "STOPPED", 60)
        check_final(box, uid, seen)
        assert bill(box, uid, OUTSIDE)["net.egress.outside"] == 25 * WIRE4


def forget(box, uid):
    """As if croftd had been killed before the launch was committed."""
    state = sqlite3.connect(f"{box.state}/server/croft.db")
    state.execute("PRAGMA foreign_keys=ON")
    with state:
        runs = "(SELECT key FROM runs WHERE container_uid=?)"
        for table in ("samples", "gaps"):
            state.execute(f"DELETE FROM {table} WHERE run IN {runs}", (uid,))
        state.execute("DELETE FROM runs WHERE container_uid=?", (uid,))
        state.execute("DELETE FROM totals WHERE uid=?", (uid,))
        state.execute("DELETE FROM containers WHERE uid=?", (uid,))
    state.close()


def test_of_a_run_that_croftd_did_not_live_to_commit(box):
    """It is killed as unknown, after the filter was replaced by one that does not know it."""
    box.tenant()
    _, uid = launch(box, "acme/web")
    with sink(outside(box)):
        send(inside(box, "acme/web"), netlab.OUTSIDE4, 25)
        seen = agree(box, "acme/web", uid)
    known = {r["resource_uid"] for r in records(box)}
    box.kill9("croftd")
    forget(box, uid)
    box.restart("croftd")
    uid = wait_until("it is on the bill", lambda: {
        r["resource_uid"] for r in records(box) if r["final"] == "true"} - known, 60).pop()
    check_final(box, uid, seen)
    assert bill(box, uid, OUTSIDE)["net.egress.outside"] == 25 * WIRE4


def test_each_run_has_its_own(box):
    """The kernel's counters of a place run on over its runs."""
    box.tenant()
    _, uid = launch(box, "acme/web")
    gateway = box.json("network", "show", "acme")["ipv4_gateway"]
    for n in range(1, 4):
        wait_until("its gateway answers", lambda: ping(box, "acme/web", gateway).rc == 0, 30)
        with sink(outside(box)):
            send(inside(box, "acme/web"), netlab.OUTSIDE4, n)
            wait_until("it is counted", lambda want=n: bill(
                box, uid, OUTSIDE)["net.egress.outside.packets"] == sum(range(want + 1)))
        if n == 2:
            for daemon in ("croftd", "supervisor"):
                box.kill9(daemon)
            box.restart("croftd", "supervisor")
        box.ok("kill", "acme/web")
        runs = [r for r in records(box) if r["resource_uid"] == uid]
        assert [int(r["quantity"]) for r in runs
                if r["meter"] == "net.egress.outside.packets"] == list(range(1, n + 1))
        box.ok("start", "acme/web")


def test_a_place_that_is_given_again_starts_at_nothing(box):
    box.tenant()
    for n in (3, 4):
        _, uid = launch(box, "acme/web")
        with sink(outside(box)):
            send(inside(box, "acme/web"), netlab.OUTSIDE4, n)
            seen = agree(box, "acme/web", uid)
        box.ok("delete", "--force", "acme/web")
        check_final(box, uid, seen)
        assert bill(box, uid, OUTSIDE)["net.egress.outside"] == n * WIRE4


def test_what_is_dropped_is_not_billed(box):
    """What the rules refuse passes the cable, but nobody delivers it."""
    box.tenant()
    _, uid = launch(box, "acme/web")
    link = port(box, "acme/web")
    # It knows its gateway, which answers nobody's question who is not who he says.
    before = counted(box, link)["net.egress"]
    subprocess.run([*inside(box, "acme/web"), "ip", "addr", "add", "10.99.0.1/32", "dev", "eth0"],
                   check=True)
    subprocess.run([*inside(box, "acme/web"), "/usr/bin/python3", "-c", SENDER.replace(
        "for _", 's.bind(("10.99.0.1", 0))\nfor _'), netlab.OUTSIDE4, "50"], check=True)
    wait_until("they have passed it",
               lambda: counted(box, link)["net.egress"] - before >= 50 * WIRE4)
    billed = bill(box, uid)["net.egress"]
    assert 0 < billed <= counted(box, link)["net.egress"] - 50 * WIRE4
    assert bill(box, uid, OUTSIDE)["net.egress.outside"] == 0


def test_somebody_flushed_the_hosts_rules(box):
    """The counters went with them: that is told, nothing is guessed, and it is counted on."""
    box.tenant()
    _, uid = launch(box, "acme/web")
    net = inside(box, "acme/web")

    def packets():
        return bill(box, uid, OUTSIDE)["net.egress.outside.packets"]
    with sink(outside(box)):
        send(net, netlab.OUTSIDE4, 5)
        wait_until("they are counted", lambda: packets() == 5)
        cpu = box.usage("acme/web")["cpu_usec"]
        box.lab.run("host", "nft", "flush", "ruleset")
        assert packets() == 5
        wait_until("it is told", lambda: "usage.counter_fell" in [
            e["type"] for e in box.events()])
        box.kill9("supervisor")
        box.restart("supervisor")
        send(net, netlab.OUTSIDE4, 7)
        wait_until("it is counted on", lambda: packets() == 12)
    assert box.usage("acme/web")["cpu_usec"] >= cpu


def test_the_supervisor_stands_still(box):
    """Samples are made all the same, and what could not be read is in the next."""
    box.tenant()
    _, uid = launch(box, "acme/web")
    net = inside(box, "acme/web")
    with sink(outside(box)):
        send(net, netlab.OUTSIDE4, 5)
        wait_until("they are counted", lambda: bill(
            box, uid, OUTSIDE)["net.egress.outside.packets"] == 5)

        def samples():
            return max(int(r["samples"]) for r in records(box) if r["resource_uid"] == uid)
        os.kill(box.pids["supervisor"], signal.SIGSTOP)
        try:
            before = samples()
            wait_until("it is sampled", lambda: samples() > before, 60)
            send(net, netlab.OUTSIDE4, 6)
            assert bill(box, uid, OUTSIDE)["net.egress.outside.packets"] == 5
        finally:
            os.kill(box.pids["supervisor"], signal.SIGCONT)
        wait_until("the rest is counted", lambda: bill(
            box, uid, OUTSIDE)["net.egress.outside.packets"] == 11, 60)


def test_without_a_network_there_are_no_such_meters(box):
    box.tenant()
    box.launch("acme/alone", options=["--no-network"])
    uid = box.usage("acme/alone")["uid"]
    meters = {r["meter"] for r in records(box) if r["resource_uid"] == uid}
    assert "cpu.used" in meters and not [m for m in meters if m.startswith("net.")]
    assert "net_ingress_bytes" not in box.usage("acme/alone")
