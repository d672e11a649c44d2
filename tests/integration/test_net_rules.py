"""Where containers may get and what they may send, with croft-net alone: namespaces stand in for
the host, its containers and the world outside. What must not pass is shown to pass without the
tables first."""

import errno
import socket
import threading

import pytest

import net_rules as rules
from net_lab import (FORWARDS, FRAMES, HOST4, HOST6, OUTSIDE4, OUTSIDE6, ROWS, SECOND4,
                     answer_once, lab, sockets)  # noqa: F401


@pytest.fixture
def filtered(lab):
    lab.croft_net(rules.REPLACE, ROWS)
    return lab


# ---- what a container may send


def passes(sender, receiver, frame, marker):
    """Whether the frame arrives; the marker, sent behind it on the same way, always does."""
    greeting = FRAMES.greeting()
    receiver.send(greeting)
    while sender.recv(65536) != greeting:
        pass
    sender.send(frame)
    sender.send(marker)
    untagged = frame[:12] + frame[16:]  # as a packet socket shows it
    arrived = False
    while True:
        got = receiver.recv(65536)
        arrived = arrived or got in (frame, untagged)
        if got == marker:
            return arrived


@pytest.fixture(scope="module")
def arrived(lab):
    """Which frames get from container 1 to its neighbour: (without the tables, with them)."""
    sender, receiver = lab.ns["c11"].frames("eth0"), lab.ns["c12"].frames("eth0")
    frames = {**FRAMES.hostile(), **FRAMES.honest()}

    def look():
        return {name: passes(sender, receiver, frame, FRAMES.marker())
                for name, frame in frames.items()}

    with sender, receiver:
        lab.croft_net(rules.DROP)
        without = look()
        # What the neighbour was made to believe.
        lab.ns["c12"].batch("neigh flush all")
        lab.croft_net(rules.REPLACE, ROWS)
        return without, look()


@pytest.mark.parametrize("name", sorted(FRAMES.hostile()))
def test_hostile_frames_stop_at_the_port(arrived, name):
    without, filtered = arrived
    assert without[name], "the control: nothing but the tables stops it"
    assert not filtered[name]


@pytest.mark.parametrize("name", sorted(FRAMES.honest()))
def test_honest_frames_pass(arrived, name):
    assert arrived[1][name]


def test_a_port_without_a_row_sends_nothing(lab):
    lab.croft_net(rules.REPLACE, ROWS)
    lab.croft_net(rules.REMOVE, [rules.container(1, 1)])
    before = lab.counter("bridge", "spoofed_mac")
    assert not lab.ns["c11"].ping(lab.plan.of(1, 2))
    assert lab.counter("bridge", "spoofed_mac") > before
    lab.croft_net(rules.ADD, [rules.container(1, 1)])
    assert lab.ns["c11"].ping(lab.plan.of(1, 2))


# ---- where a container may get


def test_neighbours_gateway_and_outside_are_reached(filtered):
    lab, c = filtered, filtered.ns["c11"]
    for version in (4, 6):
        assert c.ping(lab.plan.of(1, 2, version))
        assert c.ping(lab.plan.of(1, 2, version), size=3000), "in fragments"
        assert c.ping(lab.plan.ip(1, 1, version))
        assert c.ping({4: OUTSIDE4, 6: OUTSIDE6}[version])
        assert c.ping({4: OUTSIDE4, 6: OUTSIDE6}[version], size=3000), "in fragments"


@pytest.mark.parametrize("outside,host", [(OUTSIDE4, HOST4), (OUTSIDE6, HOST6)])
def test_outside_sees_the_hosts_address(filtered, outside, host):
    server = filtered.listen("outside", 7001)
    with filtered.ns["c11"].connect(outside, 7001):
        assert server.accept()[1][0].removeprefix("::ffff:") == host


@pytest.mark.parametrize("version", [4, 6])
def test_tenants_do_not_reach_each_other(lab, version):
    lab.listen("c21", 7002)
    lab.croft_net(rules.DROP)
    lab.ns["c11"].connect(lab.plan.of(2, 1, version), 7002).close()
    lab.croft_net(rules.REPLACE, ROWS)
    with pytest.raises(TimeoutError):
        lab.ns["c11"].connect(lab.plan.of(2, 1, version), 7002, timeout=0.4)
    assert lab.counter("inet", "other_tenants") > 0
    assert not lab.ns["c11"].ping(lab.plan.of(2, 1, version))


@pytest.mark.parametrize("version", [4, 6])
def test_nobody_outside_reaches_a_container_unasked(lab, version):
    lab.listen("c11", 7003)
    lab.croft_net(rules.DROP)
    lab.outside.connect(lab.plan.of(1, 1, version), 7003).close()
    lab.croft_net(rules.REPLACE, ROWS)
    with pytest.raises(TimeoutError):
        lab.outside.connect(lab.plan.of(1, 1, version), 7003, timeout=0.4)
    assert lab.counter("inet", "unasked") > 0


@pytest.mark.parametrize("version", [4, 6])
def test_the_hosts_own_services_are_shut(lab, version):
    lab.listen("host", 7004)
    gateway = lab.plan.ip(1, 1, version)
    lab.croft_net(rules.DROP)
    lab.ns["c11"].connect(gateway, 7004).close()
    lab.croft_net(rules.REPLACE, ROWS)
    for address in (gateway, {4: HOST4, 6: HOST6}[version]):
        with pytest.raises(OSError) as refused:
            lab.ns["c11"].connect(address, 7004)
        assert refused.value.errno == errno.ECONNREFUSED
    # The host reaches its containers.
    lab.listen("c11", 7005)
    lab.host.connect(lab.plan.of(1, 1, version), 7005).close()


