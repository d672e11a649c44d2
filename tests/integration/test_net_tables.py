"""croft-net's tables: caps, counters, what they leave alone, and the worker itself."""

import contextlib
import os
import socket
import subprocess
import threading

import pytest

import croft_harness
import net_rules as rules
from net_lab import (FORWARDS, FRAMES, HOST4, HOST6, OUTSIDE4, OUTSIDE6, ROWS, answer_once,
                     lab, sockets)  # noqa: F401

pytestmark = pytest.mark.vm


def words(ruleset):
    """In whatever order nft lists the elements of sets."""
    return sorted(ruleset.replace(",", " ").split())


# ---- caps


def burst(ns, address, n):
    """n packets, each a flow of its own."""
    for port in range(n):
        with ns.connect(address, 20000 + port, kind=socket.SOCK_DGRAM) as s:
            s.send(b"x")


def test_new_flows_are_capped_for_the_tenant(lab):
    rows = [rules.tenant(1, flows=50), rules.tenant(2)] + ROWS[2:]
    lab.croft_net(rules.REPLACE, rows)
    burst(lab.ns["c11"], OUTSIDE4, 200)
    burst(lab.ns["c12"], OUTSIDE4, 200)
    dropped = lab.counter("inet", "t1_flows")
    assert 200 < dropped <= 350, "400 flows in well under a second, 50 a second and 50 at once"
    burst(lab.ns["c21"], OUTSIDE4, 200)
    assert lab.counter("inet", "t2_flows") == 0, "another tenant's are its own"
    # A cap is changed in place, with everything else as it is.
    lab.croft_net(rules.ADD, [rules.tenant(1, flows=5000)])
    burst(lab.ns["c11"], OUTSIDE4, 200)
    assert lab.counter("inet", "t1_flows") == dropped


@pytest.mark.parametrize("outside", [OUTSIDE4, OUTSIDE6])
def test_connections_that_are_let_through_are_counted_once(lab, outside):
    """By the tenant that began them, and where they went outside."""
    rows = [rules.tenant(1, smtp=True), rules.tenant(2)] + ROWS[2:]
    lab.croft_net(rules.DROP)
    lab.croft_net(rules.REPLACE, rows + FORWARDS)

    def opened():
        return [lab.counter("inet", f"t{t}_{name}")
                for t in (1, 2) for name in ("opened", "opened_smtp")]

    assert opened() == [0, 0, 0, 0]
    burst(lab.ns["c11"], outside, 40)
    burst(lab.ns["c12"], outside, 10)
    assert opened() == [50, 0, 0, 0]
    # Nobody answers, so that each of these packets is new to the kernel.
    with lab.ns["c11"].connect(outside, 9, kind=socket.SOCK_DGRAM) as s:
        for _ in range(20):
            with contextlib.suppress(OSError):
                s.send(b"x")
    lab.listen("outside", 25)
    for name in ("c11", "c21"):
        with contextlib.suppress(ConnectionRefusedError), lab.ns[name].connect(outside, 25) as s:
            s.send(b"words")
    # The second tenant was not let.
    assert opened() == [52, 1, 0, 0]
    assert lab.counter("inet", "t2_smtp") > 0
    # Not between neighbours, nor from outside; and to another tenant only by what it forwards.
    version = 4 if outside == OUTSIDE4 else 6
    lab.listen("c12", 7003)
    lab.ns["c11"].connect(lab.plan.of(1, 2, version), 7003).close()
    lab.listen("c11", 80)
    host = HOST4 if version == 4 else HOST6
    lab.outside.connect(host, 8080).close()
    lab.ns["c12"].connect(host, 8080).close()
    assert opened() == [52, 1, 0, 0]
    lab.ns["c21"].connect(host, 8080).close()
    assert opened() == [52, 1, 1, 0]
    # A change of caps leaves them.
    lab.croft_net(rules.ADD, [rules.tenant(1, flows=5000)])
    assert opened() == [52, 1, 1, 0]


