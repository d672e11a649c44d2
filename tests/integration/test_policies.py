"""The policies `shell` and `strict`, asked from inside, call by call; beside them `default`, and a
policy that allows all, which show that each question can be answered otherwise. What runs under
them is in test_policy_programs.py."""

import json

import pytest

import kernel
from croft_harness import wait_until
from fixtures import Kept, keep
from test_isolation import ALLOW_ALL, POLICY

POLICIES = ("shell", "strict", "default", "free")
RAW, DGRAM, STREAM, CLOEXEC, HIGH = 3, 2, 1, 0o2000000, 1 << 32


@pytest.fixture(scope="module")
def kept(schema):
    class WithPolicy(Kept):
        def make(self):
            daemon = super().make()
            with open(f"{daemon.policies}/free.json", "w", encoding="utf-8") as f:
                json.dump(ALLOW_ALL, f)
            return daemon

    yield from keep(WithPolicy(schema))


@pytest.fixture
def four(box):
    """A container under each policy, named after it."""
    box.tenant(cpu="2")
    for policy in POLICIES:
        box.launch(f"acme/{policy}", options=["--policy", policy])
        box.put_probe(f"acme/{policy}")
    return box


# x86-64 numbers: number, arguments, then what shell, strict and the kernel alone say. "" is
# whatever the kernel says. Where they are the same, a row alone shows nothing.
ROWS = {
    "mount": (165, ["s:none", "s:/tmp", "s:tmpfs", 0, 0], "EPERM", "EPERM", "0"),
    "umount2": (166, ["s:/tmp", 0], "EPERM", "EPERM", "0"),
    "pivot_root": (155, ["s:/nonexistent", "s:/x"], "EPERM", "EPERM", "ENOENT"),
    "open_tree": (428, [-100, "s:/", 0], "EPERM", "EPERM", "0"),
    "fsopen": (430, ["s:tmpfs", 0], "EPERM", "EPERM", "0"),
    "fspick": (433, [-100, "s:/nonexistent", 0], "EPERM", "EPERM", "ENOENT"),
    "fsmount": (432, [-1, 0, 0], "EPERM", "EPERM", "EBADF"),
    "move_mount": (429, [-1, "s:x", -1, "s:y", 0], "EPERM", "EPERM", "EBADF"),
    "mount_setattr": (442, [-1, "s:", 0, "b:32", 0], "EPERM", "EPERM", "EINVAL|EBADF|ENOENT"),
    "setns": (308, [-1, 0], "EPERM", "EPERM", "EBADF"),
    "unshare CLONE_NEWNS": (272, [0x20000], "EPERM", "EPERM", "0"),
    "unshare CLONE_NEWUTS": (272, [0x4000000], "EPERM", "EPERM", "0"),
    "unshare CLONE_NEWUSER": (272, [0x10000000], "EPERM", "EPERM", "ENOSPC"),
    "unshare CLONE_NEWUSER with CLONE_FS": (272, [0x10000200], "EPERM", "EPERM", "ENOSPC"),
    "unshare CLONE_FS": (272, [0x200], "0", "EPERM", "0"),
    "unshare unknown": (272, [1], "ENOSYS", "EPERM", "EINVAL"),
    "clone CLONE_NEWUTS": (56, [0x4000011, 0, 0, 0, 0], "EPERM", "EPERM", "0"),
    "clone CLONE_NEWUTS, high bits": (56, [HIGH | 0x4000011, 0, 0, 0, 0], "EPERM", "EPERM", "0"),
    "clone like fork": (56, [0x11, 0, 0, 0, 0], "0", "0", "0"),
    "chroot": (161, ["s:/"], "0", "EPERM", "0"),
    "socket raw ICMP": (41, [2, RAW, 1], "EPERM", "EPERM", "0"),
    "socket raw ICMP, flags and high bits": (
        41, [2, RAW | CLOEXEC | HIGH, 1], "EPERM", "EPERM", "0"),
    "socket raw ICMPv6": (41, [10, RAW, 58], "EPERM", "EPERM", "0"),
    "socket AF_INET SOCK_PACKET": (
        41, [2, 10, 0x300], "EAFNOSUPPORT", "EAFNOSUPPORT", "0|EAFNOSUPPORT"),
    "socket ICMP datagrams": (41, [2, DGRAM, 1], "", "EPROTONOSUPPORT", "0|EACCES"),
    "socket MPTCP": (41, [2, STREAM, 262], "", "EPROTONOSUPPORT", "0|EPROTONOSUPPORT|ENOPROTOOPT"),
    "socket TCP": (41, [2, STREAM | CLOEXEC, 0], "0", "0", "0"),
    "socket UDP": (41, [10, DGRAM, 17], "0", "0", "0"),
    "socket netlink route": (41, [16, RAW, 0], "0", "0", "0"),
    "socket netlink sock_diag": (
        41, [16, RAW, 4], "EAFNOSUPPORT", "EAFNOSUPPORT", "0|EPROTONOSUPPORT"),
    "socket netlink netfilter": (
        41, [16, RAW, 12], "EAFNOSUPPORT", "EAFNOSUPPORT", "0|EPROTONOSUPPORT"),
    "socket netlink uevent": (41, [16, RAW, 15], "EAFNOSUPPORT", "EAFNOSUPPORT", "0"),
    "socket netlink generic": (41, [16, RAW, 16], "EAFNOSUPPORT", "EAFNOSUPPORT", "0"),
    "mknod whiteout": (133, ["s:/tmp/whiteout", 0o20600, 0], "EPERM", "EPERM", "0|EPERM"),
    "mknodat whiteout": (259, [-100, "s:/tmp/other", 0o20600, 0], "EPERM", "EPERM", "0|EPERM"),
    "mknod FIFO": (133, ["s:/tmp/fifo", 0o10600, 0], "0", "0", "0"),
    "ptrace": (101, [0, 0, 0, 0], "0", "EPERM", "0"),
    "sethostname": (170, ["s:x", 1], "0", "EPERM", "0"),
    "reboot": (169, [0, 0, 0, 0], "EINVAL", "EPERM", "EINVAL"),
    "fanotify_init": (300, [0x200, 0], "EPERM", "EPERM", "0|EINVAL|ENOSYS"),
    "kcmp": (312, [1, 1, 0, 0, 0], "EPERM", "EPERM", "0|ENOSYS|EINVAL"),
    "pidfd_getfd": (438, [-1, 0, 0], "EPERM", "EPERM", "EBADF"),
    "process_madvise": (440, [-1, 0, 0, 0, 0], "EPERM", "EPERM", "EBADF|EINVAL"),
    "process_vm_readv": (310, [1, 0, 0, 0, 0, 0], "0", "EPERM", "0"),
    "vmsplice": (278, [-1, 0, 0, 0], "EPERM", "EPERM", "EBADF"),
    "tee": (276, [-1, -1, 1, 0], "EBADF", "EPERM", "EBADF"),
    "msgget": (68, [0, 0o1600], "0", "EPERM", "0"),
    "semget": (64, [0, 1, 0o1600], "0", "0", "0"),
    "mq_open": (240, ["s:q", 0o102, 0o600, 0], "0", "EPERM", "0"),
    "sync": (162, [], "0", "EPERM", "0"),
    "name_to_handle_at": (303, [-100, "s:/", "b:8", "b:4", 0], "", "EPERM", "EOVERFLOW|EOPNOTSUPP"),
    "personality PER_LINUX32": (135, [8], "0", "EPERM", "0"),
    "statmount": (457, [0, 0, 0, 0], "ENOSYS", "ENOSYS", "EFAULT|ENOSYS|EINVAL"),
}


