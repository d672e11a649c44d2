"""What a tenant's root can do with nesting, and what it cannot: the masks are no boundary any more,
everything that is not made of masks still is. Each question is also asked where nesting is off
(the control), or in a form that has to succeed."""

import os
import time

import pytest

import kernel
from croft_harness import wait_until
from test_isolation import HOST_FILES

pytestmark = pytest.mark.vm

NEWNS, NEWCGROUP = 0x20000, 0x2000000
# Of the container's own directory, never written by anybody inside.
BOUNDS = {"pids": 64, "memory": "96M", "cpu": "1"}


@pytest.fixture
def pair(box):
    """Containers `acme/nest`, with nesting, and `acme/plain`, without."""
    box.ok("tenant", "create", "acme", "--nesting", "--cpu", "2", "--memory", "512M", "--pids",
           "400")
    box.launch("acme/nest", options=["--nesting"], **BOUNDS)
    box.launch("acme/plain", **BOUNDS)
    for name in ("acme/nest", "acme/plain"):
        box.put_probe(name)
    return box


def tree_of(box, name):
    """The directory, inside, of the cgroup2 tree in which the tenant may make some."""
    return box.sh(name, "for d in /sys/fs/cgroup/unified /sys/fs/cgroup; do "
                  "test -e $d/cgroup.procs && echo $d && exit; done").strip()


def test_masks_are_given_up_and_the_switches_behind_them_hold(pair):
    """A fresh procfs has no masks; what it shows is still root's of the host."""
    fresh = "unshare -m /bin/sh -c 'mount -t proc proc /mnt && mount -t sysfs sys /opt && "
    pair.sh("acme/nest", "mkdir -p /mnt /opt")
    pair.sh("acme/plain", "mkdir -p /mnt /opt")
    assert pair.exec("acme/plain", "/bin/sh", "-c", fresh + "true'").rc != 0
    assert not pair.sh("acme/plain", "cat /proc/interrupts")
    # The control: it is a fresh one, without masks, and writable where it is the tenant's own.
    shown = pair.sh("acme/nest", fresh + "wc -c </mnt/interrupts; echo 1 >/mnt/sys/net/ipv4/"
                    "ip_forward; cat /mnt/sys/net/ipv4/ip_forward'").split()
    assert int(shown[0]) > 0 and shown[1] == "1", shown

    files = [p.replace("/proc/", "/mnt/").replace("/sys/", "/opt/", 1) if p.startswith("/sys/")
             else p.replace("/proc/", "/mnt/", 1) for p in HOST_FILES]
    files += ["/mnt/kcore", "/mnt/kmsg", "/mnt/sys/kernel/core_uses_pid",
              "/mnt/sys/kernel/kptr_restrict", "/mnt/sys/kernel/yama/ptrace_scope",
              "/mnt/sys/user/../kernel/modprobe", "/opt/kernel/mm/transparent_hugepage/enabled"]
    asks = "; ".join(f"/probe call 2 s:{p} 1" for p in files)
    answers = pair.sh("acme/nest", fresh + asks + "'").splitlines()
    assert len(answers) == len(files), answers
    for path, answer in zip(files, answers):
        assert answer.split()[1] in ("EACCES", "EROFS", "ENOENT", "EPERM"), (path, answer)
    # Also past the masks that are still on its own /proc, and for a new user namespace's root.
    for prefix in ("/proc/1/root/dev/.croft/proc", "/dev/.croft/proc"):
        for path in ("sys/kernel/core_pattern", "sysrq-trigger", "sys/kernel/modprobe"):
            error = pair.syscall("acme/nest", 2, f"s:{prefix}/{path}", 1)
            assert error in ("EACCES", "EROFS", "ENOENT", "EPERM"), (path, error)
    deeper = pair.exec("acme/nest", "/bin/sh", "-c", "unshare -Ur /probe call 2 "
                       "s:/proc/sys/kernel/core_pattern 1")
    assert deeper.out.split()[1] in ("EACCES", "EPERM", "EROFS"), deeper
    # And for a plain user not even the way there.
    plain = pair.exec("acme/nest", "/bin/ls", "/dev/.croft/proc", options=["-u", "1000"])
    assert plain.rc != 0, plain


def test_a_fresh_procfs_shows_its_own_processes_alone(pair):
    """Neither those of its tenant's other container nor of the host."""
    pair.sh("acme/nest", "mkdir -p /mnt")
    with pair.background_exec("acme/plain", "/bin/sleep", "31416"):
        seen = pair.sh("acme/nest", "unshare -m /bin/sh -c 'mount -t proc proc /mnt; "
                       "cat /mnt/[0-9]*/cmdline | tr \"\\0\" \" \"'")
    assert "31416" not in seen and "croft-supervisor" not in seen and seen, seen


