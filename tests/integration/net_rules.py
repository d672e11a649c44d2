"""What the supervisor says to croft-net (sandbox/net_rules.h), said by a test."""

import ipaddress
import os
import struct
import subprocess

import croft_harness

MAGIC, VERSION = 0x5254454E, 2
REPLACE, ADD, REMOVE, FORGET, DROP = range(1, 6)
TENANT, CONTAINER, FORWARD = 1, 2, 3
HEADER = struct.Struct("<IIII")
ADDRESS = struct.Struct("16sBB")
POOL = struct.Struct("18sB")
PLAN = struct.Struct("<19s19s5sxI")
ROW = struct.Struct("<IIII32s")
CAPS = struct.Struct("<IIIB19x")
FORWARD_PART = struct.Struct("<HHHBB18s6x")
RESULT = struct.Struct("<IIii40s80s400s")


def address(text, prefix=0):
    if text is None:
        return bytes(ADDRESS.size)
    packed = ipaddress.ip_address(text).packed
    return ADDRESS.pack(packed, len(packed), prefix)


class Plan:
    """base/net_plan.h's arithmetic, written a second time."""

    def __init__(self, letters, ipv4="10.80.0.0/12", ipv6="fd80:cf::/48", bridge_ports=1000):
        self.letters, self.bridge_ports = letters, bridge_ports
        self.pools = [(ipaddress.ip_network(ipv4), 24), (ipaddress.ip_network(ipv6), 64)]
        self.table = f"croft_{letters}"

    def pack(self):
        pools = [
            POOL.pack(address(str(net.network_address), net.prefixlen), length)
            for net, length in self.pools
        ]
        return PLAN.pack(*pools, self.letters.encode(), self.bridge_ports)

    def bridge(self, tenant):
        return f"{self.letters}{tenant}"

    def port(self, tenant, slot):
        return f"{self.letters}{tenant}-{slot}"

    @staticmethod
    def mac(tenant, slot):
        return bytes([2, 0xCF, tenant >> 8, tenant & 255, slot >> 8, slot & 255])

    def ip(self, tenant, host, version=4):
        """Host 1 is the gateway, slot n is host n + 1."""
        pool, length = self.pools[version == 6]
        start = int(pool.network_address) + ((tenant - 1) << (pool.max_prefixlen - length))
        return str(ipaddress.ip_address(start + host))

    def of(self, tenant, slot, version=4):
        return self.ip(tenant, slot + 1, version)


def tenant(number, flows=1000, packets=100000, connections=10000, smtp=False):
    return ROW.pack(TENANT, number, 0, 0, CAPS.pack(flows, packets, connections, smtp))


def container(number, slot):
    return ROW.pack(CONTAINER, number, slot, 0, b"")


def forward(number, slot, first, to, last=None, protocol="tcp", listen=None, version=4):
    part = FORWARD_PART.pack(
        first, last or first, to, {"tcp": 6, "udp": 17}[protocol], version, address(listen)
    )
    return ROW.pack(FORWARD, number, slot, 0, part)


class Refused(Exception):
    def __init__(self, reason, message):
        super().__init__(f"{reason}: {message}")
        self.reason = reason


def message(plan, op, rows=()):
    return HEADER.pack(MAGIC, VERSION, op, len(rows)) + plan.pack() + b"".join(rows)


def run_bytes(data, prefix=(), program=None):
    """Gives croft-net these bytes; raises what it answers."""
    program = program or os.path.join(croft_harness.BUILD, "croft-net")
    done = subprocess.run(
        [*prefix, program], input=data, stdout=subprocess.PIPE, timeout=120, check=True
    )
    magic, version, code, _, reason, _, text = RESULT.unpack(done.stdout)
    assert (magic, version) == (MAGIC, VERSION)
    if code:
        raise Refused(reason.rstrip(b"\0").decode(), text.rstrip(b"\0").decode())


def run(plan, op, rows=(), prefix=()):
    run_bytes(message(plan, op, rows), prefix)
