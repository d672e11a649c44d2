"""Ethernet frames that container 1 of tenant 1 sends to its neighbour: lies, and the truth."""

import ipaddress
import itertools
import struct

BROADCAST = b"\xff" * 6
_ids = itertools.count(1)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address):
    return ipaddress.ip_address(address).packed


def ethernet(to, source, kind, payload):
    # Not padded: a host with br_netfilter cuts what is behind the packet.
    return to + source + struct.pack("!H", kind) + payload


def ipv4(source, to, protocol, payload, ident=0, options=b""):
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, 4 * words + len(payload), ident, 0, 64,
                       protocol, 0, packed(source), packed(to)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(source, to, protocol, payload, hops=255):
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, hops) + packed(source) + packed(
        to) + payload


def udp(source, to, payload=b"hello"):
    return struct.pack("!HHHH", source, to, 8 + len(payload), 0) + payload


def echo(kind, payload=b"hello"):
    data = struct.pack("!BBHHH", kind, 0, 0, 7, next(_ids) & 0xFFFF) + payload
    return data[:2] + struct.pack("!H", checksum(data)) + data[4:]


def arp(operation, mac, ip, target_mac, target_ip, kind=1, protocol=0x0800, sizes=(6, 4)):
    return struct.pack("!HHBBH", kind, protocol, *sizes, operation) + mac + packed(
        ip) + target_mac + packed(target_ip)


def icmp6(source, to, body):
    pseudo = packed(source) + packed(to) + struct.pack("!II", len(body), 58)
    return body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]


