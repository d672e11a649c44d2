"""Network namespaces as hosts, and sockets in them that this process holds."""

import contextlib
import ctypes
import os
import socket
import struct
import subprocess

from net_frames import checksum

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Netns:
    """One network namespace; `with ns.inside():` is for making sockets, which stay in it."""

    def __init__(self, name):
        self.name = name
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        self.batch("link set lo up")

    def close(self):
        os.close(self.fd)
        subprocess.run(["ip", "netns", "del", self.name], check=False)

    @contextlib.contextmanager
    def inside(self):
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(self.fd)
            yield self
        finally:
            _setns(back)
            os.close(back)

    @property
    def enter(self):
        """What a command is prefixed with."""
        return ["nsenter", f"--net=/run/netns/{self.name}"]

    def run(self, *argv, check=True, **kwargs):
        return subprocess.run([*self.enter, *argv], check=check, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, **kwargs)

    def batch(self, *lines):
        """Commands of ip(8)."""
        subprocess.run(["ip", "-netns", self.name, "-batch", "-"], check=True, text=True,
                       input="\n".join(lines) + "\n")

    def frames(self, interface, timeout=2):
        """A socket for whole Ethernet frames."""
        with self.inside():
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            s.bind((interface, 0))
            s.settimeout(timeout)
            return s

    def ping(self, address, size=56, timeout=1):
        """One echo request with `size` bytes of data; whether it was answered."""
        six = ":" in address
        mark = os.urandom(8)
        data = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 7, 1) + mark.ljust(size, b"x")
        if not six:
            data = data[:2] + struct.pack("!H", checksum(data)) + data[4:]
        family, protocol = (socket.AF_INET6, 58) if six else (socket.AF_INET, 1)
        with self.inside():
            s = socket.socket(family, socket.SOCK_RAW, protocol)
        with s:
            s.settimeout(timeout)
            try:
                s.connect((address, 0))
                s.send(data)
                while True:
                    got = s.recv(65536)
                    got = got if six else got[20:]
                    if got[0] == (129 if six else 0) and got[8:16] == mark:
                        return len(got) == len(data)
            except OSError:
                return False

    def listen(self, port, address="::", kind=socket.SOCK_STREAM):
        with self.inside():
            s = socket.socket(socket.AF_INET6, kind)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address, port))
            if kind == socket.SOCK_STREAM:
                s.listen(64)
            s.settimeout(2)
            return s

    def connect(self, address, port, timeout=2, kind=socket.SOCK_STREAM):
        """A connected socket; whatever connect(2) fails with is raised."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.inside():
            s = socket.socket(family, kind)
        s.settimeout(timeout)
        try:
            s.connect((address, port))
        except OSError:
            s.close()
            raise
        return s
