"""A tenant's root against what is mounted beside its root: links planted where a volume is to be
(CVE-2021-30465), unmounting and remounting from inside, btrfs' own requests, setuid files, and the
list of the host's directories."""

import json
import os
import shutil

import pytest

from croft_harness import check_sentence, program, run_program
from test_images import host_state

SYS_GETEUID = 107
SYS_IOCTL, SYS_IOCTL_X32, SYS_IOCTL_32 = 16, 0x40000000 | 514, 54
# linux/btrfs.h, linux/fs.h
SUBVOL_CREATE, FICLONE, SNAP_CREATE, SUBVOL_CREATE_V2, QUOTA_CTL, SYNC = (
    0x5000940E, 0x40049409, 0x50009401, 0x50009418, 0xC0109428, 0x9408)

# What is at /srv/data when a volume is to be mounted there, and what a path that is merely joined
# to the container's root would lead to.
PLANTS = {
    "a link to etc": ("ln -s /etc /srv/data", "/etc"),
    "a link upwards": ("ln -s ../../../../../../../etc /srv/data", "/etc"),
    "a link on the way": ("rm -rf /srv; ln -s / /srv", "/data"),
    "to the host's root": ("ln -s /proc/1/root/etc /srv/data", "/proc/1/root/etc"),
    "to a descriptor": ("ln -s /proc/self/fd/3 /srv/data", None),
    "to a mask": ("ln -s /proc/sys /srv/data", "/proc/sys"),
    "two links": ("ln -s /srv/b /srv/data; ln -s /dev /srv/b", "/srv/b"),
    "a file": (": >/srv/data", None),
    "a fifo": ("mkfifo /srv/data", None),
}


def stop(box, name="acme/web"):
    box.ok("kill", name)
    box.wait_state(name, "STOPPED")


@pytest.fixture
def shared_box(box):
    """acme/web runs with a volume at /data and a read-only one at /ro."""
    box.tenant()
    box.ok("create", "busybox", "acme/web")
    for name, path, *how in (("data", "/data"), ("ro", "/ro", "--read-only")):
        box.ok("volume", "create", f"acme/{name}")
        box.ok("volume", "attach", f"acme/{name}", f"acme/web:{path}", *how)
    box.ok("start", "acme/web")
    box.put_probe("acme/web")
    return box


def options_of(pid, point):
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as f:
        for line in f:
            fields = line.split()
            if fields[4] == point:
                return set(fields[5].split(","))
    raise AssertionError(f"nothing is mounted on {point}")


@pytest.mark.parametrize("plant", PLANTS)
def test_what_stands_in_its_place_leads_nowhere(box, plant):
    script, naive = PLANTS[plant]
    before = host_state(box)
    box.tenant()
    box.ok("volume", "create", "acme/data")
    box.launch("acme/web")
    box.sh("acme/web", f"mkdir -p /srv; {script}")
    if naive:
        # Control: whoever joined the path to the root would be led there.
        link = "/srv" if plant == "a link on the way" else "/srv/data"
        target = os.readlink(f"/proc/{box.init_pid('acme/web')}/root{link}")
        rest = "/srv/data".removeprefix(link)
        assert os.path.normpath(os.path.join("/srv", target).rstrip("/") + rest) == naive
    stop(box)
    box.ok("volume", "attach", "acme/data", "acme/web:/srv/data")
    refused = box.croft("start", "acme/web")
    assert refused.rc == 1, refused
    check_sentence(refused.err, box.base)
    assert "nothing can be mounted on /srv/data" in refused.err
    assert host_state(box) == before
    # Without it, the container is as good as any.
    box.ok("volume", "detach", "acme/data", "acme/web")
    box.ok("start", "acme/web")
    box.sh("acme/web", "rm -rf /srv")
    stop(box)
    box.ok("volume", "attach", "acme/data", "acme/web:/srv/data")
    box.ok("start", "acme/web")
    box.sh("acme/web", "echo x >/srv/data/x")
    assert host_state(box) == before


