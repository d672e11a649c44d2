"""A tenant's root changes its own tree, so that what Croft does there next lands elsewhere: links
and FIFOs left for the next start, mounts laid over /proc, /dev and its terminals for the next
command (CVE-2021-30465, 2019-16884, 2025-31133, 2025-52881)."""

import contextlib
import os

import pytest

import kernel
from croft_harness import check_sentence
from test_images import host_state

# What stands in the way of every start, removed or replaced from inside before a restart.
PLANTS = {
    "etc to the host's": "mv /etc /e; ln -s /proc/1/root/../../etc /etc",
    "etc is a fifo": "mv /etc /e; mkfifo /etc",
    "passwd is a fifo": "rm -f /etc/passwd; mkfifo /etc/passwd",
    "resolv.conf to the host's": "ln -sf ../../../../etc/hostname /etc/resolv.conf",
    "hostname and hosts": "ln -sf /proc/sys/kernel/core_pattern /etc/hostname; "
                          "ln -sf /proc/1/environ /etc/hosts",
    "run to a descriptor": "rmdir /run; ln -s /proc/self/fd/3 /run",
    "run is a fifo": "rmdir /run; mkfifo /run",
    "tmp is a file": "rm -rf /tmp; : >/tmp",
    "old root": "ln -s /proc/1/root /old; ln -s / /.old; ln -s /etc /put_old",
    "root's home": "rm -rf /root; ln -s /proc/self/fd /root",
    "dev": "umount -l /dev; mv /dev /d; rm -rf /dev; ln -s /etc /dev",
    "proc": "umount -l /proc; mv /proc /p; rm -rf /proc; ln -s /etc /proc",
    "sys": "umount -l /sys; mv /sys /s; rm -rf /sys; ln -s /etc /sys",
    "dev from a namespace of its own":
        "unshare -m sh -c 'umount -l /dev; mv /dev /d; ln -s /etc /dev'",
    "mount points by an overlay":
        "mkdir /u /w /m; mount -t overlay o -o lowerdir=/,upperdir=/u,workdir=/w /m && "
        "{ rm -rf /m/dev /m/proc /m/sys; ln -s /etc /m/dev; ln -s /etc /m/proc; }",
}
INITS = {
    "itself": "ln -sf /proc/self/exe /sbin/init",
    "pid 1": "ln -sf /proc/1/exe /sbin/init",
    "a descriptor": "ln -sf /proc/self/fd/3 /sbin/init",
    "a fifo": "rm /sbin/init; mkfifo /sbin/init",
    "a loop": "ln -sf init /sbin/init",
    "interpreted by itself": "rm /sbin/init; printf '#!/proc/self/exe\\n' >/sbin/init; "
                             "chmod 755 /sbin/init",
    "interpreted by a descriptor": "rm /sbin/init; printf '#!/proc/self/fd/5\\n' >/sbin/init; "
                                   "chmod 755 /sbin/init",
}


def is_in_order(box, name):
    """What a start puts there is there, and it is not the host's."""
    found = {}
    for point, _, kind, _, _ in kernel.mounts(box.init_pid(name)):
        found.setdefault(point, kind)
    assert found["/proc"] == "proc" and found["/sys"] == "sysfs", found
    assert found["/dev"] == "tmpfs" and found["/dev/pts"] == "devpts", found
    assert box.sh(name, "stat -c %t:%T /dev/null; cat /proc/1/comm").split()[0] == "1:3"


@pytest.fixture
def host(box):
    """What an escape would change has not changed, whatever the test did."""
    before = host_state(box)
    yield
    assert host_state(box) == before


@pytest.mark.parametrize("plant", PLANTS, ids=lambda p: p.replace(" ", "-"))
def test_links_for_the_next_start(box, host, plant):
    box.tenant()
    box.launch("acme/web")
    box.exec("acme/web", "/bin/sh", "-c", PLANTS[plant], timeout=20)
    box.ok("kill", "acme/web")
    result = box.croft("start", "acme/web")
    if result.rc == 0:
        is_in_order(box, "acme/web")
    else:
        check_sentence(result.err, box.base)


@pytest.mark.parametrize("plant", INITS, ids=lambda p: p.replace(" ", "-"))
def test_init_for_the_next_start(box, host, plant):
    """Pid 1 is a program of the container, or there is none."""
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", INITS[plant])
    box.ok("kill", "acme/web")
    result = box.croft("start", "acme/web")
    assert result.rc == 1, result
    check_sentence(result.err, box.base)


def upper_of(box, name):
    """A container's writable tree, as the supervisor has it mounted."""
    tenant, container = name.split("/")
    root = f"/proc/{box.pids['supervisor']}/root{box.state}/pool"
    for folder, folders, _ in os.walk(root):
        if os.path.basename(folder) == container and tenant in folder.split("/"):
            for top in (f"{folder}/upper", folder):
                if os.path.isdir(f"{top}/planted"):
                    return top
        folders[:] = [f for f in folders if f not in ("images", "work")]
    raise AssertionError(f"no tree of {name} below the pool")