class Frames:
    """`me` is container 1 of tenant 1, `you` its neighbour."""

    def __init__(self, plan):
        self.me, self.you, self.gateway = plan.mac(1, 1), plan.mac(1, 2), plan.mac(1, 0)
        self.my4, self.your4, self.gateway4 = plan.of(1, 1), plan.of(1, 2), plan.ip(1, 1)
        self.my6, self.your6, self.gateway6 = (
            plan.of(1, 1, 6), plan.of(1, 2, 6), plan.ip(1, 1, 6))
        self.local = self.link_local(self.me)
        self.third = bytes([2, 0xCF, 9, 9, 9, 9])

    @staticmethod
    def link_local(mac):
        tail = bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]
        return str(ipaddress.ip_address(bytes.fromhex("fe80000000000000") + tail))

    def marker(self):
        """To all, so that it arrives whatever the bridge has learnt."""
        return ethernet(BROADCAST, self.me, 0x0800, ipv4(
            self.my4, self.your4, 1, echo(8, b"marker"), next(_ids) & 0xFFFF))

    def greeting(self):
        """The neighbour's: where it is."""
        return ethernet(BROADCAST, self.you, 0x0806, arp(
            1, self.you, self.your4, b"\0" * 6, self.your4))

    def lost(self):
        """For a MAC that the bridge has not learnt: it goes to every port."""
        return ethernet(self.third, self.me, 0x0800, ipv4(
            self.my4, self.your4, 17, udp(1000, 1000)))

    def plain(self):
        return self._4(ipv4(self.my4, self.your4, 17, udp(1000, 1000)))

    def _4(self, packet, source=None):
        return ethernet(self.you, source or self.me, 0x0800, packet)

    def _6(self, packet, source=None):
        return ethernet(self.you, source or self.me, 0x86DD, packet)

    def _arp(self, *args, **kwargs):
        return ethernet(self.you, self.me, 0x0806, arp(*args, **kwargs))

    def _nd(self, source, kind, target=None, options=b"", to=None, head=b"\0\0\0\0"):
        to = to or self.your6
        body = bytes([kind, 0, 0, 0]) + head + (packed(target) if target else b"") + options
        return ipv6(source, to, 58, icmp6(source, to, body))

    @staticmethod
    def _option(kind, mac):
        return bytes([kind, 1]) + mac

    def _fragment(self, body):
        """An ICMPv6 message behind a fragment header that says: all of it."""
        return ipv6(self.my6, self.your6, 44, struct.pack("!BBHI", 58, 0, 0, 1) + icmp6(
            self.my6, self.your6, body))

    def _options_header(self, protocol, payload):
        return ipv6(self.my6, self.your6, 60, bytes([protocol, 0, 1, 4, 0, 0, 0, 0]) + payload)

    def hostile(self):
        return {**self._hostile_ethernet(), **self._hostile4(), **self._hostile6(),
                **self._hostile_nd()}

    def _hostile_ethernet(self):
        packet = ipv4(self.my4, self.your4, 17, udp(1000, 1000))
        return {
            "mac of the neighbour": ethernet(BROADCAST, self.you, 0x0800, packet),
            "mac of nobody": self._4(packet, self.third),
            "mac of the gateway": self._4(packet, self.gateway),
            "vlan tag": ethernet(self.you, self.me, 0x8100, b"\0\x05\x08\0" + packet),
            "two vlan tags": ethernet(
                self.you, self.me, 0x88A8, b"\0\x05\x81\0\0\x05\x08\0" + packet),
            "another protocol": ethernet(self.you, self.me, 0x88CC, b"lldp" * 12),
            "802.3 length": ethernet(self.you, self.me, 46, b"\x42\x42\3" + b"\0" * 43),
        }

    def _hostile4(self):
        def from_(source, *ports):
            return self._4(ipv4(source, self.your4, 17, udp(*(ports or (1000, 1000)))))

        me, ip = self.me, self.my4
        return {
            "ip of the neighbour": from_(self.your4),
            "ip of the gateway": from_(self.gateway4),
            "ip of the world": from_("198.51.100.1"),
            "ip of nobody": from_("0.0.0.0", 68, 67),
            "ip of the gateway with options": self._4(ipv4(
                self.gateway4, self.your4, 17, udp(1, 1), options=b"\1\1\1\0")),
            "dhcp offer": from_(ip, 67, 68),
            "dhcp offer from another port": from_(ip, 1067, 68),
            "arp: the gateway's address is mine": self._arp(
                2, me, self.gateway4, self.you, self.your4),
            "arp: the neighbour's address is mine": self._arp(1, me, self.your4, b"\0" * 6, ip),
            "arp: my address is somebody's": self._arp(2, self.third, ip, self.you, self.your4),
            "arp: gratuitous for the gateway": ethernet(
                BROADCAST, me, 0x0806, arp(1, me, self.gateway4, b"\0" * 6, self.gateway4)),
            "arp: probe for the neighbour's": self._arp(1, me, "0.0.0.0", b"\0" * 6, self.your4),
            "arp: of another hardware": self._arp(
                2, me, self.gateway4, self.you, self.your4, kind=6),
            "arp: reverse": self._arp(4, me, ip, self.you, self.your4),
            "arp: of odd sizes": self._arp(2, me, ip, self.you, self.your4, sizes=(6, 5)),
        }

    def _hostile6(self):
        def from_(source, *ports):
            return self._6(ipv6(source, self.your6, 17, udp(*(ports or (1000, 1000)))))

        return {
            "ip6 of the neighbour": from_(self.your6),
            "ip6 of the gateway": from_(self.gateway6),
            "ip6 of the world": from_("2001:db8:9::9"),
            "ip6 of nobody": from_("::"),
            "ip6 link-local of the gateway": from_(self.link_local(self.gateway)),
            "ip6 echo of the gateway": self._6(ipv6(self.gateway6, self.your6, 58, icmp6(
                self.gateway6, self.your6, echo(128)))),
            "dhcp6 advertise": from_(self.my6, 547, 546),
            "dhcp6 advertise from another port": from_(self.local, 1547, 546),
        }

    def _hostile_nd(self):
        mine, yours = self._option(2, self.me), self._option(2, self.you)
        ask, tell = self._option(1, self.me), bytes([0x60, 0, 0, 0])
        prefix = bytes([3, 4, 64, 0xC0]) + b"\0\0\x0e\x10" * 2 + b"\0" * 4 + packed("2001:db8:f::")
        router = b"\x40\0\x07\x08" + b"\0" * 8
        advertisement = bytes([134, 0, 0, 0]) + router + prefix
        nd, frame = self._nd, self._6
        nonce = bytes([14, 1]) + b"123456"
        return {
            "ra": frame(nd(self.local, 134, options=router[4:] + prefix, head=router[:4])),
            "ra in a fragment": frame(self._fragment(advertisement)),
            "ra behind an options header": frame(self._options_header(58, icmp6(
                self.my6, self.your6, advertisement))),
            "redirect": frame(nd(self.local, 137, self.gateway6, packed(self.my6))),
            "na for the gateway": frame(nd(self.my6, 136, self.gateway6, mine, head=tell)),
            "na for the neighbour": frame(nd(self.my6, 136, self.your6, mine, head=tell)),
            "na with another's mac": frame(nd(self.my6, 136, self.my6, yours, head=tell)),
            "na with another's mac second": frame(nd(
                self.my6, 136, self.my6, nonce + yours, head=tell)),
            "na from the gateway": frame(nd(self.gateway6, 136, self.my6, mine, head=tell)),
            "na behind an options header": frame(self._options_header(58, icmp6(
                self.my6, self.your6, bytes([136, 0, 0, 0]) + tell + packed(self.gateway6)
                + mine))),
            "na in a fragment": frame(self._fragment(
                bytes([136, 0, 0, 0]) + tell + packed(self.gateway6) + mine)),
            "ns from the gateway": frame(nd(self.gateway6, 135, self.your6, ask)),
            "ns with another's mac": frame(nd(
                self.my6, 135, self.your6, self._option(1, self.third))),
            "ns with another's mac second": frame(nd(
                self.my6, 135, self.your6, nonce + self._option(1, self.third))),
            "ns from nowhere for the neighbour's": frame(nd("::", 135, self.your6)),
            "mld query": frame(nd(self.local, 130, "::", to="ff02::1")),
            "mobile prefix advertisement": frame(nd(self.local, 147, self.gateway6)),
        }

    def honest(self):
        ask, tell = self._option(1, self.me), bytes([0x60, 0, 0, 0])
        return {
            "ip": self._4(ipv4(self.my4, self.your4, 17, udp(1000, 1000))),
            "ip from a dhcp client's port": self._4(ipv4(self.my4, self.your4, 17, udp(68, 67))),
            "ip6": self._6(ipv6(self.my6, self.your6, 17, udp(1000, 1000))),
            "ip6 link-local": self._6(ipv6(self.local, self.your6, 17, udp(1000, 1000))),
            "ip6 behind an options header": self._6(self._options_header(17, udp(1000, 1000))),
            "arp question": self._arp(1, self.me, self.my4, b"\0" * 6, self.your4),
            "arp answer": self._arp(2, self.me, self.my4, self.you, self.your4),
            "arp probe": self._arp(1, self.me, "0.0.0.0", b"\0" * 6, self.my4),
            "ns": self._6(self._nd(self.my6, 135, self.your6, ask)),
            "ns without options": self._6(self._nd(self.my6, 135, self.your6)),
            "ns of duplicate detection": self._6(self._nd("::", 135, self.my6)),
            "na": self._6(self._nd(self.my6, 136, self.my6, self._option(2, self.me), head=tell)),
            "na link-local": self._6(self._nd(self.local, 136, self.local, head=tell)),
            "icmp6 error": self._6(self._nd(self.my6, 3, options=b"x" * 8)),
        }
