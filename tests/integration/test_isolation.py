"""What a tenant's root can reach, asked from inside, after start and after exec; beside it control
runs that show that the question can be answered otherwise."""

import json
import os
import re
import signal
import subprocess

import pytest

import kernel
from croft_harness import program, run_program
from fixtures import Kept, keep

pytestmark = pytest.mark.vm

ALLOW_ALL = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}


@pytest.fixture(scope="module")
def kept(schema):
    """The module's instance knows the policy `allow-all` beside its own."""
    class WithPolicy(Kept):
        def make(self):
            daemon = super().make()
            with open(f"{daemon.policies}/allow-all.json", "w", encoding="utf-8") as f:
                json.dump(ALLOW_ALL, f)
            return daemon

    yield from keep(WithPolicy(schema))


@pytest.fixture
def caged(box):
    """Containers `acme/caged` (policy default) and `acme/free` (a policy that allows all)."""
    box.tenant(cpu="2")
    box.launch("acme/caged")
    box.launch("acme/free", options=["--policy", "allow-all"])
    for name in ("acme/caged", "acme/free"):
        box.put_probe(name)
    return box


# x86-64 numbers: number, arguments, what the policy says, and what kernels say without it. Where
# the last two are the same (a tenant has no rights on the host), a row alone shows nothing.
POLICY = {
    "acct": (163, ["s:/nonexistent"], "EPERM", "EPERM"),
    "add_key": (248, ["s:user", "s:x", "s:y", 1, -3], "EPERM", "0"),
    "adjtimex": (159, ["b:256"], "EPERM", "0"),
    "bpf": (321, [0, 0, 0], "EPERM", "EPERM|EINVAL|E2BIG"),
    "clone3": (435, [0, 0], "ENOSYS", "EINVAL"),
    "io_uring_setup": (425, [0, "b:256"], "ENOSYS", "EINVAL|EPERM"),
    "keyctl": (250, [0, -3, 1], "EPERM", "0"),
    "kexec_load": (246, [0, 0, 0, 0], "EPERM", "EPERM|ENOSYS"),
    "lookup_dcookie": (212, [0, 0, 0], "EPERM", "EPERM|ENOSYS|EINVAL"),
    "modify_ldt": (154, [0, "b:64", 64], "EPERM", "0|ENOSYS"),
    "open_by_handle_at": (304, [-1, 0, 0], "EPERM", "EFAULT|EPERM|EBADF"),
    "perf_event_open": (298, ["b:128", 0, -1, -1, 0], "EPERM", "EACCES|EINVAL|ENOENT|0|E2BIG"),
    "personality": (135, [0x0400000], "EPERM", "0"),
    "request_key": (249, ["s:user", "s:none", 0, 0], "EPERM", "ENOKEY"),
    "seccomp listener": (317, [1, 8, 0], "EINVAL", "EFAULT|EACCES"),
    "socket AF_ALG": (41, [38, 5, 0], "EAFNOSUPPORT", "0|EAFNOSUPPORT"),
    "socket AF_VSOCK": (41, [40, 1, 0], "EAFNOSUPPORT", "0|EAFNOSUPPORT"),
    "socket AF_PACKET": (41, [17, 3, 0], "EAFNOSUPPORT", "0|EAFNOSUPPORT"),
    "socket AF_INET SOCK_PACKET": (41, [2, 10, 0x300], "EAFNOSUPPORT", "0|EAFNOSUPPORT"),
    "socket netlink audit": (41, [16, 3, 9], "EAFNOSUPPORT", "0|EPROTONOSUPPORT"),
    "socket netlink xfrm": (41, [16, 3, 6], "EAFNOSUPPORT", "0|EPROTONOSUPPORT"),
    "socket SCTP": (41, [2, 1, 132], "EPROTONOSUPPORT", "0|EPROTONOSUPPORT"),
    "socket SCTP with high bits": (
        41, [2, 1, (1 << 32) | 132], "EPROTONOSUPPORT", "0|EPROTONOSUPPORT"),
    "swapon": (167, ["s:/nonexistent", 0], "EPERM", "EPERM"),
    "sysfs": (139, [3, 0, 0], "EPERM", "0|ENOSYS"),
    "syslog": (103, [3, "b:16", 16], "EPERM", "EPERM|0"),
    "ioctl TIOCSTI": (16, [0, 0x5412, "s:x"], "EPERM", "ENOTTY|EIO|EPERM"),
    "ioctl TIOCSTI with high bits": (
        16, [0, (1 << 32) | 0x5412, "s:x"], "EPERM", "ENOTTY|EIO|EPERM"),
    "userfaultfd": (323, [0], "EPERM", "0|EPERM"),
    "unknown": (9999, [], "ENOSYS", "ENOSYS"),
}