def test_tracked_connections_are_capped_for_the_tenant(lab):
    rows = [rules.tenant(1, flows=10000, connections=30), rules.tenant(2)] + ROWS[2:]
    lab.croft_net(rules.REPLACE, rows)
    lab.listen("outside", 7010)
    held = []
    with pytest.raises(TimeoutError):
        for _ in range(40):
            held.append(lab.ns["c11"].connect(OUTSIDE4, 7010, timeout=0.4))
    assert len(held) == 30
    assert lab.counter("inet", "t1_connections") > 0
    lab.ns["c21"].connect(OUTSIDE4, 7010).close()
    for s in held:
        s.close()


def test_packets_are_capped_for_the_tenant(lab):
    rows = [rules.tenant(1, packets=1000), rules.tenant(2)] + ROWS[2:]
    lab.croft_net(rules.REPLACE, rows)
    sender = lab.ns["c11"].frames("eth0")
    for _ in range(2000):
        sender.send(FRAMES.marker())
    sender.close()
    assert 500 < lab.counter("bridge", "t1_packets") < 2000, "251 at once, 1000 a second"
    assert lab.ns["c21"].ping(lab.plan.ip(2, 1))
    assert lab.counter("bridge", "t2_packets") == 0


# ---- counters


def test_traffic_is_counted_by_where_it_goes(lab):
    lab.croft_net(rules.REPLACE, ROWS)
    lab.croft_net(rules.REMOVE, [rules.container(1, 1)])
    lab.croft_net(rules.ADD, [rules.container(1, 1)])  # from 0
    port, ip4, ip6 = lab.plan.port(1, 1), lab.plan.of(1, 1), lab.plan.of(1, 1, 6)
    c = lab.ns["c11"]
    assert lab.counted("inet", "out4", ip4) == (0, 0)
    assert c.ping(OUTSIDE4, size=972)  # 1000 bytes of IP
    assert c.ping(OUTSIDE6, size=952)
    for name, key in (("out4", ip4), ("in4", ip4), ("out6", ip6), ("in6", ip6)):
        assert lab.counted("inet", name, key) == (1000, 1)
    assert c.ping(lab.plan.of(1, 2), size=972), "a neighbour is not outside"
    assert c.ping(lab.plan.ip(1, 1), size=972), "nor is the host"
    assert lab.counted("inet", "out4", ip4) == (1000, 1)
    for name in ("all_out", "all_in"):
        size, packets = lab.counted("bridge", name, port)
        assert 4000 <= size < 6000 and packets >= 4, "ARP and ND beside the four"
    # Of those, what came to its own addresses: the answers to the four, and nothing else.
    assert lab.counted("bridge", "to_own", port)[1] == 4
    before = lab.counted("bridge", "all_out", port)
    lab.listen("outside", 25)
    with pytest.raises(OSError):
        c.connect(OUTSIDE4, 25)
    assert lab.counted("inet", "out4", ip4) == (1000, 1), "what was refused did not go out"
    assert lab.counted("bridge", "all_out", port) >= before


def test_what_goes_to_every_port_is_nobodys_own(lab):
    """A frame for a MAC that the bridge has forgotten, say."""
    lab.croft_net(rules.REPLACE, ROWS)
    port = lab.plan.port(1, 2)

    def packets(name):
        return lab.counted("bridge", name, port)[1]

    everything, own = packets("all_in"), packets("to_own")
    sender = lab.ns["c11"].frames("eth0")
    for _ in range(10):
        sender.send(FRAMES.lost())
    sender.send(FRAMES.plain())
    sender.close()
    croft_harness.wait_until("all have come by", lambda: packets("to_own") > own, 10)
    assert packets("all_in") >= everything + 11
    assert packets("to_own") == own + 1


@pytest.mark.native("croft-net's text")
def test_a_set_of_an_earlier_croft_goes(lab):
    table = ("bridge", f"{lab.plan.table}_count")
    lab.croft_net(rules.REPLACE, ROWS)
    lab.nft("add", "set", *table, "own_in", "{ type ifname; counter; }")
    lab.nft("add", "element", *table, "own_in", f'{{ "{lab.plan.port(1, 1)}" }}')
    lab.nft("add", "rule", *table, "postrouting", "oifname", "@own_in")
    assert "own_in" in lab.nft("list", "table", *table)
    lab.croft_net(rules.REPLACE, ROWS)
    assert "own_in" not in lab.nft("list", "table", *table)