def answers(box, name, **kwargs):
    return {what: box.syscall(name, row[0], *row[1], **kwargs) for what, row in ROWS.items()}


class TestRefused:
    @pytest.mark.parametrize("policy, column", [("shell", 2), ("strict", 3)])
    def test_asked_from_inside(self, four, policy, column):
        expected = {what: (row[column] or row[4]).split("|") for what, row in ROWS.items()}
        got = answers(four, f"acme/{policy}")
        assert not {what: got[what] for what in ROWS if got[what] not in expected[what]}
        # A plain user is told the same, where it is the policy that refuses.
        for what, row in ROWS.items():
            if row[column] in ("EPERM", "ENOSYS", "EAFNOSUPPORT", "EPROTONOSUPPORT"):
                assert four.syscall(f"acme/{policy}", row[0], *row[1],
                                    options=["-u", "1000"]) == row[column], what

    def test_control_without_a_filter(self, four):
        got = answers(four, "acme/free")
        wrong = {what: got[what] for what, row in ROWS.items()
                 if got[what] not in row[4].split("|")}
        assert not wrong
        # Rows that show that it is the policy, whatever modules this kernel has.
        for column, least in ((2, 24), (3, 34)):
            told_apart = [w for w, row in ROWS.items() if row[column] and got[w] != row[column]]
            assert len(told_apart) >= least, told_apart

    def test_control_under_default(self, four):
        """`default` says of all of these what the kernel says, but for AF_PACKET by its back
        door, which no policy leaves open."""
        got = answers(four, "acme/default")
        assert got.pop("socket AF_INET SOCK_PACKET") == "EAFNOSUPPORT"
        wrong = {what: answer for what, answer in got.items()
                 if answer not in ROWS[what][4].split("|")}
        assert not wrong

    @pytest.mark.parametrize("policy", ["shell", "strict"])
    def test_what_default_refuses_too(self, four, policy):
        wrong = {}
        for what, (number, args, expected, _) in POLICY.items():
            got = four.syscall(f"acme/{policy}", number, *args)
            if got != expected:
                wrong[what] = got
        assert not wrong

    @pytest.mark.parametrize("policy", ["shell", "strict"])
    def test_init_is_under_it_as_commands_are(self, box, policy):
        box.tenant()
        script = "mount -t tmpfs t /tmp; echo mount $?; unshare -u true; echo unshare $?; sleep 99"
        box.launch("acme/init", options=["--policy", policy], init=["/bin/sh", "-c", script])
        text = wait_until("init has asked", lambda: (
            text if "\nunshare" in (text := box.ok("logs", "acme/init")) else ""))
        assert "mount 1" in text.split("\n") and "unshare 1" in text.split("\n"), text
        assert box.exec("acme/init", "/bin/mount", "-t", "tmpfs", "t", "/tmp").rc != 0
        pid = box.init_pid("acme/init")
        assert kernel.status_field(pid, "Seccomp") == "2"
        assert box.sh("acme/init", "grep Seccomp_filters /proc/self/status").split()[1] == (
            kernel.status_field(pid, "Seccomp_filters"))


class TestCommands:
    def test_are_listed_and_shown(self, shared):
        listed = {p["name"]: p for p in shared.json_lines("policy", "list")}
        for name in ("default", "shell", "strict"):
            policy = listed[f"policies/{name}"]
            assert policy["instructions"] > 100 and not policy.get("warnings"), policy
            assert not policy.get("error")
            profile = json.loads(shared.ok("policy", "show", name))
            assert profile["defaultAction"] == "SCMP_ACT_ERRNO"

    def test_what_is_shown_can_be_checked(self, shared, tmp_path):
        path = tmp_path / "shell.json"
        path.write_text(shared.ok("policy", "show", "shell"))
        assert "warnings        0" in shared.ok("policy", "check", str(path))

    def test_an_operators_own_hides_ours(self, bare_daemon):
        with open(f"{bare_daemon.policies}/strict.json", "w", encoding="utf-8") as f:
            json.dump(ALLOW_ALL, f)
        bare_daemon.start()
        assert json.loads(bare_daemon.ok("policy", "show", "strict")) == ALLOW_ALL
