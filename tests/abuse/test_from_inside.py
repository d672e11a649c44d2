"""A tenant's root against what comes into its container, and against what it can reach from there:
processes that join, the kernel's tables and modules, traces of the host and of other tenants, the
daemon's own files."""

import os
import socket

import pytest

from croft_harness import program, run_program, wait_until


@pytest.fixture
def web(box):
    box.tenant("acme")
    box.launch("acme/web")
    box.put_probe("acme/web")
    return box


def test_a_joining_process_cannot_be_traced(web):
    """Attached to before it executes, it would be the host's memory and descriptors
    (CVE-2016-9962). The control: commands that have executed are attached to."""
    with web.background_exec("acme/web", "/probe", "hunt", "12") as hunt:
        for i in range(1000):
            # Some that live long enough to be met after their exec.
            command = ["/bin/sleep", "0.05"] if i % 20 == 0 else ["/bin/true"]
            assert web.exec("acme/web", *command).rc == 0
            if hunt.poll() is not None:
                break
        attached, foreign = map(int, hunt.stdout.readline().split())
    assert attached > 0 and foreign == 0, (attached, foreign)


def test_release_agent(web):
    """Of cgroup v1 (CVE-2022-0492): a program of the tenant's, run as root of the host."""
    script = """
    for f in $(find /sys/fs/cgroup -name release_agent); do echo /x >$f && echo written $f; done
    for c in memory pids name=r,none rdma misc; do
        mkdir -p /c/$c; mount -t cgroup -o release_agent=/x,$c c /c/$c && echo mounted $c
    done
    true"""
    result = web.exec("acme/web", "/bin/sh", "-c", script)
    assert not result.out, result
    for folder, _, names in os.walk("/sys/fs/cgroup"):
        if "release_agent" in names:
            with open(f"{folder}/release_agent", encoding="utf-8") as f:
                assert f.read() != "/x\n", folder


def modules():
    try:
        with open("/proc/modules", encoding="ascii") as f:
            return {line.split()[0] for line in f}
    except FileNotFoundError:
        return set()  # a kernel that can load none


def test_socket_families(web):
    """Asking for a family loads its module into the host's kernel."""
    before = modules()
    good = {1, 2, 10, 16}
    for family in range(0, 47):
        for kind in (1, 2, 3, 5):
            error = web.syscall("acme/web", 41, family, kind, 0)
            assert (error == "EAFNOSUPPORT") == (family not in good), (family, kind, error)
    # And what loads protocols, file systems, line disciplines and formats by name.
    for protocol in (33, 115, 132, 136, 256):
        web.syscall("acme/web", 41, 2, 1, protocol)
    for kind in ("xfs", "cifs", "nfs", "squashfs", "ntfs3", "hfsplus"):
        web.exec("acme/web", "/bin/mount", "-t", kind, "none", "/mnt")
    web.syscall("acme/web", 16, 0, 0x5423, "b:4")
    web.sh("acme/web", "printf '\\177\\1\\2\\3bad' >/bad; chmod 755 /bad; /bad 2>/dev/null; true")
    assert modules() - before <= {"binfmt_misc"}, modules() - before


# What counts per user id, or per user namespace, in the whole kernel.
TABLES = {
    "inotify instances": (294, 0),
    "message queues of System V": (68, 0, 0o1600),
    "semaphores": (64, 0, 10, 0o1600),
    "shared memory": (29, 0, 4096, 0o1600),
    "timers": (222, 1, 0, "b:8"),
    "fanotify groups": (300, 0x200, 0),  # FAN_REPORT_FID, which needs no capability
}


@pytest.mark.vm
@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.replace(" ", "-"))
def test_a_full_table_is_the_tenants_own(web, table):
    """Both run into the same bound, and neither into the other's, nor into that of the host's
    root (whom the kernel counts the namespaces to that root has made)."""
    web.tenant("calm")
    web.launch("calm/good")
    web.put_probe("calm/good")
    words = ["/probe", "repeat", "1000", *map(str, TABLES[table])]
    with web.background_exec("acme/web", *words) as bad:
        taken, error = bad.stdout.readline().decode().split()
        with web.background_exec("calm/good", *words) as good:
            assert good.stdout.readline().decode().split() == [taken, error]
            # What goes with its process; the host must not be left with the rest.
            if "groups" in table or "instances" in table:
                on_host = run_program([program("probe"), "repeat", "0", *words[3:]]).out.split()
                assert int(on_host[0]) > 0, on_host
    assert 0 < int(taken) < 200000, (taken, error)


