"""The disk that containers' output is kept on stands still: that holds up their output, and nothing
else. And nothing of it is left of containers that are no more."""

import contextlib
import fcntl
import os
import subprocess

import pytest

from croft_harness import wait_until

# <linux/fs.h>
FIFREEZE, FITHAW = 0xC0045877, 0xC0045878


class Disk:
    """An ext4 for the logs alone."""

    def __init__(self, path):
        self.path = path

    @contextlib.contextmanager
    def frozen(self):
        """Who writes to it waits, and cannot be killed."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, FIFREEZE, 0)
            try:
                yield
            finally:
                fcntl.ioctl(fd, FITHAW, 0)
        finally:
            os.close(fd)


@pytest.fixture
def disk(bare_daemon):
    box = bare_daemon
    path = f"{box.state}/server/logs"
    image = f"{box.base}/disk"
    os.makedirs(path)
    os.chmod(f"{box.state}/server", 0o700)
    with open(image, "wb") as f:
        f.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, path], check=True)
    try:
        box.start()
        box.busybox()
        box.tenant()
        yield Disk(path)
        box.revive()
        box.kill_all()
        box.shutdown()
    finally:
        subprocess.run(["umount", "-l", path], check=True)


WRITER = "i=0; while :; do echo line $i; i=$((i + 1)); usleep 10000; done"


def lines(box):
    return box.ok("logs", "acme/web").split("\n")[:-1]


def test_a_disk_that_stands_still_holds_up_nobody(disk, bare_daemon):
    box = bare_daemon
    box.launch("acme/web", init=["/bin/sh", "-c", WRITER])
    before = len(wait_until("it has written", lambda: lines(box)))
    with disk.frozen():
        for i in range(5):
            # A launch takes its commit, an exec its stream; and there is output all the while.
            box.ok("launch", "busybox", f"acme/c{i}", timeout=10)
            assert box.exec(f"acme/c{i}", "/bin/true", timeout=10).rc == 0
            box.ok("kill", f"acme/c{i}", timeout=10)
            box.ok("delete", f"acme/c{i}", timeout=10)
    wait_until("it goes on", lambda: len(lines(box)) > before + 10)
    # Nothing was lost, and nothing came twice.
    kept = lines(box)
    assert kept == [f"line {i}" for i in range(len(kept))]


def test_a_flood_waits_for_the_disk(disk, bare_daemon):
    """It costs croftd no more memory than what it reads at a time."""
    box = bare_daemon

    def memory():
        with open(f"/proc/{box.pids['croftd']}/status", encoding="ascii") as f:
            return int(next(x for x in f if x.startswith("RssAnon")).split()[1])

    def use_it(name):
        for _ in range(20):
            box.ok("list", timeout=10)
            assert box.exec(name, "/bin/true", timeout=10).rc == 0

    # What croftd keeps of any use of it is there before.
    box.launch("acme/other")
    use_it("acme/other")
    box.launch("acme/web", init=["/bin/sh", "-c", "yes | head -c 6000000; echo done; sleep 1000"])
    log = f"{disk.path}/{box.info('acme/web')['uid']}.log"
    wait_until("it has written", lambda: os.path.exists(log) and os.path.getsize(log) > 0)
    with disk.frozen():
        before = memory()
        use_it("acme/web")
        assert memory() < before + 2048
    wait_until("all is kept", lambda: box.ok("logs", "acme/web").endswith("done\n"), 30)


def test_what_was_written_last_is_shown(disk, bare_daemon):
    """Also when it is asked for before it is on the disk."""
    box = bare_daemon
    with disk.frozen():
        box.launch("acme/web", init=["/bin/sh", "-c", "echo last words"])
        box.wait_state("acme/web", "STOPPED")
        with box.background("logs", "acme/web") as reader:
            with pytest.raises(subprocess.TimeoutExpired):
                reader.wait(0.5)
            # The file system must go on before its reader can.
            disk_fd = os.open(disk.path, os.O_RDONLY)
            fcntl.ioctl(disk_fd, FITHAW, 0)
            assert reader.communicate(timeout=60)[0] == b"last words\n"
            fcntl.ioctl(disk_fd, FIFREEZE, 0)
            os.close(disk_fd)


def test_output_of_the_deleted_is_not_left(disk, bare_daemon):
    """croftd is killed when the row is gone and the files are not."""
    box = bare_daemon
    for name in ("acme/kept", "acme/web"):
        box.launch(name, init=["/bin/sh", "-c", "echo secret; exec sleep 1000"])
        wait_until("it has written", lambda n=name: box.ok("logs", n))
    kept, gone = (box.info(name)["uid"] for name in ("acme/kept", "acme/web"))
    with disk.frozen():
        box.ok("delete", "--force", "acme/web")
        os.kill(box.pids["croftd"], 9)
        box._expected_dead.add("croftd")
    wait_until("it has ended", lambda: not os.path.exists(f"/proc/{box.pids['croftd']}/exe"))
    assert os.path.exists(f"{disk.path}/{kept}.log")
    if not os.path.exists(f"{disk.path}/{gone}.log"):
        open(f"{disk.path}/{gone}.log", "wb").close()
    box.restart("croftd")
    wait_until("it is gone", lambda: not os.path.exists(f"{disk.path}/{gone}.log"))
    assert box.ok("logs", "acme/kept") == "secret\n"