def test_a_hairpin_is_not_outside(lab):
    server = lab.listen("c11", 80)
    lab.croft_net(rules.REPLACE, ROWS + FORWARDS)
    before = lab.counted("inet", "out4", lab.plan.of(1, 2))
    thread, _ = answer_once(server)
    with lab.ns["c12"].connect(HOST4, 8080) as s:
        assert s.recv(10) == b"hello"
    thread.join()
    assert lab.counted("inet", "out4", lab.plan.of(1, 2)) == before
    # Another tenant's container is.
    thread, _ = answer_once(server)
    before = lab.counted("inet", "in4", lab.plan.of(1, 1))
    with lab.ns["c21"].connect(HOST4, 8080) as s:
        assert s.recv(10) == b"hello"
    thread.join()
    assert lab.counted("inet", "in4", lab.plan.of(1, 1)) > before
    assert lab.counted("inet", "out4", lab.plan.of(2, 1)) > (0, 0)


def test_counters_outlive_everything_but_their_container(lab):
    lab.croft_net(rules.REPLACE, ROWS)
    assert lab.ns["c11"].ping(OUTSIDE4)
    key = lab.plan.of(1, 1)
    before = lab.counted("inet", "out4", key)
    assert before > (0, 0)
    lab.croft_net(rules.REPLACE, ROWS)
    lab.croft_net(rules.REPLACE, ROWS + FORWARDS)
    lab.croft_net(rules.REMOVE, [rules.container(1, 1)])
    assert lab.counted("inet", "out4", key) == before
    lab.croft_net(rules.FORGET, [rules.container(1, 1)])
    with pytest.raises(KeyError):
        lab.counted("inet", "out4", key)
    # Without a row: gone with the next whole set.
    lab.croft_net(rules.REPLACE, [rules.tenant(1), rules.container(1, 2)])
    with pytest.raises(KeyError):
        lab.counted("inet", "out4", lab.plan.of(2, 1))
    with pytest.raises(KeyError):
        lab.counted("bridge", "to_own", lab.plan.port(2, 1))
    assert lab.counted("bridge", "to_own", lab.plan.port(1, 2))
    text = lab.nft("list", "ruleset")
    assert lab.plan.port(2, 1) not in text and lab.plan.of(2, 1) not in text


# ---- the tables


HOSTS_OWN = """
table inet firewall {
    set friends { type ipv4_addr; flags interval; elements = { 192.0.2.0/24 } }
    chain input {
        type filter hook input priority filter; policy accept;
        ip saddr @friends counter packets 5 bytes 300 accept
    }
}
table ip nat {
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
    }
}
"""


def test_the_hosts_own_rules_are_untouched(lab):
    lab.croft_net(rules.DROP)
    empty = lab.nft("list", "ruleset")
    assert empty == ""
    lab.host.run("nft", "-f", "-", input=HOSTS_OWN)
    before = lab.nft("list", "ruleset")
    for op, rows in ((rules.REPLACE, ROWS + FORWARDS), (rules.ADD, [rules.container(2, 7)]),
                     (rules.REMOVE, [rules.container(2, 7)]), (rules.REPLACE, ROWS)):
        lab.croft_net(op, rows)
        for table in ("inet firewall", "ip nat"):
            shown = lab.nft("list", "table", *table.split())
            assert shown in before
    lab.croft_net(rules.DROP)
    assert lab.nft("list", "ruleset") == before
    lab.croft_net(rules.DROP)
    lab.nft("flush", "ruleset")


