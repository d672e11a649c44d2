"""A host whose pool is a file system with project quotas."""

import os
import subprocess

import pytest

MAKE = {
    "xfs": ["mkfs.xfs", "-q"],
    "ext4": ["mke2fs", "-q", "-F", "-t", "ext4", "-O", "quota,project", "-E",
             "quotatype=prjquota"],
}


def mount_file_system(kind, image, path):
    with open(image, "wb") as f:
        f.truncate(768 << 20)
    subprocess.run([*MAKE[kind], image], check=True, stdout=subprocess.DEVNULL)
    return subprocess.run(
        ["mount", "-o", "loop,prjquota", image, path], stderr=subprocess.DEVNULL
    ).returncode == 0


@pytest.fixture(params=["xfs", "ext4"])
def box(request, bare_daemon):
    """No driver is named: what was mounted for it is found by looking."""
    daemon = bare_daemon
    os.makedirs(daemon.state)
    image = f"{daemon.base}/disk"
    if not mount_file_system(request.param, image, daemon.state):
        pytest.skip(f"this kernel cannot mount {request.param} with project quotas")
    try:
        daemon.start()
        daemon.busybox()
        yield daemon
        daemon.revive()
        daemon.kill_all()
        daemon.shutdown()
    finally:
        # Lazily: what a failed test left is ended behind it.
        subprocess.run(["umount", "-l", daemon.state], check=True)
        os.unlink(image)
