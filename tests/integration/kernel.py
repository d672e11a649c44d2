"""What the kernel says, read without Croft: cgroups of both drivers, processes, mounts, loops."""

import collections
import contextlib
import fcntl
import os
import re
import socket
import struct
import subprocess

_ESCAPES = re.compile(r"\\([0-7]{3})")


def mounts(pid="self", only=""):
    """(mount point, root, file system type, source, super options) of each mount of a process;
    with `only`, of those that mention it (without spaces and what else the kernel escapes)."""
    found = []
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
        for line in f:
            if only not in line:
                continue
            head, _, tail = line.rstrip("\n").partition(" - ")
            fields = head.split(" ")
            if "\\" in head:
                fields = [_ESCAPES.sub(lambda m: chr(int(m.group(1), 8)), x) for x in fields]
            kind, source, options = (tail.split(" ") + ["", ""])[:3]
            found.append((fields[4], fields[3], kind, source, options))
    return found


def hierarchies():
    """Controller name -> where its hierarchy is mounted; "unified" is cgroup2, "systemd" v1's
    named one."""
    found = {}
    for point, _, kind, _, options in mounts():
        if kind == "cgroup2":
            found.setdefault("unified", point)
        elif kind == "cgroup":
            for option in options.split(","):
                found.setdefault(option.removeprefix("name="), point)
    return found


def driver():
    """unified or hybrid: which hierarchy holds pids, memory and cpu."""
    unified = hierarchies().get("unified")
    if unified:
        with open(f"{unified}/cgroup.controllers", encoding="ascii") as f:
            if {"pids", "memory", "cpu"} <= set(f.read().split()):
                return "unified"
    return "hybrid"