def test_user_namespaces_are_counted(pair):
    """As many as the operator's bound, whatever its own root writes, and none without nesting."""
    script = """
    echo 100000 >/proc/sys/user/max_user_namespaces 2>/dev/null
    for i in $(seq 45); do unshare -U sleep 30 2>/dev/null & done; sleep %d
    ls -l /proc/[0-9]*/ns/user 2>/dev/null | sed 's/.*-> //' | sort -u | wc -l
    kill $(jobs -p) 2>/dev/null; true"""
    pause = max(1, int(float(os.environ.get("CROFT_SLOWNESS", "1"))))
    assert int(pair.sh("acme/plain", script % pause, timeout=60)) == 1
    many = int(pair.sh("acme/nest", script % pause, timeout=60))
    assert many > 20, many
    # One in the other: each counts, to all above.
    nested = pair.sh("acme/nest", "n=0; c=; while [ $n -lt 100 ] && c=\"$c unshare -Ur\" && "
                     "$c true 2>/dev/null; do n=$((n + 1)); done; echo $n", timeout=60)
    assert 0 < int(nested) < 33, nested


def test_no_ids_of_others(pair):
    """A user namespace of one's own maps what one has, and nothing else."""
    script = ("unshare -U sleep 20 & sleep 1; p=$!; "
              "for line in '0 65536 1' '0 0 65537' '0 4294967294 1'; do "
              "echo \"$line\" >/proc/$p/uid_map 2>/dev/null && echo mapped; done; "
              "echo '0 1000 100' >/proc/$p/uid_map && echo own; kill $p")
    assert pair.sh("acme/nest", script, timeout=60).split() == ["own"]


def test_release_agent(pair):
    """With a cgroup namespace of its own, its root may mount v1's hierarchies anew; what starts
    programs of the host is not among what it can write."""
    if kernel.driver() != "hybrid":
        pytest.skip("cgroup v2 has no release_agent")
    script = """
    mkdir -p /c; for c in memory pids devices cpu blkio name=systemd; do
        mkdir -p /c/$c
        mount -t cgroup -o $c c /c/$c 2>/dev/null && echo mounted
        mount -t cgroup -o release_agent=/x,none,name=r c /c/$c 2>/dev/null && echo bad $c
        for f in $(find /c/$c -name release_agent); do echo /x >$f && echo bad $f; done
        for f in memory.limit_in_bytes pids.max devices.allow cpu.shares notify_on_release; do
            test -e /c/$c/$f && echo 1 2>/dev/null >/c/$c/$f && echo bad $f
        done
        f=/c/$c/blkio.throttle.read_bps_device  # a limit that is the payload's own
        test -e $f && echo found && ( : >>$f ) 2>/dev/null && echo bad $f
        case $c in name=systemd) ;; *) mkdir /c/$c/sub 2>/dev/null && echo bad mkdir $c ;; esac
    done; true"""
    pair.put("acme/nest", "/attack", script.encode())
    said = pair.sh("acme/nest", f"/probe within {NEWNS | NEWCGROUP} /bin/sh /attack 2>/dev/null",
                   timeout=60)
    assert "bad" not in said, said
    # The control: it has mounted some, so that there was something to write to.
    assert "mounted" in said, said
    assert ("found" in said) == ("blkio" in kernel.hierarchies()), said
    for folder, _, names in os.walk("/sys/fs/cgroup"):
        if "release_agent" in names:
            with open(f"{folder}/release_agent", encoding="utf-8") as f:
                assert f.read() != "/x\n", folder


