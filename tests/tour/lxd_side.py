"""The tour's steps with Debian's LXD, where that is installed: a daemon of the tour's own, with a
directory, a network and a mount namespace of its own, and nothing of it afterwards."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time

import kernel
from croft_harness import Reaper, SLOWNESS, wait_until

NAMES = ("one", "two")
# A dead end of the host's cgroups: what liblxc makes for a container, and leaves for monitors.
CGROUPS = ("lxc.payload", "lxc.monitor")


def is_installed():
    return all(shutil.which(program) for program in ("lxd", "lxc"))


def version():
    return subprocess.run(["lxd", "--version"], check=True, capture_output=True, timeout=60,
                          text=True).stdout.strip()


def cgroups():
    """liblxc's directories at the top of each hierarchy."""
    found = set()
    for top in ("/sys/fs/cgroup", *kernel_hierarchies()):
        with contextlib.suppress(OSError):
            found |= {os.path.join(top, d) for d in os.listdir(top) if d.startswith("lxc.")}
    return found


def kernel_hierarchies():
    return [e.path for e in os.scandir("/sys/fs/cgroup") if e.is_dir(follow_symlinks=False)]


class LxdSide:
    name = "LXD"

    def __init__(self, lab=None):
        """In the lab's host, or alone: without a network."""
        self.network = ["/usr/bin/nsenter", f"--net=/run/netns/{lab.host}", "--"] if lab else [
            "/usr/bin/unshare", "--net", "--"]
        self.base = tempfile.mkdtemp(prefix="lxd-tour-", dir="/tmp")
        os.chmod(self.base, 0o711)
        self.env = {"LXD_DIR": f"{self.base}/lxd", "LXD_CONF": f"{self.base}/conf",
                    "HOME": self.base}
        self.before = cgroups()
        self.reaper = Reaper()
        self.daemon = None

    def lxc(self, *args, program="lxc", timeout=120):
        done = subprocess.run([program, *args], env={**os.environ, **self.env}, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.PIPE, timeout=timeout * SLOWNESS)
        if done.returncode != 0:
            raise AssertionError(f"{program} {' '.join(args)}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def start_daemon(self):
        os.makedirs(self.env["LXD_DIR"])
        self.daemon = self.reaper.start(
            [*self.network, "/usr/bin/unshare", "--mount", "--propagation", "private", "--",
             shutil.which("lxd"), "--group", "root"],
            f"{self.base}/log", self.env)
        wait_until("its socket is there",
                   lambda: os.path.exists(f"{self.env['LXD_DIR']}/unix.socket"), 30, 0.005)
        self.lxc("waitready", "--timeout=60", program="lxd")

    def prepare(self):
        self.lxc("storage", "create", "pool", "dir")
        self.lxc("profile", "device", "add", "default", "root", "disk", "path=/", "pool=pool")

    def import_image(self, archive):
        self.lxc("image", "import", archive, "--alias", "web")

    def launch(self):
        self.lxc("launch", "web", "one")

    def list(self):
        assert "one" in self.lxc("list", "--format", "csv")

    def configure(self):
        self.lxc("config", "set", "one", "limits.memory=128MiB",
                 "limits.cpu.allowance=50ms/100ms")

    def run_command(self):
        assert self.lxc("exec", "one", "-T", "--", "echo", "hello") == "hello\n"

    def push(self, file):
        self.lxc("file", "push", file, "one/root/file")

    def pull(self, file):
        self.lxc("file", "pull", "one/root/file", file)

    def snapshot(self):
        self.lxc("snapshot", "one", "before")

    def break_it(self):
        self.lxc("exec", "one", "-T", "--", "rm", "-r", "/www", "/root/file")

    def is_broken(self):
        try:
            self.lxc("exec", "one", "-T", "--", "ls", "/www", "/root/file")
        except AssertionError:
            return True
        return False

    def restore(self):
        self.lxc("stop", "--force", "one")
        self.lxc("restore", "one", "before")
        self.lxc("start", "one")

    def forward(self, port):
        self.lxc("config", "device", "add", "one", "web", "proxy", f"listen=tcp:0.0.0.0:{port}",
                 "connect=tcp:127.0.0.1:80")

    def copy(self):
        self.lxc("copy", "one", "two")
        # It would want the same port.
        self.lxc("config", "device", "remove", "two", "web")
        self.lxc("start", "two")

    def can_export(self):
        return True

    def export(self, file):
        self.lxc("export", "two", file, "--instance-only")

    def delete(self):
        self.lxc("delete", "--force", "two")

    def import_container(self, file):
        self.lxc("import", file, "two")
        self.lxc("start", "two")

    def check_second(self):
        assert self.lxc("exec", "two", "-T", "--", "ls", "/root") == "file\n"

    def stop(self):
        self.lxc("stop", "--timeout", "5", "one")

    def delete_rest(self):
        for name in NAMES:
            self.lxc("delete", "--force", name)
        self.lxc("image", "delete", "web")

    def stop_daemon(self):
        self.lxc("shutdown", "--timeout", "30", program="lxd")
        wait_until("lxd has ended", lambda: not kernel.is_alive(self.daemon), 30)

    def tear_down(self):
        """By force, what the steps have not ended; its mounts go with its mount namespace."""
        deadline = time.monotonic() + 20 * SLOWNESS
        while (left := kernel.descendants(self.reaper.pid)) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        self.reaper.finish()
        for top in sorted(cgroups() - self.before):
            for directory, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(directory)
        shutil.rmtree(self.base, ignore_errors=True)
