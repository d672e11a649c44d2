"""What a container's file system can hold, made and described, for tests of what carries it; and
the host that it is carried to."""

import hashlib
import os
import stat
import struct

import pytest

from croft_harness import Daemon
from fixtures import _end

MIB = 1 << 20
CAP_NET_RAW = 13


@pytest.fixture
def other(schema):
    """Another host, for all that matters: state, id ranges, no image, a pool that copies."""
    daemon = Daemon(schema)
    try:
        daemon.start("--pool-driver", "plain")
    except BaseException:
        daemon.finish()
        raise
    yield daemon
    _end(daemon)


def stopped(box, name="acme/web"):
    box.ok("kill", name)
    box.wait_state(name, "STOPPED")


def pool_inside(daemon, *parts):
    """A path in the pool, which is mounted where the supervisor is, as that sees it."""
    return os.path.join(daemon.state, "pool", *parts)


def pool(daemon, *parts):
    """The same as this process sees it."""
    root = f"/proc/{daemon.pid('supervisor')}/root{daemon.state}/pool"
    return os.path.join(os.fsencode(root), *(os.fsencode(p) for p in parts))


def describe(path):
    st = os.lstat(path)
    kind = stat.S_IFMT(st.st_mode)
    found = {
        "mode": oct(st.st_mode), "owner": (st.st_uid, st.st_gid), "mtime": st.st_mtime_ns,
        "xattrs": {n: os.getxattr(path, n, follow_symlinks=False)
                   for n in os.listxattr(path, follow_symlinks=False)},
    }
    if kind == stat.S_IFREG:
        with open(path, "rb") as f:
            found["data"] = hashlib.sha256(f.read()).hexdigest()
        found["nlink"] = st.st_nlink
    if kind == stat.S_IFLNK:
        found["target"] = os.readlink(path)
        del found["mtime"]  # Links' own are kept or not: nothing looks at them.
    return found


def acl(uid):
    """user::rw-, user:UID:r--, group::r--, mask::r--, other::--- as acl(5) is stored."""
    rows = [(1, 6, 0xffffffff), (2, 4, uid), (4, 4, 0xffffffff), (0x10, 4, 0xffffffff),
            (0x20, 0, 0xffffffff)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *row) for row in rows)


def capability(bit):
    """A file capability of revision 2, effective; see linux/capability.h."""
    return struct.pack("<IIIII", 0x02000001, 1 << bit, 0, 0, 0)


def fill(upper):
    """Every kind of thing that a file system of a container can hold."""
    top = os.path.join(upper, b"kinds")
    os.mkdir(top)
    os.chmod(top, 0o1777)

    def file(name, data=b"x", mode=0o644, uid=0, gid=0):
        path = os.path.join(top, name)
        with open(path, "wb") as f:
            f.write(data)
        os.chown(path, uid, gid)
        os.chmod(path, mode)
        return path

    file(b"owned", b"hers", 0o640, 1000, 65533)
    file(b"setuid", b"#!/bin/sh\n", 0o6755)
    os.link(file(b"one", b"linked"), os.path.join(top, b"two"))
    os.symlink("/no/where", os.path.join(top, b"link"))
    os.mkfifo(os.path.join(top, b"fifo"), 0o600)
    os.setxattr(file(b"attributed"), "user.note", b"\0binary\xff")
    os.setxattr(file(b"capable", mode=0o755), "security.capability", capability(CAP_NET_RAW))
    os.setxattr(file(b"acl", mode=0o640), "system.posix_acl_access", acl(4321))
    os.mkdir(os.path.join(top, b"dir"))
    os.setxattr(os.path.join(top, b"dir"), "system.posix_acl_default", acl(1234))
    for name in (b"new\nline", b"\xff\xfe not utf-8", "sch\u00f6n".encode(), b" ", b"-rf",
                 b"l" * 250):
        file(name, name)
    with open(os.path.join(top, b"sparse"), "wb") as f:
        f.write(b"begin")
        f.seek(256 * MIB)
        f.write(b"middle")
        f.truncate(512 * MIB)
    with open(os.path.join(top, b"hole"), "wb") as f:
        f.truncate(64 * MIB)
    with open(os.path.join(top, b"random"), "wb") as f:
        f.write(os.urandom(3 * MIB + 5))
    for path, _, files in os.walk(top, topdown=False):
        for name in files:
            os.utime(os.path.join(path, name), ns=(1, 1_234_567_890_123_456_789),
                     follow_symlinks=False)
        os.utime(path, ns=(1, 987_654_321_000_000_001))
    return sorted(os.listdir(top))


def left_in_pool(daemon, tenant=None):
    """What exports and imports under way have in the pool."""
    left = [n for n in os.listdir(pool(daemon, "incoming")) if b"." in n]
    if tenant:
        left += [n for n in os.listdir(pool(daemon, "tenants", tenant)) if b"." in n]
    return left