class Cgroup:
    """One cgroup below an instance's parent, on whichever hierarchies it has."""

    def __init__(self, parent, *names):
        self.path = "/".join((parent, *names))
        self.unified = driver() == "unified"
        self._roots = hierarchies()

    def directory(self, controller):
        root = self._roots["unified" if self.unified else controller]
        return f"{root}/{self.path}"

    def exists(self):
        return any(os.path.isdir(f"{root}/{self.path}") for root in self._roots.values())

    def read(self, controller, name):
        with open(f"{self.directory(controller)}/{name}", encoding="ascii") as f:
            return f.read().strip()

    def write(self, controller, name, text):
        with open(f"{self.directory(controller)}/{name}", "w", encoding="ascii") as f:
            f.write(text)

    def _number(self, controller, name):
        text = self.read(controller, name)
        return None if text == "max" else int(text)

    def _keyed(self, controller, name, key):
        for line in self.read(controller, name).splitlines():
            words = line.split()
            if words[0] == key:
                return int(words[1])
        return 0

    def pids(self):
        return self._number("pids", "pids.current")

    def pids_peak(self):
        """Of what was granted; None where the kernel keeps none."""
        if not os.path.exists(f"{self.directory('pids')}/pids.peak"):
            return None
        return self._number("pids", "pids.peak")

    def pids_max(self):
        return self._number("pids", "pids.max")

    def _counted_where_it_happened(self, controller, name, key):
        """v1 counts an event in the cgroup of the process that met it, v2 upwards from there."""
        if self.unified:
            return self._keyed(controller, name, key)
        below = (os.path.relpath(folder, self.directory(controller))
                 for folder, _, _ in os.walk(self.directory(controller)))
        return sum(self._keyed(controller, os.path.join(b, name), key) for b in below)

    def pids_denied(self):
        return self._counted_where_it_happened("pids", "pids.events", "max")

    def memory(self):
        name = "memory.current" if self.unified else "memory.usage_in_bytes"
        return self._number("memory", name)

    def working_set(self):
        """Its memory without the file cache that is not in use."""
        name = "inactive_file" if self.unified else "total_inactive_file"
        return self.memory() - self._keyed("memory", "memory.stat", name)

    def memory_peak(self):
        """Of what was granted; the usage shows for a moment what is then refused."""
        name = "memory.peak" if self.unified else "memory.max_usage_in_bytes"
        return self._number("memory", name)

    def memory_max(self):
        """None: no limit (v1 writes it as a very large number)."""
        if self.unified:
            return self._number("memory", "memory.max")
        value = self._number("memory", "memory.limit_in_bytes")
        return None if value >= 1 << 62 else value

    def oom_kills(self):
        name = "memory.events" if self.unified else "memory.oom_control"
        return self._counted_where_it_happened("memory", name, "oom_kill")

    def cpu_usec(self):
        if self.unified:
            return self._keyed("cpu", "cpu.stat", "usage_usec")
        return self._number("cpuacct", "cpuacct.usage") // 1000

    def throttled_usec(self):
        if self.unified:
            return self._keyed("cpu", "cpu.stat", "throttled_usec")
        return self._keyed("cpu", "cpu.stat", "throttled_time") // 1000

    def memory_at_limit(self):
        """How often its own limit was met, not those of cgroups below."""
        if self.unified:
            return self._keyed("memory", "memory.events.local", "max")
        return self._number("memory", "memory.failcnt")

    def pids_denied_here(self):
        """By its own limit, as far as that is counted apart."""
        with contextlib.suppress(FileNotFoundError):
            return self._keyed("pids", "pids.events.local", "max") if self.unified else 0
        return 0

    def io(self, disk):
        """{meter: what was read from and written to a disk ("7:0")}, in bytes and requests."""
        found = collections.Counter()
        if self.unified:
            files = {"io.stat": {"rbytes": "io.read", "rios": "io.read.ops",
                                 "wbytes": "io.write", "wios": "io.write.ops"}}
        else:
            files = {"blkio.throttle.io_service_bytes_recursive": {
                "Read": "io.read", "Write": "io.write"},
                "blkio.throttle.io_serviced_recursive": {
                "Read": "io.read.ops", "Write": "io.write.ops"}}
        for file, meters in files.items():
            for line in self.read("io" if self.unified else "blkio", file).splitlines():
                of, *words = line.replace("=", " ").split()
                for key, value in zip(words[::2], words[1::2]):
                    if of == disk and key in meters:
                        found[meters[key]] = int(value)
        return {m: found[m] for meters in files.values() for m in meters.values()}

    def cpu_milli(self):
        """The quota in thousandths of a core; None: no limit."""
        if self.unified:
            quota, period = self.read("cpu", "cpu.max").split()
        else:
            quota = self.read("cpu", "cpu.cfs_quota_us")
            period = self.read("cpu", "cpu.cfs_period_us")
        return None if quota in ("max", "-1") else int(quota) * 1000 // int(period)

    def cpus(self):
        name = "cpuset.cpus"
        return self.read("cpuset", name)

    def is_frozen(self):
        """The kernel says so: nothing in it runs, nor will before somebody thaws it."""
        for root in set(self._roots.values()):
            for name, wanted in (("cgroup.events", "frozen 1"), ("freezer.state", "FROZEN")):
                with contextlib.suppress(OSError), open(
                        f"{root}/{self.path}/{name}", encoding="ascii") as f:
                    if wanted in f.read().splitlines():
                        return True
        return False

    def is_told_to_freeze(self):
        """Also where some of it does not: it will when it can."""
        root = self._roots["unified"]
        with open(f"{root}/{self.path}/cgroup.freeze", encoding="ascii") as f:
            return f.read().strip() == "1"

    def processes(self):
        """Every pid in this cgroup and below."""
        found = set()
        for folder, _, _ in os.walk(self.directory("pids")):
            try:
                with open(f"{folder}/cgroup.procs", encoding="ascii") as f:
                    found.update(int(line) for line in f)
            except OSError:
                continue
        return found


