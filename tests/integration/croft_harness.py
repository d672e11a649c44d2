"""A private croftd for a test: started, asked, killed, restarted, and taken down without a trace.

Everything of an instance lies below one directory of its own, runs in cgroups of its own, and is a
descendant of one reaper process (reaper.py), so that what is left of it can be told from the rest
of the host.
"""

import concurrent.futures
import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import kernel

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("CROFT_BUILD", os.path.join(ROOT, "build"))
# Deadlines are for a host; the machine under tests/vm is so many times slower.
SLOWNESS = float(os.environ.get("CROFT_SLOWNESS", "1"))
# What is only waited for may take longer, on a host whose disk stands still: that is no failure.
PATIENCE = max(3.0, SLOWNESS)
IMAGES = os.path.join(ROOT, "build", "images")

_PROGRAMS = {
    "croft": "croft",
    "croftd": "croftd",
    "croft-supervisor": "croft-supervisor",
    "probe": "tests/integration/probe",
}


def program(name):
    """The path of a built program."""
    return os.path.join(BUILD, _PROGRAMS[name])


def wait_until(what, condition, seconds=10.0, interval=0.02):
    """Waits for condition() to be true, and returns its value; fails when it is not in time."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds * PATIENCE:g} s: {what}")
        time.sleep(interval)


@dataclass
class Result:
    """How a command ended."""

    rc: int
    out: str
    err: str
    raw: bytes = b""

    def __str__(self):
        return f"status {self.rc}\nstdout: {self.out}\nstderr: {self.err}"


class Reaper:
    """The far end of reaper.py."""

    def __init__(self):
        self._child = subprocess.Popen(
            ["/usr/bin/python3", "-B", os.path.join(HERE, "reaper.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )
        self.pid = self._child.pid

    def _ask(self, line):
        self._child.stdin.write(line.encode() + b"\n")
        self._child.stdin.flush()
        ready, _, _ = select.select([self._child.stdout], [], [], 20 * PATIENCE)
        if not ready:
            raise AssertionError("the reaper does not answer")
        return self._child.stdout.readline().decode().strip()

    def start(self, argv, log, env=None):
        answer = self._ask("start " + json.dumps({"argv": argv, "log": log, "env": env or {}}))
        word, _, rest = answer.partition(" ")
        if word != "pid":
            raise AssertionError(f"{argv[0]}: {rest}")
        return int(rest)

    def status(self, pid):
        """"running", "exited N" or "signalled N"."""
        return self._ask(f"status {pid}")

    def finish(self):
        """Kills what is left below, which must be nothing by then, and ends."""
        for pid in kernel.descendants(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(BrokenPipeError, AssertionError):
            self._ask("quit")
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.close()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()


class Daemon:
    """One instance of croftd and its supervisor, and what a test does with them."""

    _count = 0

    def __init__(self, schema=None):
        Daemon._count += 1
        # croftd is not root for long: it must be able to reach what is its own below.
        self.base = tempfile.mkdtemp(prefix="croft-test-", dir="/tmp")
        os.chmod(self.base, 0o755)
        self.state = f"{self.base}/state"
        self.run = f"{self.base}/run"
        self.policies = f"{self.base}/policies"
        os.mkdir(self.policies)
        self.socket = f"{self.run}/croft.sock"
        self.host = f"unix:{self.socket}"
        self.parent = f"croft-test-{os.getpid()}-{Daemon._count}"
        self.log = f"{self.base}/log"
        self.reaper = Reaper()
        self.schema = schema
        self.netns = None  # the network namespace that is its host; None: this one
        self.pids = {}
        self._arguments = {}
        self._expected_dead = set()
        self._first_event = 0

    # Starting and stopping.

    @property
    def reaper_pid(self):
        return self.reaper.pid if self.reaper else None

    @property
    def instance_id(self):
        try:
            with open(f"{self.state}/supervisor/instance-id", encoding="ascii") as f:
                return f.read().strip()
        except OSError:
            return None

    def arguments(self, *more):
        """croftd's command line. Without lxcfs, which is what test_views.py is about: the others
        are to show the same whether it is installed or not."""
        if "--lxcfs" not in more:
            more = ("--lxcfs", "off", *more)
        return [
            program("croftd"), "--state", self.state, "--run", self.run, "--listen", self.host,
            "--cgroup-parent", self.parent, "--policy-dir", self.policies,
            "--supervisor", program("croft-supervisor"), "--pool-size", "4G",
            "--sample-interval", "1", *more,
        ]

    def start(self, *more):
        """Starts croftd, which starts its supervisor, and waits until both answer."""
        os.makedirs(self.state, exist_ok=True)
        os.makedirs(self.run, exist_ok=True)
        self._arguments["croftd"] = self.arguments(*more)
        self.pids["croftd"] = self._spawn(self._arguments["croftd"])
        self.wait_ready()
        return self

    def _spawn(self, arguments):
        if self.netns:
            # Not `ip netns exec`, which hides the cgroups below a /sys of its own.
            arguments = ["/usr/bin/nsenter", f"--net=/run/netns/{self.netns}", "--", *arguments]
        return self.reaper.start(arguments, self.log)

    def wait_ready(self):
        wait_until("croftd answers", self._answers, 10, 0.005)
        self.pids["supervisor"] = self.pid("supervisor")
        self._expected_dead.clear()

    def _answers(self):
        status = self.reaper.status(self.pids["croftd"])
        if status != "running":
            raise AssertionError(f"croftd {status}\n{self.read_log()}")
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(self.socket)
            except OSError:
                return False
        info = self.croft("-o", "json", "host", "info")
        return info.rc == 0 and from_json(info.out).get("supervisor_connected")

    def read_log(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def pid(self, which):
        """The pid of "croftd" or "supervisor", from its pid file."""
        with open(f"{self.run}/{which}.pid", encoding="ascii") as f:
            return int(f.read())

    def kill9(self, which):
        """kill -9 of "croftd" or "supervisor"; returns when it is gone."""
        pid = self.pids[which]
        assert pid in kernel.descendants(self.reaper.pid), f"{which} {pid} is not ours"
        if which == "supervisor":
            # What it was started with, to start it again by hand as an operator would.
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                self._arguments[which] = [a.decode() for a in f.read().split(b"\0")[:-1]]
        self._expected_dead.add(which)
        os.kill(pid, signal.SIGKILL)
        wait_until(f"{which} is gone", lambda: not kernel.is_alive(pid))

    def terminate(self, which):
        """SIGTERM, and the end of it; containers stay."""
        pid = self.pids[which]
        self._expected_dead.add(which)
        os.kill(pid, signal.SIGTERM)
        wait_until(f"{which} has ended", lambda: not kernel.is_alive(pid))

    def restart(self, *which):
        """Starts again what was killed: croftd starts a supervisor itself when none answers."""
        if "croftd" in which:
            self.pids["croftd"] = self._spawn(self._arguments["croftd"])
        elif "supervisor" in which:
            arguments = list(self._arguments["supervisor"])
            arguments[0] = program("croft-supervisor")
            self._spawn(arguments)
        self.wait_ready()

    def killed_during(self, who, after, work):
        """work() in a thread; so many seconds after it began each of `who` is killed, and then
        started again. Returns what work() returned."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            doing = pool.submit(work)
            time.sleep(after)
            for which in who:
                self.kill9(which)
            self.restart(*who)
            return doing.result()

    def kill_all(self):
        """SIGKILL to every container's init: an orderly end costs busybox's two seconds."""
        for container in self.json_lines("list"):
            pid = container.get("run", {}).get("host_pid")
            if pid and pid in kernel.descendants(self.reaper.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def revive(self):
        """Starts again what a failed test killed and left so. False when nothing is to be shut
        down; an AssertionError when a daemon died that nobody killed."""
        dead = [w for w, pid in self.pids.items() if not kernel.is_alive(pid)]
        for which in dead:
            if which not in self._expected_dead:
                raise AssertionError(
                    f"{which} died by itself: {self.reaper.status(self.pids[which])}")
        if not self.pids:
            return False
        if dead and all(w in self._arguments for w in dead):
            self.restart(*dead)
        return True

    def tear_down(self):
        """In order where that still goes, and by force where not."""
        with contextlib.suppress(AssertionError, OSError):
            if any(self._daemons()):
                self.kill_all()
                self.croft("host", "shutdown", timeout=20)
                wait_until("its daemons have ended", lambda: not any(self._daemons()), 5)
        self.finish()

    def shutdown(self):
        """`croft host shutdown`: containers and both daemons, gone."""
        self._expected_dead |= set(self.pids)
        result = self.croft("host", "shutdown", timeout=60)
        assert result.rc == 0, result
        for which, pid in self.pids.items():
            wait_until(f"{which} has ended", lambda p=pid: not kernel.is_alive(p), 20)
        self.pids = {}

    def _daemons(self):
        """Those that run with this directory, also when their reaper was killed."""
        for which in ("croftd", "supervisor"):
            with contextlib.suppress(OSError, ValueError):
                pid = self.pid(which)
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if self.run.encode() in f.read().split(b"\0"):
                        yield pid

    def _kill_members(self):
        """SIGKILL to all that its cgroups hold. Whether they are gone."""
        left = kernel.cgroup_directories(self.parent)
        for path in left:
            kernel.thaw(path)
            for pid in kernel.members(path):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for path in sorted(left, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(path)
        return not kernel.cgroup_directories(self.parent)

    def finish(self):
        """Removes what is left, by force where it must; the leak check has looked before."""
        roots = {self.reaper.pid, *self._daemons()}
        for pid in set().union(roots, *map(kernel.descendants, roots)) - {self.reaper.pid}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.reaper.finish()
        self.reaper = None
        with contextlib.suppress(AssertionError):
            wait_until("its cgroups are gone", self._kill_members, 5)
        for _, point, _ in kernel.mounts_with(self.base):
            subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL, check=False)
        for name in kernel.loops_of(self.base):
            subprocess.run(["losetup", "-d", f"/dev/{name}"], check=False)
        shutil.rmtree(self.base, ignore_errors=True)

    # The command line.

    def croft(self, *args, uid=None, stdin=b"", timeout=30, env=None, command=None):
        """Runs the CLI; stdin is bytes, uid runs it as somebody else."""
        return run_program(
            [command or self._client(uid), "--host", self.host, *args], uid=uid, stdin=stdin,
            timeout=timeout, env=env,
        )

    def _client(self, uid):
        """A build directory may be below one that only root can enter."""
        if uid is None:
            return program("croft")
        copy = f"{self.base}/croft"
        if not os.path.exists(copy):
            shutil.copy(program("croft"), copy)
        return copy

    def ok(self, *args, **kwargs):
        """Runs the CLI, which must succeed; returns its standard output."""
        result = self.croft(*args, **kwargs)
        assert result.rc == 0, f"croft {' '.join(args)}: {result}\n{self.read_log()[-2000:]}"
        return result.out

    def refused(self, *args, match=None, rc=1, **kwargs):
        """Runs the CLI, which must fail with one clear sentence; returns the sentence."""
        result = self.croft(*args, **kwargs)
        assert result.rc == rc, f"croft {' '.join(args)}: {result}"
        check_sentence(result.err, self.base)
        if match:
            assert re.search(match, result.err), result.err
        return result.err.strip()

    def json(self, *args, **kwargs):
        """Runs the CLI with -o json; one object, which must be all there is."""
        return from_json(self.ok("-o", "json", *args, **kwargs))

    def json_lines(self, *args, **kwargs):
        return [from_json(x) for x in self.ok("-o", "json", *args, **kwargs).splitlines()]

    def exec(self, name, *argv, options=(), **kwargs):
        """croft exec, without a terminal."""
        return self.croft("exec", "-T", *options, name, "--", *argv, **kwargs)

    def sh(self, name, script, **kwargs):
        """A shell script inside, which must succeed; returns its standard output."""
        result = self.exec(name, "/bin/sh", "-c", script, **kwargs)
        assert result.rc == 0, f"{script}: {result}"
        return result.out

    @contextlib.contextmanager
    def held(self, which):
        """"croftd" or "supervisor" does nothing (SIGSTOP) for as long as the block runs."""
        os.kill(self.pids[which], signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pids[which], signal.SIGCONT)

    def background_exec(self, name, *argv):
        """croft exec that runs on, killed at the end (its command then gets SIGHUP)."""
        return self.background("exec", "-T", name, "--", *argv)

    @contextlib.contextmanager
    def forks(self, name):
        """/probe forks until it is refused, beside init alone: what starts a command is gone by
        then, which counts as well as long as it is there."""
        command = ("exec", "-T", name, "--", "/probe", "forks", "1000")
        with self.background(*command, stdin=subprocess.PIPE) as child:
            wait_until("init and it are alone", lambda: self.cgroup(name).pids() == 2)
            child.stdin.close()
            child.stdin = None
            yield child

    @contextlib.contextmanager
    def background(self, *args, stdin=subprocess.DEVNULL, uid=None):
        """The CLI, which runs on, killed at the end; uid runs it as somebody else."""
        child = subprocess.Popen(
            [self._client(uid), "--host", self.host, *args],
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **as_user(uid),
        )
        try:
            yield child
        finally:
            child.kill()
            child.communicate()

    # Shorthands.

    def api(self):
        """A grpcio client of this instance."""
        import api

        return api.Api(self.schema, self.host)

    def busybox(self):
        """The image `busybox`."""
        self.ok("image", "build-busybox")

    def tenant(self, name="acme", **limits):
        self.ok("tenant", "create", name, *limit_flags(limits))
        return name

    def launch(self, name, image="busybox", init=(), options=(), **limits):
        """croft launch; returns the container's info."""
        tail = ["--", *init] if init else []
        self.ok("launch", image, name, *limit_flags(limits), *options, *tail, timeout=60)
        return self.info(name)

    def info(self, name):
        return self.json("info", name)

    def usage(self, name):
        return self.json("usage", "show", name)

    def sync_pool(self):
        """What is in it is on disk, and its quotas know: btrfs would take half a minute to."""
        pool = f"/proc/{self.pid('supervisor')}/root{self.state}/pool"
        subprocess.run(["/bin/sync", "-f", pool], check=True, timeout=60 * PATIENCE)

    def cgroup(self, name):
        """The kernel's view of a tenant or TENANT/NAME."""
        return kernel.Cgroup(self.parent, *name.split("/"))

    def put(self, name, path, data, mode="0755"):
        """Writes a file inside, through exec's standard input."""
        script = f"cat >{path} && chmod {mode} {path}"
        result = self.exec(name, "/bin/sh", "-c", script, stdin=data)
        assert result.rc == 0, result

    def put_probe(self, name):
        """Installs tests/integration/probe.c in a container."""
        with open(program("probe"), "rb") as f:
            self.put(name, "/probe", f.read())

    def probe(self, name, *args, **kwargs):
        """Runs /probe inside, which must succeed; returns its words."""
        result = self.exec(name, "/probe", *[str(a) for a in args], **kwargs)
        assert result.rc == 0, f"probe {args}: {result}"
        return result.out.split()

    def syscall(self, name, number, *args, command="call", **kwargs):
        """One raw system call inside: the name of its errno, "0" on success."""
        return self.probe(name, command, number, *args, **kwargs)[1]

    def init_pid(self, name):
        return self.info(name)["run"]["host_pid"]

    def begin_events(self):
        """events() without arguments begins here."""
        self._first_event = max((e["number"] for e in self.events()), default=self._first_event)

    def events(self, *args):
        return self.json_lines("events", *(args or ("--after", str(self._first_event))))

    def wait_state(self, name, state, seconds=10):
        return wait_until(
            f"{name} is {state}",
            lambda: (i := self.info(name)).get("state", "STOPPED") == state and i, seconds,
        )


def from_json(text):
    """Protobuf JSON with the names of the .proto files, and 64-bit numbers as numbers."""

    def convert(value):
        if isinstance(value, dict):
            return {re.sub("[A-Z]", lambda m: "_" + m.group(0).lower(), k): convert(v)
                    for k, v in value.items()}
        if isinstance(value, list):
            return [convert(v) for v in value]
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,39}", value):
            return int(value)
        return value

    return convert(json.loads(text))


