"""What an instance holds of the host, and whether a test left more of it than it found."""

import glob
import os
import re
import struct
import subprocess
import time

import kernel

IDRANGE_TABLE = "/var/lib/croft-ids/ranges"
# The table's header (sandbox/idrange.c): magic, version, first, size, count, reserved.
IDRANGE_HEADER = struct.Struct("<8sIIII8x")
IDRANGE_OWNER_BYTES = 16


def held_ranges(instance_id, table=IDRANGE_TABLE):
    """How many id ranges the table says an instance holds."""
    owner = bytes.fromhex(instance_id)
    try:
        with open(table, "rb") as f:
            data = f.read()
    except FileNotFoundError:
        return 0
    magic, _, _, _, count = IDRANGE_HEADER.unpack_from(data)
    assert magic == b"CROFTIDS", magic
    owners = data[IDRANGE_HEADER.size :]
    assert len(owners) >= count * IDRANGE_OWNER_BYTES
    size = IDRANGE_OWNER_BYTES
    return sum(owners[i * size : (i + 1) * size] == owner for i in range(count))


def tree(path):
    """Every file below a path, relative to it."""
    found = set()
    for folder, folders, files in os.walk(path):
        for name in folders + files:
            found.add(os.path.relpath(os.path.join(folder, name), path))
    return found


def _below(daemon):
    """All that lives below its reaper, as all of an instance does."""
    return kernel.descendants(daemon.reaper_pid) if daemon.reaper_pid else set()


def _half_made(daemon):
    """What a snapshot or copy leaves when it is not finished: a container that stands still, and
    trees beside the containers' (to be seen on a plain pool only)."""
    patterns = ("supervisor/pauses/*", "pool/tenants/*/*.new*", "pool/tenants/*/*.part",
                "pool/tenants/*/*.snapshots/*.part")
    return {path for p in patterns for path in glob.glob(f"{daemon.state}/{p}")}


def _processes(daemon):
    """What lives below the reaper but the daemons themselves, which a test may have restarted."""
    return _below(daemon) - set(daemon.pids.values())


def _refuser(daemon):
    """What croft-refuser has, which is started with an instance's first container and is a part
    of it until its end: cgroups, processes, files."""
    of_it = re.compile(r"/_views(/_refused(/.*)?)?$")
    return {path for path in kernel.cgroup_directories(daemon.parent) if of_it.search(path)} | \
        kernel.Cgroup(daemon.parent, "_views", "_refused").processes() | {"refused/socket"}


def pool_images(daemon):
    """The images in the pool, also half-made ones; the pool is mounted where the supervisor is."""
    try:
        root = f"/proc/{daemon.pid('supervisor')}/root{daemon.base}/state/pool"
    except (OSError, ValueError):
        return set()
    found = set()
    for folder in ("images", "incoming"):
        try:
            found |= {f"{folder}/{name}" for name in os.listdir(f"{root}/{folder}")}
        except OSError:
            continue
    return found


def _links(daemon):
    """Interfaces of Croft's in the host that it runs in: their names begin with its prefix."""
    return {name for name in kernel.links(daemon.netns) if re.match(r"cft\d", name)}


def _tables(daemon):
    """Tables of the packet filter. On a host of its own; this one's may be another instance's."""
    if not daemon.netns:
        return set()
    done = subprocess.run(["ip", "netns", "exec", daemon.netns, "nft", "list", "tables"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=False)
    return set(done.stdout.splitlines())


class Holdings:
    """One look at everything; `-` tells what is in this one and not in the other, where that is
    one of the same instance but for what is to be there from its first container on."""

    def __init__(self, *, cgroups, mounts, loops, processes, ranges, files, images,
                 links, refuser):
        self.cgroups, self.mounts, self.loops = cgroups, mounts, loops
        self.processes, self.ranges, self.files = processes, ranges, files
        self.images, self.links, self.refuser = images, links, refuser

    @classmethod
    def look(cls, daemon):
        return cls(
            cgroups=kernel.cgroup_directories(daemon.parent),
            # Without their namespaces: a supervisor that a test restarted has a new one.
            mounts={(point, kind) for _, point, kind in
                    kernel.mounts_with(daemon.base, _below(daemon))},
            loops=kernel.loops_of(daemon.base),
            processes=_processes(daemon),
            ranges=held_ranges(daemon.instance_id) if daemon.instance_id else 0,
            files=tree(daemon.run) | _half_made(daemon),
            images=pool_images(daemon),
            links=_links(daemon) | _tables(daemon),
            refuser=_refuser(daemon),
        )

    def __sub__(self, other):
        more = []
        spared = set() if other is NOTHING else self.refuser
        for path in sorted(self.cgroups - other.cgroups - spared):
            more.append(f"cgroup {path}")
        for point, kind in sorted(self.mounts - other.mounts):
            more.append(f"mount of {kind} at {point}")
        if len(self.loops) > len(other.loops):  # a restarted supervisor may get another number
            more.append(f"loop device {' or '.join(sorted(self.loops))}")
        for pid in sorted(self.processes - other.processes - spared):
            more.append(f"process {kernel.describe(pid)}")
        if self.ranges > other.ranges:
            more.append(f"{self.ranges - other.ranges} id ranges")
        for name in sorted(self.files - other.files - spared):
            more.append(f"file {name}" + ("" if name[0] == "/" else " in the run directory"))
        for name in sorted(self.images - other.images):
            more.append(f"{name} in the pool")
        for name in sorted(self.links - other.links):
            more.append(f"{name} of the network")
        return more


NOTHING = Holdings(
    cgroups=set(), mounts=set(), loops=set(), processes=set(), ranges=0, files=set(),
    images=set(), links=set(), refuser=set(),
)


def wait_for_no_more_than(daemon, before, seconds):
    """What is still held beyond `before` when the time is over: nothing, if all is well. What a
    deletion leaves to be done behind it has until then."""
    deadline = time.monotonic() + seconds
    while True:
        more = Holdings.look(daemon) - before
        if not more or time.monotonic() > deadline:
            return more
        time.sleep(0.05)
