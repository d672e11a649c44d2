"""The image of the tour: this host's static busybox with a page to fetch, as LXD packs images."""

import io
import subprocess
import tarfile
import time

PAGE = b"a page from inside\n"
BUSYBOX = "/bin/busybox"

INITTAB = (b"::sysinit:/bin/ip link set lo up\n"
           b"::respawn:/bin/httpd -f -p 80 -h /www\n"
           b"::ctrlaltdel:/bin/reboot\n")
PASSWD = b"root:x:0:0:root:/root:/bin/sh\n"
METADATA = b"""architecture: x86_64
creation_date: %d
properties:
  os: busybox
  description: busybox with a page
"""


def _file(archive, path, data, mode=0o644):
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


def _directory(archive, path, mode=0o755):
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    archive.addfile(entry)


def _link(archive, path, target):
    entry = tarfile.TarInfo(path)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    archive.addfile(entry)


def make(path):
    """Writes the archive."""
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        _file(archive, "metadata.yaml", METADATA % time.time())
        _directory(archive, "rootfs")
        for name in ("bin", "dev", "etc", "proc", "root", "run", "sbin", "sys", "www"):
            _directory(archive, f"rootfs/{name}")
        _directory(archive, "rootfs/tmp", 0o1777)
        with open(BUSYBOX, "rb") as f:
            _file(archive, "rootfs/bin/busybox", f.read(), 0o755)
        for applet in applets.stdout.split():
            if applet != "busybox":
                _link(archive, f"rootfs/bin/{applet}", "busybox")
        _link(archive, "rootfs/sbin/init", "../bin/busybox")
        _file(archive, "rootfs/etc/inittab", INITTAB)
        _file(archive, "rootfs/etc/passwd", PASSWD)
        _file(archive, "rootfs/etc/group", b"root:x:0:\n")
        _file(archive, "rootfs/www/page", PAGE)