def limit_flags(limits):
    """{"cpu": "0.5", "cpu_weight": 10} as the CLI's flags."""
    flags = []
    for name, value in limits.items():
        flags += [f"--{name.replace('_', '-')}", str(value)]
    return flags


def check_sentence(text, base):
    """What a user is told when something fails: one line, not empty, without a host path."""
    assert text.strip(), "it failed without a word"
    lines = text.strip().splitlines()
    assert len(lines) == 1, f"more than one line: {text!r}"
    assert base not in text, f"names a path of the host: {text!r}"
    assert "/sys/fs/cgroup" not in text and "/proc/" not in text, text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", lines[0]), repr(text)


def as_user(uid):
    """What has subprocess run something as this user, in no group but its own."""
    return {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}


def run_program(argv, *, uid=None, stdin=b"", timeout=30, env=None):
    try:
        done = subprocess.run(
            argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
            timeout=timeout * PATIENCE, env={**os.environ, **(env or {})}, cwd="/",
            **as_user(uid),
        )
    except subprocess.TimeoutExpired as e:
        raise AssertionError(
            f"{' '.join(argv)}: no end after {timeout * PATIENCE:g} s\n"
            f"{(e.stdout or b'')[-2000:]}\n{(e.stderr or b'')[-2000:]}"
        ) from None
    return Result(
        done.returncode, done.stdout.decode(errors="replace"),
        done.stderr.decode(errors="replace"), done.stdout,
    )


def measured(text):
    """Figures that are part of what a test is for: `make test` prints them before its last line."""
    print(text)
    path = os.environ.get("CROFT_FIGURES")
    if path:
        name = os.environ.get("PYTEST_CURRENT_TEST", "").split("::")[0].rpartition("/")[2]
        with open(path, "a", encoding="utf-8") as f:
            f.writelines(f"{name}: {line}\n" for line in text.splitlines() if line)


def debug(*words):
    """Figures that a test measured: shown with -s, kept in pytest's report."""
    print(*words, file=sys.stderr)


def percentile(values, percent):
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
