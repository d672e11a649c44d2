"""What is asked of a command and what a tenant answers it with: arguments and environments too
large, users that are no users, and a passwd and group made to hang, to grow or to mislead."""

import os

import grpc
import pytest

from croft_harness import check_sentence


@pytest.fixture
def web(box):
    box.tenant("acme")
    box.launch("acme/web")
    return box


def run(box, start):
    """(status, error) of a command through the API, which has no shell's limits."""
    request = {"start": {"name": "tenants/acme/containers/web", **start}}
    with box.api() as api:
        try:
            status = None
            for answer in api.stream("Containers/Exec", [request], timeout=30):
                if answer.HasField("exit"):
                    status = answer.exit.status
            return status, None
        except grpc.RpcError as e:
            check_sentence(e.details(), box.base)
            return None, e


# What the kernel would say E2BIG to: strings of 128 KiB, and more than a quarter of the stack.
class TestTooLarge:
    @pytest.mark.parametrize("start", [
        {"args": ["/bin/true", "x" * (128 << 10)]},
        {"args": ["/bin/true", *["x" * 1000] * 1200]},
        {"args": ["/bin/true", *["x"] * 5000]},
        {"args": ["/bin/true"], "env": ["A=" + "x" * (128 << 10)]},
        {"args": ["/bin/true"], "env": ["A=" + "x" * 100000] * 12},
        {"args": ["/bin/true"], "env": [f"A{i}=x" for i in range(5000)]},
        {"args": ["/bin/true"], "user": "x" * (1 << 18)},
        {"args": ["/bin/true"], "working_dir": "/" + "x" * (1 << 18)},
        {"args": ["/" + "x/" * 10000 + "true"]},
    ], ids=["string", "sum", "count", "variable", "variables", "number of variables", "user",
            "directory", "path"])
    def test_is_refused(self, web, start):
        status, error = run(web, start)
        assert status is None and error, status
        assert error.code() in (
            grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED,
            grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND), error
        assert len(error.details()) < 600, error.details()

    def test_control_large_is_not_too_large(self, web):
        assert run(web, {"args": ["/bin/true", *["x" * 100000] * 5],
                         "env": ["A=" + "x" * 100000] * 4}) == (0, None)
        assert run(web, {"args": ["/bin/true", *["x"] * 4000]}) == (0, None)

    def test_words_say_what_to_do(self, web):
        _, error = run(web, {"args": ["/bin/true", "x" * (1 << 20)]})
        assert "too large" in error.details() and "at most" in error.details()

    def test_a_stack_that_leaves_no_room(self, web):
        """The kernel's own E2BIG, where the tenant has lowered what Croft allows."""
        result = web.exec("acme/web", "/bin/sh", "-c", "ulimit -s 64; exec /bin/true "
                          "$(head -c 100000 /dev/zero | tr '\\0' x) "
                          "$(head -c 100000 /dev/zero | tr '\\0' x)")
        assert result.rc in (126, 137, 139), result


# Not id(1): it looks names up by itself, and what hangs then is the tenant's own.
ID = ("/bin/sh", "-c", "while read a b c; do case $a in Uid:|Gid:) echo $b;; "
      "Groups:) echo $b $c;; esac; done </proc/self/status")