@pytest.mark.parametrize("outside", [OUTSIDE4, OUTSIDE6])
def test_mail_is_refused_unless_it_is_allowed(lab, outside):
    for port in (25, 465, 587):
        lab.listen("outside", port)
    lab.croft_net(rules.REPLACE, ROWS)
    with pytest.raises(OSError) as refused:
        lab.ns["c11"].connect(outside, 25)
    assert refused.value.errno == errno.ECONNREFUSED
    assert lab.counter("inet", "t1_smtp") > 0
    for port in (465, 587):
        lab.ns["c11"].connect(outside, port).close()
    lab.listen("c12", 25)
    lab.ns["c11"].connect(lab.plan.of(1, 2), 25).close()
    lab.croft_net(rules.ADD, [rules.tenant(1, smtp=True)])
    lab.ns["c11"].connect(outside, 25).close()
    with pytest.raises(OSError):
        lab.ns["c21"].connect(outside, 25)


def test_errors_of_the_path_come_back(filtered):
    """A router outside with a small MTU: path MTU discovery works through the host's NAT."""
    lab = filtered
    lab.outside.batch("link add far type veth peer name far1", "link set far up",
                      "addr add 198.51.100.1/24 dev far", "link set far mtu 1400",
                      "link set far1 up")
    lab.outside.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
    lab.host.batch(f"route add 198.51.100.0/24 via {OUTSIDE4}")
    with lab.ns["c11"].connect("198.51.100.2", 7000, kind=socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER: IP_PMTUDISC_DO
        s.send(b"x" * 1450)
        with pytest.raises(OSError) as too_long:
            for _ in range(100):
                s.send(b"x" * 1450)
                threading.Event().wait(0.01)
        assert too_long.value.errno == errno.EMSGSIZE
        assert s.getsockopt(socket.IPPROTO_IP, 14) == 1400  # IP_MTU
    lab.outside.batch("link del far")


# ---- forwards


@pytest.mark.parametrize("who,address,source", [
    ("outside", HOST4, OUTSIDE4), ("outside", HOST6, OUTSIDE6), ("outside", SECOND4, OUTSIDE4),
    ("c12", HOST4, "gateway4"), ("c12", HOST6, "gateway6"), ("c11", HOST4, "gateway4"),
    ("c21", HOST4, "gateway4"), ("c21", HOST6, "gateway6"), ("host", HOST4, HOST4),
    ("host", HOST6, HOST6),
])
def test_a_forward_is_reached_from_everywhere(lab, who, address, source):
    server = lab.listen("c11", 80)
    lab.croft_net(rules.REPLACE, ROWS)
    with pytest.raises(OSError):
        lab.ns[who].connect(address, 8080, timeout=0.4)
    lab.croft_net(rules.REPLACE, ROWS + FORWARDS)
    thread, seen = answer_once(server)
    with lab.ns[who].connect(address, 8080) as s:
        assert s.recv(10) == b"hello"
    thread.join()
    if source.startswith("gateway"):
        source = lab.plan.ip(1, 1, int(source[-1]))
    assert seen == [source], "another tenant's address is not shown"


@pytest.mark.parametrize("who", ["outside", "c12", "c21", "host"])
def test_forwards_and_isolation_beside_br_netfilter(lab, who):
    """Docker's hosts have it. What it cannot do: a container's connection to its own forward."""
    server = lab.listen("c11", 80)
    lab.croft_net(rules.REPLACE, ROWS + FORWARDS)
    lab.bridge_netfilter(True)
    try:
        thread, seen = answer_once(server)
        with lab.ns[who].connect(HOST4, 8080) as s:
            assert s.recv(10) == b"hello"
        thread.join()
        expected = {"outside": OUTSIDE4, "host": HOST4}
        assert seen == [expected.get(who, lab.plan.ip(1, 1))]
        assert lab.ns["c12"].ping(lab.plan.of(1, 1))
        assert not lab.ns["c21"].ping(lab.plan.of(1, 1))
    finally:
        lab.bridge_netfilter(False)


def test_a_forward_of_one_address_is_of_no_other(lab):
    server = lab.listen("c12", 81)
    lab.croft_net(rules.REPLACE, ROWS + FORWARDS)
    thread, _ = answer_once(server)
    with lab.outside.connect(SECOND4, 8081) as s:
        assert s.recv(10) == b"hello"
    thread.join()
    with pytest.raises(ConnectionRefusedError):
        lab.outside.connect(HOST4, 8081)


def test_a_range_keeps_its_order(lab):
    lab.croft_net(rules.REPLACE, ROWS + FORWARDS)
    servers = {port: lab.listen("c12", port, kind=socket.SOCK_DGRAM) for port in
               (899, 900, 901, 902, 903)}
    for i in range(3):
        with lab.outside.connect(HOST4, 9000 + i, kind=socket.SOCK_DGRAM) as s:
            s.send(b"x%d" % i)
            data, peer = servers[900 + i].recvfrom(10)
            assert data == b"x%d" % i
            servers[900 + i].sendto(b"back", peer)
            assert s.recv(10) == b"back"
    for port in (8999, 9003):
        with lab.outside.connect(HOST4, port, kind=socket.SOCK_DGRAM) as s:
            with pytest.raises(ConnectionRefusedError):
                s.send(b"x")
                s.recv(10)


def test_the_loopback_is_not_forwarded(lab):
    lab.croft_net(rules.REPLACE, ROWS + FORWARDS)
    for address in ("127.0.0.1", "::1"):
        with pytest.raises(ConnectionRefusedError):
            lab.host.connect(address, 8080)
