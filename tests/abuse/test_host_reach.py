"""What a tenant leaves for users of the host to run, and what it inherits from whoever started the
daemon: setuid files of the pool (CVE-2016-1582), keys of a session keyring."""

import ctypes
import json
import os
import shutil
import sys

import pytest

from croft_harness import program, run_program, wait_until
from test_planted import upper_of

pytestmark = pytest.mark.vm

HOST_USER = 12345
GETEUID = 107

ADD_KEY, REQUEST_KEY, KEYCTL = 248, 249, 250
JOIN_SESSION_KEYRING, REVOKE, DESCRIBE, SEARCH, READ = 1, 3, 6, 10, 11
SESSION = -3


def euid_of(fd, name):
    """The effective user id that a program ends up with when a user of the host executes it by
    a descriptor that root has opened for it: what a careless service of the host would do."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(into, 1)
            os.setgroups([])
            os.setresgid(HOST_USER, HOST_USER, HOST_USER)
            os.setresuid(HOST_USER, HOST_USER, HOST_USER)
            os.execve(fd, [name, "call", str(GETEUID)], {})
        except OSError as e:
            os.write(into, f"{-e.errno} ".encode())
        finally:
            os._exit(1)
    os.close(into)
    with os.fdopen(out) as f:
        text = f.read()
    os.waitpid(pid, 0)
    return int(text.split()[0])


def opened_euid(path):
    fd = os.open(path, os.O_PATH)
    try:
        return euid_of(fd, "su")
    finally:
        os.close(fd)


def test_a_setuid_file_is_nothing_to_users_of_the_host(box):
    """Ids on the disk begin at 0: what a tenant's root makes setuid is setuid root there."""
    box.tenant()
    box.launch("acme/web")
    box.put_probe("acme/web")
    box.sh("acme/web", "mkdir /planted; cp /probe /su && chown 0:0 /su && chmod 6755 /su")
    # Inside it works, as sudo must.
    inside = box.exec("acme/web", "/su", "call", str(GETEUID), options=["-u", "1000"])
    assert inside.out.split()[0] == "0", inside
    upper = upper_of(box, "acme/web")
    status = os.stat(f"{upper}/su")
    assert status.st_uid == 0 and status.st_mode & 0o4000, "nothing to guard against"

    # By name it is out of reach, from both sides.
    pid = box.init_pid("acme/web")
    for path in (f"{upper}/su", f"{box.state}/pool", f"/proc/{pid}/root/su", f"/proc/{pid}/cwd"):
        assert run_program(["/bin/ls", path], uid=HOST_USER).rc != 0, path
    # By descriptor it runs, as who runs it: the pool is nosuid, and the container's own mounts
    # belong to its user namespace.
    assert opened_euid(f"{upper}/su") == HOST_USER
    assert opened_euid(f"/proc/{pid}/root/su") == HOST_USER

    # The control: the same file elsewhere makes its user root.
    elsewhere = f"{box.base}/su"
    shutil.copy(program("probe"), elsewhere)
    os.chown(elsewhere, 0, 0)
    os.chmod(elsewhere, 0o4755)
    try:
        assert opened_euid(elsewhere) == 0
    finally:
        os.unlink(elsewhere)


def keys(*args):
    """A raw call of the keyring family: its result, or -errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    result = libc.syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return result if result >= 0 else -ctypes.get_errno()


@pytest.fixture
def canary():
    """A key in the session keyring that the daemon is then started with. (serial, description)"""
    name = f"croft-canary-{os.getpid()}".encode()
    ring = keys(KEYCTL, JOIN_SESSION_KEYRING, None)
    assert ring > 0, os.strerror(-ring)
    serial = keys(ADD_KEY, b"user", name, b"secret", 6, SESSION)
    assert serial > 0, os.strerror(-serial)
    yield serial, name.decode()
    keys(KEYCTL, REVOKE, serial)


@pytest.fixture
def keyring_box(canary, bare_daemon):
    """A daemon started with the canary, which lets containers ask for keys."""
    with open(f"{bare_daemon.policies}/allow-all.json", "w", encoding="utf-8") as f:
        json.dump({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}, f)
    bare_daemon.start()
    bare_daemon.busybox()
    bare_daemon.tenant()
    return bare_daemon


def test_the_daemons_session_keyring_stays_outside(canary, keyring_box):
    """A session keyring is inherited by fork, and whoever has it has its keys, whatever its user
    id: a key of the operator's session must not be one of the tenant's."""
    box, (serial, name) = keyring_box, canary
    box.launch("acme/web", options=["--policy", "allow-all"], init=[
        "/bin/sh", "-c", "while :; do [ -e /ask ] && "
        f"/probe call {REQUEST_KEY} s:user s:{name} 0 0 >/told.new && mv /told.new /told; "
        "sleep 0.1; done"])
    box.put_probe("acme/web")
    for options in ([], ["-u", "1000"]):
        ask = {"options": options}
        assert box.syscall("acme/web", REQUEST_KEY, "s:user", f"s:{name}", 0, 0, **ask) == "ENOKEY"
        assert box.syscall("acme/web", KEYCTL, SEARCH, SESSION, "s:user", f"s:{name}", 0,
                           **ask) == "ENOKEY"
        for what in (READ, DESCRIBE):
            assert box.syscall("acme/web", KEYCTL, what, serial, "b:64", 64,
                               **ask) in ("EACCES", "ENOKEY"), what
    # Pid 1, from its start on.
    box.sh("acme/web", ": >/ask")
    wait_until("init has asked", lambda: box.exec("acme/web", "/bin/cat", "/told").rc == 0)
    assert box.sh("acme/web", "cat /told").split()[1] == "ENOKEY"
    assert name not in box.sh("acme/web", "cat /proc/keys /proc/key-users; true")

    # The control: a process that keeps the keyring finds the key, as any user.
    script = ("import ctypes, sys; libc = ctypes.CDLL(None); "
              f"print(libc.syscall({REQUEST_KEY}, b'user', b'{name}', None, 0))")
    found = run_program([sys.executable, "-c", script], uid=HOST_USER)
    assert found.out.strip() == str(serial), found


@pytest.mark.native("modes of a file of the host")
def test_a_policy_that_others_may_write_is_not_used(bare_daemon):
    """Whoever writes a policy says what tenants may do; and an image says nothing of it."""
    for name, mode, owner in (("mine", 0o644, 0), ("group", 0o664, 0), ("world", 0o646, 0),
                              ("theirs", 0o644, HOST_USER)):
        path = f"{bare_daemon.policies}/{name}.json"
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}, f)
        os.chmod(path, mode)
        os.chown(path, owner, owner)
    os.mkfifo(f"{bare_daemon.policies}/fifo.json")
    bare_daemon.start()
    bare_daemon.busybox()
    bare_daemon.tenant()
    bare_daemon.launch("acme/web", options=["--policy", "mine"])
    for name in ("group", "world", "theirs", "fifo"):
        bare_daemon.refused("launch", "busybox", "acme/x", "--policy", name,
                            match="belongs to root")