class TestPolicy:
    def test_refuses_what_it_should(self, caged):
        wrong = []
        for what, (number, args, expected, _) in POLICY.items():
            got = caged.syscall("acme/caged", number, *args)
            if got != expected:
                wrong.append(f"{what}: {got}, not {expected}")
        assert not wrong, wrong

    def test_control_run_without_the_filter(self, caged):
        """The same questions where everything is allowed: the answers are the kernel's."""
        wrong, told_apart = [], set()
        for what, (number, args, refused, unfiltered) in POLICY.items():
            got = caged.syscall("acme/free", number, *args)
            if got not in unfiltered.split("|"):
                wrong.append(f"{what}: {got}, not {unfiltered}")
            if got != refused:
                told_apart.add(what)
        assert not wrong, wrong
        # Most rows must be able to fail; which more do depends on the kernel's modules.
        assert {"add_key", "adjtimex", "clone3", "keyctl", "personality", "request_key",
                "seccomp listener"} <= told_apart

    @pytest.mark.skipif(os.uname().machine != "x86_64", reason="x86 alone has other ABIs")
    def test_other_abis_are_killed(self, caged):
        """i386 and x32 numbers mean other calls: the filter would judge the wrong one."""
        compat = caged.exec("acme/caged", "/probe", "call32", "20")
        x32 = caged.exec("acme/caged", "/probe", "call", str(0x40000000 | 39))
        for result in (compat, x32):
            refused = result.rc in (128 + 31, 128 + 9) or result.out.split()[1:] in (
                ["ENOSYS"], ["EPERM"])
            assert refused, result
        assert compat.rc == 128 + 31, compat
        control = caged.exec("acme/free", "/probe", "call32", "20")
        assert control.rc in (0, 128 + 31), control

    def test_same_after_start_and_after_exec(self, caged):
        """Init and what exec starts are under the same filter."""
        for field, value in (("Seccomp", "2"), ("NoNewPrivs", "0")):
            assert kernel.status_field(caged.init_pid("acme/caged"), field) == value
        init = kernel.status_field(caged.init_pid("acme/caged"), "Seccomp_filters")
        assert caged.sh("acme/caged", "grep Seccomp_filters /proc/self/status").split()[1] == init

    @pytest.mark.native("refused by name, before any kernel")
    def test_unknown_policy_is_refused(self, caged):
        caged.refused("launch", "busybox", "acme/x", "--policy", "nothing", match="nothing")

    @pytest.mark.native("refused by the compiler of policies")
    def test_broken_policy_is_refused_and_said(self, bare_daemon):
        with open(f"{bare_daemon.policies}/broken.json", "w", encoding="utf-8") as f:
            f.write('{"defaultAction": "SCMP_ACT_MAYBE"}')
        bare_daemon.start()
        bare_daemon.busybox()
        bare_daemon.tenant()
        assert "MAYBE" in bare_daemon.ok("policy", "list") + bare_daemon.ok(
            "policy", "show", "broken")
        bare_daemon.refused("launch", "busybox", "acme/x", "--policy", "broken", match="broken")


# Host-wide switches that a tenant must not turn.
HOST_FILES = (
    "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug",
    "/proc/sys/vm/drop_caches", "/proc/sys/fs/file-max", "/proc/sysrq-trigger",
    "/proc/sys/kernel/panic", "/proc/sys/fs/binfmt_misc/register", "/sys/kernel/uevent_helper",
    "/sys/power/state", "/proc/irq/default_smp_affinity", "/sys/kernel/mm/ksm/run",
)
MASKED = ("/proc/kcore", "/proc/keys", "/proc/kallsyms", "/proc/timer_list", "/proc/kmsg")