def test_limits_hold_from_a_cgroup_of_its_own(pair):
    """What it asks for in its own tree may be more than it has; it gets what it has."""
    tree = tree_of(pair, "acme/nest")
    before = pair.cgroup("acme/nest").processes()
    pair.sh("acme/nest", f"mkdir {tree}/rest {tree}/deep; "
            f"for p in $(cat {tree}/cgroup.procs); do echo $p >{tree}/rest/cgroup.procs; done; "
            # Until who brought this command in has gone too.
            f"n=0; while grep -q . {tree}/cgroup.procs && [ $n -lt 50 ]; do "
            f"sleep 0.1; n=$((n + 1)); done; "
            f"for c in pids memory cpu io; do echo +$c >{tree}/cgroup.subtree_control; done; "
            f"echo max >{tree}/deep/pids.max; echo max >{tree}/deep/memory.max; true")
    has_own = pair.exec("acme/nest", "/bin/sh", "-c", f"[ -e {tree}/deep/pids.max ]").rc == 0
    # The control: on v2 the tree is its own to divide; a v1 host has nothing there to give.
    assert has_own == (kernel.driver() == "unified")
    # One of I/O is none that it may have: holding itself to a byte a second, in the middle of the
    # file system's work, it would hold up everybody.
    assert pair.exec("acme/nest", "/bin/sh", "-c", f"[ -e {tree}/deep/io.max ]").rc != 0
    # Its own limits, above the tree, are neither there to write nor changed.
    for file in ("pids.max", "memory.max", "cpu.max", "io.max", "cgroup.max.descendants"):
        for where in (f"{tree}/{file}", f"{tree}/../{file}"):
            error = pair.syscall("acme/nest", 2, f"s:{where}", 1)
            assert error in ("EACCES", "EPERM", "ENOENT", "EROFS"), (where, error)
    forks = pair.exec("acme/nest", "/bin/sh", "-c", f"echo 0 >{tree}/deep/cgroup.procs; "
                      "exec /probe forks 0", timeout=60)
    children, error = forks.out.split()
    assert error == "EAGAIN" and 0 < int(children) <= 64, forks
    ate = pair.exec("acme/nest", "/bin/sh", "-c", f"echo 0 >{tree}/deep/cgroup.procs; "
                    f"exec /probe eat {256 << 20} 0", timeout=60)
    assert ate.rc != 0, ate
    kept = pair.cgroup("acme/nest")
    assert kept.pids_max() == 64 and kept.memory_max() == 96 << 20
    # Init is where it moved itself to, and commands still reach it, or are refused in words.
    assert set(before) & set(kept.processes())
    assert pair.sh("acme/nest", "echo served") == "served\n"


def test_a_cgroup_bomb_is_counted(pair):
    tree = tree_of(pair, "acme/nest")
    made = int(pair.sh("acme/nest", f"i=0; while [ $i -lt 3000 ] && mkdir {tree}/x$i 2>/dev/null;"
                       " do i=$((i + 1)); done; echo $i", timeout=120))
    assert 0 < made <= 1024, made
    pair.sh("acme/nest", f"rmdir {tree}/x*")
    deep = int(pair.sh("acme/nest", f"i=0; d={tree}; while [ $i -lt 100 ] && d=$d/d && "
                       "mkdir $d 2>/dev/null; do i=$((i + 1)); done; echo $i", timeout=60))
    assert 0 < deep <= 32, deep
    pair.ok("kill", "acme/nest")


def test_init_where_no_command_can_follow(pair):
    """Its root moves init about, and out of the way, while commands come: they get in, or are
    refused in a sentence; never elsewhere."""
    tree = tree_of(pair, "acme/nest")
    own = kernel.status_field(pair.init_pid("acme/nest"), "NSpid").split()
    assert own[-1] == "1", own
    pair.put("acme/nest", "/dance", (
        f"mkdir {tree}/a {tree}/a/acme {tree}/a/acme/nest {tree}/a/acme/nest/payload {tree}/b\n"
        f"while :; do for d in a/acme/nest/payload b a; do echo 1 >{tree}/$d/cgroup.procs\n"
        "done; done").encode())
    with pair.background_exec("acme/nest", "/bin/sh", "/dance"):
        deadline = time.monotonic() + 5
        ran = 0
        while time.monotonic() < deadline:
            result = pair.exec("acme/nest", "/bin/cat", "/proc/self/cgroup")
            assert result.rc == 0 or (result.rc == 125 and result.err.strip()), result
            if result.rc == 0:
                ran += 1
                assert "/../" not in result.out, result
    assert ran > 0
    # Where it can follow no more, it says so.
    pair.exec("acme/nest", "/bin/sh", "-c", f"mkdir {tree}/t; echo threaded >{tree}/t/cgroup.type;"
              f" echo 1 >{tree}/t/cgroup.procs")
    result = pair.exec("acme/nest", "/bin/true")
    assert result.rc == 0 or (result.rc == 125 and result.err.strip()), result
    pids = pair.cgroup("acme/nest").processes()
    pair.ok("kill", "acme/nest")
    wait_until("they are gone", lambda: not any(kernel.is_alive(p) for p in pids))


def test_devices_and_programs_of_the_kernel(pair):
    """New user namespaces make no device and load no program."""
    for name in ("acme/nest", "acme/plain"):
        assert pair.syscall(name, 321, 5, "b:128", 128) == "EPERM"
        assert pair.syscall(name, 133, "s:/mem", 0o20666, 0x101) == "EPERM"
    inner = pair.exec("acme/nest", "/bin/sh", "-c",
                      "unshare -Ur /probe call 133 s:/tmp/mem 8630 257")
    assert inner.out.split()[1] in ("EPERM", "EACCES"), inner
    fuse = pair.exec("acme/nest", "/bin/sh", "-c", "unshare -Urm /probe call 133 s:/tmp/fuse "
                     f"8630 {(10 << 8) | 229}")
    assert fuse.out.split()[1] in ("EPERM", "EACCES"), fuse