class TestUsers:
    @pytest.mark.parametrize("user", [
        "-1", "65535", "65536", "4294967295", "4294967296", "18446744073709551616", "+0", " 0",
        "0 ", "0x0", "root:x", "a:b", "root\n", "root\0x", "../root", "root/", "-u", "--",
        "$(id)", "%s%n", "\u202eroot", "x" * 5000, "*", "",
    ])
    def test_names_that_are_none(self, web, user):
        if user == "":
            # Root, as with no user at all.
            assert web.exec("acme/web", *ID, options=["-u", ""]).rc in (0, 2)
            return
        status, error = run(web, {"args": ["/bin/true"], "user": user})
        assert status is None and error.code() in (
            grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND), (user, status, error)

    def test_numbers_up_to_the_last(self, web):
        for uid in ("1", "65534"):
            assert web.exec("acme/web", *ID, options=["-u", uid]).out.split() == [uid] * 2

    # Lines that do not say a user, each before one that does.
    @pytest.mark.parametrize("line", [
        "", ":", "::::::", "bob", "bob:x", "bob:x:5", "bob:x:5:5", "bob:x:5:5::/", "bob::::::",
        "bob:x:-1:5::/:/bin/sh", "bob:x:5:-1::/:/bin/sh", "bob:x:65535:5::/:/bin/sh",
        "bob:x:4294967295:5::/:/bin/sh", "bob:x:4294967296:0::/:/bin/sh", "bob:x: 5:5::/:/bin/sh",
        "bob:x:0x5:5::/:/bin/sh", "bob:x:5 :5::/:/bin/sh", "bob :x:5:5::/:/bin/sh",
        "+bob:x:5:5::/:/bin/sh", "+::::::", "#bob:x:5:5::/:/bin/sh",
        "bob:x:5:99999999999999999999::/:/bin/sh", "x" * 100000 + ":x:5:5::/:/bin/sh",
        "bob:" + ":" * 5000,
    ])
    def test_lines_that_do_not_parse(self, web, line):
        web.put("acme/web", "/etc/passwd", f"{line}\nbob:x:77:78::/:/bin/sh\n".encode(), "0644")
        result = web.exec("acme/web", *ID, options=["-u", "bob"])
        assert result.rc == 0 and result.out.split()[:2] == ["77", "78"], result

    def test_a_nul_ends_what_is_read(self, web):
        web.put("acme/web", "/etc/passwd", b"a:x:1:1::/:/bin/sh\n\0bob:x:0:0::/:/bin/sh\n")
        result = web.exec("acme/web", *ID, options=["-u", "bob"])
        assert result.rc == 125 or result.out.split()[0] == "0", result
        assert web.exec("acme/web", *ID, options=["-u", "a"]).out.split()[0] == "1"

    def test_a_home_that_leads_nowhere(self, web):
        for home in ("/nonexistent", "relative", "", "/proc/self/fd/0", "/" + "x" * 5000,
                     "/etc/passwd", "/proc/1/root/../../.."):
            web.put("acme/web", "/etc/passwd", f"bob:x:7:8::{home}:/bin/sh\n".encode(), "0644")
            result = web.exec("acme/web", "/bin/pwd", options=["-u", "bob"])
            assert result.rc == 0 and result.out.startswith("/"), (home, result)
            assert "unreachable" not in result.out

    def test_more_groups_than_a_user_can_have(self, web):
        lines = "".join(f"g{i}:x:{i % 65000}:bob\n" for i in range(1, 20000))
        web.put("acme/web", "/etc/passwd", b"bob:x:7:8::/:/bin/sh\n", "0644")
        web.put("acme/web", "/etc/group", lines.encode(), "0644")
        result = web.exec("acme/web", *ID, options=["-u", "bob"])
        assert result.rc == 0, result
        groups = result.out.splitlines()[2].split()
        assert 1 < len(groups) < 100 and all(0 < int(g) < 65535 for g in groups)


FILES = {
    "2 GiB and one line": "truncate -s 2147483648 $f",
    "8 EiB": "truncate -s 9223372036854775807 $f; truncate -s 1099511627776 $f",
    "a line of 1 MiB": "head -c 1048575 /dev/zero | tr '\\0' a >$f",
    "1 MiB of colons": "yes :::::::: | tr -d '\\n' | head -c 1048576 >$f",
    "1 MiB of line ends": "yes '' | head -c 1048576 >$f",
    "a loop": "ln -sf passwd $f",
    "a longer loop": "ln -sf b /etc/a; ln -sf a /etc/b; ln -sf a $f",
    "a directory": "rm -f $f; mkdir $f",
    "zeroes without end": "ln -sf /dev/zero $f",
    "the terminal": "ln -sf /dev/tty $f",
    "the console": "ln -sf /dev/console $f",
    "memory": "ln -sf /proc/self/mem $f",
    "its own input": "ln -sf /proc/self/fd/0 $f",
    "a socket": "rm -f $f; timeout 1 nc -lU $f; true",
    "nothing": "rm -f $f",
    "not to be read": "chmod 0 $f",
}


@pytest.mark.parametrize("what", FILES, ids=lambda w: w.replace(" ", "-"))
@pytest.mark.parametrize("file", ["passwd", "group"])
def test_files_that_are_no_passwd(web, what, file):
    """Read within bounds and without waiting; the name is then unknown, or the groups are few."""
    if file == "group":
        web.put("acme/web", "/etc/passwd", b"bob:x:7:8::/:/bin/sh\n", "0644")
    web.exec("acme/web", "/bin/sh", "-c", f"f=/etc/{file}; {FILES[what]}", timeout=60)
    result = web.exec("acme/web", *ID, options=["-u", "bob"], timeout=20)
    if file == "group":
        assert result.rc == 0 and result.out.split() == ["7", "8"], result
    else:
        assert result.rc == 125 and "bob" in result.err, result
        check_sentence(result.err, web.base)
    # By number, and as root, it goes on.
    assert web.exec("acme/web", *ID, options=["-u", "5"], timeout=20).out.split()[0] == "5"
    assert web.exec("acme/web", "/bin/true", timeout=20).rc == 0


def test_a_passwd_that_changes_while_it_is_read(web):
    """Grown, cut and replaced all the while: a name is found or not, and it is never another."""
    script = ("while :; do echo bob:x:7:8::/:/bin/sh >/etc/p; mv /etc/p /etc/passwd; "
              "truncate -s 1000000 /etc/passwd; : >/etc/passwd; ln -sf /dev/zero /etc/q; "
              "mv /etc/q /etc/passwd; rm /etc/passwd; done 2>/dev/null")
    with web.background_exec("acme/web", "/bin/sh", "-c", script):
        seen = set()
        for _ in range(200):
            result = web.exec("acme/web", *ID, options=["-u", "bob"], timeout=20)
            assert (result.rc, result.out.split()) in ((0, ["7", "8"]), (125, [])), result
            seen.add(result.rc)
    assert os.path.isdir(f"/proc/{web.pids['supervisor']}") and 125 in seen