class TestMasks:
    def test_hold(self, caged):
        name = "acme/free"  # not the filter: the namespaces
        for path in ("/proc/sys", "/proc/kcore", "/proc/keys"):
            result = caged.exec(name, "/bin/umount", path)
            assert result.rc != 0, path
            assert caged.syscall(name, 166, f"s:{path}", 2) in ("EINVAL", "ENOENT"), path
        assert caged.syscall(name, 165, "s:proc", "s:/mnt", "s:proc", 0, 0) == "EPERM"
        assert caged.syscall(name, 165, "s:none", "s:/proc/sys", "s:", 0x20 | 0x1000, 0) == "EPERM"
        assert caged.syscall(name, 165, "s:sysfs", "s:/mnt", "s:sysfs", 0, 0) == "EPERM"

    def test_control_one_user_namespace_does_not_hold(self, tmp_path):
        """Where tenant root owns the mounts itself, it takes a mask off."""
        if os.geteuid() != 0:
            pytest.skip("needs root")
        script = "mount --bind /dev/null /proc/keys && umount /proc/keys && echo off"
        result = run_program([
            "/usr/bin/unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork",
            "--mount-proc", "/bin/sh", "-c", script])
        assert result.out.strip() == "off", result

    def test_masked_files_are_empty_or_refused(self, caged):
        for path in MASKED:
            result = caged.exec("acme/caged", "/bin/sh", "-c", f"head -c 64 {path} | wc -c")
            assert result.out.strip() in ("0", ""), (path, result)

    def test_host_switches_cannot_be_opened_for_writing(self, caged):
        for name in ("acme/caged", "acme/free"):
            for path in HOST_FILES:
                error = caged.syscall(name, 2, f"s:{path}", 1)
                assert error in ("EACCES", "EROFS", "ENOENT", "EPERM"), (name, path, error)

    def test_host_switches_as_a_plain_user(self, caged):
        for path in HOST_FILES:
            result = caged.exec("acme/caged", "/probe", "call", "2", f"s:{path}", "1",
                                options=["-u", "1000"])
            assert result.out.split()[1] in ("EACCES", "EROFS", "ENOENT", "EPERM"), (path, result)


class TestIdentity:
    def test_ranges_are_apart(self, caged):
        bases = {caged.info(n)["run"]["id_base"] for n in ("acme/caged", "acme/free")}
        assert len(bases) == 2
        first, second = sorted(bases)
        assert second - first >= 65536
        for name in ("acme/caged", "acme/free"):
            base = caged.info(name)["run"]["id_base"]
            pid = caged.init_pid(name)
            assert kernel.status_field(pid, "Uid").split() == [str(base)] * 4
            assert kernel.status_field(pid, "Gid").split() == [str(base)] * 4

    def test_groups_are_empty(self, caged):
        assert kernel.status_field(caged.init_pid("acme/caged"), "Groups") == ""
        groups = caged.sh("acme/caged", "grep Groups /proc/self/status")
        assert groups.split()[1:] in ([], ["0"])

    def test_capabilities(self, caged):
        """What DESIGN.md drops is out of every set; inheritable and ambient are empty."""
        dropped = {16: "SYS_MODULE", 17: "SYS_RAWIO", 25: "SYS_TIME", 29: "AUDIT_WRITE",
                   30: "AUDIT_CONTROL", 32: "MAC_OVERRIDE", 33: "MAC_ADMIN", 34: "SYSLOG",
                   35: "WAKE_ALARM", 37: "AUDIT_READ", 38: "PERFMON", 39: "BPF",
                   40: "CHECKPOINT_RESTORE"}
        kept = {18: "SYS_CHROOT", 21: "SYS_ADMIN", 22: "SYS_BOOT", 27: "MKNOD", 10: "NET_BIND",
                12: "NET_ADMIN"}
        inside = caged.sh("acme/caged", "cat /proc/self/status")
        fields = dict(line.split(":\t", 1) for line in inside.splitlines() if ":\t" in line)
        pid = caged.init_pid("acme/caged")
        for where in ("CapBnd", "CapEff", "CapPrm"):
            for value in (int(fields[where], 16), int(kernel.status_field(pid, where), 16)):
                assert not [n for bit, n in dropped.items() if value >> bit & 1], where
        assert not [n for bit, n in kept.items() if not int(fields["CapEff"], 16) >> bit & 1]
        for where in ("CapInh", "CapAmb"):
            assert int(fields[where], 16) == 0
            assert int(kernel.status_field(pid, where), 16) == 0

    def test_a_plain_user_has_none(self, caged):
        result = caged.exec("acme/caged", "/bin/grep", "CapEff", "/proc/self/status",
                            options=["-u", "1000"])
        assert int(result.out.split()[1], 16) == 0

    def test_neighbours_cannot_be_seen_or_killed(self, caged):
        with caged.background_exec("acme/free", "/bin/sleep", "4711"):
            assert "4711" not in caged.sh("acme/caged", "ps")
        pids = caged.sh("acme/caged", "ls /proc").split()
        assert max(int(p) for p in pids if p.isdigit()) < 1000
        assert caged.syscall("acme/caged", 62, os.getpid(), 0) in ("ESRCH", "0")

    def test_signals_are_as_by_default(self, caged):
        """What croftd ignores, or who started it (here: SIGINT), is nothing to a tenant."""

        def signals(status, line):
            # 32 and 33 are libc's own.
            return int(re.search(rf"{line}:\s*(\S+)", status).group(1), 16) & 0x7FFFFFFF

        with open(f"/proc/{caged.reaper_pid}/status", encoding="ascii") as f:
            assert signals(f.read(), "SigIgn") & 1 << signal.SIGINT - 1
        for process in ("1", "self"):
            status = caged.exec("acme/free", "/bin/cat", f"/proc/{process}/status").out
            assert signals(status, "SigIgn") == signals(status, "SigBlk") == 0, status

    def test_keyring_is_its_own(self, caged):
        """A session keyring is inherited across fork: the supervisor's must not be."""
        key = caged.syscall("acme/free", 250, 11, -3, 0, 0)  # KEYCTL_READ of the session keyring
        assert key in ("0", "EACCES"), key
        inside = caged.sh("acme/free", "cat /proc/keys; true")
        assert "canary" not in inside


