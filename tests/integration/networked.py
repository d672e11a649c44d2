"""What the tests of networks share: an instance whose host is a lab's (netlab.py), and questions
that are asked inside its containers."""

import json
import re

import pytest

import netlab
from croft_harness import Daemon
from fixtures import Kept, keep

POOLS = ("--ipv4-pool", "10.80.0.0/12", "--ipv6-pool", "fd00:80::/48")


class Networked(Daemon):
    """An instance whose host is a lab's, with both pools. Where names are asked for nobody
    listens, so that one that is unknown is unknown at once."""

    def __init__(self, schema, lab):
        super().__init__(schema)
        self.lab, self.netns = lab, lab.host

    def start(self, *more):
        return super().start(*POOLS, "--dns", netlab.HOST4, *more)


class KeptNetworked(Kept):
    def __init__(self, schema, lab):
        super().__init__(schema)
        self.lab = lab

    def make(self):
        return Networked(self.schema, self.lab)


@pytest.fixture(scope="module")
def lab():
    lab = netlab.Lab()
    yield lab
    lab.finish()


@pytest.fixture(scope="module")
def kept(schema, lab):
    yield from keep(KeptNetworked(schema, lab))


def addresses(box, name):
    """What `ip addr` inside says of eth0: IPv4 and global IPv6, with prefix lengths."""
    text = box.sh(name, "ip addr show dev eth0")
    return (set(re.findall(r"inet (\S+)", text)),
            set(re.findall(r"inet6 (\S+) scope (?:global|0)", text)))


def ping(box, name, target, count=1):
    return box.exec(name, "/bin/ping", "-c", str(count), "-W", "2", target)


def host_links(box):
    return json.loads(netlab.ip("-j", "-d", "link", netns=box.netns))


def lookup(box, name, target):
    """The addresses that a name has inside, by way of the container's own resolver."""
    result = box.exec(name, "/bin/ping", "-c", "1", "-W", "2", target)
    found = re.search(r"PING \S+ \(([^)]+)\)", result.out)
    return found.group(1) if found else None