def cgroup_directories(parent):
    """Every directory of an instance's parent, on every hierarchy."""
    found = set()
    for root in set(hierarchies().values()):
        for folder, _, _ in os.walk(f"{root}/{parent}"):
            found.add(folder)
    return found


def members(path):
    """The processes of a cgroup directory; none once it is gone."""
    try:
        with open(f"{path}/cgroup.procs", encoding="ascii") as f:
            return [int(line) for line in f]
    except OSError:
        return []


def thaw(path):
    """A frozen process does not even die on v1."""
    for name, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
        with contextlib.suppress(OSError), open(f"{path}/{name}", "r+", encoding="ascii") as f:
            f.write(value)


def parents():
    """pid -> parent's pid, of every process."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as f:
                    found[int(name)] = int(f.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
    return found


def descendants(pid):
    """Every process below pid."""
    children = {}
    for child, parent in parents().items():
        children.setdefault(parent, []).append(child)
    found, queue = set(), [pid]
    while queue:
        for child in children.get(queue.pop(), ()):
            if child not in found:
                found.add(child)
                queue.append(child)
    return found


def describe(pid):
    """"pid (command line)", for messages."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            words = f.read().replace(b"\0", b" ").decode(errors="replace").strip()
        if not words:
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as f:
                words = f"[{f.read().strip()}]"
    except OSError:
        words = "gone"
    return f"{pid} ({words})"


def tells_exits():
    """Whether it tells how a reaped process ended: PIDFD_INFO_EXIT, Linux 6.15."""
    pid = os.fork()
    if pid == 0:
        os._exit(3)
    pidfd = os.pidfd_open(pid)
    os.waitpid(pid, 0)
    info = bytearray(struct.pack("Q", 1 << 3)) + bytearray(56)
    try:
        fcntl.ioctl(pidfd, 0xC040FF0B, info)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return bool(struct.unpack_from("Q", info)[0] & 1 << 3)


def is_alive(pid):
    """False for a process that is gone or a zombie, with all its threads."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return False
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii",
                      errors="replace") as f:
                if f.read().rpartition(")")[2].split()[0] not in "ZX":
                    return True
        except OSError:
            continue
    return False


def mounts_with(text, pids=()):
    """Mounts that mention a path, as point, root or source, in this process's namespace and in
    those of others. It has no spaces. Not in everybody's: whoever starts a namespace has a copy of
    what is mounted on the host just then, for as long as it lives."""
    found, seen = set(), set()
    for name in ("self", *map(str, pids)):
        try:
            namespace = os.readlink(f"/proc/{name}/ns/mnt")
            if namespace in seen:
                continue
            entries = mounts(name, text)
            seen.add(namespace)
        except OSError:
            continue
        found |= {(namespace, entry[0], entry[2]) for entry in entries}
    return found


def loops_of(path):
    """Loop devices whose backing file is below a path, deleted or not."""
    found = set()
    for name in os.listdir("/sys/block"):
        try:
            with open(f"/sys/block/{name}/loop/backing_file", encoding="utf-8") as f:
                if f.read().startswith(path):
                    found.add(name)
        except OSError:
            continue
    return found


def disk_of(path):
    """The number ("7:0") of the one loop device whose backing file is below a path."""
    loop, = loops_of(path)
    with open(f"/sys/block/{loop}/dev", encoding="ascii") as f:
        return f.read().strip()


def links(netns=None):
    """Names of the network interfaces of a named namespace, or of this one; none when it is
    gone."""
    if not netns:
        return {name for _, name in socket.if_nameindex()}
    done = subprocess.run(["ip", "-netns", netns, "-o", "link"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=False)
    return {line.split(": ")[1].split("@")[0] for line in done.stdout.splitlines()}


def status_field(pid, name):
    """A field of /proc/PID/status, e.g. "CapBnd"."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as f:
        for line in f:
            if line.startswith(name + ":"):
                return line.split(":", 1)[1].strip()
    return None