class TestFiles:
    def test_no_host_descriptor_is_left_open(self, caged):
        for line in caged.exec("acme/caged", "/probe", "fds").out.splitlines():
            fd, target = line.split(" ", 1)
            assert int(fd) <= 2 and target.startswith(("pipe:", "/dev/", "socket:")), line
        pid = caged.init_pid("acme/caged")
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            assert not target.startswith(("/tmp", "/var", "/sys")), target

    @pytest.mark.native("that none is left open is shown there")
    def test_no_descriptor_leads_out(self, caged):
        """What is open while a command is set up must not be named as its directory or program:
        through a directory of the host, `..` leads to the host's root (CVE-2024-21626)."""
        host = set(os.listdir("/"))
        inside = set(caged.sh("acme/caged", "ls /").split())
        assert host != inside
        for fd in range(0, 64):
            for path in (f"/proc/self/fd/{fd}", f"/proc/self/fd/{fd}/../../../../../../.."):
                result = caged.exec("acme/caged", "/bin/ls", "-a", "../../../../../../..",
                                    options=["-w", path])
                if result.rc == 0:
                    assert set(result.out.split()) - {".", ".."} == inside, path
                else:
                    assert result.rc == 125, result
            result = caged.exec("acme/caged", f"/proc/self/fd/{fd}/../../../../bin/ls", "/")
            assert result.rc in (126, 127), (fd, result)
        assert os.readlink(f"/proc/{caged.init_pid('acme/caged')}/cwd") == "/"

    @pytest.mark.native("that none is left open is shown there")
    def test_no_descriptor_leads_out_by_a_link(self, caged):
        """The same through the tenant's own files: a link, and a home of its passwd."""
        inside = set(caged.sh("acme/caged", "ls /").split())
        for fd in range(3, 32):
            caged.sh("acme/caged", f"ln -sfn /proc/self/fd/{fd} /etc/link; "
                     f"echo evil:x:0:0::/proc/self/fd/{fd}:/bin/sh >/etc/passwd")
            for options in (["-w", "/etc/link"], ["-u", "evil"]):
                result = caged.exec("acme/caged", "/bin/ls", "../../../../../..",
                                    options=options)
                if result.rc == 0:
                    assert set(result.out.split()) == inside, (fd, options)

    @pytest.mark.native("that none is left open is shown there")
    def test_init_cannot_be_a_program_of_the_host(self, caged):
        for fd in range(3, 48):
            result = caged.croft("launch", "busybox", "acme/evil", "--",
                                 f"/proc/self/fd/{fd}/../../../../bin/sleep", "1000")
            assert result.rc == 1, fd
            result = caged.croft("launch", "busybox", "acme/evil", "--", f"/proc/self/fd/{fd}")
            assert result.rc == 1, fd

    def test_old_root_is_gone(self, caged):
        assert caged.exec("acme/caged", "/bin/ls", "/old").rc != 0
        mounted = caged.sh("acme/caged", "cat /proc/self/mountinfo")
        assert caged.base not in mounted
        assert "croft-test" not in mounted.replace(caged.parent, "")

    def test_devices(self, caged):
        names = set(caged.sh("acme/caged", "ls /dev").split())
        assert {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm"} <= names
        for node in ("mem", "kmsg", "sda", "vda", "loop0", "loop-control", "kvm", "port"):
            assert node not in names
        assert caged.sh("acme/caged", "stat -c '%t:%T' /dev/null /dev/zero").split() == [
            "1:3", "1:5"]
        for kind, major, minor in (("c", 1, 1), ("b", 8, 0), ("b", 7, 0), ("c", 10, 229),
                                   ("c", 5, 1)):
            result = caged.exec("acme/free", "/bin/mknod", f"/dev-{major}-{minor}", kind,
                                str(major), str(minor))
            opened = caged.exec("acme/free", "/bin/sh", "-c",
                                f"head -c 1 </dev-{major}-{minor}")
            assert result.rc != 0 or opened.rc != 0, (kind, major, minor)
        assert caged.sh("acme/caged", "echo x >/dev/null; head -c 4 /dev/urandom | wc -c"
                        ).strip() == "4"

    def test_image_is_not_written_to(self, caged):
        """Both containers write the same path; each sees its own."""
        caged.sh("acme/caged", "echo mine >/etc/passwd")
        assert "mine" not in caged.sh("acme/free", "cat /etc/passwd")

    def test_pool_is_out_of_reach_of_host_users(self, caged):
        result = run_program(["/bin/ls", f"{caged.state}/pool"], uid=12345)
        assert result.rc != 0
        result = run_program(["/bin/ls", f"{caged.state}/supervisor"], uid=12345)
        assert result.rc != 0


class TestNamespaces:
    def test_cgroup_is_the_root_of_its_own(self, caged):
        for line in caged.sh("acme/caged", "cat /proc/self/cgroup").splitlines():
            assert line.split(":", 2)[2] == "/", line

    def test_limits_cannot_be_written(self, caged):
        """Its own limits lie above what it can see; v1's controllers are read-only."""
        limits = caged.cgroup("acme/caged")
        before = (limits.pids_max(), limits.memory_max())
        caged.exec("acme/caged", "/bin/sh", "-c",
                   "for f in $(find /sys/fs/cgroup -name 'pids.max' -o -name 'memory.max' "
                   "-o -name 'memory.limit_in_bytes' -o -name 'cpu.max' "
                   "-o -name 'cpu.cfs_quota_us'); do echo 1 >$f; done")
        assert (limits.pids_max(), limits.memory_max()) == before
        caged.exec("acme/caged", "/bin/sh", "-c", "find /sys/fs/cgroup -name release_agent "
                   "-exec sh -c 'echo /x >{}' \\;")

    def test_controllers_cannot_be_passed_on(self, caged):
        """Those that payload has on v2 are there for what they tell: no program is shown that
        there are any, and who tries finds that none can be enabled."""
        said = caged.sh("acme/caged", """
            d=/sys/fs/cgroup; [ -e $d/cgroup.procs ] || d=$d/unified
            cd $d && cat cgroup.controllers && mkdir sub || exit 1
            for c in cpu memory pids; do echo +$c >cgroup.subtree_control && echo passed $c; done
            ls sub | grep -e '^cpu.max' -e '^memory.max' -e '^pids.max'
            ls cpu.max memory.stat pids.max
            rmdir sub""")
        both = ["cpu.max", "memory.stat"] if kernel.driver() == "unified" else []
        assert said.split() == both

    def test_of_its_cgroup_only_joining_is_its_own(self, caged):
        """No other file of payload opens for writing, whatever controllers give it files."""
        opened = caged.sh("acme/caged", """
            d=/sys/fs/cgroup; [ -e $d/cgroup.procs ] || d=$d/unified
            cd $d || exit 1
            for f in *; do if [ -f $f ] && (: >>$f) 2>/dev/null; then echo $f; fi; done""")
        assert opened.split() == ["cgroup.procs", "cgroup.threads"]

    def test_a_cgroup_bomb_is_bounded(self, caged):
        """Directories that a tenant may make are counted."""
        made = caged.sh("acme/caged", "d=$(ls -d /sys/fs/cgroup/systemd /sys/fs/cgroup "
                        "2>/dev/null | head -1); i=0; while [ $i -lt 20000 ] && "
                        "mkdir $d/x$i 2>/dev/null; do i=$((i + 1)); done; echo $i", timeout=120)
        assert int(made) < 20000

    def test_more_user_namespaces_are_refused(self, caged):
        result = caged.exec("acme/free", "/usr/bin/unshare", "-U", "/bin/true")
        assert result.rc != 0, result
        caged.exec("acme/free", "/bin/sh", "-c", "echo 100 >/proc/sys/user/max_user_namespaces")
        result = caged.exec("acme/free", "/usr/bin/unshare", "-U", "/bin/true")
        assert result.rc != 0, result

    def test_network_is_its_own_loopback(self, caged):
        with open("/proc/net/dev", encoding="ascii") as f:
            assert f.read()
        inside = caged.sh("acme/caged", "cat /proc/net/dev")
        assert [line.split(":")[0].strip() for line in inside.splitlines()[2:]] == ["lo"]
        caged.sh("acme/caged", "ip link set lo up && ping -c 1 127.0.0.1 >/dev/null")
        assert caged.sh("acme/caged", "cat /proc/net/unix").count("\n") <= 1

    def test_hostname_is_its_own(self, caged):
        host = os.uname().nodename
        caged.sh("acme/caged", "hostname mine")
        assert os.uname().nodename == host
        assert caged.sh("acme/free", "hostname").strip() != "mine"

    def test_clock_cannot_be_set(self, caged):
        import time

        before = time.time()
        for name in ("acme/caged", "acme/free"):
            caged.exec(name, "/bin/date", "-s", "2001-01-01 00:00:00")
            assert before <= time.time() < before + 600
            assert caged.syscall(name, 227, 0, "b:16") in ("EPERM", "EINVAL")

    def test_reboot_is_its_own(self, caged):
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
            boot = f.read()
        caged.exec("acme/free", "/sbin/poweroff", "-f")
        caged.wait_state("acme/free", "STOPPED")
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
            assert f.read() == boot

    def test_privileged_ports_and_raw_sockets_work(self, caged):
        """The sandwich takes from tenant root only what is the host's."""
        caged.sh("acme/caged", "ip link set lo up; (echo hi | timeout 2 nc -l -p 22 >/dev/null) &"
                 " sleep 0.3; nc -w 1 127.0.0.1 22 </dev/null >/dev/null; wait; true")
        caged.sh("acme/caged", "mkdir -p /m && mount -t tmpfs t /m && umount /m")


def test_helper_binaries_are_not_changed(caged):
    """Init that is /proc/self/exe would be the supervisor's program, if it were not sealed."""
    import hashlib

    def digest():
        with open(program("croft-supervisor"), "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()

    before = digest()
    caged.croft("launch", "busybox", "acme/self", "--", "/proc/self/exe")
    caged.exec("acme/caged", "/proc/self/exe", "--help")
    caged.exec("acme/caged", "/bin/sh", "-c", "echo x >/proc/1/exe; echo x >/proc/self/exe")
    assert digest() == before
    caged.croft("delete", "--force", "acme/self")


def test_a_setuid_file_in_the_pool_does_nothing_on_the_host(caged):
    caged.sh("acme/caged", "cp /bin/busybox /su && chmod 4755 /su")
    pid = caged.init_pid("acme/caged")
    found = subprocess.run(
        ["/usr/bin/findmnt", "-n", "-o", "OPTIONS", "-N", str(caged.pids["supervisor"]), "-T",
         f"{caged.state}/pool"], stdout=subprocess.PIPE, check=False,
    ).stdout.decode()
    assert "nosuid" in found and "nodev" in found, found
    owner = os.stat(f"/proc/{pid}/root/su").st_uid
    assert owner == caged.info("acme/caged")["run"]["id_base"]