@pytest.mark.native("croft-net's text")
def test_the_same_rows_make_the_same_tables(lab):
    lab.croft_net(rules.REPLACE, ROWS + FORWARDS)
    once = lab.nft("-s", "list", "ruleset")
    lab.croft_net(rules.REPLACE, ROWS + FORWARDS)
    assert sorted(lab.nft("-s", "list", "ruleset").split("\n")) == sorted(once.split("\n"))
    # Piece by piece it is the same, and can be said twice.
    lab.croft_net(rules.REPLACE, [])
    for _ in range(2):
        lab.croft_net(rules.ADD, ROWS[:2])
        lab.croft_net(rules.ADD, ROWS[2:] + FORWARDS)

    assert words(lab.nft("-s", "list", "ruleset")) == words(once)
    for _ in range(2):
        lab.croft_net(rules.REMOVE, ROWS + FORWARDS)
    lab.croft_net(rules.FORGET, ROWS)
    gone = lab.nft("-s", "list", "ruleset")
    lab.croft_net(rules.DROP)
    lab.croft_net(rules.REPLACE, [])
    assert words(lab.nft("-s", "list", "ruleset")) == words(gone)


def test_a_conflict_changes_nothing(lab):
    lab.croft_net(rules.REPLACE, ROWS + FORWARDS)
    before = lab.nft("-s", "list", "ruleset")
    for rows in ([rules.forward(2, 1, 8080, 80)], [rules.container(9, 1)]):
        with pytest.raises(rules.Refused) as refused:
            lab.croft_net(rules.ADD, [rules.container(2, 5), *rows])
        assert refused.value.reason == "NET_RULES_REFUSED"
        assert lab.plan.port(2, 5) not in lab.nft("list", "ruleset")
    assert words(lab.nft("-s", "list", "ruleset")) == words(before)
    lab.croft_net(rules.DROP)
    with pytest.raises(rules.Refused):
        lab.croft_net(rules.ADD, [rules.container(1, 1)])


@pytest.mark.native("names in croft-net's text")
@pytest.mark.parametrize("letters", ["nf", "nftx"])
def test_instances_keep_off_each_other(lab, letters):
    """Their letters may begin alike: a digit follows."""
    other = rules.Plan(letters)
    lab.croft_net(rules.REPLACE, ROWS)
    rules.run(other, rules.REPLACE, [rules.tenant(1), rules.container(1, 1)],
              prefix=lab.host.enter)
    assert lab.ns["c11"].ping(OUTSIDE4)
    assert lab.ns["c11"].ping(lab.plan.of(1, 2, 6))
    rules.run(other, rules.DROP, prefix=lab.host.enter)
    assert other.table not in lab.nft("list", "ruleset").replace(lab.plan.table, "")


# ---- the worker


@pytest.mark.native("croft-net's text")
def test_what_is_not_rows_is_refused(lab):
    plan = lab.plan
    good = rules.message(plan, rules.REPLACE, ROWS)
    bad = [b"", good[:-1], good + b"\0", b"add table inet x\n" * 40,
           good.replace(b"nft\0", b'n"t\0'), good.replace(b"nft\0\0", b"nfttt"),
           rules.message(plan, 9), rules.message(plan, rules.DROP, ROWS)]
    for data in bad:
        with pytest.raises(rules.Refused):
            rules.run_bytes(data, prefix=lab.host.enter)


def test_the_worker_is_fenced_in(lab):
    """While it waits for its input: nobody, with one capability, and no way to open a file."""
    program = os.path.join(croft_harness.BUILD, "croft-net")
    worker = subprocess.Popen([*lab.host.enter, program], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    try:
        worker.stdin.write(b"\0")
        worker.stdin.flush()
        status = {}
        for _ in range(200):
            with open(f"/proc/{worker.pid}/status", encoding="ascii") as f:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
            # The runner itself may be under a filter.
            if status["Seccomp"] == "2" and status["Name"] == "croft-net" and int(
                    status["CapEff"], 16) == 1 << 12 and status["NoNewPrivs"] == "1":
                break
            threading.Event().wait(0.01)
        assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
        assert status["Uid"].split() == ["65534"] * 4 and status["Groups"].split() == []
        assert {status[f"Cap{s}"] for s in ("Inh", "Bnd", "Amb")} == {"0" * 16}
        assert {int(status[f"Cap{s}"], 16) for s in ("Prm", "Eff")} == {1 << 12}  # NET_ADMIN
        assert sorted(os.listdir(f"/proc/{worker.pid}/fd")) == ["0", "1", "2"]
    finally:
        worker.stdin.close()
        worker.wait(10)
        worker.stdout.close()
