"""A host of namespaces for the tests of the packet filter: containers are namespaces too."""

import os
import threading

import pytest

import net_rules as rules
from net_frames import Frames
from netns import Netns

HOST4, OUTSIDE4 = "192.0.2.1", "192.0.2.2"
HOST6, OUTSIDE6 = "2001:db8:1::1", "2001:db8:1::2"
SECOND4 = "192.0.2.10"  # the host's second address
PLACES = [(1, 1), (1, 2), (2, 1)]
ROWS = [rules.tenant(1), rules.tenant(2)] + [rules.container(*place) for place in PLACES]
FORWARDS = [
    rules.forward(1, 1, 8080, 80),
    rules.forward(1, 1, 8080, 80, version=6),
    rules.forward(1, 2, 9000, 900, last=9002, protocol="udp"),
    rules.forward(1, 2, 8081, 81, listen=SECOND4),
]
FRAMES = Frames(rules.Plan("nft"))


class Lab:
    """A host with two tenants' bridges, three containers, and the world outside."""

    def __init__(self):
        self.plan = rules.Plan("nft")
        self.ns, self.sockets = {}, []
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self):
        names = ["host", "outside", *(f"c{t}{s}" for t, s in PLACES)]
        for name in names:
            self.ns[name] = Netns(f"croft-{os.getpid()}-{name}")
        self.host, self.outside = self.ns["host"], self.ns["outside"]
        self.host.batch(
            f"link add uplink type veth peer name wire netns {self.outside.name}",
            f"addr add {HOST4}/24 dev uplink", f"addr add {SECOND4}/24 dev uplink",
            f"addr add {HOST6}/64 dev uplink nodad", "link set uplink up",
        )
        self.outside.batch(
            f"addr add {OUTSIDE4}/24 dev wire", f"addr add {OUTSIDE6}/64 dev wire nodad",
            "link set wire up",
        )
        for tenant in (1, 2):
            self._bridge(tenant)
        for tenant, slot in PLACES:
            self._container(tenant, slot)
        self.host.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward; "
                      "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
        self.bridge_netfilter(False)
        # The world knows the way to the containers: only the rules are in it.
        self.outside.batch(f"route add 10.80.0.0/12 via {HOST4}",
                           f"route add fd80:cf::/48 via {HOST6}")

    def _bridge(self, tenant):
        name = self.plan.bridge(tenant)
        self.host.batch(
            f"link add {name} type bridge", f"addr add {self.plan.ip(tenant, 1)}/24 dev {name}",
            f"addr add {self.plan.ip(tenant, 1, 6)}/64 dev {name} nodad", f"link set {name} up",
        )

    def _container(self, tenant, slot):
        ns, port = self.ns[f"c{tenant}{slot}"], self.plan.port(tenant, slot)
        mac = ":".join(f"{b:02x}" for b in self.plan.mac(tenant, slot))
        self.host.batch(
            f"link add {port} type veth peer name eth0 address {mac} netns {ns.name}",
            f"link set {port} master {self.plan.bridge(tenant)} up",
        )
        ns.run("sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_ra")
        ns.batch(
            f"addr add {self.plan.of(tenant, slot)}/24 dev eth0",
            f"addr add {self.plan.of(tenant, slot, 6)}/64 dev eth0 nodad", "link set eth0 up",
            f"route add default via {self.plan.ip(tenant, 1)}",
            f"route add default via {self.plan.ip(tenant, 1, 6)}",
        )

    def bridge_netfilter(self, on):
        """Whether bridged packets run through the host's IP tables too, where the kernel can."""
        for name in ("iptables", "ip6tables"):
            path = f"/proc/sys/net/bridge/bridge-nf-call-{name}"
            self.host.run("sh", "-c", f"test ! -e {path} || echo {int(on)} >{path}")

    def croft_net(self, op, rows=()):
        rules.run(self.plan, op, rows, prefix=self.host.enter)

    def nft(self, *args):
        return self.host.run("nft", *args).stdout

    def counter(self, family, name):
        words = self.nft("list", "counter", family, self.plan.table, name).split()
        return int(words[words.index("packets") + 1])

    def counted(self, family, name, key):
        """(bytes, packets) of an element of a set of counters, by the first part of its key."""
        text = self.nft("list", "set", family, f"{self.plan.table}_count", name)
        for part in text.split("elements = {")[1].split("}")[0].split(","):
            words = part.split()
            if words[0].strip('"') == key:
                at = words.index("packets")
                return int(words[at + 3]), int(words[at + 1])
        raise KeyError(key)

    def listen(self, where, *args, **kwargs):
        self.sockets.append(self.ns[where].listen(*args, **kwargs))
        return self.sockets[-1]

    def close_sockets(self):
        while self.sockets:
            self.sockets.pop().close()

    def close(self):
        for ns in self.ns.values():
            ns.close()


@pytest.fixture(scope="module")
def lab():
    lab = Lab()
    try:
        lab.croft_net(rules.REPLACE, ROWS)
        for name in ("c11", "c12", "c21"):
            # Until duplicate address detection of the link-local address is over.
            lab.ns[name].run("sh", "-c", "for i in $(seq 100); do ip -6 addr show dev eth0 | "
                             "grep -q tentative || exit 0; sleep 0.05; done; exit 1")
        yield lab
    finally:
        lab.close()


@pytest.fixture(autouse=True)
def sockets(lab):
    """What a test listens on is closed after it, however it ended."""
    yield
    lab.close_sockets()


def answer_once(server, text=b"hello"):
    """Answers one connection; returns who it came from."""
    seen = []

    def serve():
        connection, peer = server.accept()
        with connection:
            connection.sendall(text)
        seen.append(peer[0].removeprefix("::ffff:"))

    thread = threading.Thread(target=serve)
    thread.start()
    return thread, seen