def test_it_is_locked(shared_box):
    """Neither unmounted nor made writable, by root, by a user, or in a namespace of one's own."""
    box, name = shared_box, "acme/web"
    attempts = ["umount /ro", "umount -l /ro", "umount -l /data",
                "mount -o remount,bind,rw /ro", "mount -o remount,rw /ro",
                "mount -o remount,bind,suid,dev /data", "mount --move /ro /mnt",
                "unshare -m umount -l /ro", "unshare -m mount -o remount,bind,rw /ro",
                "mkdir -p /b; mount --bind /ro /b && mount -o remount,bind,rw /b"]
    for attempt in attempts:
        for prefix in ("", "su -s /bin/sh nobody -c "):
            words = f"{prefix}'{attempt}'" if prefix else attempt
            result = box.exec(name, "/bin/sh", "-c", words)
            assert result.rc != 0, (words, result)
    assert box.exec(name, "/bin/sh", "-c", "echo x >/ro/x").rc != 0
    pid = box.init_pid(name)
    assert {"nosuid", "nodev", "ro"} <= options_of(pid, "/ro")
    assert {"nosuid", "nodev", "rw"} <= options_of(pid, "/data")


def test_control_what_is_its_own_is_not_locked(shared_box):
    """The same on a mount that it made itself."""
    box, name = shared_box, "acme/web"
    box.sh(name, "mkdir -p /own; mount -t tmpfs -o ro,nosuid none /own;"
                 "mount -o remount,bind,rw,suid /own; echo x >/own/x; umount /own")


# What the container's root would get without its filters: the errno, or 0. A program of its own,
# as only one without threads may enter a user namespace.
AS_ITS_ROOT = """
import ctypes, fcntl, os, struct, sys
pid, directory, request = sys.argv[1], sys.argv[2], int(sys.argv[3])
fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
libc = ctypes.CDLL(None, use_errno=True)
if libc.setns(os.open(f"/proc/{pid}/ns/user", os.O_RDONLY), 0x10000000) < 0:
    sys.exit(f"setns: {ctypes.get_errno()}")
os.setgroups([])
os.setresgid(0, 0, 0)
os.setresuid(0, 0, 0)
try:
    fcntl.ioctl(fd, request, bytearray(struct.pack("<q4088s", 0, b"inner")))
    print(0)
except OSError as e:
    print(e.errno)
"""


def test_no_subvolume_is_made_in_a_volume(shared_box):
    """It would have a quota group of its own, outside the volume's and the tenant's."""
    box, name = shared_box, "acme/web"
    def ask(request, argument, where="/data", number=SYS_IOCTL, command="call"):
        out = box.sh(name, f"exec 3<{where}; exec /probe {command} {number} 3 "
                           f"{request} {argument}")
        return out.split()[1]
    for request in (SUBVOL_CREATE, SNAP_CREATE, SUBVOL_CREATE_V2, QUOTA_CTL, SYNC):
        for high in (0, 1 << 32):
            assert ask(request | high, "s:12345678inner") == "ENOTTY", hex(request)
    assert box.sh(name, "ls -A /data") == ""
    # Sharing data between files has a number of btrfs, and is allowed.
    assert box.sh(name, "echo x >/data/a; exec 3>/data/b 4</data/a;"
                        f"/probe call {SYS_IOCTL} 3 {FICLONE} 4").split()[1] == "0"
    assert box.sh(name, "cat /data/b") == "x\n"
    # Control: but for the filter, the kernel would do it.
    pid = box.init_pid(name)
    directory = f"/proc/{pid}/root/data"
    control = run_program(["/usr/bin/python3", "-c", AS_ITS_ROOT, str(pid), directory,
                           str(SUBVOL_CREATE)])
    assert control.rc == 0 and control.out == "0\n", control
    assert os.stat(f"{directory}/inner").st_ino == 256
    os.rmdir(f"{directory}/inner")


