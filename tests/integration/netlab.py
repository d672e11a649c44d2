"""A host for the network tests: a network namespace that croftd runs in, and a second one, the
outside world, at the far end of a cable. This machine's own interfaces are not touched."""

import contextlib
import itertools
import os
import subprocess

from croft_harness import PATIENCE

HOST4, OUTSIDE4 = "192.0.2.1", "192.0.2.2"
HOST6, OUTSIDE6 = "2001:db8:1::1", "2001:db8:1::2"

_count = itertools.count(1)


def ip(*args, netns=None):
    command = ["ip", *(["-netns", netns] if netns else []), *args]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def sysctl(netns, path, value):
    subprocess.run(["ip", "netns", "exec", netns, "sh", "-c", f"echo {value} >/proc/sys/{path}"],
                   check=True)


class Lab:
    """Two namespaces and a cable: `host` has 192.0.2.1 and `outside` 192.0.2.2."""

    def __init__(self):
        number = f"{os.getpid()}-{next(_count)}"
        self.host, self.outside = f"croft-host-{number}", f"croft-out-{number}"
        for name in (self.host, self.outside):
            ip("netns", "add", name)
            ip("link", "set", "lo", "up", netns=name)
        ip("link", "add", "uplink", "type", "veth", "peer", "name", "wire", "netns", self.outside,
           netns=self.host)
        for netns, link, four, six in ((self.host, "uplink", HOST4, HOST6),
                                       (self.outside, "wire", OUTSIDE4, OUTSIDE6)):
            ip("addr", "add", f"{four}/24", "dev", link, netns=netns)
            ip("addr", "add", f"{six}/64", "dev", link, "nodad", netns=netns)
            ip("link", "set", link, "up", netns=netns)

    def finish(self):
        for name in (self.host, self.outside):
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)

    def run(self, where, *argv, timeout=10):
        """Runs a command in `host` or `outside`; returns its CompletedProcess."""
        netns = getattr(self, where)
        return subprocess.run(["ip", "netns", "exec", netns, *argv], text=True,
                              timeout=timeout * PATIENCE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