@pytest.mark.parametrize("point", ["dev", "proc", "sys"])
def test_a_link_at_a_mount_point_is_refused(box, host, point):
    """The attempts above leave the mount points as they are; this is what they would have led to,
    planted from the host's side."""
    box.tenant()
    box.launch("acme/web")
    box.sh("acme/web", "mkdir /planted")
    upper = upper_of(box, "acme/web")
    box.ok("kill", "acme/web")
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(f"{upper}/{point}")
    os.symlink("/etc", f"{upper}/{point}")
    message = box.refused("start", "acme/web", match=f"/{point} is not a plain directory")
    assert "remove what is there" in message
    os.unlink(f"{upper}/{point}")
    os.mkdir(f"{upper}/{point}")
    box.ok("start", "acme/web")
    is_in_order(box, "acme/web")


# Laid over what a command with a terminal needs.
OVERMOUNTS = {
    "proc": "mount -t tmpfs t /proc",
    "proc with a self": "mount -t tmpfs t /proc; mkdir -p /proc/self/attr /proc/thread-self; "
                        "ln -s /etc /proc/self/fd; ln -s /etc/passwd /proc/self/attr/exec",
    "proc sys": "mount -t tmpfs t /proc/sys; mkdir -p /proc/sys/kernel",
    "dev": "mount -t tmpfs t /dev",
    "dev null is a file": "mount -t tmpfs t /dev; : >/dev/null; mkdir /dev/pts",
    "pts": "mount -t tmpfs t /dev/pts",
    "pts with a file": "mount -t tmpfs t /dev/pts; : >/dev/pts/ptmx",
    "pts with a fifo": "mount -t tmpfs t /dev/pts; mkfifo /dev/pts/ptmx",
    "pts with a link": "mount -t tmpfs t /dev/pts; ln -s /dev/tty /dev/pts/ptmx",
    "pts with null": "mount -t tmpfs t /dev/pts; : >/dev/pts/ptmx; "
                     "mount --bind /dev/null /dev/pts/ptmx",
    "pts with the console": "mount -t tmpfs t /dev/pts; : >/dev/pts/ptmx; "
                            "mount --bind /dev/console /dev/pts/ptmx",
    "pts with random": "mount -t tmpfs t /dev/pts; : >/dev/pts/ptmx; "
                       "mount --bind /dev/urandom /dev/pts/ptmx",
    "ptmx itself": "mount --bind /dev/null /dev/pts/ptmx",
    "another devpts": "mount -t devpts t -o newinstance,ptmxmode=0666 /dev/pts",
    "a link to pts": "mount -t tmpfs t /dev; ln -s /proc/1/root/dev/pts /dev/pts",
    "etc": "mount -t tmpfs t /etc; mkfifo /etc/passwd /etc/group",
    "root": "mount -t tmpfs t /",
    "pts and ptmx of a socket": "mount -t tmpfs t /dev/pts; "
                                "timeout 1 nc -lU /dev/pts/ptmx; true",
}
WITH_TERMINAL = ("/bin/sh", "-c", "test -t 0 && test -t 1 && echo on a terminal")


def tried(box, name, *argv):
    """A command with a terminal: it runs on one, or is refused in a sentence; it never hangs."""
    result = box.croft("exec", "-t", name, "--", *argv, timeout=20)
    if result.rc == 0:
        assert "on a terminal" in result.out, result
    else:
        assert result.rc in (125, 126, 127), result
        check_sentence(result.err, box.base)
    return result.rc == 0


@pytest.mark.parametrize("over", OVERMOUNTS, ids=lambda o: o.replace(" ", "-"))
def test_mounts_over_what_a_command_needs(box, host, over):
    box.tenant()
    box.launch("acme/web")
    # The control: as long as nothing lies there, it runs.
    assert tried(box, "acme/web", *WITH_TERMINAL)
    box.exec("acme/web", "/bin/sh", "-c", OVERMOUNTS[over], timeout=20)
    ran = tried(box, "acme/web", *WITH_TERMINAL)
    if over.startswith(("pts with", "ptmx", "dev")):
        assert not ran
    plain = box.exec("acme/web", "/bin/true", timeout=20)
    assert plain.rc in (0, 125, 127), plain
    box.exec("acme/web", "/bin/true", options=["-u", "nobody"], timeout=20)
    # And what it did ends with it.
    box.ok("kill", "acme/web")
    box.ok("start", "acme/web")
    assert tried(box, "acme/web", *WITH_TERMINAL)


RACER = """while :; do
mount -t tmpfs t /dev/pts && : >/dev/pts/ptmx && mount --bind /dev/null /dev/pts/ptmx
umount /dev/pts/ptmx /dev/pts
mount -t tmpfs t /proc; umount /proc
mount -t tmpfs t /dev && mkdir /dev/pts && ln -s /etc /dev/pts/ptmx; umount /dev
done 2>/dev/null"""


def test_mounts_that_come_and_go(box, host):
    """What was looked at is what is used: the race changes whether it runs, not on what."""
    box.tenant()
    box.launch("acme/web")
    with box.background_exec("acme/web", "/bin/sh", "-c", RACER):
        ran = [tried(box, "acme/web", *WITH_TERMINAL) for _ in range(150)]
    # The control: it met both.
    assert True in ran and False in ran, ran