def test_the_guard_holds_whatever_the_policy_says(bare_daemon):
    """Also under a policy that allows every call."""
    box, name = bare_daemon, "acme/web"
    with open(f"{box.policies}/anything.json", "w", encoding="utf-8") as f:
        json.dump({"defaultAction": "SCMP_ACT_ALLOW"}, f)
    box.start()
    box.busybox()
    box.tenant()
    box.ok("volume", "create", "acme/data")
    box.ok("create", "busybox", name, "--policy", "anything")
    box.ok("volume", "attach", "acme/data", f"{name}:/data")
    box.ok("start", name)
    box.put_probe(name)
    # The policy is in force: the default one knows no such call (quotactl).
    assert box.syscall(name, 179, 0, 0, 0, 0) != "ENOSYS"
    asked = box.sh(name, f"exec 3</data; exec /probe call {SYS_IOCTL} 3 {SUBVOL_CREATE} "
                         "s:12345678inner")
    assert asked.split()[1] == "ENOTTY" and box.sh(name, "ls -A /data") == ""
    # Nor by the other ABIs, where the kernel has them.
    for command, number in (("call", SYS_IOCTL_X32), ("call32", SYS_IOCTL_32)):
        box.exec(name, "/bin/sh", "-c", f"exec 3</data; exec /probe {command} {number} 3 "
                                        f"{SUBVOL_CREATE} s:12345678inner")
        assert box.sh(name, "ls -A /data") == "", command


def effective_user(box, name, path):
    """Of a copy of the probe that a plain user runs."""
    return box.exec(name, path, "call", str(SYS_GETEUID), options=("-u", "1000")).out.split()[0]


def test_setuid_files_of_a_volume(shared_box):
    """One container's root makes no user of another container its root."""
    box, name = shared_box, "acme/web"
    box.sh(name, "mkdir /own; for d in /data /own; do cp /probe $d/; chmod 4755 $d/probe; done")
    assert effective_user(box, name, "/data/probe") == "1000"
    # Control: in its own root it would be.
    assert effective_user(box, name, "/own/probe") == "0"


# --- directories of the host ---


@pytest.fixture
def allowed(box):
    """A directory of root's that the operator allows under the name `given`."""
    path = f"/var/tmp/croft-{box.instance_id[:8]}-given"
    os.makedirs(path)
    # Every step but the last is root's alone only outside of /tmp and its like.
    home = f"/opt/croft-{box.instance_id[:8]}"
    os.makedirs(f"{home}/given", mode=0o755)
    os.chmod(home, 0o755)
    listing = f"{box.state}/supervisor/host-directories"
    made = []

    def allow(name, target):
        os.symlink(target, f"{listing}/{name}")
        made.append(f"{listing}/{name}")

    allow("given", f"{home}/given")
    box.allow, box.home, box.sticky = allow, home, path
    box.tenant()
    box.ok("create", "busybox", "acme/web")
    yield box
    for entry in made:
        os.unlink(entry)
    shutil.rmtree(home)
    shutil.rmtree(path)


