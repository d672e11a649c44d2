"""Root file systems built to redirect what is done as the container is put together: links where
directories are mounted, devices in the image, a passwd that points out."""

import hashlib
import io
import re
import tarfile

import pytest


def image(*members):
    """A tar of busybox with its shell, and the given members (path, link target or bytes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        def add(name, kind=tarfile.REGTYPE, data=b"", link="", mode=0o755):
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname, info.mode = kind, len(data), link, mode
            tar.addfile(info, io.BytesIO(data))

        add("bin", tarfile.DIRTYPE)
        with open("/bin/busybox", "rb") as f:
            add("bin/busybox", data=f.read())
        for applet in ("sh", "sleep", "cat", "ls", "true", "id", "grep", "mount", "umount"):
            add(f"bin/{applet}", tarfile.SYMTYPE, link="busybox")
        named = {name.split("/")[0] for name, _ in members}
        for name in ("dev", "proc", "sys", "tmp", "run", "etc", "root"):
            if name not in named:
                add(name, tarfile.DIRTYPE)
        for name, what in members:
            if isinstance(what, bytes):
                add(name, data=what, mode=0o644)
            elif what is None:
                add(name, tarfile.DIRTYPE)
            else:
                add(name, tarfile.SYMTYPE, link=what)
    return out.getvalue()


# Where instances of other tests have their mounts, and labs their namespaces.
OTHERS = re.compile(r"/tmp/croft-test-[^/]+|/run/netns/croft-(host|out)-[0-9]+-")


def host_state(box):
    """What an escape would change. What other tests mount beside this one is left out, what is
    mounted in this one's own directory is not."""
    found = {}
    for path in ("/proc/sys/kernel/core_pattern", "/etc/passwd", "/etc/hostname"):
        with open(path, "rb") as f:
            found[path] = hashlib.sha256(f.read()).hexdigest()
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        points = [line.split()[4] for line in f]
    found["mounts"] = sorted(p for p in points if is_under(p, box.base) or not OTHERS.match(p))
    return found


def is_under(path, directory):
    return path == directory or path.startswith(directory + "/")


LINKS = {
    "proc": [("proc", "/etc")],
    "proc out": [("proc", "../../../../etc")],
    "sys": [("sys", "/etc")],
    "dev": [("dev", "/etc")],
    "dev loop": [("dev", "dev")],
    "cgroup": [("sys", None), ("sys/fs", "/etc")],
    "run": [("run", "/etc")],
    "old": [("old", "/etc")],
    "proc file": [("proc", b"a file")],
    "dev pts": [("dev", None), ("dev/pts", "/etc"), ("dev/console", "/etc/passwd")],
    "etc": [("etc", "/proc/1/root/etc")],
    "tmp": [("tmp", "/proc/self/fd/3")],
}


@pytest.mark.parametrize("what", LINKS, ids=lambda w: w.replace(" ", "-"))
def test_links_where_mounts_go(box, what):
    """Refused with a sentence, or started with the host as it was."""
    box.tenant()
    before = host_state(box)
    box.ok("image", "import", "evil", "-", "--init", "/bin/sleep", stdin=image(*LINKS[what]))
    result = box.croft("launch", "evil", "acme/evil", "--", "/bin/sleep", "1000")
    if result.rc == 0:
        assert box.exec("acme/evil", "/bin/cat", "/proc/self/comm").out in ("cat\n", "busybox\n")
        # Inside, /proc is a procfs and /dev a fresh tmpfs, whatever the image had there.
        mounts = box.sh("acme/evil", "cat /proc/self/mountinfo")
        assert " - proc " in mounts and "/dev " in mounts
        box.ok("delete", "--force", "acme/evil")
    else:
        assert result.rc == 1 and result.err.strip(), result
    assert host_state(box) == before


def test_control_a_plain_image_starts(box):
    """So that a refusal above is one of what was planted."""
    box.tenant()
    box.ok("image", "import", "plain", "-", "--init", "/bin/sleep", stdin=image())
    box.launch("acme/web", image="plain", init=["/bin/sleep", "1000"])
    assert box.sh("acme/web", "cat /proc/self/comm") in ("cat\n", "busybox\n")


def test_passwd_that_points_out(box):
    """`exec -u NAME` reads the container's own passwd, inside."""
    box.tenant()
    secret = "/etc/passwd"
    box.ok("image", "import", "evil", "-", "--init", "/bin/sleep",
           stdin=image(("etc", None), ("etc/passwd", f"/proc/1/root/../..{secret}")))
    box.launch("acme/web", image="evil", init=["/bin/sleep", "1000"])
    host_users = [line.split(":")[0] for line in open(secret, encoding="utf-8")
                  if int(line.split(":")[2]) not in (0,)]
    result = box.exec("acme/web", "/bin/id", options=["-u", host_users[-1]])
    assert result.rc == 125, result


def test_fifo_as_passwd_does_not_hang(box):
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "rm -f /etc/passwd && mkfifo /etc/passwd")
    result = box.exec("acme/web", "/bin/true", options=["-u", "bob"], timeout=20)
    assert result.rc == 125, result
    assert box.exec("acme/web", "/bin/true").rc == 0


def test_huge_passwd_is_bounded(box):
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "dd if=/dev/zero of=/etc/passwd bs=1M count=64 2>/dev/null")
    result = box.exec("acme/web", "/bin/true", options=["-u", "bob"], timeout=20)
    assert result.rc == 125, result


def test_planted_devices_are_left_out(box):
    """Nodes in an archive do not reach the pool."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(image())) as plain, tarfile.open(
            fileobj=out, mode="w") as tar:
        for member in plain:
            tar.addfile(member, plain.extractfile(member) if member.isfile() else None)
        for name, kind, major, minor in (("mem", tarfile.CHRTYPE, 1, 1),
                                         ("disk", tarfile.BLKTYPE, 7, 0)):
            info = tarfile.TarInfo(name)
            info.type, info.devmajor, info.devminor, info.mode = kind, major, minor, 0o666
            tar.addfile(info)
    box.tenant()
    box.ok("image", "import", "nodes", "-", "--init", "/bin/sleep", stdin=out.getvalue())
    assert box.json("image", "show", "nodes")["skipped_devices"] == 2
    box.launch("acme/web", image="nodes", init=["/bin/sleep", "1000"])
    assert box.exec("acme/web", "/bin/ls", "/mem", "/disk").rc != 0