MARKERS = ("nsswitch.conf", "ld.so.preload", "ld.so.cache", "localtime", "locale.alias",
           "gai.conf", "resolv.conf", "host.conf", "hosts", "login.defs", "shadow", "environment",
           "malloc.conf")
LIBRARIES = ("lib", "lib64", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")


def test_no_library_of_the_tenants_is_loaded(web):
    """Each file that a C library would look at is a FIFO: who opens one waits for ever."""
    web.sh("acme/web", "for f in " + " ".join(MARKERS) + "; do rm -f /etc/$f; mkfifo /etc/$f; done")
    web.sh("acme/web", "for d in " + " ".join(LIBRARIES) + "; do mkdir -p /$d; for l in "
           "libnss_files.so.2 libnss_compat.so.2 libgcc_s.so.1 libc.so.6 gconv; do "
           "mkfifo /$d/$l 2>/dev/null; done; done; mkdir -p /usr/lib/locale; "
           "mkfifo /usr/lib/locale/locale-archive; true")
    web.sh("acme/web", "echo bob:x:7:8::/:/bin/sh >>/etc/passwd")
    for options in ([], ["-u", "bob"], ["-u", "nobody-there"], ["-e", "LANG=de_DE.UTF-8"],
                    ["-e", "LD_PRELOAD=/lib/libc.so.6"], ["-e", "GCONV_PATH=/lib"]):
        result = web.exec("acme/web", "/bin/true", options=options, timeout=20)
        assert result.rc == (125 if "nobody-there" in options else 0), (options, result)
        terminal = web.croft("exec", "-t", *options, "acme/web", "--", "/bin/true", timeout=20)
        assert terminal.rc == result.rc, (options, terminal)
    web.ok("restart", "--timeout", "0", "acme/web")
    # The control: whoever opens one does wait.
    waits = web.exec("acme/web", "/bin/sh", "-c", "timeout 1 cat /etc/nsswitch.conf")
    assert waits.rc in (124, 143), waits


def test_traces_of_the_host_and_of_others(web):
    """Names that only the host, or another tenant, has, in everything that can be read."""
    web.tenant("neighbour-zq")
    web.launch("neighbour-zq/secret-zq")
    names = ["neighbour-zq", "secret-zq", web.base, web.parent, "croftd", "croft-supervisor",
             "/croft-"]
    if len(socket.gethostname()) > 5:
        names.append(socket.gethostname())
    # proc/PID is another file for each process; one's own will do, and init's.
    web.sh("acme/web", "find /proc /sys -type f 2>/dev/null | grep -vE "
           "'^/proc/([2-9]|1[0-9])|/task/|/proc/kmsg|trace_pipe|kpage|/clear_refs|/mem$' >/files; "
           "find /proc/self/ /proc/self/task -maxdepth 1 -type f >>/files", timeout=60)
    assert int(web.sh("acme/web", "wc -l </files")) > 500
    patterns = " ".join(f"-e '{n}'" for n in names)
    found = web.exec("acme/web", "/bin/sh", "-c",
                     f"xargs -n 200 timeout 10 grep -aFl {patterns} </files 2>/dev/null",
                     timeout=120)
    assert not found.out, found.out
    # The control: its own name is found.
    assert "/proc/sys/kernel/hostname" in web.exec(
        "acme/web", "/bin/sh", "-c", "grep -l web /proc/sys/kernel/hostname").out


def test_a_link_where_output_is_kept(web):
    """What croftd writes of a container goes into files of its own, or nowhere."""
    web.sh("acme/web", "echo first >/proc/1/fd/1")
    wait_until("it is kept", lambda: "first" in web.ok("logs", "acme/web"))
    web.ok("kill", "acme/web")
    logs = [os.path.join(folder, name) for folder, _, names in os.walk(web.state)
            for name in names if name.endswith(".log")]
    target = f"{web.base}/target"
    with open(target, "w", encoding="ascii"):
        os.chmod(target, 0o666)
    assert logs, "nothing was kept"
    for path in logs:
        os.unlink(path)
        os.symlink(target, path)
    web.ok("start", "acme/web")
    web.sh("acme/web", "echo told >/proc/1/fd/1")
    wait_until("croftd has noticed", lambda: "log-not-written" in web.read_log())
    assert os.path.getsize(target) == 0
    for path in logs:
        os.unlink(path)