@pytest.mark.vm
def test_a_directory_of_the_host(allowed):
    box, given = allowed, f"{allowed.home}/given"
    with open(f"{given}/secret", "w", encoding="utf-8") as f:
        f.write("told\n")
    os.chmod(f"{given}/secret", 0o600)
    shutil.copy(program("probe"), f"{given}/su")
    os.chown(f"{given}/su", 0, 0)
    os.chmod(f"{given}/su", 0o4755)
    os.mkdir(f"{given}/theirs")
    os.chown(f"{given}/theirs", 70000, 70000)
    os.mknod(f"{given}/null", 0o20666, os.makedev(1, 3))
    assert box.croft("volume", "attach", "host:given", "acme/web:/given").rc == 2
    box.ok("volume", "attach", "host:given", "acme/web:/given", "--read-only")
    assert box.info("acme/web")["mounts"] == [
        {"host_directory": "given", "path": "/given", "read_only": True}]
    box.ok("start", "acme/web")
    # The host's ids are the container's; what is outside its range is nobody's.
    assert box.sh("acme/web", "cat /given/secret; stat -c %u /given/secret /given/theirs") == (
        "told\n0\n65534\n")
    pid = box.init_pid("acme/web")
    assert {"ro", "nosuid", "nodev"} <= options_of(pid, "/given")
    assert effective_user(box, "acme/web", "/given/su") == "1000"
    for attempt in ("echo x >/given/secret", ": >/given/new", "rm /given/secret",
                    "chmod 777 /given", "mount -o remount,bind,rw /given", "umount -l /given",
                    "cat </given/null", "mkdir /given/d", "ln /given/secret /given/l"):
        assert box.exec("acme/web", "/bin/sh", "-c", attempt).rc != 0, attempt
    assert sorted(os.listdir(given)) == ["null", "secret", "su", "theirs"]
    # Control: the device would open where the mount allows it.
    with open(f"{given}/null", "rb") as f:
        assert f.read() == b""
    # What is attached stays until the operator detaches it; a copy is without it.
    stop(box)
    box.ok("copy", "acme/web", "acme/copy")
    assert not box.info("acme/copy").get("mounts")
    box.ok("volume", "detach", "host:given", "acme/web")
    assert not box.info("acme/web").get("mounts")


def test_what_the_host_does_not_allow(allowed):
    """The list and every step to a directory are root's alone; nothing leads over a link."""
    box, home = allowed, allowed.home
    os.mkdir(f"{home}/open")
    os.mkdir(f"{home}/open/in")
    os.chmod(f"{home}/open", 0o777)
    os.mkdir(f"{home}/other")
    os.chown(f"{home}/other", 1000, 1000)
    os.symlink(f"{home}/given", f"{home}/link")
    with open(f"{home}/file", "w", encoding="utf-8"):
        pass
    for name, target in (("open", f"{home}/open"), ("inside", f"{home}/open/in"),
                         ("other", f"{home}/other"), ("link", f"{home}/link"),
                         ("over", f"{home}/link/../given"), ("file", f"{home}/file"),
                         ("none", f"{home}/none"), ("relative", "../../given"), ("root", "/"),
                         ("sticky", box.sticky), ("up", f"{home}/given/..")):
        box.allow(name, target)
        refused = box.croft("volume", "attach", f"host:{name}", "acme/web:/x", "--read-only")
        assert refused.rc == 1 and "not fit" in refused.err, (name, refused)
        check_sentence(refused.err, box.base)
        assert home not in refused.err
    box.refused("volume", "attach", "host:nothing", "acme/web:/x", "--read-only",
                match="allowed no")
    for name in ("..", "a/b", ".", "/etc"):
        assert box.croft("volume", "attach", f"host:{name}", "acme/web:/x", "--read-only").rc == 1
    # Looked at anew by each start: what was allowed once is not for ever.
    box.ok("volume", "attach", "host:given", "acme/web:/x", "--read-only")
    os.chmod(home, 0o777)
    box.refused("start", "acme/web", match="not fit")
    os.chmod(home, 0o755)
    box.ok("start", "acme/web")


def test_tenants_give_themselves_nothing_of_the_host(allowed):
    box = allowed
    box.ok("tenant", "bind", "acme", "4243")
    refused = box.croft("volume", "attach", "host:given", "acme/web:/x", "--read-only", uid=4243)
    assert refused.rc == 1 and not box.info("acme/web").get("mounts"), refused
    box.ok("volume", "attach", "host:given", "acme/web:/x", "--read-only")
    assert box.croft("volume", "detach", "host:given", "acme/web", uid=4243).rc == 1
    assert len(box.info("acme/web")["mounts"]) == 1
